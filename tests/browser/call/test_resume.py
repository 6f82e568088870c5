"""Resume of a call: after a reload, a killed app and a killed browser the page shows the same, and the call goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, WebSocketRoute, expect
from playwright.sync_api import Error as PlaywrightError

from tests.support.app.app_process import AppProcess, running_app
from tests.support.browser.chromium import kill_browser_of, launch_with_profile
from tests.support.browser.page_errors import LOST_SERVER_ERRORS, PageErrors
from tests.support.browser.page_geometry import layout_faults
from tests.support.browser.page_scripts import MICROPHONES_RELEASED_JS, NO_UDP_SCRIPT
from tests.support.browser.resumed_page import ResumablePage, ShownSpeech
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer

pytestmark = pytest.mark.beside

SPOKEN = "Tell me about the lighthouse."
REPLY = (
    "The lighthouse stands on a rock in the sea. Its keeper has a grey cat. Every evening they climb the stairs "
    "together, and the keeper lights the lamp. Then the cat sleeps beside it until the morning."
)
REPLY_S = 30.0
"""Seconds of every reply: it is still played when a test ends it."""
WORD_BESIDE_TIMER_JS = """() => {
  const word = getComputedStyle(document.querySelector('#voice-call button[aria-label="start stream"]'), "::after");
  return document.getElementById("voice-timer").textContent !== "" && parseFloat(word.translate) < 0;
}"""
"""The word below the call button makes room for the time."""
NOTE_OFFLINE_JS = """() => document.addEventListener("voice-connection", () => {
  window.wasOffline ||= !window.voiceConnection.isAlive();
})"""
"""Notes that the page has lost its server, which may last for milliseconds."""
NOTICED_WITHIN_S = 2.0
"""Seconds within which a page notices that its server does not answer."""
NO_ANSWER = "The server does not answer. Waiting for it…"
SAVED_EVERY_S = 2.0
"""Seconds between two copies of a growing reply that the page keeps itself."""
HEARD_S = 4.0
"""Seconds of a reply that are heard before a test ends it, at least."""
LISTENED_S = HEARD_S + 1.0
"""Seconds of the page's clock before a test ends a reply: the server of a busy computer may be late."""


@pytest.fixture(scope="module")
def running_model() -> Iterator[ThreadedRealtimeServer]:
    """Yield a server that hears the same turn in every call and answers it at length."""
    with ThreadedRealtimeServer(SPOKEN, REPLY, REPLY_S).running() as model:
        yield model


@pytest.fixture
def model(running_model: ThreadedRealtimeServer) -> ThreadedRealtimeServer:
    """Return the server, with the sessions of this test only."""
    running_model.sessions.clear()
    running_model.answers = running_model.hears_speech = True
    return running_model


def environment(model: ThreadedRealtimeServer) -> dict[str, str]:
    return {"REALTIME_URL": model.url, "REALTIME_API_KEY": "sk-test", "VANISHED_SECONDS": "3"}


@pytest.fixture(scope="module")
def lasting_app(
    running_model: ThreadedRealtimeServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AppProcess]:
    with running_app(tmp_path_factory.mktemp("app") / "app.log", **environment(running_model)) as app:
        app.wait_for_health(lambda health: health["status"] == "ok")
        yield app


@pytest.fixture
def app(lasting_app: AppProcess) -> Iterator[AppProcess]:
    """Yield the app that is not killed. Afterwards it has no call."""
    yield lasting_app
    lasting_app.wait_for_health(lambda health: health["calls"] == 0)


def call_until_reply_is_heard(page: ResumablePage) -> None:
    """Call, and wait until the first words of the reply were heard."""
    page.press_call_button()
    page.wait_for_stage("speaking")
    page.wait_for_messages(2)
    page.wait_until("(t) => caller.now() > t", page.audio_clock_s() + LISTENED_S)


def assert_same_and_cut(shown: list[ShownSpeech], before: list[ShownSpeech], lost_s: float = 1.0) -> None:
    """Assert that the page shows the same messages, with the unheard rest of the reply struck out.

    `lost_s`: seconds of the reply that may count as not heard although they were. A word of it takes 1 s.
    """
    assert before == [ShownSpeech("user", SPOKEN, ""), ShownSpeech("assistant", REPLY, "")]
    asked, answered = shown
    assert asked == before[0]
    assert f"{answered.heard} {answered.unheard}" == REPLY
    heard_s = REPLY_S * len(answered.heard) / len(REPLY)
    assert HEARD_S - lost_s < heard_s < REPLY_S / 2, answered


def test_reload_in_a_reply_keeps_the_bubbles_and_one_press_goes_on(
    app: AppProcess, model: ThreadedRealtimeServer, browser: Browser
) -> None:
    page = ResumablePage(browser, app.url)
    call_until_reply_is_heard(page)
    before = page.messages()
    page.reload()
    page.wait_for_messages(2)
    assert_same_and_cut(page.messages(), before)
    said = page.messages()
    page.wait_until_call_is_offered()
    app.wait_for_health(lambda health: health["calls"] == 0, timeout=60)
    page.page.locator("#voice-resume-call").click()
    page.wait_for_stage("speaking")
    assert not page.is_call_offered()
    assert page.messages()[:2] == said, "the call goes on below what was said"
    assert model.messages_of(1)[:2] == [("user", SPOKEN), ("assistant", said[1].heard)]
    page.hang_up()
    assert not page.errors
    page.close()


