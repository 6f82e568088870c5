"""The beginning of a session as a pure fold: both dialects, and any order of events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.session_update import SESSION_EVENT_ID, SessionMode, build_session_update
from voicechat.config.settings import Language, Settings
from voicechat.protocol.beta_dialect import Dialect
from voicechat.protocol.failures import FATAL, ConnectionFailed, Failure
from voicechat.protocol.unsupported_fields import UnsupportedFields
from voicechat.upstream.handshake import MAX_REJECTED_FIELDS, Handshake, HandshakePhase

Event = dict[str, Any]

UPDATE = build_session_update(Settings())
GA_CREATED = {"type": "session.created", "session": {"type": "realtime", "output_modalities": ["audio"]}}
BETA_CREATED = {"type": "session.created", "session": {"modalities": ["audio", "text"], "turn_detection": None}}
EMPTY_CREATED = {"type": "session.created", "session": {}}
UPDATED = {"type": "session.updated", "session": {}}


def refusal(param: str | None, about: str | None = None, message: str = "no", code: str = "unknown_parameter") -> Event:
    return {"type": "error", "error": {"code": code, "param": param, "message": message, "event_id": about}}


def begun_handshake(update: Event = UPDATE, refused: UnsupportedFields | None = None) -> Handshake:
    return Handshake(update, refused or UnsupportedFields())


def test_a_ga_server() -> None:
    opening = begun_handshake()
    assert opening.handle_event(GA_CREATED) == ([GA_CREATED], [])
    assert opening.send_settings() == [UPDATE]
    assert opening.phase is HandshakePhase.SETTINGS_SENT
    assert opening.handle_event(UPDATED) == ([UPDATED], [])
    assert opening.phase is HandshakePhase.IN_USE


def test_a_confirmation_of_what_was_not_said_is_none() -> None:
    opening = begun_handshake()
    opening.handle_event(UPDATED)
    opening.send_settings()
    assert opening.phase is HandshakePhase.SETTINGS_SENT


def test_a_server_that_shows_that_it_is_beta_is_told_the_settings_in_beta() -> None:
    opening = begun_handshake()
    (created,), answers = opening.handle_event(BETA_CREATED)
    assert answers == []
    assert created["session"]["output_modalities"] == ["audio"], "callers see GA"
    (update,) = opening.send_settings()
    assert update["session"]["modalities"] == ["text", "audio"]
    assert "type" not in update["session"]
    assert update["session"]["turn_detection"] == UPDATE["session"]["audio"]["input"]["turn_detection"]
    (ask,) = opening.to_wire({"type": "response.create", "response": {"output_modalities": ["text"]}})
    assert ask["response"] == {"modalities": ["text"]}
    ((delta,), _) = opening.handle_event({"type": "response.audio.delta", "delta": ""})
    assert delta["type"] == "response.output_audio.delta"


def test_a_server_that_shows_it_only_when_it_confirms() -> None:
    opening = begun_handshake()
    opening.handle_event(EMPTY_CREATED)
    opening.send_settings()
    events, (update,) = opening.handle_event({**BETA_CREATED, "type": "session.updated"})
    assert events == [], "it has confirmed what it did not understand"
    assert opening.phase is HandshakePhase.SETTINGS_SENT
    assert update["event_id"] != UPDATE["event_id"]
    assert "modalities" in update["session"]
    opening.handle_event({**BETA_CREATED, "type": "session.updated"})
    assert opening.phase is HandshakePhase.IN_USE


@pytest.mark.parametrize("param", ["session.type", None])
def test_a_server_that_shows_it_by_what_it_refuses(param: str | None) -> None:
    opening = begun_handshake()
    opening.handle_event(EMPTY_CREATED)
    opening.send_settings()
    events, (update,) = opening.handle_event(refusal(param, message="Unknown parameter: 'session.type'."))
    assert (events, opening.dialect) == ([], Dialect.BETA)
    assert "modalities" in update["session"]
    more = refusal(None, SESSION_EVENT_ID, "Unknown parameter: 'session.audio'.")
    assert opening.handle_event(more) == ([], []), "another word about the update before"


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("session.input_audio_noise_reduction", ""),
        (None, "Unknown parameter: 'session.input_audio_noise_reduction'."),
        (None, "Unknown parameter: 'input_audio_noise_reduction'."),
    ],
)
def test_a_field_refused_under_its_beta_name(param: str | None, message: str) -> None:
    refused = UnsupportedFields()
    opening = begun_handshake(refused=refused)
    opening.handle_event(BETA_CREATED)
    opening.send_settings()
    _, (update,) = opening.handle_event(refusal(param, message=message))
    assert "input_audio_noise_reduction" not in update["session"]
    assert update["session"]["input_audio_transcription"] == {"model": "whisper-1"}
    (again,) = Handshake(UPDATE, refused).send_settings()
    assert "noise_reduction" not in again["session"]["audio"]["input"], "remembered by its GA name"


OWN_MODEL = {"type": "session.created", "session": {"audio": {"input": {"transcription": {"model": "theirs"}}}}}
OWN_BETA_MODEL = {
    "type": "session.created",
    "session": {**BETA_CREATED["session"], "input_audio_transcription": {"model": "t"}},
}


@pytest.mark.parametrize("created", [OWN_MODEL, OWN_BETA_MODEL])
def test_a_server_keeps_its_own_model_where_ours_is_a_guess(created: Event) -> None:
    def told(**changed: Any) -> Any:
        opening = begun_handshake(build_session_update(Settings(realtime_url="ws://h", **changed)))
        opening.handle_event(created)
        (update,) = opening.send_settings()
        session = update["session"]
        return session.get("input_audio_transcription", session.get("audio", {}).get("input", {}).get("transcription"))

    assert told() is None
    assert told(language=Language.CHINESE) == {"language": "zh"}
    assert told(transcription_model="chosen") == {"model": "chosen"}


def test_errors_about_something_else_are_not_ours() -> None:
    opening = begun_handshake()
    other = refusal("item.id", "say_1")
    assert opening.handle_event(other) == ([other], [])
    opening.send_settings()
    assert opening.handle_event(other) == ([other], [])
    opening.handle_event(UPDATED)
    unnamed = refusal("session.audio.output.voice")
    assert opening.handle_event(unnamed) == ([unnamed], []), "since then other things were sent"
    assert opening.handle_event(refusal("session.audio.output.voice", SESSION_EVENT_ID))[1], (
        "and this is about the settings"
    )


def test_a_failure_ends_a_session_that_never_began() -> None:
    failed = {"type": "error", "error": {"type": "server_error"}}
    for begun in (False, True):
        opening = begun_handshake()
        if begun:
            opening.send_settings()
            opening.proceed_unconfirmed()
            assert opening.phase is HandshakePhase.IN_USE_SILENT
        with pytest.raises(ConnectionFailed) as caught:
            opening.handle_event(failed)
        assert caught.value.failure is Failure.SERVER_ERROR
    opening.handle_event(GA_CREATED)
    assert opening.handle_event(failed) == ([failed], []), "in a session that has begun it is an error among others"


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
        [
            GA_CREATED,
            BETA_CREATED,
            EMPTY_CREATED,
            UPDATED,
            {**BETA_CREATED, "type": "session.updated"},
            {"type": "response.audio.delta"},
        ]
    ),
    st.builds(refusal, st.sampled_from(FIELDS), ABOUT, st.sampled_from(["", "'voice'", "'session.tool_choice'"])),
    st.sampled_from(["server_error", "insufficient_quota", "session_expired", "invalid_value"]).map(
        lambda code: refusal(None, None, "", code)
    ),
    st.sampled_from([None, 7, "x", [], {}]).map(lambda odd: {"type": "error", "error": odd}),
)


@given(st.lists(EVENTS | st.sampled_from(["begin", "go on"]), max_size=25), st.sampled_from(list(SessionMode)))
def test_any_order_ends_well_or_with_a_failure(story: list[Any], mode: SessionMode) -> None:
    opening = begun_handshake(build_session_update(Settings(), mode))
    said: list[Event] = []
    for event in story:
        if event == "go on":
            opening.proceed_unconfirmed()
            assert opening.phase is not HandshakePhase.SETTINGS_SENT
        elif event == "begin":
            if opening.phase is HandshakePhase.OPENED:
                said += opening.send_settings()
        else:
            try:
                events, answers = opening.handle_event(event)
            except ConnectionFailed as failed:
                assert event["type"] == "error"
                assert failed.failure in FATAL | {Failure.REFUSED_SETTINGS, Failure.SERVER_ERROR}
                return
            assert len(events) <= 2
            said += answers
    assert all(update["type"] == "session.update" for update in said)
    assert len(said) <= MAX_REJECTED_FIELDS + 3, "it does not go on for ever"
    assert len({update["event_id"] for update in said}) == len(said)
    for update in said[-1:]:
        assert ("type" in update["session"]) is (opening.dialect is Dialect.GA)
