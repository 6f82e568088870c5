"""End of Gradio's event stream: Gradio closes it while no event is running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app.app_process import AppProcess
from tests.support.browser.page_steps import choose_option, open_settings
from tests.support.browser.text_chat_page import TextChatPage

pytestmark = pytest.mark.beside

SLOW_STREAM_END_SCRIPT = """
window.delayedEnds = 0;  // streams whose end is held back from the page
{
  const real = window.fetch;
  window.fetch = async (...request) => {
    const answer = await real(...request);
    if (!new Request(...request).url.includes("/queue/data")) return answer;
    const slow = new TransformStream({
      async transform(chunk, controller) {
        if (window.slow && new TextDecoder().decode(chunk).includes("close_stream")) {
          window.delayedEnds += 1;
          await new Promise((done) => setTimeout(done, window.slow));
        }
        controller.enqueue(chunk);
      },
    });
    return new Response(answer.body.pipeThrough(slow), answer);
  };
}
"""


@pytest.fixture
def page(echo_app: AppProcess, browser: Browser) -> Iterator[TextChatPage]:
    page = TextChatPage(browser, echo_app.url, tab="Voice", before=SLOW_STREAM_END_SCRIPT)
    complaints: list[str] = []
    page.page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    assert not page.errors
    assert not complaints, "the page treated the end as a lost connection"
    page.close()


@pytest.mark.parametrize("delay_ms", [1000, 4000])
def test_event_during_the_stream_end_is_answered(page: TextChatPage, delay_ms: int) -> None:
    """The server waits two seconds for the page to read the end; after it, the page opens another stream by itself."""
    open_settings(page.page, "listening")
    settings_status = page.page.locator("#wishes-status")
    choose_option(page, "wish-language", "Mandarin")
    expect(settings_status).to_contain_text("next call")
    page.page.evaluate("delay => { window.slow = delay; }", delay_ms)
    choose_option(page, "wish-language", "English")
    page.wait_until("() => window.delayedEnds === 1")
    page.select_tab("Text")
    page.page.evaluate("window.slow = 0")
    page.send_message("Are you there?")
    expect(page.page.locator("#text-chat [data-testid=bot]")).to_contain_text("Are you there?")
