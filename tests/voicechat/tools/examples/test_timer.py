"""Timers: several at a time, named, listed, cancelled, and rung by an injected clock."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tools.manual_timers import ManualTimerClock
from voicechat.tools.definition import ApprovalMode, ToolContext, ToolResult
from voicechat.tools.examples import timer
from voicechat.tools.examples.timer import TimerAction, use_timers
from voicechat.tools.examples.timer_board import MAX_TIMERS, TimerBoard


class TimerTalk:
    """A conversation with its clock, its memory and what was announced."""

    def __init__(self, language: str = "en") -> None:
        self.clock = ManualTimerClock()
        self.announced: list[ToolResult] = []
        self.context = ToolContext(language=language, announce=self.announced.append)

    def use(self, action: TimerAction = "set", duration: str = "", name: str = "", language: str = "") -> ToolResult:
        context = replace(self.context, language=language or self.context.language)
        return use_timers(self.clock, context, action, duration, name)


def test_timer_at_its_end_rings_once_and_not_before() -> None:
    talk = TimerTalk()
    assert talk.use(duration="five minutes", name="tea").speech == "The tea timer is set for 5 minutes."
    talk.clock.advance(299)
    assert talk.announced == []
    talk.clock.advance(2)
    assert [result.speech for result in talk.announced] == ["Your tea timer is up."]
    assert "rings now" in talk.announced[0].text
    talk.clock.advance(9999)
    assert len(talk.announced) == 1


def test_timers_of_different_lengths_ring_in_their_order() -> None:
    talk = TimerTalk()
    for duration, name in [("10 minutes", "pasta"), ("3 minutes", "egg"), ("90 seconds", "")]:
        assert not talk.use(duration=duration, name=name).is_error
    talk.clock.advance(3600)
    assert [result.speech for result in talk.announced] == [
        "Time is up: 1 minute and 30 seconds have passed.",
        "Your egg timer is up.",
        "Your pasta timer is up.",
    ]


def test_timer_in_mandarin_speaks_mandarin_even_when_the_language_changes_later() -> None:
    talk = TimerTalk("zh")
    assert talk.use(duration="十分鐘", name="泡麵").speech == "好，「泡麵」計時 10 分鐘，時間到我會提醒你。"
    assert talk.use("list").speech == "「泡麵」的計時器還剩 10 分鐘。"
    assert talk.use("list", language="en").speech == "The 泡麵 timer has 10 minutes left."
    talk.clock.advance(600)
    assert talk.announced[0].speech == "時間到了！「泡麵」的計時器響了。"


def test_list_names_each_timer_with_the_time_left() -> None:
    talk = TimerTalk()
    assert talk.use("list").speech == "There are no timers running."
    talk.use(duration="1 hour")
    talk.use(duration="2 minutes", name="egg")
    talk.clock.advance(60)
    assert talk.use("list").speech == ("The egg timer has 1 minute left; the timer for 1 hour has 59 minutes left.")


def test_cancel_by_name_leaves_the_others() -> None:
    talk = TimerTalk()
    talk.use(duration="5 minutes", name="Tea")
    talk.use(duration="6 minutes", name="pasta")
    assert talk.use("cancel", name="the tea").speech == "The Tea timer is cancelled."
    assert talk.use("cancel", name="cake").is_error
    talk.clock.advance(3600)
    assert [result.speech for result in talk.announced] == ["Your pasta timer is up."]


def test_cancel_without_a_name_cancels_all() -> None:
    talk = TimerTalk("zh")
    talk.use(duration="5 分鐘")
    talk.use(duration="6 分鐘")
    assert talk.use("cancel").speech == "已經取消 2 個計時器。"
    assert talk.clock.waiting == []
    assert talk.use("cancel").speech == "目前沒有計時器在跑。"


@pytest.mark.parametrize("duration", ["", "soon", "0 seconds", "25 hours", "-5 minutes", "9" * 70 + " hours"])
def test_timer_with_an_unusable_duration_is_not_set(duration: str) -> None:
    talk = TimerTalk()
    assert talk.use(duration=duration).is_error
    assert talk.clock.pending == []


def test_timers_beyond_the_limit_are_refused_until_one_has_rung() -> None:
    talk = TimerTalk()
    for minutes in range(1, MAX_TIMERS + 1):
        assert not talk.use(duration=f"{minutes} minutes").is_error
    assert talk.use(duration="9 minutes").is_error
    talk.clock.advance(60)
    assert not talk.use(duration="9 minutes").is_error


def test_timers_of_one_conversation_are_unknown_to_another() -> None:
    first, second = TimerTalk(), TimerTalk()
    first.use(duration="5 minutes", name="tea")
    assert second.use("list").speech == "There are no timers running."


@pytest.mark.parametrize("is_loop_closed", [False, True])
def test_timers_of_an_ended_conversation_never_ring(is_loop_closed: bool) -> None:
    talk = TimerTalk()
    talk.use(duration="5 minutes")
    talk.clock.is_closed = is_loop_closed
    talk.context.memory.close()
    talk.clock.advance(9999)
    assert talk.announced == []


@given(
    st.lists(
        st.tuples(st.just("set"), st.integers(1, 50))
        | st.tuples(st.sampled_from(["cancel", "wait"]), st.integers(1, 50)),
        max_size=40,
    )
)
def test_each_timer_of_any_order_of_events_rings_once_or_was_cancelled(events: list[tuple[str, int]]) -> None:
    clock = ManualTimerClock()
    board = TimerBoard(clock)
    rung: list[int] = []
    cancelled: set[int] = set()
    started = 0
    for event, amount in events:
        if event == "wait":
            clock.advance(amount)
        elif event == "cancel" and board.running:
            chosen = board.running[amount % len(board.running)]
            cancelled.add(chosen.number)
            board.cancel([chosen])
        elif event == "set" and not board.is_full:
            board.set(amount, "", lambda one: rung.append(one.number))
            started += 1
    clock.advance(100)
    assert board.running == []
    assert sorted([*rung, *cancelled]) == list(range(1, started + 1))


async def test_timer_as_a_tool_rings_in_the_running_loop() -> None:
    rung = asyncio.Event()
    context = ToolContext(announce=lambda result: rung.set())
    result = await timer.run({"duration": "1 second"}, context)
    assert not result.is_error
    await asyncio.wait_for(rung.wait(), 20)


def test_timer_is_an_acting_tool_that_needs_no_approval() -> None:
    assert not timer.definition.read_only
    assert timer.definition.approval is ApprovalMode.NEVER
