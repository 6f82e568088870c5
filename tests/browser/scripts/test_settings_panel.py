"""Settings panel and large captions (settings_panel.js, captions.css), on a page of its own without a server.

The note on the models is on the page of an app whose embedded server is a script.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.app.app_process import AppProcess, running_app
from tests.support.app.embedded_server import app_command_with_fake_server
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_steps import close_settings, open_settings
from voicechat.ui.i18n import PREFERENCE_MESSAGES, script_texts_by_locale
from voicechat.ui.page import STYLE_FILES
from voicechat.ui.settings_panel.devices import DEVICES_HTML
from voicechat.ui.widgets.chatbox import STATIC_DIR

pytestmark = pytest.mark.beside

CONVERSATION_HTML = """
<div id="voice-chat"><div class="bubble-wrap"><div class="message-wrap">
  <div class="message-row bubble user-row"><div class="message user">
    <span class="prose chatbot md" id="older">The older turn.</span></div></div>
  <div class="message-row bubble bot-row"><div class="message bot">
    <span class="prose chatbot md"><span id="newest">The newest turn,</span>
      <span class="unheard" id="unheard">not heard.</span></span></div></div>
</div></div></div>
"""
CONTRAST_JS = """(id) => {
  const channels = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((each) => {
    const part = each / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const luminance = (colour) => channels(colour).reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = "var(--canvas)";
  const found = [document.getElementById(id), probe].map((each) => luminance(getComputedStyle(each).color));
  probe.remove();
  return (Math.max(...found) + 0.05) / (Math.min(...found) + 0.05);
}"""


@pytest.fixture(params=script_texts_by_locale())
def locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def panel_page(browser: Browser, locale: str) -> Iterator[Page]:
    page = browser.new_page()
    style = "\n".join((STATIC_DIR / "styles" / name).read_text("utf-8") for name in STYLE_FILES)
    texts = script_texts_by_locale()
    table = next(table for name, table in texts.items() if name == locale)
    page.set_content(
        f'<!doctype html><style>{style}</style><div id="settings">{DEVICES_HTML}</div>{CONVERSATION_HTML}'
        f"<script>window.voiceTexts = {json.dumps(table)}; window.voiceAppearance = () => 'auto';</script>"
    )
    for script in ("storage.js", "settings_panel.js"):
        page.add_script_tag(path=str(STATIC_DIR / "scripts" / script))
    yield page
    page.close()


@pytest.mark.parametrize(
    ("element_id", "when"),
    [
        ("voice-device-microphone", "now"),
        ("voice-device-speaker", "now"),
        ("voice-push-to-talk", "now"),
        ("voice-no-microphone", "next_call"),
        ("voice-web-only", "next_call"),
    ],
)
def test_changed_device_says_from_when_it_counts(panel_page: Page, locale: str, element_id: str, when: str) -> None:
    marked = panel_page.locator("[data-counts]")
    expect(marked).to_have_count(0)
    panel_page.locator(f"#{element_id}").dispatch_event("change")
    expect(marked).to_have_count(1)
    expect(marked).to_have_attribute("data-counts", PREFERENCE_MESSAGES[when][locale == "zh-TW"])
    assert marked.evaluate("(e, id) => e.closest('label').contains(document.getElementById(id))", element_id)


def test_only_the_last_change_is_marked(panel_page: Page) -> None:
    panel_page.locator("#voice-web-only").dispatch_event("change")
    panel_page.locator("#voice-device-speaker").dispatch_event("change")
    expect(panel_page.locator("[data-counts]")).to_have_count(1)
    expect(panel_page.locator(".field [data-counts]")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_large_captions_have_high_contrast(panel_page: Page, scheme: str) -> None:
    panel_page.evaluate(
        """(dark) => { document.documentElement.dataset.captions = "on";
      document.documentElement.classList.toggle("dark", dark); }""",
        scheme == "dark",
    )
    contrasts = {name: panel_page.evaluate(CONTRAST_JS, name) for name in ("newest", "older", "unheard")}
    assert contrasts["newest"] >= 14 and contrasts["older"] >= 14, contrasts
    assert contrasts["unheard"] >= 7, contrasts


@pytest.fixture
def status_pipe(tmp_path: Path) -> Path:
    """Return a named pipe for status lines of the embedded server, which ends when the pipe is closed."""
    pipe = tmp_path / "status"
    os.mkfifo(pipe)
    return pipe


@pytest.fixture
def app_with_fake_server(status_pipe: Path, tmp_path: Path) -> Iterator[AppProcess]:
    with running_app(tmp_path / "log.txt", app_command_with_fake_server(status_pipe)) as app:
        app.wait_for_health(lambda health: health["http"] == 200)
        yield app


def test_note_on_the_models_is_up_to_date_when_the_panel_opens(
    app_with_fake_server: AppProcess, status_pipe: Path, browser: Browser
) -> None:
    news = [{"stage": "fetching", "kind": "stt", "percent": 40, "megabytes": 486}]
    visitor = BrowserPage(browser, app_with_fake_server.url, locale="zh-TW")
    page = visitor.page
    visitor.wait_for_stage("idle", timeout=60)
    note = page.locator("#model-note")
    open_settings(page)
    expect(note).to_have_text("由內建的語言模型回答：small。")
    expect(note).to_be_visible()
    expect(page.locator("#model-note-refresh")).to_be_hidden()
    close_settings(page)
    with status_pipe.open("w", buffering=1) as lines:
        lines.write(json.dumps({"upgrade": "Fetching.", "model": "medium", "news": news}) + "\n")
        app_with_fake_server.wait_for_health(lambda health: health["model"] == "medium")
        open_settings(page)
        expect(note.locator("p.note")).to_have_text(
            ["由內建的語言模型回答：medium。", "正在下載更好的語音辨識模型（486 MB），已完成 40%。"]
        )
        boxes = [each.bounding_box() for each in (*note.locator("p.note").all(), page.locator("#wish-speed"))]
    errors = visitor.errors
    visitor.close()
    assert not errors
    edges = [(box["y"], box["y"] + box["height"]) for box in boxes if box is not None]
    assert len(edges) == 3 and all(above[1] <= below[0] for above, below in pairwise(edges)), edges
