"""A call where WebRTC does not get through: it goes on over a web socket, with all that a call is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.hearing import error_rate, recognise
from tests.speech import clip

from .caller import Caller
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
    caller = Caller(browser, app.url, before=CUT)
    call_at.append(caller)
    caller.call()
    asked = caller.now()
    caller.type("My name is Robin.")
    wait_for_whole_reply(caller, asked)
    before = caller.lines()
    assert caller.page.locator(OVER_WEB).count() == 0
    caller.page.evaluate("cutPath()")
    caller.page.wait_for_selector(OVER_WEB)
    assert caller.lines() == before
    assert app.health()["calls"] == 1
    said = caller.say(clip("en", "human", 1).samples)
    wait_for_whole_reply(caller, said.end)
    assert caller.lines()[:2] == before
    assert [line.role for line in caller.lines()] == ["user", "assistant"] * 2
    caller.hang_up()
    freed(app, caller)
