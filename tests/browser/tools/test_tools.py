"""Tool calls on the page: chips in the conversation, the approval bar, the switches in the settings panel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.app.app_process import AppProcess, running_app
from tests.support.browser.axe import assert_no_axe_findings
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_geometry import layout_faults, settle
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.realtime.scripted.scripted_call_server import ScriptedCallServer

pytestmark = pytest.mark.beside

TOOLS_FILE = '''
import asyncio
from voicechat.tools.python import tool

@tool(titles={"en": "Weather", "zh": "查天氣"}, read_only=True)
def weather(place: str) -> str:
    """Return the weather of a place."""
    return f"24 °C in <b>{place}</b>\\n\\nand **dry** $$x$$"

@tool(titles={"en": "Search", "zh": "搜尋"}, read_only=True, timeout_s=20)
async def search(words: str) -> str:
    """Search for a long time."""
    await asyncio.sleep(3600)
    return ""

@tool(titles={"en": "Send a message", "zh": "傳送訊息"}, approval="ask")
def send_message(to: str, text: str) -> str:
    """Send a message."""
    return f"Sent to {to}."
'''
LONG_TEXT = "Meet me at the station, at the second exit, at eight. " * 20
CHIP = "#voice-chat details.tool-call"
BAR = "#voice-approval .approval"
ROW_KINDS_JS = """(rows) => rows.map((row) => row.querySelector(".tool-call") ? "tool"
  : row.querySelector("[data-testid=user]") ? "user" : "bot")"""
SIZES = ((1280, 800), (390, 844), (360, 740))

PRESS_AT_ONCE_JS = """() => new MutationObserver((_, observer) => {
    const allow = document.querySelector(".approval [data-decision=allow]");
    if (!allow) return;
    observer.disconnect();
    window.pressedAtOnce = allow.disabled;
    allow.dispatchEvent(new MouseEvent("click", { bubbles: true }));
}).observe(document, { childList: true, subtree: true })"""


@pytest.fixture(scope="module")
def tools_server() -> Iterator[ScriptedCallServer]:
    with ScriptedCallServer().running() as server:
        yield server


@pytest.fixture(scope="module")
def tools_app(tools_server: ScriptedCallServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """Yield an app with an operator's tools, and a server whose replies are as the test says."""
    folder = tmp_path_factory.mktemp("tools")
    tools: Path = folder / "tools.py"
    tools.write_text(TOOLS_FILE, encoding="utf-8")
    with running_app(folder / "log.txt", REALTIME_URL=tools_server.url, TOOLS=str(tools), TOOL_SECONDS="20") as app:
        app.wait_for_health(lambda health: health["http"] == 200)
        yield app
        assert "Traceback" not in (folder / "log.txt").read_text()


@pytest.fixture
def caller(tools_app: AppProcess, tools_server: ScriptedCallServer, browser: Browser) -> Iterator[BrowserPage]:
    """Yield a page in a call."""
    page = BrowserPage(browser, tools_app.url, size=(1280, 800))
    page.start_call()
    tools_server.wait_until_connected()
    yield page
    assert not page.errors
    page.close()
    tools_app.wait_for_health(lambda health: health["calls"] == 0)


def ask(caller: BrowserPage, server: ScriptedCallServer, words: str) -> None:
    """Type a message and wait until the server is asked for a reply."""
    asked = server.count("response.create")
    caller.send_typed_message(words)
    server.wait_for("response.create", asked + 1)


def focused(page: Page) -> str:
    """Return the classes or the id of what has the focus."""
    return str(page.evaluate("document.activeElement.className || document.activeElement.id"))


def test_chip_shows_a_call_between_the_bubbles(caller: BrowserPage, tools_server: ScriptedCallServer) -> None:
    ask(caller, tools_server, "Will it rain?")
    asked = tools_server.count("response.create")
    tools_server.call_tool("weather", {"place": "Taipei"})
    chip = caller.page.locator(f"{CHIP}.done")
    expect(chip.locator(".tool-title")).to_have_text("Weather")
    expect(chip.locator(".tool-outcome")).to_have_text("done")
    expect(chip.locator(".tool-seconds")).to_have_text(re.compile(r"^\d+(\.\d)? s$"))
    tools_server.wait_for("response.create", asked + 1)
    chip.locator("summary").click()
    details = chip.locator("dd")
    expect(details).to_have_text(["place: Taipei", "24 °C in <b>Taipei</b>\n\nand **dry** $$x$$"], use_inner_text=True)
    tools_server.grow_reply(30, per_second=40)
    caller.wait_for_stage("listening")
    assert chip.get_attribute("open") is not None, "a growing reply closes no chip"
    order = caller.page.locator("#voice-chat .message-row").evaluate_all(ROW_KINDS_JS)
    assert order == ["user", "tool", "bot"]
    for width, height in SIZES:
        caller.page.set_viewport_size({"width": width, "height": height})
        settle(caller.page)
        assert layout_faults(caller.page, CALL_BUTTON) == [], (width, height)
    assert_no_axe_findings(caller.page, "chip")
    said = caller.page.locator("#read-aloud p").all_text_contents()
    assert [words for words in said if words.startswith("Weather")][-1] == "Weather, done"

    caller.hang_up()
    caller.wait_until(
        "() => JSON.parse(sessionStorage.getItem('voice-history-copy') ?? '{}')?.voice?.items.length === 3"
    )
    caller.page.reload()
    expect(caller.page.locator(f"{CHIP}.done .tool-title")).to_have_text("Weather")


