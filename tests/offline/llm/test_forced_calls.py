"""Real small model: arguments of forced calls after small talk, and its share in the choice of a function."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from benchmarks.support.tools.model_choices import choose
from benchmarks.support.tools.router_requests import NOW, read_declarations, read_requests, router_figures
from offline.llm.language_model import LanguageModel
from offline.llm.prompt import build_prompt
from offline.models.store import find_models
from offline.protocol.worker_messages import LlmMessage, ReplyRequest
from offline.tools.turn_plan import plan_turn

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]
RIGHT_NOT_BELOW, MOST_TAKEN_FOR_A_CALL = 36, 7
"""Requests of the third set, of forty each: measured were 38 right and 6 of small talk."""
HISTORY = (LlmMessage("user", "Hi"), LlmMessage("assistant", "Hello! How are you?"))


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModel]:
    path = find_models({}).llm
    assert path is not None
    yield LanguageModel(path, slots=1, threads=1, context_tokens=4096)


@pytest.mark.parametrize(
    ("message", "name", "shown"),
    [
        ("Please text Anna that I am running late.", "send_message", "anna"),
        ("Turn off the bedroom lights.", "set_lights", "off"),
        ("What's the weather in Paris tomorrow?", "get_weather", "paris"),
        ("傳訊息給小明說我晚點到", "send_message", "小明"),
        ("台北明天會下雨嗎？", "get_weather", "台北"),
        ("幫我找一下筆記裡關於房租的內容", "search_notes", "房租"),
    ],
)
def test_forced_call_gets_arguments_from_the_last_message(
    model: LanguageModel, message: str, name: str, shown: str
) -> None:
    tools = tuple(json.dumps(tool, ensure_ascii=False) for tool in read_declarations())
    plan = plan_turn(ReplyRequest((*HISTORY, LlmMessage("user", message)), speak=True, tools=tools), NOW)
    assert plan.call is not None
    pieces: list[str] = []
    prompt = build_prompt(plan.call.request, ("en", "zh"), 2048)
    model.generate(prompt, 0, lambda text, _: pieces.append(text), threading.Event())
    call = plan.call.finish("".join(pieces))
    assert call is not None and call.name == name
    assert shown in call.arguments.lower()


@pytest.mark.timeout(1800)
def test_share_of_the_third_set_stays(model: LanguageModel) -> None:
    requests = read_requests("third")
    figures = router_figures(requests, [choose(model, request, read_declarations()).name for request in requests])
    assert figures["right"] >= RIGHT_NOT_BELOW
    assert figures["taken_for_a_call"] <= MOST_TAKEN_FOR_A_CALL
