"""Session capabilities: what servers confirm, at once, late, in parts, in either dialect, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import ROOT
from tests.support.realtime import server_events
from tests.support.realtime.barge_in_driver import BargeInDriver, server_vad_confirmed
from voicechat.config.session_update import build_session_update
from voicechat.config.settings import DuckingMode, Settings
from voicechat.protocol.server_events import SessionUpdated, parse_event
from voicechat.protocol.unsupported_fields import UnsupportedFields
from voicechat.turn_taking.session_capabilities import (
    ConfirmedTurnDetection,
    InterruptionPolicy,
    SessionCapabilities,
    read_capabilities,
)
from voicechat.turn_taking.snapshot import CallStage
from voicechat.upstream.handshake import Handshake

AS_SENT = build_session_update(Settings())["session"]["audio"]["input"]["turn_detection"]
UNCONFIRMED = SessionCapabilities(InterruptionPolicy.FIRST_SOUND, has_threshold=False)
FULL = SessionCapabilities(InterruptionPolicy.CLASSIFY, has_threshold=True)


def changed(**fields: Any) -> dict[str, Any]:
    return {**AS_SENT, **fields}


@pytest.mark.parametrize(
    ("confirmed", "expected"),
    [
        ({}, UNCONFIRMED),
        (AS_SENT, FULL),
        (changed(threshold=0.5000000119), FULL),
        (changed(threshold=Settings().echo_guard_threshold), FULL),
        (changed(threshold=0.9), SessionCapabilities(InterruptionPolicy.CLASSIFY)),
        (changed(threshold=None), SessionCapabilities(InterruptionPolicy.CLASSIFY)),
        (changed(interrupt_response=True), SessionCapabilities(InterruptionPolicy.SERVER, has_threshold=True)),
        (changed(interrupt_response=None), SessionCapabilities(has_threshold=True)),
        (changed(create_response=False), SessionCapabilities(has_threshold=True)),
        ({"type": "server_vad"}, UNCONFIRMED),
        ({"type": "server_vad", "interrupt_response": False}, SessionCapabilities(InterruptionPolicy.CLASSIFY)),
        ({"type": "semantic_vad", "interrupt_response": False}, SessionCapabilities(InterruptionPolicy.CLASSIFY)),
        (changed(type="semantic_vad"), SessionCapabilities(InterruptionPolicy.CLASSIFY)),
        (changed(type="azure_semantic_vad"), UNCONFIRMED),
        (changed(type=None), UNCONFIRMED),
    ],
    ids=str,
)
def test_read_capabilities_table(confirmed: dict[str, Any], expected: SessionCapabilities) -> None:
    assert read_capabilities(confirmed, Settings()) == expected


def test_without_ducking_a_server_that_does_not_interrupt_is_stopped_at_the_first_sound() -> None:
    settings = Settings(ducking=DuckingMode.OFF)
    assert read_capabilities(AS_SENT, settings).interruption is InterruptionPolicy.FIRST_SOUND
    confirmed = changed(interrupt_response=True)
    assert read_capabilities(confirmed, settings).interruption is InterruptionPolicy.SERVER


@given(
    st.dictionaries(
        st.sampled_from([*AS_SENT, "idle_timeout_ms"]),
        st.one_of(st.none(), st.booleans(), st.floats(), st.sampled_from(["server_vad", "semantic_vad", "none"])),
    )
)
def test_nothing_is_classified_that_the_server_did_not_leave_to_the_client(fields: dict[str, Any]) -> None:
    found = read_capabilities(fields, Settings())
    if found.interruption is InterruptionPolicy.CLASSIFY:
        assert fields["interrupt_response"] is False
    if found.has_threshold:
        assert fields["type"] == "server_vad"


# ---------------------------------------------------------------- several confirmations


def test_confirmation_of_other_settings_changes_nothing() -> None:
    confirmed = ConfirmedTurnDetection(Settings())
    confirmed.confirm(AS_SENT)
    confirmed.confirm({})
    confirmed.confirm({"silence_duration_ms": 800})
    assert confirmed.capabilities == FULL
    assert confirmed.fields == changed(silence_duration_ms=800)


def test_other_kind_of_turn_detection_replaces_all_fields() -> None:
    confirmed = ConfirmedTurnDetection(Settings())
    confirmed.confirm(AS_SENT)
    confirmed.confirm({"type": "semantic_vad", "interrupt_response": True})
    assert confirmed.capabilities == SessionCapabilities(InterruptionPolicy.SERVER)


def test_new_connection_begins_unconfirmed() -> None:
    confirmed = ConfirmedTurnDetection(Settings())
    confirmed.confirm(AS_SENT)
    confirmed.handle_connected()
    assert confirmed.capabilities == UNCONFIRMED
    confirmed.confirm({"silence_duration_ms": 800})
    assert confirmed.capabilities == UNCONFIRMED, "the former server's fields are not this one's"


# ---------------------------------------------------------------- by what servers send


def confirmed_by_handshake(*events: dict[str, Any]) -> SessionCapabilities:
    """Return the capabilities after these wire events, of either dialect."""
    handshake = Handshake(build_session_update(Settings(realtime_url="wss://h")), UnsupportedFields())
    handshake.send_settings()
    confirmed = ConfirmedTurnDetection(Settings())
    for wire in events:
        for event in map(parse_event, handshake.handle_event(wire)[0]):
            if isinstance(event, SessionUpdated):
                confirmed.confirm(event.session.turn_detection)
    return confirmed.capabilities


@pytest.mark.parametrize("name", ["azure_voice_live_spoken_turn", "openai_spoken_turn"])
@pytest.mark.parametrize("interrupts", [True, False])
def test_recorded_session_confirms_what_it_was_sent(name: str, interrupts: bool) -> None:
    """Azure Voice Live answers in the beta dialect, OpenAI in GA. Both echo the field."""
    recorded = json.loads((ROOT / "tests/data/recorded_sessions" / f"{name}.json").read_text("utf-8"))
    wire = json.dumps([event for event in recorded["received"] if event["type"].startswith("session.")])
    wire = wire.replace('"interrupt_response": true', f'"interrupt_response": {json.dumps(interrupts)}')
    events = json.loads(wire)
    updated = next(event for event in events if event["type"] == "session.updated")
    # The first confirmation of a beta server is one of GA settings, and confirms nothing.
    found = confirmed_by_handshake(*events, updated)
    policy = InterruptionPolicy.SERVER if interrupts else InterruptionPolicy.CLASSIFY
    assert found == SessionCapabilities(policy, has_threshold=True)
    assert confirmed_by_handshake(*(event for event in events if event["type"] == "session.created")) == UNCONFIRMED


@pytest.mark.parametrize("url", ["", "wss://resource.openai.azure.com/openai/v1/realtime"])
def test_any_server_that_confirms_is_ducked(url: str) -> None:
    line = BargeInDriver(realtime_url=url)
    line.start_reply()
    assert line.server_sends(server_events.speech_started("u1")) == []
    assert line.played_gain() == pytest.approx(0.2, abs=0.01)


def test_late_confirmation_takes_effect_in_the_call() -> None:
    line = BargeInDriver(realtime_url="wss://h")
    line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
    line.call.handle_connected(line.now)
    line.start_reply()
    line.server_sends(server_vad_confirmed())
    assert line.server_sends(server_events.speech_started("u1")) == []
    assert line.played_gain() == pytest.approx(0.2, abs=0.01)


def test_second_server_that_confirms_nothing_is_stopped_at_the_first_sound() -> None:
    line = BargeInDriver(realtime_url="wss://h")
    line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
    line.call.handle_connected(line.now)
    line.start_reply(finished=False)
    types = [event["type"] for event in line.server_sends(server_events.speech_started("u1"))]
    assert types == ["conversation.item.truncate", "response.cancel"]
