"""What visitors choose for themselves: within the operator's bounds, and told to a running session in few words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.session import Mode, session_update
from realtime.settings import Eagerness, Language, NoiseReduction, Settings
from realtime.wishes import MOST_INSTRUCTIONS, Pace, When, Wishes, live_update, when

NONE = Wishes()
SOME = Wishes("", "marin", Language.CHINESE, "Be a pirate.", Pace.PATIENT, NoiseReduction.FAR_FIELD, 1.2, 0.5)


def test_no_wishes_change_nothing() -> None:
    settings = Settings(voice="cedar", vad_silence_ms=400, max_call_cost=1.0, speed=0.9)
    assert NONE.over(settings) == settings


def test_wishes_go_before_the_operators_settings() -> None:
    settings = SOME.over(Settings(voice="cedar"))
    assert (settings.voice, settings.language, settings.instructions) == ("marin", Language.CHINESE, "Be a pirate.")
    assert (settings.vad_silence_ms, settings.eagerness) == (800, Eagerness.LOW)
    assert (settings.noise_reduction, settings.speed, settings.max_call_cost) == (NoiseReduction.FAR_FIELD, 1.2, 0.5)


@pytest.mark.parametrize(("operator", "visitor", "cap"), [(0, 0, 0), (1, 0, 1), (0, 2, 2), (1, 2, 1), (2, 1, 1)])
def test_the_smaller_cap_counts(operator: float, visitor: float, cap: float) -> None:
    assert Wishes(call_cost=visitor).over(Settings(max_call_cost=operator)).max_call_cost == cap


def test_bounds() -> None:
    assert Wishes(speed=9.0).over(Settings()).speed == 1.5
    assert len(Wishes(instructions="x" * 9999).over(Settings()).instructions) == MOST_INSTRUCTIONS


def update(wishes: Wishes) -> dict[str, object]:
    return session_update(wishes.over(Settings(openai_api_key="sk-x")), Mode.VOICE)


def test_a_running_session_is_told_what_has_changed_and_never_another_voice() -> None:
    told = live_update(update(NONE), update(SOME))
    assert told is not None
    session = told["session"]
    assert session.keys() == {"type", "instructions", "audio"}
    assert session["audio"]["output"] == {"speed": 1.2}
    assert session["audio"]["input"].keys() == {"transcription", "noise_reduction", "turn_detection"}
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 800
    assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.5, "told as a whole"
    assert live_update(update(NONE), update(Wishes(voice="marin"))) is None
    assert live_update(update(SOME), update(SOME)) is None


WISHES = st.builds(
    Wishes,
    st.sampled_from(["", "gpt-realtime"]),
    st.sampled_from(["", "marin", "cedar"]),
    st.none() | st.sampled_from(Language),
    st.sampled_from(["", "Be brief.", "Be a pirate."]),
    st.sampled_from(Pace),
    st.none() | st.sampled_from(NoiseReduction),
    st.none() | st.sampled_from([0.5, 1.0, 1.5]),
)


def merged(into: object, more: object) -> object:
    if not isinstance(into, dict) or not isinstance(more, dict):
        return more
    whole = ("turn_detection", "transcription", "noise_reduction")
    return {**into, **{key: value if key in whole else merged(into.get(key), value) for key, value in more.items()}}


@given(WISHES, WISHES)
def test_after_the_update_the_server_has_what_was_wished_but_the_voice(before: Wishes, after: Wishes) -> None:
    told = live_update(update(before), update(after))
    has = merged(update(before)["session"], told["session"] if told else {})
    wanted = update(after)["session"]
    assert isinstance(has, dict) and isinstance(wanted, dict)
    has["audio"]["output"].pop("voice")
    wanted["audio"]["output"].pop("voice")
    assert has == wanted


def test_a_model_is_the_operators_to_offer_and_whoever_pays_may_choose() -> None:
    ours = Settings(openai_api_key="sk-x", models=("gpt-realtime-2.1",)).endpoint()
    assert ours.choosing("", ()) is ours
    assert ours.choosing("gpt-realtime", ("gpt-realtime-2.1",)) is ours
    chosen = ours.choosing("gpt-realtime-2.1", ("gpt-realtime-2.1",))
    assert chosen.model == "gpt-realtime-2.1" and chosen.url.endswith("?model=gpt-realtime-2.1")
    assert chosen.headers == ours.headers and chosen != ours, "another meter"
    theirs = Settings(openai_api_key="sk-x").endpoint(own_key="sk-visitor").choosing("any&model=x", ())
    assert theirs.url.endswith("?model=any%26model%3Dx")
    embedded = Settings().endpoint("ws://127.0.0.1:1")
    assert embedded.choosing("gpt-realtime", ("gpt-realtime",)) is embedded
    named = Settings(realtime_url="wss://there/v1/realtime?model=a&api-version=2", models=("b",)).endpoint()
    assert named.choosing("b", ("b",)).url == "wss://there/v1/realtime?api-version=2&model=b"


def test_another_model_counts_from_the_next_call() -> None:
    assert when(NONE, Wishes(model="gpt-realtime"), in_call=True) is When.NEXT_CALL
