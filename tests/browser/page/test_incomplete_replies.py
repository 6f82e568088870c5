"""A reply that the server cuts, in the browser: the mark in its bubble, the sentence, and both gone or kept in time."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app.app_process import AppProcess
from tests.support.browser.text_chat_page import TextChatPage

pytestmark = pytest.mark.beside


def test_cut_reply_in_a_chat_is_marked_in_chinese(echo_app: AppProcess, browser: Browser) -> None:
    page = TextChatPage(browser, echo_app.url, locale="zh-TW", tab="文字")
    try:
        page.send_and_await_reply("CUT max_output_tokens 從前從前有一個人")
        mark = page.last_reply.locator(".incomplete")
        expect(mark).to_have_text("[已截斷：達到長度上限]")
        expect(page.page.locator("#text-status")).to_contain_text("到了長度上限就被截斷")
        page.send_and_await_reply("好")
        expect(page.last_reply).to_have_text("好")
        expect(page.page.locator("#text-status")).to_contain_text("已連線")
        expect(mark).to_have_count(0)
        expect(page.page.locator("#text-chat .incomplete")).to_have_count(1)
        assert not page.errors
    finally:
        page.close()


def test_filtered_reply_in_a_call_is_marked_in_english(echo_app: AppProcess, browser: Browser) -> None:
    page = TextChatPage(browser, echo_app.url, tab="Voice")
    try:
        page.start_call()
        page.send_typed_message("CUT content_filter once upon a time")
        mark = page.page.locator("#voice-chat [data-testid=bot] .incomplete")
        expect(mark).to_have_text("[stopped by the content filter]")
        expect(page.page.locator("#status")).to_contain_text("content filter stopped the answer")
        page.hang_up()
        expect(mark).to_have_count(1)
        assert not page.errors
    finally:
        page.close()