@pytest.mark.parametrize("is_hung_up", [True, False], ids=["hung up", "reloaded in the call"])
def test_reloaded_page_asks_for_an_awaited_reply_unless_its_call_was_hung_up(
    app: AppProcess, model: ThreadedRealtimeServer, browser: Browser, is_hung_up: bool
) -> None:
    model.answers = False
    page = ResumablePage(browser, app.url)
    page.press_call_button()
    page.wait_for_stage("thinking")
    page.wait_for_messages(1)
    if is_hung_up:
        page.hang_up()
    page.reload()
    app.wait_for_health(lambda health: health["calls"] == 0, timeout=60)
    model.answers, model.hears_speech = True, False
    page.wait_for_messages(1)
    if is_hung_up:
        page.press_call_button()
    else:
        page.wait_until_call_is_offered()
        page.page.locator("#voice-resume-call").click()
    page.wait_for_stage("listening" if is_hung_up else "speaking")
    assert model.messages_of(1) == [("user", SPOKEN)]
    asked = [event["type"] for event in model.sessions[1]].count("response.create")
    assert asked == (0 if is_hung_up else 1)
    page.hang_up()
    assert not page.errors
    page.close()


@LOST_SERVER_ERRORS
@pytest.mark.parametrize(
    "before_scripts",
    [pytest.param("", id="WebRTC"), pytest.param(NO_UDP_SCRIPT, id="web socket", marks=pytest.mark.long)],
)
def test_killed_app_that_comes_back_resumes_and_dials_again(
    model: ThreadedRealtimeServer, browser: Browser, tmp_path: Path, before_scripts: str
) -> None:
    with running_app(tmp_path / "first.log", **environment(model)) as first:
        first.wait_for_health(lambda health: health["status"] == "ok")
        page = ResumablePage(browser, first.url, before=before_scripts)
        call_until_reply_is_heard(page)
        before = page.messages()
        page.mark_document()
        first.kill()
        page.page.wait_for_selector("html[data-offline]", timeout=NOTICED_WITHIN_S * 1000)
        assert page.status_text().startswith(NO_ANSWER)
        assert page.messages() == before, "what was said stays readable while the server does not answer"
        expect(page.page.locator(".toast-wrap")).to_be_hidden()  # Gradio's own words would cover the head
        assert layout_faults(page.page) == []
        assert page.page.evaluate(WORD_BESIDE_TIMER_JS)
        sent: list[str] = []
        page.page.on("request", lambda request: sent.append(request.url) if "/queue/join" in request.url else None)
        page.wait_until(MICROPHONES_RELEASED_JS)
        expect(page.page.locator("#voice-timer")).to_be_empty()
        page.press_call_button(force=True)
        assert page.microphone_track_states() == [["ended"]], "a call without a server would fail"
        assert sent == [], "a restarted server would show an ended call before the page reloads"
    with running_app(tmp_path / "second.log", PORT=str(first.port), **environment(model)) as second:
        page.wait_until_reloaded()
        page.wait_for_stage("speaking")
        after = page.messages()
        assert_same_and_cut(after[:2], before, lost_s=SAVED_EVERY_S + 1.0)
        assert model.messages_of(1)[:2] == [("user", SPOKEN), ("assistant", after[1].heard)]
        assert not page.is_call_offered()
        second.wait_for_health(lambda health: health["calls"] == 1)
        page.hang_up()
        assert not page.errors
        page.close()
        second.wait_for_health(lambda health: health["calls"] == 0)


@LOST_SERVER_ERRORS
def test_visitor_who_waited_at_a_killed_app_waits_again(
    model: ThreadedRealtimeServer, browser: Browser, tmp_path: Path
) -> None:
    limits = {"MAX_CALLS": "1", "MAX_WAITING": "2", "MAX_CALLS_PER_VISITOR": "0"}
    with running_app(tmp_path / "first.log", **environment(model), **limits) as first:
        first.wait_for_health(lambda health: health["status"] == "ok")
        pages = [ResumablePage(browser, first.url) for _ in range(2)]
        for page, stage in zip(pages, ("speaking", "waiting"), strict=True):
            page.press_call_button()
            page.wait_for_stage(stage)
            page.mark_document()
        first.kill()
    with running_app(tmp_path / "second.log", PORT=str(first.port), **environment(model), **limits) as second:
        for page in pages:
            page.wait_until_reloaded()
            page.wait_for_stage("speaking", "waiting")
        second.wait_for_health(lambda health: health["calls"] == 1)
        waiting = [page for page in pages if page.page.locator('#status [data-stage="waiting"]').count()]
        assert len(waiting) == 1
        for page in pages:
            page.close()
        second.wait_for_health(lambda health: health["calls"] == 0)


def use_no_microphone(page: ResumablePage) -> None:
    page.open_settings("devices")
    page.page.locator("#voice-no-microphone").check()


