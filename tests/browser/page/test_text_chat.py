"""Text tab in a real browser: typing, rendering, settings and the separation of sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app.app_process import OPERATOR_KEY, AppProcess
from tests.support.browser.page_steps import choose_option, open_settings
from tests.support.browser.text_chat_page import TextChatPage
from tests.support.realtime.fake_echo_server import EchoRealtimeServer

pytestmark = pytest.mark.beside


@pytest.fixture
def open_chat(echo_app: AppProcess, browser: Browser) -> Iterator[Callable[..., TextChatPage]]:
    """Yield a function that opens pages of the echo app."""
    open_pages: list[TextChatPage] = []

    def visit(**options: str) -> TextChatPage:
        open_pages.append(TextChatPage(browser, echo_app.url, **options))
        return open_pages[-1]

    yield visit
    errors = [error for page in open_pages for error in page.errors]
    for page in open_pages:
        page.close()
    assert not errors


MARKDOWN = """# A heading

**Bold** and *slanted*, a [link](https://example.com/a?b=1).

- one
- two

1. first
2. second

| fruit | colour |
|---|---|
| plum | blue |

```python
def hello() -> str:
    return "hi"
```"""


def test_markdown_is_rendered(open_chat: Callable[..., TextChatPage]) -> None:
    page = open_chat()
    page.send_and_await_reply(MARKDOWN)
    answer = page.last_reply
    expect(answer.locator("h1")).to_have_text("A heading")
    expect(answer.locator("strong")).to_have_text("Bold")
    expect(answer.locator("ul li")).to_have_text(["one", "two"])
    expect(answer.locator("ol li")).to_have_text(["first", "second"])
    expect(answer.locator("td")).to_have_text(["plum", "blue"])
    expect(answer.locator("code.language-python .token.keyword").first).to_have_text("def")
    link = answer.locator("a")
    assert link.get_attribute("href") == "https://example.com/a?b=1"
    assert link.get_attribute("target") == "_blank"
    assert {"noopener", "noreferrer"} <= set((link.get_attribute("rel") or "").split())
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answer.locator("button.copy_code_button").click()
    assert page.page.evaluate("navigator.clipboard.readText()") == 'def hello() -> str:\n    return "hi"'
    # The visitor's text is shown literally, with its line breaks.
    assert page.chat_messages()[0].text.split("\n")[:3] == [
        "# A heading",
        "",
        "**Bold** and *slanted*, a [link](https://example.com/a?b=1).",
    ]


def test_a_nested_list_stays_nested(open_chat: Callable[..., TextChatPage]) -> None:
    page = open_chat()
    page.send_and_await_reply("- a\n  - b\n  - c")
    expect(page.last_reply.locator("ul ul li")).to_have_text(["b", "c"])


def test_messages_never_flicker(open_chat: Callable[..., TextChatPage]) -> None:
    page = open_chat()
    for number in range(6):
        page.send_and_await_reply(f"message {number}")
    assert page.message_count_drops() == []


ATTACKS = [
    "<script>window.hacked = 1</script>",
    '<img src="x" onerror="window.hacked = 2">',
    "<svg onload='window.hacked = 3'></svg>",
    "[click](javascript:window.hacked=4)",
    '<a href="javascript:window.hacked=5">click</a>',
    "<iframe srcdoc='<script>parent.hacked = 6</script>'></iframe>",
    "![x](http://127.0.0.1:9/spy.png)",
    "<style>body { display: none }</style>",
    '```html\n<img src=x onerror="window.hacked = 7">\n```',
    "`<img src=x onerror='window.hacked = 8'>`",
    '[x](https://a.b "><img src=x onerror=window.hacked=9>")',
    "\\`<img src='http://127.0.0.1:9/spy.png'>\\`",
    "Use ``` to open. <img src='http://127.0.0.1:9/spy.png'>",
    "| a |\n|---|\n| `a | <img src='http://127.0.0.1:9/spy.png'> |",
    "- a\n  ```\n<img src='http://127.0.0.1:9/spy.png'>\n  ```",
    "[a]:\n```\n<img src='http://127.0.0.1:9/spy.png'>\n```",
    "`<div style='position:fixed;inset:0;background:red;z-index:9999'>x</div>",
    "$$\\href{javascript:window.hacked=10}{x}$$",
]


def test_model_text_runs_no_script(open_chat: Callable[..., TextChatPage]) -> None:
    page = open_chat()
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    for attack in ATTACKS:
        page.send_and_await_reply(attack)
    for link in page.page.locator("#text-chat [data-testid=bot] a").all():
        assert not (link.get_attribute("href") or "").lower().startswith("javascript:")
    assert (
        page.page.locator("#text-chat").locator("[data-testid] :is(script, iframe, style, img[onerror])").count() == 0
    )
    assert page.page.evaluate("window.hacked") is None
    assert page.page.locator("body").is_visible()
    assert not any("spy.png" in url for url in asked)


def test_enter_sends_and_shift_enter_adds_a_line(
    open_chat: Callable[..., TextChatPage], echo_server: EchoRealtimeServer
) -> None:
    page = open_chat()
    page.send_message("first line\n  second line\n\nlast")
    page.wait_until("() => document.querySelectorAll('#text-chat [data-testid]').length >= 2")
    sent = echo_server.received_of("conversation.item.create")[-1]["item"]["content"][0]["text"]
    assert sent == "first line\n  second line\n\nlast"
    assert [line.strip("\u00a0 ") for line in page.chat_messages()[0].text.split("\n")] == [
        "first line",
        "second line",
        "",
        "last",
    ]
    assert page.message_box.input_value() == ""
    expect(page.page.locator("#text-figures .money")).to_contain_text("Cost unknown")


def test_double_enter_sends_once_and_keeps_the_next_text(open_chat: Callable[..., TextChatPage]) -> None:
    page = open_chat()
    page.connect_chat()
    page.send_over_slow_network("first", meanwhile="second")
    page.wait_until("() => document.querySelectorAll('#text-chat [data-testid]').length >= 2")
    page.wait_for_chat_stage("listening")
    assert page.message_box.input_value() == "second"
    page.page.keyboard.press("Enter")
    page.wait_until("() => document.querySelectorAll('#text-chat [data-testid]').length >= 4")
    page.wait_for_chat_stage("listening")
    assert [message.text for message in page.chat_messages()] == ["first", "first", "second", "second"]
    assert page.message_box.input_value() == ""


def test_too_long_message_returns_to_the_box(open_chat: Callable[..., TextChatPage]) -> None:
    page = open_chat()
    page.connect_chat()
    page.send_message("x" * 4001)
    page.page.wait_for_selector('#text-status [data-notice="message_too_long"]')
    expect(page.message_box).to_have_value("x" * 4001)


def test_stop_ends_the_reply_and_the_chat_continues(
    open_chat: Callable[..., TextChatPage], echo_server: EchoRealtimeServer
) -> None:
    page = open_chat()
    echo_server.release_reply.clear()
    stop = page.page.locator("#text-stop")
    expect(stop).to_be_disabled()
    page.send_message("WAIT and see what comes after")
    page.wait_for_chat_stage("thinking")
    page.wait_until("() => document.querySelector('#text-chat [data-testid=bot]')?.innerText.includes('WAIT')")
    cancelled = len(echo_server.received_of("response.cancel"))
    stop.click()
    echo_server.wait_for("response.cancel", cancelled + 1)
    page.wait_for_chat_stage("listening")
    echo_server.release_reply.set()
    assert page.send_and_await_reply("again") == "again"
    assert page.chat_messages()[1].text == "WAIT and see w"


def test_clear_empties_the_page_and_the_server(
    open_chat: Callable[..., TextChatPage], echo_server: EchoRealtimeServer
) -> None:
    page = open_chat()
    page.send_and_await_reply("to be forgotten")
    deleted = len(echo_server.received_of("conversation.item.delete"))
    page.page.locator("#text-clear").click()
    echo_server.wait_for("conversation.item.delete", deleted + 2)
    page.wait_until("() => !document.querySelector('#text-chat [data-testid]')")
    assert page.send_and_await_reply("new") == "new"
    assert [message.text for message in page.chat_messages()] == ["new", "new"]


def test_reconnect_sends_the_history_again(
    open_chat: Callable[..., TextChatPage], echo_server: EchoRealtimeServer
) -> None:
    page = open_chat()
    page.connect_chat()
    page.send_and_await_reply("remember me")
    page.page.locator("#text-connect").click()
    page.wait_for_chat_stage("ended")
    item_count = len(echo_server.received_of("conversation.item.create"))
    page.connect_chat()
    again = [event["item"] for event in echo_server.wait_for("conversation.item.create", item_count + 2)[item_count:]]
    assert [(item["role"], item["content"][0]["text"]) for item in again] == [
        ("user", "remember me"),
        ("assistant", "remember me"),
    ]
    assert len(page.chat_messages()) == 2


def test_each_page_has_its_own_session(open_chat: Callable[..., TextChatPage]) -> None:
    one, two = open_chat(), open_chat()
    one.send_and_await_reply("only mine")
    two.send_and_await_reply("only theirs")
    assert [message.text for message in one.chat_messages()] == ["only mine"] * 2
    assert [message.text for message in two.chat_messages()] == ["only theirs"] * 2
    one.page.reload()
    one.page.wait_for_selector("#text-status, #voice-call")
    one.select_tab("Text")
    one.wait_for_chat_stage("idle")
    expect(one.page.locator("#text-chat [data-testid]")).to_have_count(2)  # a reloaded page goes on
    assert [message.text for message in one.chat_messages()] == ["only mine"] * 2


def test_text_tab_in_the_visitors_language(open_chat: Callable[..., TextChatPage]) -> None:
    page = open_chat(locale="zh-TW", tab="文字")
    page.wait_for_chat_stage("idle")
    assert "尚未連線" in page.chat_status_text()
    assert page.page.locator("#text-connect").inner_text() == "連線"
    page.connect_chat()
    assert page.page.locator("#text-connect").inner_text() == "中斷連線"


def test_own_key_is_used_and_not_shown(open_chat: Callable[..., TextChatPage], echo_server: EchoRealtimeServer) -> None:
    page, other = open_chat(), open_chat()
    open_settings(page.page, "key")
    key = page.page.locator("#own-key-input input")
    key.fill("  sk-visitor-canary\n")
    page.page.locator("#own-key-use").click()
    expect(page.page.locator("#own-key-status")).to_contain_text("Your key is used")
    expect(key).to_have_value("")
    expect(page.page.locator("#text-status .server")).to_have_text("Custom (own key)")
    page.send_and_await_reply("mine")
    assert echo_server.authorizations[-1] == "Bearer sk-visitor-canary"
    other.send_and_await_reply("theirs")
    assert echo_server.authorizations[-1] == f"Bearer {OPERATOR_KEY}"
    assert "canary" not in page.page.content()
    page.page.locator("#text-connect").click()
    page.wait_for_chat_stage("ended")
    page.page.locator("#own-key-forget").click()
    expect(page.page.locator("#own-key-status")).to_contain_text("Your own key is not in use")
    page.send_and_await_reply("again")
    assert echo_server.authorizations[-1] == f"Bearer {OPERATOR_KEY}"


def test_status_bar_names_the_key_of_the_current_connection(
    open_chat: Callable[..., TextChatPage], echo_server: EchoRealtimeServer
) -> None:
    page = open_chat()
    page.send_and_await_reply("on the operator's key")
    open_settings(page.page, "key")
    page.page.locator("#own-key-input input").fill("sk-visitor-canary")
    page.page.locator("#own-key-use").click()
    expect(page.page.locator("#own-key-status")).to_contain_text("Your key is used")
    page.send_and_await_reply("still on the operator's")
    assert echo_server.authorizations[-1] == f"Bearer {OPERATOR_KEY}"
    expect(page.page.locator("#text-status .server")).to_have_text("Custom")
    page.page.locator("#text-connect").click()
    page.wait_for_chat_stage("ended")
    page.connect_chat()
    assert echo_server.authorizations[-1] == "Bearer sk-visitor-canary"
    expect(page.page.locator("#text-status .server")).to_have_text("Custom (own key)")


def test_concurrent_calls_and_chats_of_two_visitors(
    echo_app: AppProcess, open_chat: Callable[..., TextChatPage]
) -> None:
    visitors = [open_chat(), open_chat()]
    for number, visitor in enumerate(visitors):
        assert visitor.send_and_await_reply(f"written {number}") == f"written {number}"
        visitor.select_tab("Voice")
        visitor.start_call()
    assert (echo_app.health()["calls"], echo_app.health()["chats"]) == (2, 2)
    for number, visitor in enumerate(visitors):
        visitor.send_typed_message(f"spoken {number}")
    for number, visitor in enumerate(visitors):
        visitor.wait_until("() => document.querySelectorAll('#voice-chat [data-testid=bot]').length === 1")
        visitor.wait_for_stage("listening")
        assert [message.text for message in visitor.voice_messages()] == [f"spoken {number}"] * 2
        visitor.select_tab("Text")
        visitor.wait_for_chat_stage("listening")  # undisturbed by the call and by the other visitor
        assert visitor.send_and_await_reply(f"again {number}") == f"again {number}"
        assert [message.text for message in visitor.chat_messages()] == [f"written {number}"] * 2 + [
            f"again {number}"
        ] * 2


def test_preferences_reach_a_running_call_and_show_their_effect(
    open_chat: Callable[..., TextChatPage], echo_server: EchoRealtimeServer
) -> None:
    page = open_chat(tab="Voice")
    open_settings(page.page, "voice", "listening", "persona")
    settings_status = page.page.locator("#wishes-status")
    choose_option(page, "wish-language", "Mandarin")
    expect(settings_status).to_contain_text("next call")
    page.start_call()
    updates = len(echo_server.received_of("session.update"))
    opened = echo_server.received_of("session.update")[-1]["session"]
    assert opened["audio"]["input"]["transcription"]["language"] == "zh"
    choose_option(page, "wish-pace", "Patient")
    expect(settings_status).to_contain_text("from now on")
    update = echo_server.wait_for("session.update", updates + 1)[-1]["session"]
    assert update["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 800
    assert "output" not in update["audio"] and "instructions" not in update
    page.page.locator("#wish-words textarea").fill("Be a pirate.")
    page.page.locator("#wish-words textarea").blur()
    expect(settings_status).to_contain_text("next answer")
    assert echo_server.wait_for("session.update", updates + 2)[-1]["session"]["instructions"] == "Be a pirate."
    choose_option(page, "wish-model", "the-better")
    expect(page.page.locator("#wishes-status")).to_contain_text("next call")
    choose_option(page, "wish-voice", "marin")
    expect(settings_status).to_contain_text("next call")
    assert len(echo_server.received_of("session.update")) == updates + 2, (
        "a session that may have spoken keeps its voice"
    )
    page.hang_up()
    page.start_call()
    assert echo_server.received_of("session.update")[-1]["session"]["audio"]["output"]["voice"] == "marin"
    page.hang_up()


def test_whole_phrases_are_announced_once(
    open_chat: Callable[..., TextChatPage], echo_server: EchoRealtimeServer
) -> None:
    page = open_chat()
    echo_server.release_reply.clear()
    text = "WAIT for it. One is 3.5 metres long, two is red"
    page.send_message(text)
    page.wait_until("() => document.querySelector('#text-chat [data-testid=bot]')?.innerText.trim().length > 5")
    aloud = "[...document.querySelectorAll('#read-aloud p')].map((p) => p.textContent)"
    # The visitor's message may be rendered before the reply's bubble, and is then announced in two phrases.
    run_together = f"{aloud}.join('').replaceAll(' ', '')"
    hers = text.replace(" ", "")
    page.wait_until(f"() => {run_together} === '{hers}WAITforit.' || {run_together} === '{hers}WAITforit.Oneis3.5'")
    assert page.page.evaluate(aloud).count("WAIT for it.") >= 1
    echo_server.release_reply.set()
    page.wait_for_chat_stage("listening")
    page.wait_until(f"() => {run_together} === '{hers}{hers}'")
    assert not any(read.endswith("3.") for read in page.page.evaluate(aloud))
    assert page.page.locator("#text-chat [aria-live=polite]").count() == 0
