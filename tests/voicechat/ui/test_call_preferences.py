"""Settings panel: what its fields show when a page is loaded, the first time and after a resume."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
import pytest
from gradio.blocks import Block, BlockContext
from hypothesis import given
from hypothesis import strategies as st

import app
from voicechat.config.call_preferences import CallPreferences, EndpointingSpeed
from voicechat.config.settings import Language, NoiseReduction, Settings
from voicechat.session.visitor import Visitor
from voicechat.ui.i18n import PREFERENCE_MESSAGES
from voicechat.ui.load_steps import LoadSteps
from voicechat.ui.settings_panel import panel
from voicechat.ui.settings_panel.call_preferences import (
    PreferenceFields,
    parse_kept_preferences,
    parse_preferences,
    wire,
)

CHOSEN = CallPreferences(
    model="gpt-realtime-2.1",
    voice="cedar",
    language=Language("zh"),
    persona="english",
    instructions="Correct me.",
    endpointing_speed=EndpointingSpeed.PATIENT,
    noise_reduction=NoiseReduction("far_field"),
    speed=1.25,
    max_cost_usd=0.5,
)
PERSONAS = json.dumps([{"name": "Guide", "key": "guide", "instructions": "You are a guide."}, {"name": "Plain"}])


async def shown_values(settings: Settings, visitor: Visitor) -> list[Any]:
    """Return the value of every field after the load event, as the browser would send it back."""
    load_steps = LoadSteps()
    with gr.Blocks():
        fields = panel.build(settings).preferences
        wire(fields, settings, gr.State(visitor), gr.State("en"), load_steps)
    values = load_steps.values(visitor, "en")
    assert load_steps.seal() == fields.components()
    assert len(values) == len(PreferenceFields.__dataclass_fields__)
    return [getattr(value, "value", value) for value in values]


@pytest.mark.parametrize("chosen", [CHOSEN, CallPreferences(), CallPreferences(persona="english")])
async def test_fields_of_a_resumed_page_show_the_preferences(chosen: CallPreferences) -> None:
    settings, visitor = Settings(openai_api_key="sk-operator", models=("gpt-realtime-2.1",)), Visitor()
    visitor.preferences = chosen
    values = await shown_values(settings, visitor)
    parsed = parse_preferences(*values)
    assert parsed.apply_to(settings) == chosen.apply_to(settings)
    assert parsed.persona == (chosen.persona or "assistant")
    assert (parsed.model, parsed.instructions) == (chosen.model, chosen.instructions)


@pytest.mark.parametrize("words", ["", None, *PREFERENCE_MESSAGES["as_set"]])
def test_words_of_the_default_are_no_name(words: str | None) -> None:
    assert parse_preferences(words, words, None, None, None, None, None, None, None) == CallPreferences()


def test_server_may_have_a_voice_named_default() -> None:
    assert parse_preferences(None, "default", None, None, None, None, None, None, None).voice == "default"


async def test_first_persona_of_the_operator_is_shown_as_it_counts() -> None:
    settings = Settings.from_env({"PERSONAS": PERSONAS, "OPENAI_API_KEY": "sk-operator"})
    values = await shown_values(settings, Visitor())
    assert (values[3], values[4]) == ("guide", "You are a guide.")
    assert parse_preferences(*values).apply_to(settings) == CallPreferences().apply_to(settings)


async def test_persona_that_no_longer_exists_leaves_its_instructions() -> None:
    settings, visitor = Settings.from_env({"PERSONAS": PERSONAS, "OPENAI_API_KEY": "sk-operator"}), Visitor()
    visitor.preferences = CHOSEN
    values = await shown_values(settings, visitor)
    assert (values[3], values[4]) == ("guide", "Correct me.")


def has_shown_field(block: Block) -> bool:
    if isinstance(block, BlockContext):  # Gradio wraps fields into forms, which count as visible
        return block.visible is True and any(has_shown_field(child) for child in block.children)
    return block.visible is True


@pytest.mark.parametrize("own_key", [True, False])
@pytest.mark.parametrize("operator_key", ["", "sk-operator"], ids=["offline", "openai"])
def test_every_shown_group_has_a_shown_field(operator_key: str, own_key: bool) -> None:
    page = app.create_application(Settings(openai_api_key=operator_key, allow_own_key=own_key)).page
    groups = [each for each in page.blocks.values() if isinstance(each, gr.Accordion) and each.visible]
    assert len(groups) >= 5
    for group in groups:
        assert has_shown_field(group), group.elem_id


async def test_kept_values_give_the_same_preferences() -> None:
    visitor = Visitor()
    visitor.preferences = CHOSEN
    kept = json.dumps(await shown_values(Settings(openai_api_key="sk-operator", allow_own_key=True), visitor))
    assert parse_kept_preferences(kept) == CHOSEN


@given(
    st.text(max_size=30)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
        lambda inner: st.lists(inner, min_size=9, max_size=9) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=30,
    ).map(json.dumps)
)
def test_anything_kept_is_refused_or_gives_usable_preferences(kept: str) -> None:
    preferences = parse_kept_preferences(kept)
    assert preferences is None or (
        0 <= preferences.max_cost_usd < 1e6 and (preferences.speed is None or 0.5 <= preferences.speed <= 1.5)
    )


@pytest.mark.parametrize("kept", [None, 5, "", "[", "[" * 100_000, "[]", json.dumps(["x" * 100_000] * 9)])
def test_values_that_no_page_has_kept_are_refused(kept: object) -> None:
    assert parse_kept_preferences(kept) is None
