"""Animation frames of a hidden tab: each callback runs once, whether the tab is shown, hidden, or changes meanwhile.

Gradio begins its events in animation frames, so a hidden tab would not begin a call again.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser.page_scripts import HIDDEN_TAB_SCRIPT
from tests.support.paths import ROOT

SCRIPT = ROOT / "voicechat" / "ui" / "static" / "scripts" / "hidden_tab.js"
ASK_JS = "(name) => { window.ran ??= []; return requestAnimationFrame(() => ran.push(name)); }"


@pytest.fixture
def tab(browser: Browser) -> Page:
    """Return a page with nothing but the script."""
    page = browser.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<!doctype html><title>Tab</title>", content_type="text/html"))
    page.add_init_script(HIDDEN_TAB_SCRIPT)
    page.goto("http://tab.example/")
    page.add_script_tag(path=SCRIPT)
    return page


def wait_until_ran(tab: Page, *names: str) -> None:
    """Wait until these callbacks have run, and see that no other did, nor any twice."""
    tab.wait_for_function("(n) => window.ran?.length >= n", arg=len(names), polling=20)
    tab.evaluate(ASK_JS, "last")
    tab.wait_for_function("() => ran.includes('last')", polling=20)
    assert tab.evaluate("ran") == [*names, "last"]


@pytest.mark.parametrize("hidden", [False, True], ids=["shown", "hidden"])
def test_frames_run_once_and_cancelled_ones_do_not(tab: Page, hidden: bool) -> None:
    tab.evaluate("(hidden) => hiddenTab.set(hidden)", hidden)
    cancelled = tab.evaluate(f"() => {{ const id = ({ASK_JS})('cancelled'); cancelAnimationFrame(id); return id; }}")
    assert tab.evaluate(ASK_JS, "first") != cancelled
    tab.evaluate(ASK_JS, "second")
    wait_until_ran(tab, "first", "second")
    tab.context.close()


def test_frame_of_a_tab_that_is_hidden_meanwhile_runs_once(tab: Page) -> None:
    tab.evaluate(f"() => {{ ({ASK_JS})('before'); hiddenTab.set(true); ({ASK_JS})('hidden'); }}")
    tab.wait_for_function("() => window.ran?.length === 2", polling=20)
    tab.evaluate("hiddenTab.set(false)")
    wait_until_ran(tab, "before", "hidden")
    tab.context.close()
