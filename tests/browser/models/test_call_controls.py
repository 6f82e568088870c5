"""Controls of a call: timer, keyboard, push-to-talk and the choice of the microphone."""

from __future__ import annotations

from tests.data.speech import load_clip
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.browser.page_steps import close_settings, open_settings
from tests.support.speech_recognition import error_rate

MICROPHONES_OPEN = "caller.streams().map((s) => s.getAudioTracks().some((t) => t.readyState === 'live' && t.enabled))"


def test_timer_keyboard_and_push_to_talk(caller: BrowserPage) -> None:
    page = caller.page
    caller.start_call()
    caller.wait_until("() => /^0:0[1-9]$/.test(document.getElementById('voice-timer').textContent)")
    page.mouse.click(20, 300)  # beside the conversation
    page.keyboard.press("m")
    caller.wait_until(f"() => !{MICROPHONES_OPEN}.includes(true)")
    page.keyboard.press("m")
    caller.wait_until(f"() => {MICROPHONES_OPEN}.includes(true)")

    caller.send_typed_message("Please tell me a long story about a lighthouse keeper and his cat, in many sentences.")
    caller.wait_for_stage("speaking", timeout=60)
    page.keyboard.press("Escape")
    caller.wait_for_stage("listening")
    assert page.locator("#voice-chat .unheard").count() == 1

    open_settings(page, "devices")
    page.locator("#voice-push-to-talk").check()
    close_settings(page)
    caller.wait_until(f"() => !{MICROPHONES_OPEN}.includes(true)")
    page.locator("#voice-type-instead").click()
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
    caller.wait_until_loud(speech.end_s)
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
    open_settings(page, "devices")
    other = page.eval_on_selector_all("#voice-device-microphone option", "(all) => all.map((o) => o.value)")[1]
    page.locator("#voice-device-microphone").select_option(other)
    caller.wait_until("() => caller.opened().length === 2 && caller.opened()[0].includes('ended')")
    question = load_clip("en", "human", 1)
    speech = caller.play_speech(question.samples)
    caller.wait_until_loud(speech.end_s)
    assert error_rate(question.text, caller.voice_messages()[0].text) <= 0.34
    caller.wait_until(
        "(button) => Number(document.querySelector(button).style.getPropertyValue('--level-model')) > 0.2", CALL_BUTTON
    )
    caller.hang_up()
    assert all(state == "ended" for states in caller.microphone_track_states() for state in states)
