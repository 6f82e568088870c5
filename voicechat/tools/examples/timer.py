"""Tool `timer`: timers that ring by themselves later in the conversation."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from pydantic import Field

from voicechat.tools.definition import ApprovalMode, ToolContext, ToolResult
from voicechat.tools.examples.durations import MAX_DURATION_CHARS, describe_duration, read_duration
from voicechat.tools.examples.timer_board import MAX_SECONDS, MAX_TIMERS, RunningTimer, TimerBoard, TimerClock
from voicechat.tools.python import tool

MAX_NAME_CHARS = 40
"""Characters of a timer's name."""

TimerAction = Literal["set", "list", "cancel"]


@tool(
    titles={"en": "Timer", "zh": "計時器"},
    read_only=False,
    approval=ApprovalMode.NEVER,
    timeout_s=5.0,
    hints=(
        *("timer", "timers", "remind me in", "wake me in", "alarm", "countdown", "count down"),
        *("計時", "計時器", "倒數", "定時", "提醒我", "叫我", "鬧鐘"),
    ),
)
async def timer(
    context: ToolContext,
    action: Annotated[TimerAction, Field(description="'set' a new timer, 'list' them, or 'cancel' some")] = "set",
    duration: Annotated[
        str,
        Field(description="For 'set': how long, e.g. '5 minutes', '1h 30m', '十分鐘'", max_length=MAX_DURATION_CHARS),
    ] = "",
    name: Annotated[
        str,
        Field(description="What the timer is for, e.g. 'tea'. For 'cancel': which one; empty for all", max_length=200),
    ] = "",
) -> ToolResult:
    """Set, list or cancel timers. A timer that ends tells the visitor by itself: do not wait for it."""
    return use_timers(asyncio.get_running_loop(), context, action, duration, name)


def use_timers(
    clock: TimerClock, context: ToolContext, action: TimerAction, duration: str = "", name: str = ""
) -> ToolResult:
    """Set, list or cancel the timers that the conversation's memory keeps."""
    board = context.memory.keep("timers", lambda: TimerBoard(clock))
    name = " ".join(name.split())[:MAX_NAME_CHARS]
    words = _Words(context.language)
    if action == "list":
        return words.listed(board.running, board.clock.time())
    if action == "cancel":
        timers = board.find(name)
        board.cancel(timers)
        return words.cancelled(timers, name)
    seconds = read_duration(duration)
    if seconds is None or not 1 <= seconds <= MAX_SECONDS:
        return words.not_set(seconds)
    if board.is_full:
        return words.full()
    return words.started(board.set(seconds, name, lambda timer: context.announce(words.rung(timer))))


class _Words:
    """Sentences about timers in one language."""

    def __init__(self, language: str) -> None:
        self._language = "zh" if language == "zh" else "en"

    def _result(self, english: str, chinese: str, text: str = "", is_error: bool = False) -> ToolResult:
        return ToolResult(text or english, chinese if self._language == "zh" else english, is_error)

    def _names(self, timer: RunningTimer) -> tuple[str, str]:
        """Return the timer by its name, or else by its length: English, Chinese."""
        if timer.name:
            return f"{timer.name} timer", f"「{timer.name}」的計時器"
        return (
            f"timer for {describe_duration(timer.seconds, 'en')}",
            f"{describe_duration(timer.seconds, 'zh')}的計時器",
        )

    def started(self, timer: RunningTimer) -> ToolResult:
        length, length_zh = (describe_duration(timer.seconds, language) for language in ("en", "zh"))
        if timer.name:
            return self._result(
                f"The {timer.name} timer is set for {length}.",
                f"好，「{timer.name}」計時 {length_zh}，時間到我會提醒你。",
            )
        return self._result(f"The timer is set for {length}.", f"好，計時 {length_zh}，時間到我會提醒你。")

    def rung(self, timer: RunningTimer) -> ToolResult:
        length, length_zh = (describe_duration(timer.seconds, language) for language in ("en", "zh"))
        english, chinese = f"Time is up: {length} have passed.", f"時間到了！{length_zh}已經過了。"
        if timer.name:
            english, chinese = f"Your {timer.name} timer is up.", f"時間到了！「{timer.name}」的計時器響了。"
        elif length.startswith("1 ") and " and " not in length:
            english = english.replace(" have ", " has ")
        return self._result(english, chinese, f"A timer rings now. {english} Tell the visitor.")

    def listed(self, timers: list[RunningTimer], now: float) -> ToolResult:
        if not timers:
            return self._result("There are no timers running.", "目前沒有計時器在跑。")
        lefts = [timer.ends_at - now for timer in timers]
        english = [
            f"the {self._names(timer)[0]} has {describe_duration(left, 'en')} left"
            for timer, left in zip(timers, lefts, strict=True)
        ]
        chinese = [
            f"{self._names(timer)[1]}還剩 {describe_duration(left, 'zh')}"
            for timer, left in zip(timers, lefts, strict=True)
        ]
        said = "; ".join(english)
        return self._result(f"{said[0].upper()}{said[1:]}.", f"{'；'.join(chinese)}。")

    def cancelled(self, timers: list[RunningTimer], name: str) -> ToolResult:
        if not timers:
            if name:
                return self._result(f"There is no timer named {name}.", f"沒有叫做「{name}」的計時器。", is_error=True)
            return self._result("There are no timers running.", "目前沒有計時器在跑。")
        if len(timers) == 1:
            english, chinese = self._names(timers[0])
            return self._result(f"The {english} is cancelled.", f"已經取消{chinese}。")
        return self._result(f"{len(timers)} timers are cancelled.", f"已經取消 {len(timers)} 個計時器。")

    def not_set(self, seconds: float | None) -> ToolResult:
        if seconds is None:
            return self._result("How long should the timer run?", "要計時多久呢？", is_error=True)
        return self._result(
            "A timer can run from one second to 24 hours.", "計時器可以設一秒到二十四小時。", is_error=True
        )

    def full(self) -> ToolResult:
        return self._result(
            f"{MAX_TIMERS} timers are running already; cancel one first.",
            f"已經有 {MAX_TIMERS} 個計時器在跑了，請先取消一個。",
            is_error=True,
        )
