"""No errors: a load of the page, and a reload, leave nothing in the browser's console; the check finds each kind."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app.app_process import AppProcess, free_port
from tests.support.browser.page_errors import PageErrors

pytestmark = pytest.mark.beside

BROKEN_PAGES = {
    "console": ("<script>console.error('broken')</script>", "console: broken"),
    "exception": ("<script>throw new Error('broken')</script>", "uncaught exception: .*broken"),
    "rejection": ("<script>Promise.reject(new Error('broken'))</script>", "uncaught exception: .*broken"),
    "missing file": ("<img src='/missing.png'>", "status 404: GET .*/missing.png"),
    "unreachable host": ("<img src='http://127.0.0.1:{port}/x.png'>", "failed request: GET .*ERR_CONNECTION_REFUSED"),
    "policy": (
        "<meta http-equiv='Content-Security-Policy' content=\"script-src 'none'\"><script src='/x.js'></script>",
        "failed request: GET .*/x.js csp",
    ),
    "frame": ("<iframe srcdoc=\"<script>console.error('broken')</script>\"></iframe>", "console: broken"),
}


@pytest.mark.allowed_page_errors("")
@pytest.mark.parametrize("kind", BROKEN_PAGES)
def test_page_errors_find_each_kind(echo_app: AppProcess, browser: Browser, page_errors: PageErrors, kind: str) -> None:
    body, pattern = BROKEN_PAGES[kind]
    page = browser.new_page()
    html = body.replace("{port}", str(free_port()))
    page.route("**/broken", lambda route: route.fulfill(body=f"<!doctype html>{html}", content_type="text/html"))
    page.goto(f"{echo_app.url}/broken")
    page.close()
    assert page_errors.found, "nothing was found"
    assert page_errors.unexpected([pattern]) != page_errors.found, page_errors.found


def test_load_and_reload_have_no_errors_and_ask_no_other_host(
    echo_app: AppProcess, browser: Browser, page_errors: PageErrors
) -> None:
    asked: list[str] = []
    context = browser.new_context()
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    for _ in range(2):  # the second load also ends the first
        page.goto(echo_app.url)
        expect(page.locator('#status [data-stage="idle"]')).to_be_visible()
        page.locator("#text-tab-button").click()
        page.locator("#text-connect").click()  # keeps Gradio's event stream open
        expect(page.locator('#text-status [data-stage="listening"]')).to_be_visible()
    links = page.locator("link[href], script[src], img[src], audio[src]").evaluate_all(
        "(all) => all.map((each) => each.href || each.src)"
    )
    statuses = {url: page.request.get(url).status for url in links if not url.startswith(("data:", "blob:"))}
    context.close()
    assert page_errors.found == []
    assert set(statuses.values()) == {200}, statuses
    assert [url for url in (*asked, *links) if not url.startswith((echo_app.url, "data:", "blob:"))] == []
