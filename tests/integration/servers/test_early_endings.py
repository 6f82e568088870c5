"""Responses that a server ends early, in a call and in a chat: bubble, sentence, second attempt, metric."""

from __future__ import annotations

import pytest

from tests.support.app.prometheus_samples import read_metrics
from tests.support.realtime import fake_server_variants, server_events
from tests.support.realtime.fake_faulty_servers import EarlyEndingServer
from tests.support.sessions.session_users import (
    IN_CALL_AND_CHAT,
    SessionFactory,
    is_listening,
    is_shown,
    notice_text_for,
)
from voicechat.limits.billing import BillingService
from voicechat.server.prometheus import Metrics

pytestmark = [pytest.mark.timeout(30), pytest.mark.usefixtures("no_secrets_logged", "no_tasks_left")]


@pytest.mark.parametrize(
    ("status", "details", "reason", "words"),
    [
        (
            "incomplete",
            server_events.incomplete("max_output_tokens"),
            "max_output_tokens",
            "cut off at the length limit",
        ),
        ("incomplete", server_events.incomplete("content_filter"), "content_filter", "content filter stopped"),
        ("incomplete", server_events.incomplete("canary"), "other", "broke off"),
        ("failed", server_events.failed("server_error"), "failed", "broke off"),
        ("canary", "canary", "other", "broke off"),
    ],
)
@IN_CALL_AND_CHAT
async def test_half_a_reply_is_marked_said_and_counted(
    status: str, details: object, reason: str, words: str, start_session: SessionFactory
) -> None:
    metrics = Metrics()
    fault = EarlyEndingServer(status, details, is_empty=False)
    async with fault.running() as url, start_session(url, accounts=BillingService(metrics=metrics)) as person:
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        last = await person.wait_for_snapshot(lambda snapshot: is_listening(snapshot) and bool(snapshot.notice))
        assert words in notice_text_for(person, last)
        assert [(b.text, b.incomplete_reason) for b in last.bubbles] == [
            (fake_server_variants.TYPED, None),
            (fake_server_variants.REPLY, reason),
        ]
        assert await person.send_text("Go on")
        whole = await person.wait_for_snapshot(lambda snapshot: is_listening(snapshot) and len(snapshot.bubbles) == 4)
        assert whole.notice is None
    assert [event["type"] for event in fault.received].count("response.create") == 2
    counted = {key[1]: value for key, value in read_metrics(metrics).items() if key[0].endswith("incomplete_total")}
    assert {label for label, value in counted.items() if value} == {reason}


@IN_CALL_AND_CHAT
async def test_empty_reply_is_answered_by_the_second_attempt(start_session: SessionFactory) -> None:
    fault = EarlyEndingServer("incomplete", server_events.incomplete("max_output_tokens"), is_empty=True)
    async with fault.running() as url, start_session(url) as person:
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        last = await person.wait_for_snapshot(is_shown(fake_server_variants.TYPED, fake_server_variants.REPLY))
        assert last.notice is None
    assert [event["type"] for event in fault.received].count("response.create") == 2


@IN_CALL_AND_CHAT
async def test_reply_that_stays_empty_is_said(start_session: SessionFactory) -> None:
    fault = EarlyEndingServer("incomplete", server_events.incomplete("max_output_tokens"), is_empty=True, responses=2)
    async with fault.running() as url, start_session(url) as person:
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        last = await person.wait_for_snapshot(lambda snapshot: is_listening(snapshot) and bool(snapshot.notice))
        assert "before the first word" in notice_text_for(person, last)
        assert len(last.bubbles) == 1
    assert [event["type"] for event in fault.received].count("response.create") == 2
