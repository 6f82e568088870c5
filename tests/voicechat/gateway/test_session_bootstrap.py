"""Session bootstrap: a client's first events, whatever the server does; and error events."""

from __future__ import annotations

from typing import Any

import pytest

from voicechat.config.settings import Settings
from voicechat.gateway.error_events import CloseFrame, close_frame_for_client, error_for_failure
from voicechat.gateway.redaction import redact_event
from voicechat.gateway.session_bootstrap import MAX_EARLY_EVENTS, BootstrapStage, SessionBootstrap
from voicechat.protocol.beta_dialect import Dialect
from voicechat.protocol.failures import ConnectionFailed, Failure
from voicechat.protocol.unsupported_fields import UnsupportedFields

Event = dict[str, Any]
UPDATE = {"type": "session.update", "event_id": "u", "session": {"type": "realtime", "instructions": "Be kind."}}
CREATED = {"type": "session.created", "event_id": "1", "session": {"id": "s", "model": "m", "instructions": "old"}}
UPDATED = {"type": "session.updated", "event_id": "2", "session": {"instructions": "Be kind."}}


def make_bootstrap() -> SessionBootstrap:
    return SessionBootstrap(UPDATE, UnsupportedFields(), "host")


def error_event(**about: Any) -> Event:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": "No.", **about}}


def test_bootstrap_confirmed_session_is_announced_once() -> None:
    ours = make_bootstrap()
    assert ours.handle_event(CREATED) == [UPDATE]
    assert ours.is_pending and ours.has_greeted
    assert ours.handle_event({"type": "rate_limits.updated"}) == []
    assert ours.handle_event(UPDATED) == []
    assert ours.stage is BootstrapStage.CONFIRMED
    session = {"id": "s", "model": "m", "instructions": "Be kind."}
    assert ours.initial_events() == [{**CREATED, "session": session}, {"type": "rate_limits.updated"}]
    assert ours.handle_late_event(UPDATED) == ([UPDATED], []), "that is the client's own"


def test_bootstrap_confirmation_without_greeting_announces_the_session() -> None:
    ours = make_bootstrap()
    assert ours.handle_timeout() == [UPDATE]
    ours.handle_event(UPDATED)
    assert ours.initial_events() == [{**UPDATED, "type": "session.created"}]


def test_bootstrap_silent_server_is_unconfirmed() -> None:
    ours = make_bootstrap()
    ours.handle_timeout()
    assert ours.handle_timeout() == []
    assert ours.stage is BootstrapStage.UNCONFIRMED and ours.initial_events() == []
    assert ours.handle_late_event(CREATED) == ([CREATED], [])
    assert ours.handle_late_event(UPDATED) == ([], [])
    assert ours.handle_late_event(UPDATED) == ([UPDATED], [])


def test_bootstrap_events_without_confirmation_are_passed_on() -> None:
    ours = make_bootstrap()
    ours.handle_event(CREATED)
    chatter = [{"type": "chatter", "number": number} for number in range(MAX_EARLY_EVENTS)]
    for event in chatter:
        ours.handle_event(event)
    assert ours.stage is BootstrapStage.UNCONFIRMED and ours.initial_events() == [CREATED, *chatter]


def test_bootstrap_late_rejection_is_not_shown_to_the_client() -> None:
    ours = make_bootstrap()
    ours.handle_event(CREATED)
    ours.handle_timeout()
    refusal = error_event(code="unknown_parameter", param="session.instructions", event_id="u")
    seen, [again] = ours.handle_late_event(refusal)
    assert not seen and again["session"] == {"type": "realtime"}
    mine = error_event(code="invalid_value", event_id="mine")
    assert ours.handle_late_event(mine) == ([mine], [])


def test_bootstrap_beta_server_gets_the_settings_again() -> None:
    ours = make_bootstrap()
    flat = {"modalities": ["text"], "voice": "x"}
    assert ours.handle_timeout() == [UPDATE]
    [again] = ours.handle_event({"type": "session.updated", "session": flat})
    assert "type" not in again["session"] and ours.server_dialect is Dialect.BETA and ours.is_pending
    ours.handle_event({"type": "session.updated", "session": {**flat, "instructions": "Be kind."}})
    assert ours.initial_events()[0]["session"]["output_modalities"] == ["text"]


