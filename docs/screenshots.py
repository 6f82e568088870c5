"""The pictures in the READMEs, from the real page in a real browser: `python -m docs.screenshots [en] [zh]`.

In each language a call and a chat are held with the embedded server, by speech clips and by typing; nothing in the
pictures is made up. Fonts are those of the computer: with Noto Sans and Noto Sans CJK the pictures look as on a phone.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.data.speech import load_clip
from tests.support.app.app_process import running_app
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.chromium import launch_chromium
from tests.support.browser.page_geometry import settle
from tests.support.browser.text_chat_page import TextChatPage

PICTURE_DIR = Path(__file__).parent / "pictures"
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
REPLY_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Script:
    """What is said and written in one language."""

    locale: str
    tab_names: tuple[str, str]
    clips: tuple[int, int, int]
    """First question, interruption and last question, as numbers of synthetic clips (tests/data/speech)."""
    typed: str
    """Typed message whose answer is long enough to be interrupted."""
    written: tuple[str, str]
    """Messages of the chat: one asks for a table, one for code."""


SCRIPTS = {
    "en": Script(
        "en-US",
        ("Voice", "Text"),
        (2, 0, 6),
        "Tell me about a lighthouse keeper and his cat in three sentences.",
        (
            "Compare tea and coffee in a Markdown table with three rows.",
            "Write a Python function that tells whether a number is prime, in a code block.",
        ),
    ),
    "zh": Script(
        "zh-TW",
        ("語音", "文字"),
        (9, 2, 16),
        "請用三句話說一個燈塔看守人和貓的故事。",
        ("用 Markdown 表格比較茶和咖啡，三列就好。", "寫一個判斷質數的 Python 函式，放在程式碼區塊裡。"),
    ),
}


def save_picture(page: BrowserPage, name: str, viewport: dict[str, int], scheme: Literal["light", "dark"]) -> None:
    """Save the page as `pictures/<name>.webp`."""
    page.page.emulate_media(color_scheme=scheme)
    page.page.set_viewport_size({"width": viewport["width"], "height": viewport["height"]})
    settle(page.page)
    image = Image.open(io.BytesIO(page.page.screenshot()))
    PICTURE_DIR.mkdir(exist_ok=True)
    image.save(PICTURE_DIR / f"{name}.webp", quality=86, method=6)


def capture_call(browser: Browser, url: str, language: str, script: Script) -> None:
    """A spoken question, a typed one whose answer is interrupted by speech, and one more being answered."""
    caller = BrowserPage(browser, url, locale=script.locale)
    caller.wait_for_stage("idle", timeout=REPLY_TIMEOUT_S)
    save_picture(caller, f"first-visit-{language}", LAPTOP, "light")
    caller.start_call()
    first, interruption, last = (load_clip(language, "synthetic", number).samples for number in script.clips)
    said = caller.play_speech(first)
    caller.wait_until_loud(said.end_s, timeout=REPLY_TIMEOUT_S)
    caller.wait_for_stage("listening", timeout=REPLY_TIMEOUT_S)
    caller.send_typed_message(script.typed)
    caller.wait_until_loud(caller.audio_clock_s(), timeout=REPLY_TIMEOUT_S)
    caller.wait_until("(t) => caller.now() > t", caller.audio_clock_s() + 3)
    said = caller.play_speech(interruption)
    caller.wait_until_loud(said.end_s, timeout=REPLY_TIMEOUT_S)
    caller.wait_for_stage("listening", timeout=REPLY_TIMEOUT_S)
    caller.play_speech(last)
    caller.wait_for_stage("speaking", timeout=REPLY_TIMEOUT_S)
    caller.wait_until("(t) => caller.now() > t", caller.audio_clock_s() + 1)
    save_picture(caller, f"call-{language}", LAPTOP, "light")
    save_picture(caller, f"call-phone-{language}", PHONE, "dark")
    caller.hang_up()
    caller.close()


def capture_chat(browser: Browser, url: str, language: str, script: Script) -> None:
    """A table and a piece of code."""
    typist = TextChatPage(browser, url, locale=script.locale, tab=script.tab_names[1])
    for message in script.written:
        typist.send_and_await_reply(message, timeout=REPLY_TIMEOUT_S)
    save_picture(typist, f"chat-{language}", LAPTOP, "dark")
    save_picture(typist, f"chat-phone-{language}", PHONE, "light")
    typist.close()


def main(languages: Sequence[str]) -> None:
    """Make the pictures of these languages ("en", "zh")."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(Path(folder) / "log.txt") as app,
        sync_playwright() as playwright,
    ):
        app.wait_for_health(lambda health: health["http"] == 200, timeout=120)
        browser = launch_chromium(playwright)
        for language in languages:
            capture_call(browser, app.url, language, SCRIPTS[language])
            capture_chat(browser, app.url, language, SCRIPTS[language])


if __name__ == "__main__":
    main(sys.argv[1:] or list(SCRIPTS))
