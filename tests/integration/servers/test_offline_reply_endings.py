"""A call with the embedded server's session: replies that reach the token limit or fail, with and without words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.offline.session_driver import SessionDriver
from tests.support.realtime.call_driver import CallDriver
from voicechat.conversation.conversation import BubbleState, IncompleteReason
from voicechat.turn_taking.snapshot import CallStage


def send_to_session(session: SessionDriver, call: CallDriver, events: list[dict[str, Any]] | None) -> None:
    """Send the call's events to the session, and the session's answers to the call."""
    for event in events or []:
        fields = {key: value for key, value in event.items() if key != "type"}
        send_to_session(session, call, call.server_sends(session.send_event(event["type"], **fields)))


def ask(session: SessionDriver, call: CallDriver) -> None:
    send_to_session(session, call, call.send_text("Tell me a story"))


def finish(session: SessionDriver, call: CallDriver, reason: str) -> None:
    send_to_session(session, call, call.server_sends(session.finish_reply(reason, message="It broke.")))


@pytest.mark.parametrize(
    ("outcome", "reason", "notice"),
    [
        ("max_tokens", IncompleteReason.LENGTH_LIMIT, "reply_too_long"),
        ("failed", IncompleteReason.SERVER_FAILURE, "reply_broken_off"),
    ],
)
def test_half_a_reply_of_the_embedded_server_is_marked(outcome: str, reason: IncompleteReason, notice: str) -> None:
    session, call = SessionDriver(), CallDriver()
    ask(session, call)
    send_to_session(session, call, call.server_sends(session.deliver_speech("Once upon a", ms=200)))
    finish(session, call, outcome)
    call.play_ms(600)
    bubble = call.call.snapshot().bubbles[-1]
    assert (bubble.text, bubble.state, bubble.incomplete_reason) == ("Once upon a", BubbleState.INCOMPLETE, reason)
    assert (call.stage, call.call.notice) == (CallStage.LISTENING, notice)


@pytest.mark.parametrize(
    ("outcome", "attempts", "notice"), [("max_tokens", 2, "reply_out_of_tokens"), ("failed", 1, "reply_failed")]
)
def test_empty_reply_of_the_embedded_server_is_said(outcome: str, attempts: int, notice: str) -> None:
    session, call = SessionDriver(), CallDriver()
    ask(session, call)
    for _ in range(attempts):
        assert call.stage is CallStage.THINKING
        finish(session, call, outcome)
    assert (call.stage, call.call.notice) == (CallStage.LISTENING, notice)
    assert [event["type"] for event in call.sent].count("response.create") == attempts
