"""A call where WebRTC does not get through: it goes on over a web socket, with all that a call is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.hearing import error_rate, recognise
from tests.speech import clip

from .caller import BUTTON, Caller
from .conftest import App
from .test_call import silent_after_the_cut, wait_for_lines, wait_for_whole_reply

NO_UDP = """(() => {
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer {
    constructor(given) { super({ ...given, iceServers: [], iceTransportPolicy: "relay" }); }
  };
})();"""
"""No path is ever found: only relays are allowed, and there is none."""

CUT = """(() => {
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
"""`cutPath()`: the browser says that the path is lost."""

OVER_WEB = '#status [data-notice="over_web"]'


@pytest.fixture
def call_at(app: App, browser: Browser) -> Iterator[list[Caller]]:
    callers: list[Caller] = []
    yield callers
    for caller in callers:
        errors = caller.errors
        caller.close()
        assert not errors
    app.wait(lambda health: health["calls"] == 0, timeout=10)


def freed(app: App, caller: Caller) -> None:
    caller.until("() => caller.opened().flat().every((state) => state === 'ended')")
    app.wait(lambda health: health["calls"] == 0, timeout=5)


def test_a_call_with_no_way_for_udp(app: App, browser: Browser, call_at: list[Caller]) -> None:
    caller = Caller(browser, app.url, before=NO_UDP)
    call_at.append(caller)
    caller.call()
    caller.page.wait_for_selector(OVER_WEB)
    assert "web connection" in caller.status()
    assert app.health()["calls"] == 1
    # Another microphone in the middle of it: what is said from here on comes through that one.
    caller.page.locator("#voice-devices-drawer button").first.click()
    offered = caller.page.locator("#voice-device-microphone option").evaluate_all("(all) => all.map((o) => o.value)")
    caller.page.locator("#voice-device-microphone").select_option(offered[1])
    caller.until("() => caller.opened().length === 2 && caller.opened()[0].includes('ended')")
    question = clip("en", "human", 1)
    said = caller.say(question.samples)
    end = wait_for_whole_reply(caller, said.end)
    lines = caller.lines()
    assert [line.role for line in lines] == ["user", "assistant"]
    assert error_rate(question.text, lines[0].text) <= 0.34
    assert error_rate(lines[1].text, recognise(caller.ear(said.end, end))) <= 0.34
    assert "waited for you to finish" in caller.page.inner_text("#voice-figures summary")
    caller.until(f"() => !document.querySelector('{OVER_WEB}')")

    caller.type("Please tell me a long story about a lighthouse keeper and his cat, in many sentences.")
    caller.until_loud(caller.now())
    wait_for_lines(caller, "assistant", 2)
    caller.say(clip("en", "human", 0).samples)
    silent_after_the_cut(caller)
    caller.hang_up()
    freed(app, caller)


def test_a_call_whose_path_is_lost_goes_on(app: App, browser: Browser, call_at: list[Caller]) -> None:
    """The reply that is being spoken too: it is the same call."""
    caller = Caller(browser, app.url, before=CUT)
    call_at.append(caller)
    caller.call()
    asked = caller.now()
    caller.type("Please tell me in two sentences what a lighthouse is for.")
    caller.until_loud(asked)
    assert caller.page.locator(OVER_WEB).count() == 0
    caller.page.evaluate("cutPath()")
    caller.page.wait_for_selector(OVER_WEB)
    over = caller.now()
    assert app.health()["calls"] == 1
    caller.until_loud(over, timeout=5)
    end = wait_for_whole_reply(caller, over)
    lines = caller.lines()
    assert [line.role for line in lines] == ["user", "assistant"]
    assert caller.page.locator("#voice-chat .unheard").count() == 0
    assert error_rate(lines[1].text, recognise(caller.ear(asked, end))) <= 0.34
    caller.hang_up()
    freed(app, caller)


def test_whoever_hangs_up_meanwhile_gets_no_call(app: App, browser: Browser, call_at: list[Caller]) -> None:
    caller = Caller(browser, app.url, before=NO_UDP)
    call_at.append(caller)
    opened: list[str] = []
    caller.page.on("websocket", lambda socket: opened.append(socket.url))
    caller.stage("idle", "ended", "failed", timeout=60)
    caller.press()
    caller.page.wait_for_selector(f'{BUTTON} [title="spinner"]', state="attached")
    caller.until("() => caller.peers().length === 1")
    caller.press()
    caller.stage("ended")
    caller.until("(t) => caller.now() > t", caller.now() + 4.0)
    assert opened == []
    assert caller.page.locator(f'{BUTTON} [title="start recording"]').count() == 1
    freed(app, caller)


def test_a_lost_socket_is_made_again_once_and_then_the_call_is_over(
    app: App, browser: Browser, call_at: list[Caller]
) -> None:
    sockets = """(() => {
      const Socket = window.WebSocket;
      window.sockets = [];
      window.WebSocket = class extends Socket { constructor(...a) { super(...a); sockets.push(this); } };
    })();"""
    caller = Caller(browser, app.url, before=NO_UDP + sockets)
    call_at.append(caller)
    caller.call()
    for count in (1, 2):
        caller.until(f"() => window.sockets.filter((s) => s.url.includes('voice-socket')).length === {count}")
        caller.until("() => sockets.at(-1).readyState === 1")
        assert caller.page.evaluate("caller.opened()[0][0]") == "live"
        assert app.health()["calls"] == 1
        caller.page.evaluate("sockets.at(-1).close(4001)")  # the page sees it closed by somebody else
    caller.stage("ended")
    assert "connection was lost" in caller.page.inner_text("#voice-hint")
    freed(app, caller)


CONTEXTS = """(() => {
  const Context = window.AudioContext;
  window.contexts = [];
  window.AudioContext = class extends Context { constructor(...a) { super(...a); contexts.push(this); } };
})();"""


def test_an_interruption_by_the_system_does_not_silence_the_call(
    app: App, browser: Browser, call_at: list[Caller]
) -> None:
    caller = Caller(browser, app.url, before=NO_UDP, after=CONTEXTS)  # those of the page, not the ear's
    call_at.append(caller)
    caller.call()
    caller.page.wait_for_selector(OVER_WEB)
    caller.page.evaluate("Promise.all(contexts.map((each) => each.suspend()))")
    caller.until("() => contexts.some((each) => each.sampleRate === 24000 && each.state === 'running')", timeout=5)
    caller.hang_up()
    caller.until("() => contexts.every((each) => each.state !== 'running')", timeout=5)
    freed(app, caller)
