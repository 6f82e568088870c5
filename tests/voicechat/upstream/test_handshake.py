"""Handshake without a socket: both dialects, and any order of events."""

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


def test_handshake_with_a_ga_server() -> None:
    handshake = begun_handshake()
    assert handshake.handle_event(GA_CREATED) == ([GA_CREATED], [])
    assert handshake.send_settings() == [UPDATE]
    assert handshake.phase is HandshakePhase.SETTINGS_SENT
    assert handshake.handle_event(UPDATED) == ([UPDATED], [])
    assert handshake.phase is HandshakePhase.IN_USE


def test_handshake_ignores_a_confirmation_before_the_settings() -> None:
    handshake = begun_handshake()
    handshake.handle_event(UPDATED)
    handshake.send_settings()
    assert handshake.phase is HandshakePhase.SETTINGS_SENT


def test_handshake_with_a_beta_greeting_sends_beta_settings() -> None:
    handshake = begun_handshake()
    (created,), answers = handshake.handle_event(BETA_CREATED)
    assert answers == []
    assert created["session"]["output_modalities"] == ["audio"], "callers see GA"
    (update,) = handshake.send_settings()
    assert update["session"]["modalities"] == ["text", "audio"]
    assert "type" not in update["session"]
    assert update["session"]["turn_detection"] == UPDATE["session"]["audio"]["input"]["turn_detection"]
    (ask,) = handshake.to_wire({"type": "response.create", "response": {"output_modalities": ["text"]}})
    assert ask["response"] == {"modalities": ["text"]}
    ((delta,), _) = handshake.handle_event({"type": "response.audio.delta", "delta": ""})
    assert delta["type"] == "response.output_audio.delta"


def test_handshake_with_a_beta_confirmation_sends_the_settings_again() -> None:
    handshake = begun_handshake()
    handshake.handle_event(EMPTY_CREATED)
    handshake.send_settings()
    events, (update,) = handshake.handle_event({**BETA_CREATED, "type": "session.updated"})
    assert events == [], "it has confirmed what it did not understand"
    assert handshake.phase is HandshakePhase.SETTINGS_SENT
    assert update["event_id"] != UPDATE["event_id"]
    assert "modalities" in update["session"]
    handshake.handle_event({**BETA_CREATED, "type": "session.updated"})
    assert handshake.phase is HandshakePhase.IN_USE


@pytest.mark.parametrize("param", ["session.type", None])
def test_handshake_rejection_of_ga_switches_to_beta(param: str | None) -> None:
    handshake = begun_handshake()
    handshake.handle_event(EMPTY_CREATED)
    handshake.send_settings()
    events, (update,) = handshake.handle_event(refusal(param, message="Unknown parameter: 'session.type'."))
    assert (events, handshake.dialect) == ([], Dialect.BETA)
    assert "modalities" in update["session"]
    more = refusal(None, SESSION_EVENT_ID, "Unknown parameter: 'session.audio'.")
    assert handshake.handle_event(more) == ([], []), "another word about the update before"


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("session.input_audio_noise_reduction", ""),
        (None, "Unknown parameter: 'session.input_audio_noise_reduction'."),
        (None, "Unknown parameter: 'input_audio_noise_reduction'."),
    ],
)
def test_handshake_rejection_by_beta_name_removes_the_ga_field(param: str | None, message: str) -> None:
    refused = UnsupportedFields()
    handshake = begun_handshake(refused=refused)
    handshake.handle_event(BETA_CREATED)
    handshake.send_settings()
    _, (update,) = handshake.handle_event(refusal(param, message=message))
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
def test_handshake_keeps_the_servers_model_instead_of_the_default(created: Event) -> None:
    def transcription(**changed: Any) -> Any:
        handshake = begun_handshake(build_session_update(Settings(realtime_url="ws://h", **changed)))
        handshake.handle_event(created)
        (update,) = handshake.send_settings()
        session = update["session"]
        return session.get("input_audio_transcription", session.get("audio", {}).get("input", {}).get("transcription"))

    assert transcription() is None
    assert transcription(language=Language.CHINESE) == {"language": "zh"}
    assert transcription(transcription_model="chosen") == {"model": "chosen"}


def test_handshake_passes_on_errors_about_other_events() -> None:
    handshake = begun_handshake()
    other = refusal("item.id", "say_1")
    assert handshake.handle_event(other) == ([other], [])
    handshake.send_settings()
    assert handshake.handle_event(other) == ([other], [])
    handshake.handle_event(UPDATED)
    unnamed = refusal("session.audio.output.voice")
    assert handshake.handle_event(unnamed) == ([unnamed], []), "since then other things were sent"
    assert handshake.handle_event(refusal("session.audio.output.voice", SESSION_EVENT_ID))[1], (
        "and this is about the settings"
    )


def test_handshake_failure_before_any_event_ends_the_session() -> None:
    failed = {"type": "error", "error": {"type": "server_error"}}
    for begun in (False, True):
        handshake = begun_handshake()
        if begun:
            handshake.send_settings()
            handshake.proceed_unconfirmed()
            assert handshake.phase is HandshakePhase.IN_USE_SILENT
        with pytest.raises(ConnectionFailed) as caught:
            handshake.handle_event(failed)
        assert caught.value.failure is Failure.SERVER_ERROR
    handshake.handle_event(GA_CREATED)
    assert handshake.handle_event(failed) == ([failed], []), "in a session that has begun it is an error among others"


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
def test_handshake_any_event_order_ends_ready_or_failed(story: list[Any], mode: SessionMode) -> None:
    handshake = begun_handshake(build_session_update(Settings(), mode))
    said: list[Event] = []
    for event in story:
        if event == "go on":
            handshake.proceed_unconfirmed()
            assert handshake.phase is not HandshakePhase.SETTINGS_SENT
        elif event == "begin":
            if handshake.phase is HandshakePhase.OPENED:
                said += handshake.send_settings()
        else:
            try:
                events, answers = handshake.handle_event(event)
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
        assert ("type" in update["session"]) is (handshake.dialect is Dialect.GA)
