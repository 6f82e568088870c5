"""Call and chat of one visitor at the same time, with the models of the embedded server."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.data.speech import load_clip
from tests.support.app.app_process import AppProcess
from tests.support.browser.text_chat_page import TextChatPage


def test_concurrent_call_and_chat_with_real_models(app: AppProcess, browser: Browser) -> None:
    """Embedded server, which generates one reply at a time, and human speech."""
    visitor = TextChatPage(browser, app.url)
    try:
        visitor.send_and_await_reply("My secret number is 40. Please say hello.")
        visitor.select_tab("Voice")
        visitor.start_call()
        assert (app.health()["calls"], app.health()["chats"]) == (1, 1)
        visitor.play_speech(load_clip("en", "human", 1).samples)
        visitor.wait_until("() => document.querySelector('#voice-chat [data-testid=bot]')?.innerText.length > 1")
        visitor.select_tab("Text")
        visitor.wait_for_chat_stage("listening")
        visitor.send_and_await_reply("And now say goodbye, please.")  # while the call speaks
        written = [message.text for message in visitor.chat_messages()]
        assert len(written) == 4
        assert not any("secret" in message.text or message.text in written for message in visitor.voice_messages())
    finally:
        visitor.close()
    app.wait_for_health(lambda health: health["calls"] == 0 and health["chats"] == 0, timeout=30)
    assert "secret" not in app.log_path.read_text()
