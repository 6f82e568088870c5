"""Password login, and requests from a foreign web page, in a real browser."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.app.app_process import AppProcess, running_app
from tests.support.browser.browser_page import BrowserPage
from tests.support.realtime.fake_echo_server import running_echo_server

pytestmark = pytest.mark.beside

PASSWORD = "正確 horse battery"


@pytest.fixture(scope="module")
def password_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """Yield an app with a password that uses the echo server."""
    log = tmp_path_factory.mktemp("locked") / "log.txt"
    with running_echo_server() as echo, running_app(log, REALTIME_URL=echo.url, APP_PASSWORD=PASSWORD) as app:
        app.wait_for_health(lambda health: health["http"] == 200)
        yield app
        log_text = log.read_text()
        assert "Traceback" not in log_text and "horse" not in log_text, log_text[-4000:]


@pytest.mark.allowed_page_errors("status 401: (GET http://[^/]*/|POST http://[^/]*/login)$", "console: .*status of 401")
def test_login_then_call_without_policy_violations(password_app: AppProcess, browser: Browser) -> None:
    context = browser.new_context(locale="zh-TW")
    page = context.new_page()
    page.goto(password_app.url)
    assert page.title() == "Realtime Voice Chat"
    assert page.locator("#why").inner_text() == "這個網頁需要密碼。"
    page.keyboard.type("wrong horse")  # the field has the focus
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="密碼不對。").wait_for()
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="登入").click()
    page.locator("#voice-call").wait_for()
    cookies = context.cookies()
    context.close()

    caller = BrowserPage(browser, password_app.url, cookies=cookies)
    caller.start_call()
    caller.send_typed_message("hello")
    caller.page.locator("#voice-chat [data-testid=bot]").first.wait_for()
    caller.hang_up()
    assert not caller.errors
    caller.close()
    password_app.wait_for_health(lambda health: health["calls"] == 0)


FOREIGN_PAGE_HTML = """<!doctype html><script>
window.outcomes = (async (url) => {
  const socket = (path) => new Promise((done) => {
    const made = new WebSocket(url.replace("http", "ws") + path);
    made.onopen = () => done("open"); made.onerror = () => done("refused");
  });
  const fetched = async (path, given) => {
    try { const answer = await fetch(url + path, { credentials: "include", ...given }); return answer.status; }
    catch { return "refused"; }
  };
  return {
    voice: await socket("/realtime-voice"), text: await socket("/text-chat"), v1: await socket("/v1/realtime"),
    config: await fetched("/config"), check: await fetched("/udp-check"),
    join: await fetched("/gradio_api/queue/join", { method: "POST", body: "{}" }),
    offer: await fetched("/gradio_api/component_server/", { method: "POST", body: "{}" }),
  };
})(new URLSearchParams(location.search).get("url"));
</script>"""


@pytest.fixture(scope="module")
def foreign_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of another web site."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "index.html").write_text(FOREIGN_PAGE_HTML)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given: object) -> None:
            super().__init__(*given, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.allowed_page_errors("")  # it provokes refusals of every kind
def test_foreign_page_is_refused_everything(echo_app: AppProcess, browser: Browser, foreign_site: str) -> None:
    page = browser.new_page()
    page.goto(echo_app.url)  # so that the browser has a cookie for the app
    page.goto(f"{foreign_site}/?url={echo_app.url}")
    outcome = page.evaluate("() => window.outcomes")
    assert set(map(str, outcome.values())) <= {"refused", "403"}, outcome
    page.close()
    assert echo_app.health()["calls"] == echo_app.health()["chats"] == 0
