"""Page at rest: it draws no frames, so that it takes no processor time and no battery."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.support.app.app_process import AppProcess

pytestmark = pytest.mark.beside

COUNT_FRAMES = """(() => {
  const next = window.requestAnimationFrame.bind(window);
  window.framesAsked = 0;
  window.requestAnimationFrame = (draw) => { window.framesAsked++; return next(draw); };
})();"""
AT_REST = "() => document.getAnimations().every((each) => each.playState === 'finished')"
SECOND_PASSED = "(begin) => performance.now() > begin + 1000"


def test_idle_page_ends_its_animations_and_asks_for_no_frames(echo_app: AppProcess, browser: Browser) -> None:
    page = browser.new_page()
    try:
        page.add_init_script(COUNT_FRAMES)
        page.goto(echo_app.url, wait_until="domcontentloaded")
        page.wait_for_selector('#status [data-stage="idle"]')
        page.wait_for_function(AT_REST, polling=100)
        before, begin = page.evaluate("[window.framesAsked, performance.now()]")
        page.wait_for_function(SECOND_PASSED, arg=begin, polling=100)  # polling by frames would ask for some
        assert before > 0, "the counter is not in place"
        assert page.evaluate("window.framesAsked") <= before + 2
    finally:
        page.close()
