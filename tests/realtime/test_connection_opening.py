"""The beginning of a session as a pure fold: both dialects, and any order of events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.dialect import Dialect
from realtime.failures import FINAL, ConnectionFailed, Failure
from realtime.opening import MAX_REFUSALS, Opening, Phase
from realtime.refusals import Refused
from realtime.session import SESSION_EVENT_ID, Mode, session_update
from realtime.settings import Language, Settings

Event = dict[str, Any]

UPDATE = session_update(Settings())
GA = {"type": "session.created", "session": {"type": "realtime", "output_modalities": ["audio"]}}
BETA = {"type": "session.created", "session": {"modalities": ["audio", "text"], "turn_detection": None}}
NOTHING = {"type": "session.created", "session": {}}
UPDATED = {"type": "session.updated", "session": {}}


def refusal(param: str | None, about: str | None = None, message: str = "no", code: str = "unknown_parameter") -> Event:
    return {"type": "error", "error": {"code": code, "param": param, "message": message, "event_id": about}}


def opened(update: Event = UPDATE, refused: Refused | None = None) -> Opening:
    return Opening(update, refused or Refused())


def test_a_ga_server() -> None:
    opening = opened()
    assert opening.receive(GA) == ([GA], [])
    assert opening.begin() == [UPDATE]
    assert opening.phase is Phase.ASKED
    assert opening.receive(UPDATED) == ([UPDATED], [])
    assert opening.phase is Phase.IN_USE


def test_a_confirmation_of_what_was_not_said_is_none() -> None:
    opening = opened()
    opening.receive(UPDATED)
    opening.begin()
    assert opening.phase is Phase.ASKED


def test_a_server_that_shows_that_it_is_beta_is_told_the_settings_in_beta() -> None:
    opening = opened()
    (created,), answers = opening.receive(BETA)
    assert answers == []
    assert created["session"]["output_modalities"] == ["audio"], "callers see GA"
    (update,) = opening.begin()
    assert update["session"]["modalities"] == ["text", "audio"]
    assert "type" not in update["session"]
    assert update["session"]["turn_detection"] == UPDATE["session"]["audio"]["input"]["turn_detection"]
    (ask,) = opening.spoken({"type": "response.create", "response": {"output_modalities": ["text"]}})
    assert ask["response"] == {"modalities": ["text"]}
    ((delta,), _) = opening.receive({"type": "response.audio.delta", "delta": ""})
    assert delta["type"] == "response.output_audio.delta"


def test_a_server_that_shows_it_only_when_it_confirms() -> None:
    opening = opened()
    opening.receive(NOTHING)
    opening.begin()
    events, (update,) = opening.receive({**BETA, "type": "session.updated"})
    assert events == [], "it has confirmed what it did not understand"
    assert opening.phase is Phase.ASKED
    assert update["event_id"] != UPDATE["event_id"]
    assert "modalities" in update["session"]
    opening.receive({**BETA, "type": "session.updated"})
    assert opening.phase is Phase.IN_USE


@pytest.mark.parametrize("param", ["session.type", None])
def test_a_server_that_shows_it_by_what_it_refuses(param: str | None) -> None:
    opening = opened()
    opening.receive(NOTHING)
    opening.begin()
    events, (update,) = opening.receive(refusal(param, message="Unknown parameter: 'session.type'."))
    assert (events, opening.dialect) == ([], Dialect.BETA)
    assert "modalities" in update["session"]
    more = refusal(None, SESSION_EVENT_ID, "Unknown parameter: 'session.audio'.")
    assert opening.receive(more) == ([], []), "another word about the update before"


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("session.input_audio_noise_reduction", ""),
        (None, "Unknown parameter: 'session.input_audio_noise_reduction'."),
        (None, "Unknown parameter: 'input_audio_noise_reduction'."),
    ],
)
def test_a_field_refused_under_its_beta_name(param: str | None, message: str) -> None:
    refused = Refused()
    opening = opened(refused=refused)
    opening.receive(BETA)
    opening.begin()
    _, (update,) = opening.receive(refusal(param, message=message))
    assert "input_audio_noise_reduction" not in update["session"]
    assert update["session"]["input_audio_transcription"] == {"model": "whisper-1"}
    (again,) = Opening(UPDATE, refused).begin()
    assert "noise_reduction" not in again["session"]["audio"]["input"], "remembered by its GA name"


OWN_MODEL = {"type": "session.created", "session": {"audio": {"input": {"transcription": {"model": "theirs"}}}}}
OWN_BETA_MODEL = {
    "type": "session.created",
    "session": {**BETA["session"], "input_audio_transcription": {"model": "t"}},
}


@pytest.mark.parametrize("created", [OWN_MODEL, OWN_BETA_MODEL])
def test_a_server_keeps_its_own_model_where_ours_is_a_guess(created: Event) -> None:
    def told(**changed: Any) -> Any:
        opening = opened(session_update(Settings(realtime_url="ws://h", **changed)))
        opening.receive(created)
        (update,) = opening.begin()
        session = update["session"]
        return session.get("input_audio_transcription", session.get("audio", {}).get("input", {}).get("transcription"))

    assert told() is None
    assert told(language=Language.CHINESE) == {"language": "zh"}
    assert told(transcription_model="chosen") == {"model": "chosen"}


def test_errors_about_something_else_are_not_ours() -> None:
    opening = opened()
    other = refusal("item.id", "say_1")
    assert opening.receive(other) == ([other], [])
    opening.begin()
    assert opening.receive(other) == ([other], [])
    opening.receive(UPDATED)
    unnamed = refusal("session.audio.output.voice")
    assert opening.receive(unnamed) == ([unnamed], []), "since then other things were sent"
    assert opening.receive(refusal("session.audio.output.voice", SESSION_EVENT_ID))[1], "and this is about the settings"


def test_a_failure_ends_a_session_that_never_began() -> None:
    failed = {"type": "error", "error": {"type": "server_error"}}
    for begun in (False, True):
        opening = opened()
        if begun:
            opening.begin()
            opening.go_on()
            assert opening.phase is Phase.SILENT
        with pytest.raises(ConnectionFailed) as caught:
            opening.receive(failed)
        assert caught.value.failure is Failure.SERVER_ERROR
    opening.receive(GA)
    assert opening.receive(failed) == ([failed], []), "in a session that has begun it is an error among others"


FIELDS = [
    "session.audio.input.noise_reduction",
    "tools",
    "speed",
    "session.type",
    "session.audio",
    "modalities",
    "x",
    "",
]
ABOUT = st.sampled_from([None, "", SESSION_EVENT_ID, f"{SESSION_EVENT_ID}_2", f"{SESSION_EVENT_ID}_9", "say_1", 7])
EVENTS = st.one_of(
    st.sampled_from(
        [GA, BETA, NOTHING, UPDATED, {**BETA, "type": "session.updated"}, {"type": "response.audio.delta"}]
    ),
    st.builds(refusal, st.sampled_from(FIELDS), ABOUT, st.sampled_from(["", "'voice'", "'session.tool_choice'"])),
    st.sampled_from(["server_error", "insufficient_quota", "session_expired", "invalid_value"]).map(
        lambda code: refusal(None, None, "", code)
    ),
    st.sampled_from([None, 7, "x", [], {}]).map(lambda odd: {"type": "error", "error": odd}),
)


@given(st.lists(EVENTS | st.sampled_from(["begin", "go on"]), max_size=25), st.sampled_from(list(Mode)))
def test_any_order_ends_well_or_with_a_failure(story: list[Any], mode: Mode) -> None:
    opening = opened(session_update(Settings(), mode))
    said: list[Event] = []
    for event in story:
        if event == "go on":
            opening.go_on()
            assert opening.phase is not Phase.ASKED
        elif event == "begin":
            if opening.phase is Phase.OPENED:
                said += opening.begin()
        else:
            try:
                events, answers = opening.receive(event)
            except ConnectionFailed as failed:
                assert event["type"] == "error"
                assert failed.failure in FINAL | {Failure.REFUSED_SETTINGS, Failure.SERVER_ERROR}
                return
            assert len(events) <= 2
            said += answers
    assert all(update["type"] == "session.update" for update in said)
    assert len(said) <= MAX_REFUSALS + 3, "it does not go on for ever"
    assert len({update["event_id"] for update in said}) == len(said)
    for update in said[-1:]:
        assert ("type" in update["session"]) is (opening.dialect is Dialect.GA)
