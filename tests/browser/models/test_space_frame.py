"""Frame of a Space: the page works inside Hugging Face's page, without an error in the console, and fills the frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.data.speech import load_clip
from tests.support.app.app_process import AppProcess, running_app
from tests.support.browser.chromium import launch_chromium
from tests.support.browser.page_errors import PageErrors
from tests.support.browser.page_scripts import CALL_BUTTON, NO_UDP_SCRIPT, WEBSOCKET_NOTICE_SELECTOR
from tests.support.browser.page_steps import wait_for_whole_reply
from tests.support.browser.space_frame import SHARE_HOST, SPACE_ENVIRONMENT, SPACE_HOST, FramedPage, running_outer_page
from tests.support.realtime.fake_echo_server import EchoRealtimeServer
from tests.support.speech_recognition import error_rate, transcribe

SIZES = {"phone": (390, 780), "small window": (900, 500), "desktop": (1600, 1000)}


@contextmanager
def space_browser(server: str, playwright: Playwright, folders: pytest.TempPathFactory) -> Iterator[Browser]:
    """Run an app with a Space's environment on a Realtime server, and a browser that resolves the Space's hosts to it.

    The browser blocks the unpartitioned cookies of other sites.
    """
    with running_app(folders.mktemp("space") / "log.txt", REALTIME_URL=server, **SPACE_ENVIRONMENT) as space:
        space.wait_for_health(lambda health: health["http"] == 200)
        with running_outer_page(folders.mktemp("outer"), space.url) as resolver_rules:
            browser = launch_chromium(playwright, resolver_rules, "--test-third-party-cookie-phaseout")
            yield browser
            browser.close()
        space.wait_for_health(lambda health: health["calls"] == 0, timeout=60)
        assert "Traceback" not in space.log_path.read_text(), space.log_path.read_text()[-4000:]


@pytest.fixture
def talking_space(
    app: AppProcess, playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """Yield the browser of a Space whose Realtime server is the other app's, which has the models."""
    with space_browser(app.url.replace("http", "ws") + "/v1/realtime", playwright, tmp_path_factory) as browser:
        yield browser


@pytest.fixture(scope="module")
def silent_space(
    echo_server: EchoRealtimeServer, playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    with space_browser(echo_server.url, playwright, tmp_path_factory) as browser:
        yield browser


@pytest.mark.parametrize(
    "path", [pytest.param("", id="WebRTC"), pytest.param(NO_UDP_SCRIPT, id="web socket", marks=pytest.mark.long)]
)
def test_call_in_the_frame_of_a_space(talking_space: Browser, page_errors: PageErrors, path: str) -> None:
    framed = FramedPage(talking_space, before=path)
    framed.start_call()
    if path:
        framed.page.wait_for_selector(WEBSOCKET_NOTICE_SELECTOR)
    question = load_clip("en", "human", 1)
    speech = framed.play_speech(question.samples)
    end = wait_for_whole_reply(framed, speech.end_s)
    said, answered = framed.voice_messages()
    assert error_rate(question.text, said.text) <= 0.34
    assert error_rate(answered.text, transcribe(framed.recorded_output(speech.end_s, end))) <= 0.34
    framed.hang_up()
    cookies = [cookie for cookie in framed.context.cookies() if cookie["domain"] == SPACE_HOST]
    assert [cookie["name"] for cookie in cookies] == ["voice_visitor"]
    assert (cookies[0]["sameSite"], cookies[0]["secure"], cookies[0]["httpOnly"]) == ("None", True, True)
    framed.close()
    assert page_errors.found == []


@pytest.mark.beside
@pytest.mark.parametrize("host", [SPACE_HOST, SHARE_HOST])
def test_public_address_has_no_errors(silent_space: Browser, page_errors: PageErrors, host: str) -> None:
    context = silent_space.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"https://{host}/")
    expect(page.locator('#status [data-stage="idle"]')).to_be_visible(timeout=30_000)
    context.close()
    assert page_errors.found == []


@pytest.mark.beside
@pytest.mark.parametrize("size", SIZES)
def test_page_fills_the_frame_without_scrolling(silent_space: Browser, size: str) -> None:
    framed = FramedPage(silent_space, size=SIZES[size])
    framed.wait_for_stage("idle")
    width, height = SIZES[size]
    assert framed.page.evaluate("[innerWidth, innerHeight]") == [width, height - 60], "the frame keeps its size"
    assert framed.page.evaluate("document.documentElement.scrollWidth") <= width
    assert framed.page.evaluate("document.documentElement.scrollHeight") <= height - 60
    for shown in (CALL_BUTTON, "#voice-input textarea", "#status .status", "#settings-open"):
        expect(framed.page.locator(shown)).to_be_in_viewport(ratio=1)
    # The frame does not scroll, so the panel itself has to: down to its last group with the wheel.
    framed.open_settings("voice")
    framed.open_settings("key")
    framed.open_settings("display")
    framed.page.locator("#settings-groups").hover()
    framed.outer.mouse.wheel(0, 6000)
    expect(framed.page.locator("#forget-me")).to_be_in_viewport(ratio=1)
    framed.close_settings()
    framed.close()