def test_running_call_can_be_cancelled(caller: BrowserPage, tools_server: ScriptedCallServer) -> None:
    ask(caller, tools_server, "Look it up.")
    tools_server.call_tool("search", {"words": "trails"})
    expect(caller.page.locator(f"{CHIP}.running .tool-outcome")).to_have_text("running")
    caller.page.locator("#voice-chat .tool-cancel").click()
    expect(caller.page.locator(f"{CHIP}.cancelled .tool-outcome")).to_have_text("cancelled")
    expect(caller.page.locator("#voice-chat .tool-cancel")).to_have_count(0)


def test_approval_bar_takes_the_focus_covers_nothing_and_allows(
    caller: BrowserPage, tools_server: ScriptedCallServer
) -> None:
    ask(caller, tools_server, "Write to Anna.")
    tools_server.call_tool("send_message", {"to": "Anna", "text": LONG_TEXT})
    bar = caller.page.locator(BAR)
    expect(bar).to_have_attribute("role", "alertdialog")
    expect(bar.locator("h2")).to_have_text("Allow “Send a message”?")
    expect(bar.locator("dd")).to_have_text(["Anna", LONG_TEXT])
    caller.wait_until("() => document.activeElement.matches('.approval')")
    for width, height in SIZES:
        caller.page.set_viewport_size({"width": width, "height": height})
        settle(caller.page)
        faults = layout_faults(caller.page, CALL_BUTTON, f"{BAR} [data-decision=allow]", "#voice-input textarea")
        assert faults == [], (width, height)
    assert_no_axe_findings(caller.page, "approval bar")
    caller.page.keyboard.press("Tab")
    assert "approval-arguments" in focused(caller.page)
    caller.page.keyboard.press("Tab")
    assert caller.page.evaluate("document.activeElement.dataset.decision") == "refuse"
    bar.locator("[data-decision=allow]").click()
    expect(caller.page.locator(f"{CHIP}.done .tool-title")).to_have_text("Send a message")
    expect(bar).to_have_count(0)
    caller.wait_until("() => document.activeElement.matches('#voice-input textarea')")


def test_press_on_a_bar_that_has_just_appeared_decides_nothing(
    caller: BrowserPage, tools_server: ScriptedCallServer
) -> None:
    ask(caller, tools_server, "Write to Anna.")
    caller.page.evaluate(PRESS_AT_ONCE_JS)
    tools_server.call_tool("send_message", {"to": "Anna", "text": "Hello"})
    caller.wait_until("() => window.pressedAtOnce !== undefined")
    allow = caller.page.locator(f"{BAR} [data-decision=allow]")
    assert caller.page.evaluate("window.pressedAtOnce"), "the button was disabled"
    expect(allow).to_be_enabled()
    assert caller.page.locator(BAR).get_attribute("data-decided") is None, "the press was meant for something else"
    allow.click()
    expect(caller.page.locator(f"{CHIP}.done .tool-title")).to_have_text("Send a message")


def test_escape_refuses_and_no_key_while_writing_decides(caller: BrowserPage, tools_server: ScriptedCallServer) -> None:
    ask(caller, tools_server, "Write to Anna.")
    caller.page.locator("#voice-input textarea").press_sequentially("and then", delay=10)
    tools_server.call_tool("send_message", {"to": "Anna", "text": "Hello"})
    expect(caller.page.locator(BAR)).to_be_visible()
    caller.page.keyboard.type(" more")
    expect(caller.page.locator("#voice-input textarea")).to_have_value("and then more")
    caller.wait_until("() => document.activeElement.matches('.approval')")
    caller.page.keyboard.press("Enter")
    caller.page.keyboard.press("Escape")
    expect(caller.page.locator(f"{CHIP}.refused .tool-outcome")).to_have_text("refused")
    expect(caller.page.locator(BAR)).to_have_count(0)
    assert caller.page.evaluate("document.documentElement.dataset.call") == "live"


def test_tool_that_is_switched_off_is_not_offered(caller: BrowserPage, tools_server: ScriptedCallServer) -> None:
    caller.open_settings("tools")
    switches = caller.page.locator("#wish-tools label")
    expect(switches).to_have_text(["Weather", "Search", "Send a message · asks you first"])
    updates = tools_server.count("session.update")
    switches.filter(has_text="Search").locator("input").click()
    update = tools_server.wait_for("session.update", updates + 1)
    assert [each["name"] for each in update["session"]["tools"]] == ["weather", "send_message"]
    expect(caller.page.locator("#settings [data-counts]")).to_have_attribute("data-counts", "from the next answer on")
    caller.page.reload()
    caller.open_settings("tools")
    expect(caller.page.locator("#wish-tools input:checked")).to_have_count(2)
