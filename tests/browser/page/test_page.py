"""The page: language, timer, keyboard, push-to-talk and devices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.data.speech import load_clip
from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.speech_recognition import error_rate

pytestmark = pytest.mark.beside


@pytest.fixture
def open_page(app: AppProcess, browser: Browser) -> Iterator[BrowserPage]:
    caller = BrowserPage(browser, app.url, locale="zh-TW")
    yield caller
    errors = caller.errors
    caller.close()
    assert not errors


def test_page_uses_the_browser_language_and_switches_it(open_page: BrowserPage) -> None:
    page = open_page.page
    button = page.locator(CALL_BUTTON)
    expect(page.locator("#app-title")).to_have_text("即時語音對話")
    expect(button).to_have_attribute("data-word", "通話")
    open_page.wait_for_stage("idle", timeout=60)
    expect(page.locator("#status")).to_contain_text("準備好了")
    for title, button_text, ready in (("Realtime Voice Chat", "Call", "Ready."), ("即時語音對話", "通話", "準備好了")):
        page.locator("#other-language").click()
        expect(page.locator("#app-title")).to_have_text(title)
        expect(button).to_have_attribute("data-word", button_text)
        expect(page.locator("#status")).to_contain_text(ready)
    assert page.evaluate("document.documentElement.lang") == "zh-Hant-TW"


def test_language_switch_with_a_conversation_needs_confirmation(open_page: BrowserPage) -> None:
    page, asked = open_page.page, []
    page.get_by_role("tab", name="文字", exact=True).click()
    page.locator("#text-input textarea").fill("hi")
    page.keyboard.press("Enter")
    page.wait_for_selector("#text-chat [data-testid=user]")
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    with page.expect_event("dialog"):
        page.locator("#other-language").click()
    assert len(asked) == 1 and "切換語言" in asked[0]
    expect(page.locator("#app-title")).to_have_text("即時語音對話")
    expect(page.locator("#text-chat [data-testid=user]")).to_contain_text("hi")


MICROPHONES_OPEN = "caller.streams().map((s) => s.getAudioTracks().some((t) => t.readyState === 'live' && t.enabled))"


def test_timer_keyboard_and_push_to_talk(caller: BrowserPage) -> None:
    page = caller.page
    caller.start_call()
    caller.wait_until("() => /^0:0[1-9]$/.test(document.getElementById('voice-timer').textContent)")
    page.locator("#voice-chat").click()
    page.keyboard.press("m")
    caller.wait_until(f"() => !{MICROPHONES_OPEN}.includes(true)")
    page.keyboard.press("m")
    caller.wait_until(f"() => {MICROPHONES_OPEN}.includes(true)")

    caller.send_typed_message("Please tell me a long story about a lighthouse keeper and his cat, in many sentences.")
    caller.wait_for_stage("speaking", timeout=60)
    page.keyboard.press("Escape")
    caller.wait_for_stage("listening")
    assert page.locator("#voice-chat .unheard").count() == 1

    page.locator("#voice-devices-drawer button").first.click()
    page.locator("#voice-push-to-talk").check()
    caller.wait_until(f"() => !{MICROPHONES_OPEN}.includes(true)")
    page.locator("#voice-input textarea").fill("two")
    page.keyboard.down(" ")
    assert page.locator("#voice-input textarea").input_value() == "two "
    assert not page.evaluate(f"{MICROPHONES_OPEN}.includes(true)"), "the space bar types a space"
    page.keyboard.up(" ")
    page.locator("#voice-input textarea").fill("")
    page.locator(CALL_BUTTON).focus()
    question = load_clip("en", "human", 1)
    page.keyboard.down(" ")
    caller.wait_until(f"() => {MICROPHONES_OPEN}.includes(true)")
    speech = caller.play_speech(question.samples)
    caller.wait_until("(t) => caller.now() > t", speech.end_s)
    page.keyboard.up(" ")
    caller.wait_until(f"() => !{MICROPHONES_OPEN}.includes(true)")
    caller.wait_until_loud(speech.end_s, timeout=30)
    assert page.locator(CALL_BUTTON).get_attribute("data-state") == "stop", "the space bar has not hung up"
    assert (
        error_rate(question.text, [message.text for message in caller.voice_messages() if message.role == "user"][-1])
        <= 0.34
    )
    caller.hang_up()
    caller.wait_until("() => document.getElementById('voice-timer').textContent === ''")
    assert all(state == "ended" for states in caller.microphone_track_states() for state in states)


def test_microphone_change_during_a_call(caller: BrowserPage) -> None:
    page = caller.page
    caller.start_call()
    page.locator("#voice-devices-drawer button").first.click()
    other = page.eval_on_selector_all("#voice-device-microphone option", "(all) => all.map((o) => o.value)")[1]
    page.locator("#voice-device-microphone").select_option(other)
    caller.wait_until("() => caller.opened().length === 2 && caller.opened()[0].includes('ended')")
    question = load_clip("en", "human", 1)
    speech = caller.play_speech(question.samples)
    caller.wait_until_loud(speech.end_s, timeout=30)
    assert error_rate(question.text, caller.voice_messages()[0].text) <= 0.34
    caller.wait_until(
        "() => Number(document.querySelector('#voice-call button').style.getPropertyValue('--level-model')) > 0.2"
    )
    caller.hang_up()
    assert all(state == "ended" for states in caller.microphone_track_states() for state in states)
