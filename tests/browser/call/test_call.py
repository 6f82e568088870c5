"""A call in headless Chromium: the embedded server with its real models, and recorded human speech."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from playwright.sync_api import Playwright, expect

from tests.data.speech import load_clip
from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import EVENT_TIMEOUT_S, BrowserPage
from tests.support.browser.chromium import launch_chromium
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.browser.page_steps import (
    wait_for_whole_reply,
)
from tests.support.speech_recognition import error_rate, transcribe


def test_spoken_turn_is_captioned_answered_and_measured(caller: BrowserPage) -> None:
    """The caption shows what the visitor said; the shown reply is the audible one; the shown latency is correct."""
    question = load_clip("en", "human", 1)
    caller.start_call()
    assert "listening" in caller.status_text().lower()
    speech = caller.play_speech(question.samples)
    caller.wait_for_stage("hearing")
    end = wait_for_whole_reply(caller, speech.end_s)

    messages = caller.voice_messages()
    assert [message.role for message in messages] == ["user", "assistant"]
    assert error_rate(question.text, messages[0].text) <= 0.34
    heard = caller.recorded_output(speech.end_s, end)
    assert error_rate(messages[1].text, transcribe(heard)) <= 0.34

    # The shown latency agrees with the recorded audio.
    details = caller.page.text_content("#voice-figures .figures-detail") or ""
    found = re.search(
        r"(\d+\.\d\d) s = waited for you to finish (.*) \+ model (.*) \+ network and playback \d+\.\d\d", details
    )
    assert found, details
    assert f"{found[1]} s" in caller.page.inner_text("#voice-figures summary")
    last_word = speech.begin_s + np.flatnonzero(np.abs(question.samples) > 0.02)[-1] / 24_000
    first_sound = speech.end_s + np.flatnonzero(np.abs(heard) > 0.01)[0] / 24_000
    assert float(found[1]) == pytest.approx(first_sound - last_word, abs=0.5, rel=0.2)
    assert "computers of the operator" in (caller.page.text_content("#voice-figures .money") or "")
    # Open details stay open when the next reply is rendered.
    caller.page.locator("#voice-figures summary").click()
    caller.page.wait_for_selector("#voice-figures details[open] .waterfall caption")
    caller.send_typed_message("Say hello.")
    caller.wait_until("() => document.querySelectorAll('#voice-figures details[open] .waterfall caption').length === 2")
    newest = caller.page.locator("#voice-figures .waterfall caption").first
    expect(newest).not_to_contain_text("waited")  # a typed turn has no endpointing time
    caller.hang_up()


def test_hang_up_releases_the_microphone_and_a_second_call_continues(caller: BrowserPage) -> None:
    assert caller.microphone_track_states() == [], "the microphone is closed before the button is pressed"
    caller.start_call()
    caller.send_typed_message("My name is Robin.")
    wait_for_whole_reply(caller, caller.audio_clock_s())
    before = caller.voice_messages()
    caller.hang_up()
    caller.wait_until("() => caller.opened().flat().every((state) => state === 'ended')")
    assert len(caller.microphone_track_states()) == 1
    assert caller.voice_messages() == before

    caller.start_call()
    assert caller.voice_messages()[: len(before)] == before
    question = load_clip("en", "human", 0)
    speech = caller.play_speech(question.samples)
    wait_for_whole_reply(caller, speech.end_s)
    assert len(caller.voice_messages()) == len(before) + 2
    caller.hang_up()
    caller.wait_until("() => caller.opened().flat().every((state) => state === 'ended')")


def test_second_call_right_after_hang_up(caller: BrowserPage) -> None:
    caller.start_call()
    caller.press_call_button()
    caller.page.wait_for_selector(f'{CALL_BUTTON} [title="start recording"]', state="attached")
    caller.press_call_button()
    caller.wait_for_stage("listening")
    question = load_clip("en", "human", 1)
    speech = caller.play_speech(question.samples)
    wait_for_whole_reply(caller, speech.end_s)
    assert error_rate(question.text, caller.voice_messages()[0].text) <= 0.34
    caller.hang_up()


def test_volume_mute_and_clear(caller: BrowserPage) -> None:
    caller.page.locator("#voice-volume input[type=range]").fill("30")
    caller.start_call()
    caller.wait_until("() => [...document.querySelectorAll('#voice-call audio')].some((a) => a.volume === 0.3)")
    caller.page.locator('#voice-call button[aria-label="mute mic"]').click()
    muted = caller.play_speech(load_clip("en", "human", 1).samples)
    caller.wait_until("(t) => caller.now() > t", muted.end_s + 1.5)
    assert caller.voice_messages() == []
    caller.page.locator('#voice-call button[aria-label="unmute mic"]').click()
    speech = caller.play_speech(load_clip("en", "human", 1).samples)
    wait_for_whole_reply(caller, speech.end_s)
    assert len(caller.voice_messages()) == 2
    caller.page.locator("#voice-clear").click()
    caller.wait_until("() => !document.querySelector('#voice-chat [data-testid]')")
    caller.hang_up()
    assert caller.voice_messages() == []


def test_message_outside_a_call_waits_and_starts_one(caller: BrowserPage) -> None:
    caller.wait_for_stage("idle")
    caller.send_typed_message("What is two plus two?")
    expect(caller.page.locator("#voice-outbox li")).to_contain_text("What is two plus two?")
    assert caller.page.locator("#voice-input textarea").input_value() == ""
    wait_for_whole_reply(caller, caller.audio_clock_s())
    assert [message.role for message in caller.voice_messages()] == ["user", "assistant"]
    assert caller.voice_messages()[0].text == "What is two plus two?"
    expect(caller.page.locator("#voice-outbox li")).to_have_count(0)
    caller.hang_up()


def test_mandarin_speech_gets_a_mandarin_reply(caller: BrowserPage) -> None:
    question = load_clip("zh", "synthetic", 0)
    caller.start_call()
    speech = caller.play_speech(question.samples)
    end = wait_for_whole_reply(caller, speech.end_s)
    messages = caller.voice_messages()
    assert error_rate(question.text, messages[0].text, by="character") <= 0.34
    assert re.search(r"[\u4e00-\u9fff]", messages[1].text)
    assert (
        error_rate(messages[1].text, transcribe(caller.recorded_output(speech.end_s, end), "zh"), by="character") <= 0.4
    )
    caller.hang_up()


def test_call_with_the_fake_device_of_chromium(app: AppProcess, playwright: Playwright, tmp_path: Path) -> None:
    """Chromium's own capture device plays the recording; the device is really opened and released."""
    question = load_clip("en", "human", 1)
    wav = tmp_path / "speech.wav"
    wait = np.zeros(4 * 24_000, np.float32)  # the device starts to play when it is opened
    soundfile.write(wav, np.concatenate([wait, question.samples, wait]), 24_000, subtype="PCM_16")
    browser = launch_chromium(playwright, f"--use-file-for-fake-audio-capture={wav}%noloop")
    try:
        page = browser.new_page()
        page.add_init_script("""const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            window.opened = []; navigator.mediaDevices.getUserMedia = async (constraints) => {
                const stream = await open(constraints); window.opened.push(stream); return stream; };""")
        page.goto(app.url, wait_until="domcontentloaded")
        page.wait_for_selector('#status [data-stage="idle"]')
        page.locator(CALL_BUTTON).click()
        page.wait_for_selector("#voice-chat [data-testid=bot]", timeout=EVENT_TIMEOUT_S * 1000)
        assert error_rate(question.text, page.inner_text("#voice-chat [data-testid=user]")) <= 0.34
        page.locator(CALL_BUTTON).click()
        page.wait_for_selector('#status [data-stage="ended"]')
        page.wait_for_function(
            "opened.length > 0 && opened.every((s) => s.getTracks().every((t) => t.readyState === 'ended'))"
        )
    finally:
        browser.close()


def test_crashed_server_is_reported_and_restarted(app: AppProcess, caller: BrowserPage) -> None:
    caller.start_call()
    [child] = [p for p in psutil.Process(app.process.pid).children() if "offline" in p.cmdline()]
    child.kill()
    caller.wait_for_stage("reconnecting", "failed")
    app.wait_for_health(lambda health: health["http"] == 200, timeout=60)
    caller.wait_for_stage("listening")
    speech = caller.play_speech(load_clip("en", "human", 1).samples)
    wait_for_whole_reply(caller, speech.end_s)
    caller.hang_up()
