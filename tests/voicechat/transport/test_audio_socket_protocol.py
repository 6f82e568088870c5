"""Audio socket protocol: accepted messages and flow control."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.transport.audio_socket_protocol import (
    CLOSE_POLICY_VIOLATION,
    CLOSE_UNSUPPORTED_DATA,
    FRAME_BYTES,
    MAX_BURST_FRAMES,
    MAX_CONTROL_CHARS,
    MAX_UNACKED_FRAMES,
    FlowControl,
    ProtocolViolation,
)

FRAME = bytes(FRAME_BYTES)


def taken_message(frames: object) -> str:
    return json.dumps({"type": "taken", "frames": frames})


@given(st.lists(st.one_of(st.just("send"), st.integers(0, 60)), max_size=300))
def test_flow_control_never_exceeds_window(steps: list[object]) -> None:
    wire, sent, reported = FlowControl(0.0), 0, 0
    for step in steps:
        if step == "send" and wire.can_send:
            wire.on_frame_sent()
            sent += 1
        elif isinstance(step, int) and reported <= step <= sent:
            wire.on_control(taken_message(step))
            reported = step
        assert wire.can_send == (sent - reported < MAX_UNACKED_FRAMES)
        assert sent - reported <= MAX_UNACKED_FRAMES


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES + 1, 10 * FRAME_BYTES])
def test_frame_of_wrong_size_is_rejected(size: int) -> None:
    with pytest.raises(ProtocolViolation) as refused:
        FlowControl(0.0).on_audio(bytes(size), 1.0)
    assert refused.value.close_code == CLOSE_UNSUPPORTED_DATA


def test_audio_faster_than_real_time_is_rejected() -> None:
    wire = FlowControl(10.0)
    for number in range(50 * 1800):  # half an hour of a sound card that is one per cent fast
        wire.on_audio(FRAME, 10.0 + number * 0.02 / 1.01)
    wire = FlowControl(10.0)
    for _ in range(500):  # ten seconds that a stalled connection held back
        wire.on_audio(FRAME, 20.0)
    wire = FlowControl(10.0)
    with pytest.raises(ProtocolViolation) as refused:
        for _ in range(MAX_BURST_FRAMES + 2):
            wire.on_audio(FRAME, 10.0)
    assert refused.value.close_code == CLOSE_POLICY_VIOLATION


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", CLOSE_UNSUPPORTED_DATA),
        ("hello", CLOSE_UNSUPPORTED_DATA),
        ("[" * 1000, CLOSE_UNSUPPORTED_DATA),
        ("null", CLOSE_UNSUPPORTED_DATA),
        ("[1]", CLOSE_UNSUPPORTED_DATA),
        (taken_message("3"), CLOSE_UNSUPPORTED_DATA),
        (taken_message(True), CLOSE_UNSUPPORTED_DATA),
        (taken_message(None), CLOSE_UNSUPPORTED_DATA),
        (taken_message(4), CLOSE_UNSUPPORTED_DATA),  # more than were sent
        (taken_message(1), CLOSE_UNSUPPORTED_DATA),  # less than before
        (" " * (MAX_CONTROL_CHARS + 1), CLOSE_POLICY_VIOLATION),
    ],
)
def test_invalid_control_message_is_rejected(text: str, code: int) -> None:
    wire = FlowControl(0.0)
    for _ in range(3):
        wire.on_frame_sent()
    wire.on_control(taken_message(2))
    with pytest.raises(ProtocolViolation) as refused:
        wire.on_control(text)
    assert refused.value.close_code == code


@pytest.mark.parametrize(
    "text", ['{"type": "news", "frames": 7}', '{"type": "news", "frames": 1}', "{}", '{"type": ["taken"], "frames": 1}']
)
def test_unknown_control_message_acknowledges_nothing(text: str) -> None:
    wire = FlowControl(0.0)
    for _ in range(MAX_UNACKED_FRAMES):
        wire.on_frame_sent()
    wire.on_control(text)
    assert not wire.can_send, "no frame was acknowledged"
    wire.on_control(taken_message(1))
    assert wire.can_send, "the message did no harm to the count"
    wire.on_frame_sent()
    assert not wire.can_send