def test_bootstrap_fatal_error_fails() -> None:
    with pytest.raises(ConnectionFailed) as failed:
        make_bootstrap().handle_event(error_event(code="invalid_api_key"))
    assert failed.value.failure is Failure.WRONG_KEY


SECRET = {"client_secret": {"value": "ek_1"}}


@pytest.mark.parametrize("shape", [{"type": "realtime"}, {"modalities": ["text"]}], ids=["ga", "beta"])
@pytest.mark.parametrize("confirms", [True, False])
def test_bootstrap_removes_the_client_secret(confirms: bool, shape: Event) -> None:
    ours = make_bootstrap()
    session = {"id": "s", **shape, **SECRET}
    ours.handle_event({**CREATED, "session": session})
    ours.handle_event({**CREATED, "session": session})
    if confirms:
        ours.handle_event({**UPDATED, "session": session})
    else:
        ours.handle_timeout()
    seen = ours.initial_events()
    for _ in range(2):  # the first may still be about our own update
        seen += ours.handle_late_event({**UPDATED, "session": session})[0]
    seen += ours.handle_late_event({"type": "session.created", "session": session})[0]
    assert len(seen) >= 4 and "ek_1" not in str(seen)
    assert all(event["session"]["id"] == "s" for event in seen)


def test_bootstrap_transcription_model_is_the_confirmed_one() -> None:
    ours = make_bootstrap()
    ours.handle_event({**CREATED, "session": {"audio": {"input": {"transcription": {"model": "another"}}}}})
    assert ours.transcription_model == "", "the server has not confirmed it"
    ours.handle_event({**UPDATED, "session": {"audio": {"input": {"transcription": {"model": "m"}}}}})
    assert ours.transcription_model == "m"
    for audio in (None, [], {"input": None}, {"input": {"transcription": None}}):
        silent = make_bootstrap()
        silent.handle_event(CREATED)
        silent.handle_event({**UPDATED, "session": {"audio": audio}})
        assert silent.transcription_model == ""


# ---------------------------------------------------------------- words


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_has_a_message_and_a_valid_close_code(failure: Failure) -> None:
    said = error_for_failure(failure)
    assert said.message.endswith(".") and said.code and said.type
    end = said.close_frame
    assert close_frame_for_client(end.code, end.reason) == end and len(end.reason.encode()) <= 123


@pytest.mark.parametrize("code", [1004, 1006, 1015, 1016, 2999, 5000, 0, None])
def test_close_frame_invalid_code_becomes_1011(code: int | None) -> None:
    assert close_frame_for_client(code, "") == CloseFrame(1011, "The connection to the Realtime server was lost.")


def test_close_frame_without_code_is_normal() -> None:
    assert close_frame_for_client(1005, "") == CloseFrame(1000)


def test_redact_event_hides_secrets_of_headers_and_address() -> None:
    in_the_address = Settings.from_env({"REALTIME_URL": "wss://u:passw0rd@h/v1/realtime"}).endpoint()
    assert "passw0rd" in in_the_address.secrets.credentials
    environ = {"REALTIME_URL": "wss://h/v1/realtime?api_key=key-in-query", "REALTIME_API_KEY": "key-in-header"}
    endpoint = Settings.from_env(environ).endpoint()
    assert set(endpoint.secrets.all) == {"key-in-query", "key-in-header"}
    event = error_event(code=None, message="The key-in-header of proj_1234567890 is wrong.")
    assert redact_event(event, endpoint.secrets.all)["error"]["message"] == "The (hidden) of (hidden) is wrong."


def test_redact_event_without_secrets_returns_the_same_object() -> None:
    for event in (error_event(), UPDATED, {"type": "response.done", "response": None}, {"type": "error", "error": 3}):
        assert redact_event(event, ("a-long-secret",)) is event
