"""WebSocket fallback: a call without a working WebRTC path continues over a WebSocket with all features."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.data.speech import load_clip
from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import (
    MICROPHONES_RELEASED_JS,
    NO_UDP_SCRIPT,
    WEBSOCKET_NOTICE_SELECTOR,
)
from tests.support.browser.page_steps import assert_silent_after_cut, wait_for_messages, wait_for_whole_reply
from tests.support.speech_recognition import error_rate, transcribe

CUT_PATH_SCRIPT = """(() => {
  const Peer = window.RTCPeerConnection;
  const all = [];
  window.RTCPeerConnection = class extends Peer {
    constructor(...given) { super(...given); all.push(this); }
    get connectionState() { return window.pathCut ? "failed" : super.connectionState; }
  };
  window.cutPath = () => {
    window.pathCut = true;
    for (const each of all) each.dispatchEvent(new Event("connectionstatechange"));
  };
})();"""
"""Defines `cutPath()`: afterwards the browser reports the path as failed."""


@pytest.fixture
def pages_to_close(app: AppProcess, browser: Browser) -> Iterator[list[BrowserPage]]:
    callers: list[BrowserPage] = []
    yield callers
    for caller in callers:
        errors = caller.errors
        caller.close()
        assert not errors
    app.wait_for_health(lambda health: health["calls"] == 0, timeout=60)


def wait_until_released(app: AppProcess, caller: BrowserPage) -> None:
    caller.wait_until(MICROPHONES_RELEASED_JS)
    app.wait_for_health(lambda health: health["calls"] == 0, timeout=60)


def test_call_without_udp_uses_the_websocket(
    app: AppProcess, browser: Browser, pages_to_close: list[BrowserPage]
) -> None:
    caller = BrowserPage(browser, app.url, before=NO_UDP_SCRIPT)
    pages_to_close.append(caller)
    caller.start_call()
    caller.page.wait_for_selector(WEBSOCKET_NOTICE_SELECTOR)
    assert "web connection" in caller.status_text()
    assert app.health()["calls"] == 1
    # Another microphone during the call: all further speech comes from it.
    caller.open_settings("devices")
    offered = caller.page.locator("#voice-device-microphone option").evaluate_all("(all) => all.map((o) => o.value)")
    caller.page.locator("#voice-device-microphone").select_option(offered[1])
    caller.wait_until("() => caller.opened().length === 2 && caller.opened()[0].includes('ended')")
    question = load_clip("en", "human", 1)
    speech = caller.play_speech(question.samples)
    end = wait_for_whole_reply(caller, speech.end_s)
    messages = caller.voice_messages()
    assert [message.role for message in messages] == ["user", "assistant"]
    assert error_rate(question.text, messages[0].text) <= 0.34
    assert error_rate(messages[1].text, transcribe(caller.recorded_output(speech.end_s, end))) <= 0.34
    assert "waited for you to finish" in caller.page.text_content("#voice-figures .figures-detail")
    caller.wait_until(f"() => !document.querySelector('{WEBSOCKET_NOTICE_SELECTOR}')")

    caller.send_typed_message("Please tell me a long story about a lighthouse keeper and his cat, in many sentences.")
    caller.wait_until_loud(caller.audio_clock_s())
    wait_for_messages(caller, "assistant", 2)
    caller.play_speech(load_clip("en", "human", 0).samples)
    assert_silent_after_cut(caller)
    caller.hang_up()
    wait_until_released(app, caller)


def test_call_continues_after_a_lost_path(app: AppProcess, browser: Browser, pages_to_close: list[BrowserPage]) -> None:
    """The current reply continues too: it is the same call."""
    caller = BrowserPage(browser, app.url, before=CUT_PATH_SCRIPT)
    pages_to_close.append(caller)
    caller.start_call()
    asked = caller.audio_clock_s()
    caller.send_typed_message("Please tell me in two sentences what a lighthouse is for.")
    caller.wait_until_loud(asked)
    assert caller.page.locator(WEBSOCKET_NOTICE_SELECTOR).count() == 0
    caller.page.evaluate("cutPath()")
    caller.page.wait_for_selector(WEBSOCKET_NOTICE_SELECTOR)
    over = caller.audio_clock_s()
    assert app.health()["calls"] == 1
    caller.wait_until_loud(over, timeout=60)
    end = wait_for_whole_reply(caller, over)
    messages = caller.voice_messages()
    assert [message.role for message in messages] == ["user", "assistant"]
    assert caller.page.locator("#voice-chat .unheard").count() == 0
    assert error_rate(messages[1].text, transcribe(caller.recorded_output(asked, end))) <= 0.34
    caller.hang_up()
    wait_until_released(app, caller)
