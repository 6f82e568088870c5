"""Preferences of visitors: within the operator's limits, and as short updates of a running session."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.call_preferences import (
    MAX_INSTRUCTIONS_CHARS,
    CallPreferences,
    EffectiveFrom,
    EndpointingSpeed,
    build_live_update,
    effective_from,
)
from voicechat.config.session_update import SessionMode, build_session_update
from voicechat.config.settings import Eagerness, Language, NoiseReduction, Settings

NO_PREFERENCES = CallPreferences()
SOME_PREFERENCES = CallPreferences(
    "", "marin", Language.CHINESE, "Be a pirate.", EndpointingSpeed.PATIENT, NoiseReduction.FAR_FIELD, 1.2, 0.5
)


def test_apply_to_without_preferences_keeps_the_settings() -> None:
    settings = Settings(voice="cedar", vad_silence_ms=400, max_call_cost=1.0, speed=0.9)
    assert NO_PREFERENCES.apply_to(settings) == settings


def test_apply_to_preferences_override_operator_settings() -> None:
    settings = SOME_PREFERENCES.apply_to(Settings(voice="cedar"))
    assert (settings.voice, settings.language, settings.instructions) == ("marin", Language.CHINESE, "Be a pirate.")
    assert (settings.vad_silence_ms, settings.eagerness) == (800, Eagerness.LOW)
    assert (settings.noise_reduction, settings.speed, settings.max_call_cost) == (NoiseReduction.FAR_FIELD, 1.2, 0.5)


@pytest.mark.parametrize(("operator", "visitor", "cap"), [(0, 0, 0), (1, 0, 1), (0, 2, 2), (1, 2, 1), (2, 1, 1)])
def test_apply_to_uses_the_smaller_cost_limit(operator: float, visitor: float, cap: float) -> None:
    assert CallPreferences(max_cost_usd=visitor).apply_to(Settings(max_call_cost=operator)).max_call_cost == cap


def test_apply_to_limits_speed_and_instructions() -> None:
    assert CallPreferences(speed=9.0).apply_to(Settings()).speed == 1.5
    assert len(CallPreferences(instructions="x" * 9999).apply_to(Settings()).instructions) == MAX_INSTRUCTIONS_CHARS


def update(preferences: CallPreferences) -> dict[str, object]:
    return build_session_update(preferences.apply_to(Settings(openai_api_key="sk-x")), SessionMode.VOICE)


def test_live_update_has_the_changed_fields_without_the_voice() -> None:
    live_update = build_live_update(update(NO_PREFERENCES), update(SOME_PREFERENCES))
    assert live_update is not None
    session = live_update["session"]
    assert session.keys() == {"type", "instructions", "audio"}
    assert session["audio"]["output"] == {"speed": 1.2}
    assert session["audio"]["input"].keys() == {"transcription", "noise_reduction", "turn_detection"}
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 800
    assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.5, "the object is sent whole"
    assert build_live_update(update(NO_PREFERENCES), update(CallPreferences(voice="marin"))) is None
    assert build_live_update(update(SOME_PREFERENCES), update(SOME_PREFERENCES)) is None


PREFERENCES = st.builds(
    CallPreferences,
    st.sampled_from(["", "gpt-realtime"]),
    st.sampled_from(["", "marin", "cedar"]),
    st.none() | st.sampled_from(Language),
    st.sampled_from(["", "Be brief.", "Be a pirate."]),
    st.sampled_from(EndpointingSpeed),
    st.none() | st.sampled_from(NoiseReduction),
    st.none() | st.sampled_from([0.5, 1.0, 1.5]),
)


def merged(into: object, more: object) -> object:
    if not isinstance(into, dict) or not isinstance(more, dict):
        return more
    whole = ("turn_detection", "transcription", "noise_reduction")
    return {**into, **{key: value if key in whole else merged(into.get(key), value) for key, value in more.items()}}


@given(PREFERENCES, PREFERENCES)
def test_live_update_merged_equals_the_new_session_except_the_voice(
    before: CallPreferences, after: CallPreferences
) -> None:
    live_update = build_live_update(update(before), update(after))
    has = merged(update(before)["session"], live_update["session"] if live_update else {})
    wanted = update(after)["session"]
    assert isinstance(has, dict) and isinstance(wanted, dict)
    has["audio"]["output"].pop("voice")
    wanted["audio"]["output"].pop("voice")
    assert has == wanted


def test_with_visitor_model_accepts_offered_models_and_any_with_own_key() -> None:
    ours = Settings(openai_api_key="sk-x", models=("gpt-realtime-2.1",)).endpoint()
    assert ours.with_visitor_model("", ()) is ours
    assert ours.with_visitor_model("gpt-realtime", ("gpt-realtime-2.1",)) is ours
    chosen = ours.with_visitor_model("gpt-realtime-2.1", ("gpt-realtime-2.1",))
    assert chosen.model == "gpt-realtime-2.1" and chosen.url.endswith("?model=gpt-realtime-2.1")
    assert chosen.headers == ours.headers and chosen != ours, "another meter"
    theirs = Settings(openai_api_key="sk-x").endpoint(own_key="sk-visitor").with_visitor_model("any&model=x", ())
    assert theirs.url.endswith("?model=any%26model%3Dx")
    embedded = Settings().endpoint("ws://127.0.0.1:1")
    assert embedded.with_visitor_model("gpt-realtime", ("gpt-realtime",)) is embedded
    named = Settings(realtime_url="wss://there/v1/realtime?model=a&api-version=2", models=("b",)).endpoint()
    assert named.with_visitor_model("b", ("b",)).url == "wss://there/v1/realtime?api-version=2&model=b"


def test_effective_from_another_model_is_the_next_call() -> None:
    assert (
        effective_from(NO_PREFERENCES, CallPreferences(model="gpt-realtime"), in_call=True) is EffectiveFrom.NEXT_CALL
    )


@pytest.mark.parametrize(
    "preferences", [NO_PREFERENCES, SOME_PREFERENCES, CallPreferences(switched_off_tools=frozenset({"b", "a"}))]
)
def test_preferences_through_json_are_the_same(preferences: CallPreferences) -> None:
    assert CallPreferences.from_json(json.loads(json.dumps(preferences.to_json()))) == preferences


@pytest.mark.parametrize(
    "changed",
    [
        {"language": "tlh"},
        {"endpointing_speed": None},
        {"noise_reduction": 3},
        {"instructions": "x" * (MAX_INSTRUCTIONS_CHARS + 1)},
        {"voice": "x" * 201},
        {"model": None},
        {"speed": float("nan")},
        {"speed": True},
        {"max_cost_usd": "1"},
        {"max_cost_usd": float("inf")},
        {"switched_off_tools": "roll_dice"},
        {"switched_off_tools": [1]},
        {"switched_off_tools": ["x"] * 1001},
        {"own_key": "sk-visitor"},
    ],
    ids=str,
)
def test_preferences_of_other_json_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"preferences|tools"):
        CallPreferences.from_json({**SOME_PREFERENCES.to_json(), **changed})


@pytest.mark.parametrize("value", [None, [], {}, "text"])
def test_preferences_of_no_object_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="preferences"):
        CallPreferences.from_json(value)
