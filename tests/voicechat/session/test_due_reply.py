"""Reply under way when a page moves or is loaded again: the next call asks for it, once."""

from __future__ import annotations

import time

import pytest

from realtime_handler import RealtimeHandler, Visitor
from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at
from voicechat.config.settings import Settings
from voicechat.limits.admission import ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.session.visitor import REPLY_DUE_S
from voicechat.turn_taking.snapshot import CallStage


async def go_on(page: FakeRtcPage, prototype: RealtimeHandler, *, is_ended_first: bool) -> tuple[FakeRtcPage, Visitor]:
    """Move the call of a page to another one, as after a reload. `is_ended_first`: its call ends before."""
    old, new = page.session._visitor, Visitor()
    assert isinstance(old, Visitor)
    if is_ended_first:
        await page.hang_up()
    new.restore(old.to_record(prototype.clock(), end_call=is_ended_first))  # a killed replica has ended nothing
    if not is_ended_first:
        await page.hang_up()
    next_page = FakeRtcPage(prototype, new)
    await next_page.start()
    return next_page, new


async def call_and_ask(prototype: RealtimeHandler, there: ScriptedRealtimeServer) -> FakeRtcPage:
    """Call, and type a message that the server has but does not answer."""
    page = FakeRtcPage(prototype, Visitor())
    await page.start()
    await page.wait_for_stage(CallStage.LISTENING)
    assert page.session.send_text("Why?")
    await there.wait_for("response.create")
    return page


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize("is_spoken", [True, False])
@pytest.mark.parametrize("is_ended_first", [True, False], ids=["call ended", "replica killed"])
async def test_lost_reply_is_asked_for_once_by_the_next_call(
    is_announced: bool, is_spoken: bool, is_ended_first: bool
) -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        prototype = RealtimeHandler(Settings(), endpoint_at(url))
        page = FakeRtcPage(prototype, Visitor())
        await page.start()
        await page.wait_for_stage(CallStage.LISTENING)
        if is_spoken:
            await there.send(
                [
                    server_events.speech_started("u1"),
                    *server_events.turn_committed("u1"),
                    server_events.transcription_completed("u1", "Why?"),
                ]
            )
        else:
            assert page.session.send_text("Why?")
            await there.wait_for("response.create")
        if is_announced:
            await there.send(server_events.response_started("r1", "a1")[:1])
        await page.wait_for_stage(CallStage.THINKING)
        await page.wait_until(lambda: page.session.snapshot.bubbles[-1].text == "Why?")
        asked = len(there.received_of("response.create"))
        second, _ = await go_on(page, prototype, is_ended_first=is_ended_first)
        await second.wait_for_stage(CallStage.THINKING)
        await second.wait_until(lambda: len(there.received_of("response.create")) == asked + 1)
        third, visitor = await go_on(second, prototype, is_ended_first=is_ended_first)
        await third.wait_for_stage(CallStage.LISTENING)
        assert len(there.received_of("response.create")) == asked + 1
        assert [bubble.text for bubble in visitor.conversation.bubbles()] == ["Why?"]
        await third.hang_up()


async def test_answered_or_stopped_message_is_not_asked_again() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        prototype = RealtimeHandler(Settings(), endpoint_at(url))
        page = await call_and_ask(prototype, there)
        page.session.interrupt()
        second, _ = await go_on(page, prototype, is_ended_first=False)
        await second.wait_for_stage(CallStage.LISTENING)
        assert len(there.received_of("response.create")) == 1
        await second.hang_up()


async def test_reply_awaited_at_a_hang_up_is_not_asked_for_by_the_next_page() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        prototype = RealtimeHandler(Settings(), endpoint_at(url))
        page = await call_and_ask(prototype, there)
        old, new = page.session._visitor, Visitor()
        assert isinstance(old, Visitor)
        await page.hang_up()
        new.goes_on_with_call = False
        new.restore(old.to_record(prototype.clock()))
        second = FakeRtcPage(prototype, new)
        await second.start()
        await second.wait_for_stage(CallStage.LISTENING)
        assert len(there.received_of("response.create")) == 1
        assert [bubble.text for bubble in new.conversation.bubbles()] == ["Why?"]
        await second.hang_up()


def test_page_after_a_hang_up_hands_no_due_reply_on() -> None:
    left, after_hang_up, after_crash = Visitor(), Visitor(), Visitor()
    left.reply_left_at = time.time()
    after_hang_up.goes_on_with_call = False
    after_hang_up.restore(left.to_record(0.0))
    after_crash.restore(after_hang_up.to_record(0.0))
    assert not after_crash.take_due_reply()


@pytest.mark.parametrize("is_ended_first", [True, False], ids=["call ended", "replica killed"])
async def test_call_that_has_only_waited_for_a_slot_leaves_the_reply_due(is_ended_first: bool) -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        admission = AdmissionController(ConcurrencyLimits(calls=1, queue_length=1))
        prototype = RealtimeHandler(Settings(), endpoint_at(url), admission)
        page = await call_and_ask(prototype, there)
        old, waiting = page.session._visitor, Visitor()
        assert isinstance(old, Visitor)
        await page.hang_up()
        waiting.restore(old.to_record(prototype.clock()))
        other = FakeRtcPage(prototype, Visitor())
        await other.start()
        await other.wait_for_stage(CallStage.LISTENING)
        second = FakeRtcPage(prototype, waiting)
        await second.start()
        await second.wait_for_stage(CallStage.QUEUED)
        third, _ = await go_on(second, prototype, is_ended_first=is_ended_first)
        await other.hang_up()
        await third.wait_for_stage(CallStage.THINKING)
        await third.wait_until(lambda: len(there.received_of("response.create")) == 2)
        await third.hang_up()


def test_old_reply_is_not_due_and_a_new_one_is_taken_once() -> None:
    for age_s, is_due in ((0.0, True), (REPLY_DUE_S + 1, False)):
        visitor = Visitor()
        visitor.reply_due_at = time.time() - age_s
        assert [visitor.take_due_reply(), visitor.take_due_reply()] == [is_due, False]
