"""Layout shifts of a whole call, as browsers measure them: nothing jumps, on a laptop and on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.layout_shifts import (
    RECORD_SHIFTS_SCRIPT,
    LayoutShift,
    moved_parts,
    recorded_shifts,
    watch_places,
)
from tests.support.browser.page_steps import wait_for_messages
from tests.support.realtime.scripted.scripted_call_server import ScriptedCallServer

MAX_SHIFT = 0.02
"""Sum of the scores of all layout shifts from the navigation to the end of a call."""
SIZES = {"laptop": (1280, 800), "phone": (390, 844)}
FIXED_PARTS = (
    "#app-head",
    "#voice-dock",
    "#voice-controls",
    "#voice-call",
    "#voice-input",
    "#voice-chat",
    "#voice-foot",
)


def make_whole_call(caller: BrowserPage, server: ScriptedCallServer) -> None:
    """Make a call with spoken and typed turns, an interruption, and more messages than the window shows."""
    caller.start_call()
    server.wait_until_connected()
    speak_turn(caller, server, "Hello there, how are you today?")
    server.grow_reply(60, per_second=40)
    caller.wait_for_stage("listening")

    typed = server.count("conversation.item.create")
    caller.send_typed_message("A typed message")
    server.wait_for("conversation.item.create", typed + 1)
    server.grow_reply(60, per_second=40)
    caller.wait_for_stage("listening")

    server.grow_reply(60, per_second=60, sound_ms=600, finish=False)  # most of it is not heard
    caller.wait_for_stage("speaking")
    speak_turn(caller, server, "Stop, please.")
    caller.page.wait_for_selector("#voice-chat .unheard", state="attached")
    for number in range(3):
        speak_turn(caller, server, f"Question {number}, which is long enough for a second line on a phone, at least.")
        server.grow_reply(40, per_second=40)
        caller.wait_for_stage("listening")
    wait_for_messages(caller, "assistant", 6)
    caller.hang_up()


def speak_turn(caller: BrowserPage, server: ScriptedCallServer, words: str) -> None:
    """Let the visitor say something, of which the server reports the beginning, the end and the words."""
    turn = server.start_user_turn()
    caller.wait_for_stage("hearing")
    server.finish_user_turn(turn, words.split())


def total(shifts: list[LayoutShift]) -> float:
    """Return the sum of the scores."""
    return sum(each.score for each in shifts)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("locale", ["en-US", "zh-TW"])
def test_nothing_jumps_in_a_whole_call(
    scripted_app: AppProcess, browser: Browser, scripted_server: ScriptedCallServer, size: tuple[int, int], locale: str
) -> None:
    caller = BrowserPage(browser, scripted_app.url, before=RECORD_SHIFTS_SCRIPT, size=size, locale=locale)
    try:
        caller.wait_for_stage("idle")
        watch_places(caller.page, *FIXED_PARTS)
        make_whole_call(caller, scripted_server)
        shifts = recorded_shifts(caller.page)
        left = moved_parts(caller.page)
    finally:
        caller.close()
    jumps = [each for each in shifts if not each.is_growth]
    by_itself = [each for each in jumps if not each.had_recent_input]
    after_input = [each for each in jumps if each.had_recent_input]
    assert any(each.is_growth for each in shifts), "the conversation has not grown, or nothing was recorded"
    assert total(by_itself) < MAX_SHIFT, by_itself
    assert total(after_input) < MAX_SHIFT, after_input
    assert not left


def test_recorder_counts_a_jump(scripted_app: AppProcess, browser: Browser) -> None:
    caller = BrowserPage(browser, scripted_app.url, before=RECORD_SHIFTS_SCRIPT, size=SIZES["laptop"])
    try:
        caller.wait_for_stage("idle")
        watch_places(caller.page, *FIXED_PARTS)
        before = total(recorded_shifts(caller.page))
        caller.page.evaluate("document.querySelector('#voice-dock').style.marginBottom = '90px'")
        caller.wait_until("(before) => takeLayoutShifts().reduce((sum, each) => sum + each.value, 0) > before", before)
        shifts = recorded_shifts(caller.page)
        assert any(not each.is_growth and "#voice" in str(each.moved) for each in shifts)
        assert any(each.startswith("#voice-dock") for each in moved_parts(caller.page))
    finally:
        caller.close()
