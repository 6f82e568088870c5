"""Load steps: a page that has loaded shows everything after one event."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

import app
from voicechat.config.settings import Settings
from voicechat.session.visitor import Visitor
from voicechat.ui.load_steps import LoadSteps


def test_values_are_in_the_order_of_the_outputs() -> None:
    steps = LoadSteps()
    with gr.Blocks():
        boxes: Any = [gr.Textbox() for _ in range(3)]
    steps.add(lambda _, locale: [locale], boxes[:1])
    steps.add(lambda _, locale: (1, 2), boxes[1:])
    assert steps.seal() == boxes
    with pytest.raises(RuntimeError):
        steps.add(lambda _, locale: [locale], boxes[:1])
    assert steps.values(Visitor(), "en") == ["en", 1, 2]


@pytest.mark.parametrize("values", [[], [1, 2]])
def test_step_with_another_number_of_values_is_an_error(values: list[int]) -> None:
    steps = LoadSteps()
    with gr.Blocks():
        box: Any = gr.Textbox()
    steps.add(lambda _, locale: values, [box])
    with pytest.raises(ValueError, match="1 components"):
        steps.values(Visitor(), "en")


def test_page_asks_the_server_once_when_it_has_loaded() -> None:
    page = app.create_application(Settings(openai_api_key="sk-operator")).page
    at_load = [each for each in page.fns.values() if any(name == "load" for _, name in each.targets)]
    assert len(at_load) == 1
    later = [each for each in page.fns.values() if each.trigger_after == at_load[0]._id]
    assert all(each.fn is None for each in later), "what follows runs in the browser"
