"""Sound check: its results, the offered fixes, and the release of all devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.data.speech import load_clip
from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import NO_UDP_SCRIPT, WEBSOCKET_NOTICE_SELECTOR
from voicechat.ui.widgets.chatbox import STATIC_DIR

pytestmark = pytest.mark.beside

LOUDSPEAKER_ECHO_SCRIPT = """
  setInterval(() => {   // a loudspeaker beside the microphone
    const audio = document.querySelector("#voice-check audio");
    if (audio && audio !== window.echoed) { window.echoed = audio; caller.feed(audio.srcObject); }
  }, 10);
"""

OpenPage = Callable[..., BrowserPage]


@pytest.fixture
def open_page(echo_app: AppProcess, browser: Browser) -> Iterator[OpenPage]:
    callers: list[BrowserPage] = []

    def visit(**options: str) -> BrowserPage:
        callers.append(BrowserPage(browser, echo_app.url, **options))
        callers[-1].wait_for_stage("idle", timeout=60)
        return callers[-1]

    yield visit
    for caller in callers:
        errors = caller.errors
        caller.close()
        assert not errors


def start_check(caller: BrowserPage) -> None:
    caller.page.locator("#voice-check-start").click()


def row_text(caller: BrowserPage, row: str, state: str) -> str:
    """Return the text of a row once it is in `state`."""
    element = caller.page.locator(f'#voice-check [data-row="{row}"][data-state="{state}"]')
    element.wait_for(timeout=60_000)
    return element.inner_text()


def wait_until_microphones_released(caller: BrowserPage) -> None:
    caller.wait_until("() => caller.opened().length && caller.opened().flat().every((state) => state === 'ended')")


def test_first_visit_shows_the_privacy_note_once(open_page: OpenPage) -> None:
    caller = open_page(locale="zh-TW")
    page = caller.page
    expect(page.locator("#voice-check")).to_contain_text("只有按鈕是紅色的時候才會收音")
    page.get_by_role("button", name="先不用").click()
    expect(page.locator("#voice-check")).to_be_hidden()
    expect(page.locator("#voice-chat")).to_be_visible()
    page.reload()
    caller.wait_for_stage("idle")
    expect(page.locator("#voice-check")).to_be_hidden()
    assert not caller.microphone_track_states()


def test_sound_check_passes(open_page: OpenPage, echo_app: AppProcess) -> None:
    caller = open_page()
    start_check(caller)
    assert "can you hear me" in row_text(caller, "level", "run")
    expect(caller.page.locator("#voice-chat")).to_be_hidden()
    caller.play_speech(load_clip("en", "human", 0).samples)
    assert row_text(caller, "level", "ok") == "Your voice is clear."
    begun = caller.audio_clock_s()
    caller.wait_until_loud(begun)  # the melody
    expect(caller.page.get_by_text("Did you hear the melody?")).to_be_visible(timeout=60_000)
    wait_until_microphones_released(caller)
    caller.page.get_by_role("button", name="Yes", exact=True).click()
    assert "does not disturb" in row_text(caller, "echo", "ok")
    assert "UDP" in row_text(caller, "network", "ok")
    assert echo_app.health()["calls"] == 0
    caller.page.get_by_role("button", name="Close", exact=True).click()
    expect(caller.page.locator("#voice-chat")).to_be_visible()


def test_echo_of_the_loudspeaker_is_detected(open_page: OpenPage) -> None:
    caller = open_page(after=LOUDSPEAKER_ECHO_SCRIPT)
    start_check(caller)
    row_text(caller, "level", "run")
    caller.play_speech(load_clip("en", "human", 0).samples)
    assert "interrupt itself" in row_text(caller, "echo", "trouble")
    caller.page.get_by_role("button", name="Use push to talk").click()
    row_text(caller, "echo", "ok")
    assert caller.page.evaluate("document.documentElement.dataset.pushToTalk") == "on"
    wait_until_microphones_released(caller)


def test_silent_microphone_is_detected(open_page: OpenPage) -> None:
    caller = open_page()
    start_check(caller)
    assert "no sound at all" in row_text(caller, "level", "trouble")
    asked = caller.page.get_by_text("Did you hear the melody?")  # the echo is unknown with a silent microphone
    expect(asked).to_have_text("Did you hear the melody?", timeout=60_000)
    caller.page.locator('#voice-check [data-row="level"] button', has_text="Use:").first.click()
    row_text(caller, "level", "run")  # the check runs again with the chosen microphone
    assert caller.page.evaluate("localStorage.getItem('voice-microphone')")
    caller.page.get_by_role("button", name="Close", exact=True).click()
    wait_until_microphones_released(caller)


def test_blocked_microphone_restarts_the_check_when_allowed(open_page: OpenPage) -> None:
    caller = open_page(
        after="""
        const real = navigator.mediaDevices.getUserMedia;
        let refused = 0;
        navigator.mediaDevices.getUserMedia = async (asked) => {
          if (refused++) return real(asked);
          throw new DOMException("Permission denied", "NotAllowedError");
        };"""
    )
    start_check(caller)
    assert "icon beside the address" in row_text(caller, "microphone", "trouble")
    caller.page.get_by_role("button", name="Try again").first.click()
    row_text(caller, "microphone", "ok")
    caller.page.get_by_role("button", name="Close", exact=True).click()
    wait_until_microphones_released(caller)


def test_blocked_udp_is_detected_and_the_call_uses_the_websocket(open_page: OpenPage, echo_app: AppProcess) -> None:
    caller = open_page(before=NO_UDP_SCRIPT)
    start_check(caller)
    row_text(caller, "level", "run")
    assert "blocks UDP" in row_text(caller, "network", "trouble")
    caller.page.get_by_role("button", name="Always use the web connection").click()
    row_text(caller, "network", "ok")
    caller.press_call_button()  # the call also ends the check
    expect(caller.page.locator("#voice-check")).to_be_hidden()
    caller.page.wait_for_selector(WEBSOCKET_NOTICE_SELECTOR)
    caller.wait_for_stage("listening")
    assert caller.microphone_track_states()[0] == ["ended"]
    caller.hang_up()
    wait_until_microphones_released(caller)
    echo_app.wait_for_health(lambda health: health["calls"] == 0, timeout=60)
    assert caller.page.evaluate("localStorage.getItem('voice-web-only')") == "on"


def test_unreachable_server_and_stopped_audio_clock(open_page: OpenPage) -> None:
    caller = open_page(
        after="""Object.defineProperty(AudioContext.prototype.__proto__, "currentTime", {
          get: new Proxy(Object.getOwnPropertyDescriptor(AudioContext.prototype.__proto__, "currentTime").get, {
            apply: (get, context) => context.sampleRate === 24000 ? Reflect.apply(get, context, []) : 0 }) });"""
    )
    caller.page.route("**/udp-check", lambda route: None)
    caller.page.locator("#voice-check-close").click()
    caller.open_settings("devices")
    caller.page.locator("#voice-check-open").click()
    expect(caller.page.locator("#voice-check-close")).to_be_focused()
    assert "does not respond" in row_text(caller, "network", "trouble")
    expect(caller.page.get_by_text("Did you hear the melody?")).to_be_visible(timeout=60_000)
    wait_until_microphones_released(caller)


def test_sound_check_does_not_start_during_a_call(open_page: OpenPage) -> None:
    caller = open_page()
    caller.start_call()
    caller.page.evaluate("document.getElementById('voice-check-open').click()")
    assert len(caller.microphone_track_states()) == 1
    expect(caller.page.locator("#voice-check")).to_be_hidden()
    caller.hang_up()


# -------------------------------------------------------------------- measures


@pytest.fixture(scope="module")
def measurements(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.add_script_tag(path=str(STATIC_DIR / "scripts" / "audio_measurements.js"))
    yield page
    page.close()


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_tone_is_distinguished_from_noise_and_speech(measurements: Page, rate: int) -> None:
    time = np.arange(2048) / rate
    noise = np.random.default_rng(0).normal(0, 0.05, 2048)
    for hertz in (523, 784, 1047):
        note = 0.05 * np.sin(2 * np.pi * hertz * time)
        tone, with_noise, noise_only = (
            measurements.evaluate(
                """([s, rate, f]) => ['toneDbfs', 'toneProminenceDb'].map(
                    (name) => voiceAudioMeasurements[name](s, rate, f))""",
                [samples.tolist(), rate, hertz],
            )
            for samples in (note, note + noise / 10, noise)
        )
        assert abs(tone[0] - 20 * np.log10(0.05 / np.sqrt(2))) < 0.5
        assert with_noise[1] > 12 > noise_only[1]
    speech = load_clip("en", "human", 0).samples
    blocks = [speech[at : at + 1024] for at in range(0, len(speech) - 1024, 2400)]
    is_prominent = [
        measurements.evaluate(
            "([s, f]) => voiceAudioMeasurements.toneProminenceDb(s, 24000, f)", [block.tolist(), hertz]
        )
        > 12
        for block in blocks
        for hertz in (784, 1047)
    ]
    assert sum(is_prominent) < 0.2 * len(is_prominent)


@pytest.mark.parametrize(
    ("room", "voice", "peak", "level_class"),
    [
        (-90, -90, 0.0, "silent"),
        (-65, -60, 0.05, "quiet"),
        (-40, -38, 0.1, "quiet"),  # a noisy room without speech
        (-60, -25, 0.4, "ok"),
        (-60, -3, 1.0, "loud"),
    ],
)
def test_levels_are_classified(measurements: Page, room: float, voice: float, peak: float, level_class: str) -> None:
    levels, peaks = [room] * 30 + [voice] * 30, [0.01] * 30 + [peak] * 30
    assert (
        measurements.evaluate("([l, p]) => voiceAudioMeasurements.classifyLevel(l, p)", [levels, peaks]) == level_class
    )


@pytest.mark.parametrize(
    ("notes", "echo"),
    [
        ([0, 0, 20, 20, 20, 20], True),
        ([0, 0, 20, 0, 20, 20], True),
        ([30, 30, 20, 5, 5, 5], False),  # the echo canceller has adapted
        ([0, 0, 0, 0, 0, 0], False),
    ],
)
def test_echo_of_the_melody_is_detected(measurements: Page, notes: list[float], echo: bool) -> None:
    assert measurements.evaluate("(notes) => voiceAudioMeasurements.hasEcho(notes)", notes) is echo