def use_own_key(page: ResumablePage) -> None:
    page.open_settings("key")
    page.page.locator("#own-key-input input").fill("sk-visitor-canary")
    page.page.locator("#own-key-use").click()
    page.wait_until("() => sessionStorage.getItem('voice-own-key') === 'yes'")


@LOST_SERVER_ERRORS
@pytest.mark.parametrize(
    ("prepare", "reason"),
    [(use_no_microphone, "The call was cut off. What was heard"), (use_own_key, "It used your own key")],
)
def test_call_that_may_stay_silent_or_cost_the_operator_is_offered_only(
    model: ThreadedRealtimeServer,
    browser: Browser,
    tmp_path: Path,
    prepare: Callable[[ResumablePage], None],
    reason: str,
) -> None:
    with running_app(tmp_path / "first.log", **environment(model)) as first:
        first.wait_for_health(lambda health: health["status"] == "ok")
        page = ResumablePage(browser, first.url)
        prepare(page)
        page.press_call_button()
        page.page.wait_for_function("() => JSON.parse(sessionStorage.getItem('voice-call-up'))?.seconds >= 1")
        page.mark_document()
        first.kill()
    with running_app(tmp_path / "second.log", PORT=str(first.port), **environment(model)) as second:
        page.wait_until_reloaded()
        page.wait_until_call_is_offered()
        expect(page.page.locator("#voice-resume")).to_contain_text(reason)
        assert second.health()["calls"] == 0
        page.close()


def test_cut_connection_to_the_same_server_leaves_no_trace(app: AppProcess, browser: Browser) -> None:
    cut: list[WebSocketRoute] = []

    def watch(route: WebSocketRoute) -> None:
        route.connect_to_server()
        cut.append(route)

    page = ResumablePage(browser, app.url)
    page.page.route_web_socket("**/page-connection", watch)
    page.reload()
    page.press_call_button()
    page.wait_for_stage("speaking")
    page.wait_for_messages(2)
    said = page.messages()
    page.mark_document()
    page.page.evaluate(NOTE_OFFLINE_JS)
    cut[0].close()
    page.wait_until("() => window.wasOffline")
    page.page.wait_for_selector("html:not([data-offline])")
    page.wait_for_stage("speaking")
    assert len(cut) == 2 and page.page.evaluate("window.isEarlierDocument"), "the page was not reloaded"
    assert page.messages() == said
    page.hang_up()
    assert not page.errors
    page.close()


def test_killed_browser_goes_on_in_a_new_tab(
    app: AppProcess, model: ThreadedRealtimeServer, playwright: Playwright, page_errors: PageErrors, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"
    page = ResumablePage(launch_with_profile(playwright, profile), app.url)
    call_until_reply_is_heard(page)
    before = page.messages()
    kill_browser_of(profile)
    context = launch_with_profile(playwright, profile)
    page_errors.watch(context)
    page = ResumablePage(context, app.url)
    page.wait_for_messages(2)
    after = page.messages()
    assert_same_and_cut(after, before, lost_s=SAVED_EVERY_S + 1.0)
    page.wait_until_call_is_offered()
    page.page.locator("#voice-resume-call").click()
    page.wait_for_stage("speaking")
    assert page.messages()[:2] == after
    assert model.messages_of(1)[:2] == [("user", SPOKEN), ("assistant", after[1].heard)]
    another = ResumablePage(context, app.url)
    another.wait_for_stage("idle")
    assert another.messages() == [], "another tab is another conversation"
    page.hang_up()
    context.close()


def crash(page: ResumablePage) -> None:
    """Crash the page's process. No event tells the page."""
    with page.page.expect_event("crash"), suppress(PlaywrightError):
        page.page.goto("chrome://crash")


def close(page: ResumablePage) -> None:
    page.page.close()


def crash_unkept(page: ResumablePage) -> None:
    page.open_settings("display")
    page.page.locator("#history-keep").uncheck()
    crash(page)


@pytest.mark.allowed_page_errors("chrome://crash", "ERR_ABORTED")
@pytest.mark.parametrize(
    ("end", "is_continued"), [(crash, True), (close, False), pytest.param(crash_unkept, False, marks=pytest.mark.long)]
)
def test_new_tab_continues_only_a_page_that_ended_without_a_sign(
    app: AppProcess, browser: Browser, end: Callable[[ResumablePage], None], is_continued: bool
) -> None:
    page = ResumablePage(browser, app.url)
    call_until_reply_is_heard(page)
    page.hang_up()
    before = page.messages()
    page.wait_until("() => sessionStorage.getItem('voice-call-up') === null")
    end(page)
    another = ResumablePage(page.context, app.url)
    another.wait_until("() => sessionStorage.getItem('voice-resume')")
    another.wait_for_stage("idle")
    if is_continued:
        another.wait_for_messages(2)
        assert another.messages() == before
        assert not another.is_call_offered(), "the call was hung up"
        another.reload()
        another.wait_for_messages(2)
    else:
        another.wait_until("(t) => caller.now() > t", another.audio_clock_s() + 2.0)
        assert another.messages() == []
    page.context.close()
