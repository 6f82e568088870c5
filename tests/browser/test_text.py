"""The text tab in a real browser: what is typed, what is rendered, what is kept apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.speech import clip

from .conftest import OPERATORS_KEY, App
from .echo import Echo
from .typist import Typist


@pytest.fixture
def visit(house: App, browser: Browser) -> Iterator[Callable[..., Typist]]:
    """Opens pages on the echo app."""
    open_pages: list[Typist] = []

    def visit(**options: str) -> Typist:
        open_pages.append(Typist(browser, house.url, **options))
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


def test_markdown_is_rendered(visit: Callable[..., Typist]) -> None:
    page = visit()
    page.ask(MARKDOWN)
    answer = page.answer
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
    # What the person typed is shown to the letter, in its lines.
    assert page.history()[0].text.split("\n")[:3] == [
        "# A heading",
        "",
        "**Bold** and *slanted*, a [link](https://example.com/a?b=1).",
    ]


def test_a_nested_list_stays_nested(visit: Callable[..., Typist]) -> None:
    page = visit()
    page.ask("- a\n  - b\n  - c")
    expect(page.answer.locator("ul ul li")).to_have_text(["b", "c"])


def test_messages_never_flicker(visit: Callable[..., Typist]) -> None:
    page = visit()
    for number in range(6):
        page.ask(f"message {number}")
    assert page.flashes() == []


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


def test_nothing_a_model_writes_runs(visit: Callable[..., Typist]) -> None:
    page = visit()
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    for attack in ATTACKS:
        page.ask(attack)
    for link in page.page.locator("#text-chat [data-testid=bot] a").all():
        assert not (link.get_attribute("href") or "").lower().startswith("javascript:")
    assert (
        page.page.locator("#text-chat").locator("[data-testid] :is(script, iframe, style, img[onerror])").count() == 0
    )
    assert page.page.evaluate("window.hacked") is None
    assert page.page.locator("body").is_visible()
    assert not any("spy.png" in url for url in asked)


def test_enter_sends_and_shift_enter_makes_a_line(visit: Callable[..., Typist], echo: Echo) -> None:
    page = visit()
    page.write("first line\n  second line\n\nlast")
    page.until("() => document.querySelectorAll('#text-chat [data-testid]').length >= 2")
    sent = echo.of("conversation.item.create")[-1]["item"]["content"][0]["text"]
    assert sent == "first line\n  second line\n\nlast"
    assert [line.strip("\u00a0 ") for line in page.history()[0].text.split("\n")] == [
        "first line",
        "second line",
        "",
        "last",
    ]
    assert page.box.input_value() == ""
    expect(page.page.locator("#text-figures .money")).to_contain_text("Cost unknown")


def test_enter_twice_sends_once_and_what_is_typed_meanwhile_stays(visit: Callable[..., Typist]) -> None:
    page = visit()
    page.connect()
    page.send_slowly("first", meanwhile="second")
    page.until("() => document.querySelectorAll('#text-chat [data-testid]').length >= 2")
    page.chat_stage("listening")
    assert page.box.input_value() == "second"
    page.page.keyboard.press("Enter")
    page.until("() => document.querySelectorAll('#text-chat [data-testid]').length >= 4")
    page.chat_stage("listening")
    assert [line.text for line in page.history()] == ["first", "first", "second", "second"]
    assert page.box.input_value() == ""


def test_a_message_that_is_too_long_comes_back(visit: Callable[..., Typist]) -> None:
    page = visit()
    page.connect()
    page.write("x" * 4001)
    page.page.wait_for_selector('#text-status [data-notice="message_too_long"]')
    expect(page.box).to_have_value("x" * 4001)


def test_stop_and_go_on(visit: Callable[..., Typist], echo: Echo) -> None:
    page = visit()
    echo.go_on.clear()
    stop = page.page.locator("#text-stop")
    expect(stop).to_be_disabled()
    page.write("WAIT and see what comes after")
    page.chat_stage("thinking")
    page.until("() => document.querySelector('#text-chat [data-testid=bot]')?.innerText.includes('WAIT')")
    cancelled = len(echo.of("response.cancel"))
    stop.click()
    echo.wait("response.cancel", cancelled + 1)
    page.chat_stage("listening")
    echo.go_on.set()
    assert page.ask("again") == "again"
    assert page.history()[1].text == "WAIT and see w"


def test_clear_empties_the_page_and_the_server(visit: Callable[..., Typist], echo: Echo) -> None:
    page = visit()
    page.ask("to be forgotten")
    deleted = len(echo.of("conversation.item.delete"))
    page.page.locator("#text-clear").click()
    echo.wait("conversation.item.delete", deleted + 2)
    page.until("() => !document.querySelector('#text-chat [data-testid]')")
    assert page.ask("new") == "new"
    assert [line.text for line in page.history()] == ["new", "new"]


def test_disconnect_keeps_the_history_and_connect_tells_it_again(visit: Callable[..., Typist], echo: Echo) -> None:
    page = visit()
    page.connect()
    page.ask("remember me")
    page.page.locator("#text-connect").click()
    page.chat_stage("ended")
    told = len(echo.of("conversation.item.create"))
    page.connect()
    again = [event["item"] for event in echo.wait("conversation.item.create", told + 2)[told:]]
    assert [(item["role"], item["content"][0]["text"]) for item in again] == [
        ("user", "remember me"),
        ("assistant", "remember me"),
    ]
    assert len(page.history()) == 2


def test_each_page_is_a_session_of_its_own(visit: Callable[..., Typist]) -> None:
    one, two = visit(), visit()
    one.ask("only mine")
    two.ask("only theirs")
    assert [line.text for line in one.history()] == ["only mine"] * 2
    assert [line.text for line in two.history()] == ["only theirs"] * 2
    one.page.reload()
    one.page.wait_for_selector("#text-status, #voice-call")
    one.to_tab("Text")
    one.chat_stage("idle")
    assert one.history() == []


def test_in_the_language_of_the_visitor(visit: Callable[..., Typist]) -> None:
    page = visit(locale="zh-TW", tab="文字")
    page.chat_stage("idle")
    assert "尚未連線" in page.chat_status()
    assert page.page.locator("#text-connect").inner_text() == "連線"
    page.connect()
    assert page.page.locator("#text-connect").inner_text() == "中斷連線"


def test_a_visitors_own_key(visit: Callable[..., Typist], echo: Echo) -> None:
    page, other = visit(), visit()
    page.page.locator("#own-key button").first.click()
    key = page.page.locator("#own-key-input input")
    key.fill("  sk-visitor-canary\n")
    page.page.locator("#own-key-use").click()
    expect(page.page.locator("#own-key-status")).to_contain_text("Your key is used")
    expect(key).to_have_value("")
    expect(page.page.locator("#text-status .server")).to_have_text("Custom (own key)")
    page.ask("mine")
    assert echo.keys[-1] == "Bearer sk-visitor-canary"
    other.ask("theirs")
    assert echo.keys[-1] == f"Bearer {OPERATORS_KEY}"
    assert "canary" not in page.page.content()
    page.page.locator("#text-connect").click()
    page.chat_stage("ended")
    page.page.locator("#own-key-forget").click()
    expect(page.page.locator("#own-key-status")).to_contain_text("No key of yours")
    page.ask("again")
    assert echo.keys[-1] == f"Bearer {OPERATORS_KEY}"


def test_the_status_bar_names_the_key_of_the_connection_there_is(visit: Callable[..., Typist], echo: Echo) -> None:
    page = visit()
    page.ask("on the operator's key")
    page.page.locator("#own-key button").first.click()
    page.page.locator("#own-key-input input").fill("sk-visitor-canary")
    page.page.locator("#own-key-use").click()
    expect(page.page.locator("#own-key-status")).to_contain_text("Your key is used")
    page.ask("still on the operator's")
    assert echo.keys[-1] == f"Bearer {OPERATORS_KEY}"
    expect(page.page.locator("#text-status .server")).to_have_text("Custom")
    page.page.locator("#text-connect").click()
    page.chat_stage("ended")
    page.connect()
    assert echo.keys[-1] == "Bearer sk-visitor-canary"
    expect(page.page.locator("#text-status .server")).to_have_text("Custom (own key)")


def test_calls_and_chats_of_two_visitors_at_once(house: App, visit: Callable[..., Typist]) -> None:
    visitors = [visit(), visit()]
    for number, visitor in enumerate(visitors):
        assert visitor.ask(f"written {number}") == f"written {number}"
        visitor.to_tab("Voice")
        visitor.call()
    assert (house.health()["calls"], house.health()["chats"]) == (2, 2)
    for number, visitor in enumerate(visitors):
        visitor.type(f"spoken {number}")
    for number, visitor in enumerate(visitors):
        visitor.until("() => document.querySelectorAll('#voice-chat [data-testid=bot]').length === 1")
        visitor.stage("listening")
        assert [line.text for line in visitor.lines()] == [f"spoken {number}"] * 2
        visitor.to_tab("Text")
        visitor.chat_stage("listening")  # neither the call nor the other visitor disturbed it
        assert visitor.ask(f"again {number}") == f"again {number}"
        assert [line.text for line in visitor.history()] == [f"written {number}"] * 2 + [f"again {number}"] * 2


def test_a_call_and_a_chat_at_once_with_real_models(app: App, browser: Browser) -> None:
    """The embedded server, which thinks of one thing at a time, and human speech."""
    visitor = Typist(browser, app.url)
    try:
        visitor.ask("My secret number is 40. Please say hello.")
        visitor.to_tab("Voice")
        visitor.call()
        assert (app.health()["calls"], app.health()["chats"]) == (1, 1)
        visitor.say(clip("en", "human", 1).samples)
        visitor.until("() => document.querySelector('#voice-chat [data-testid=bot]')?.innerText.length > 1")
        visitor.to_tab("Text")
        visitor.chat_stage("listening")
        visitor.ask("And now say goodbye, please.")  # while the call speaks
        written = [line.text for line in visitor.history()]
        assert len(written) == 4
        assert not any("secret" in line.text or line.text in written for line in visitor.lines())
    finally:
        visitor.close()
    app.wait(lambda health: health["calls"] == 0 and health["chats"] == 0, timeout=30)
    assert "secret" not in app.log.read_text()


def choose(page: Typist, field: str, option: str) -> None:
    """One of the choices of a drop-down list, by its words."""
    page.page.locator(f"#{field} input").click()
    page.page.get_by_role("option", name=option, exact=True).click()


def test_wishes_are_told_to_a_running_call_and_the_page_says_when_they_count(
    visit: Callable[..., Typist], echo: Echo
) -> None:
    page = visit(tab="Voice")
    page.page.locator("#wishes button").first.click()
    said = page.page.locator("#wishes-status")
    choose(page, "wish-language", "Chinese")
    expect(said).to_contain_text("next call")
    page.call()
    updates = len(echo.of("session.update"))
    opened = echo.of("session.update")[-1]["session"]
    assert opened["audio"]["input"]["transcription"]["language"] == "zh"
    choose(page, "wish-pace", "Patient: lets you think")
    expect(said).to_have_text("Counts from now on.")
    told = echo.wait("session.update", updates + 1)[-1]["session"]
    assert told["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 800
    assert "output" not in told["audio"] and "instructions" not in told
    choose(page, "wish-preset", "My own words")
    page.page.locator("#wish-words textarea").fill("Be a pirate.")
    page.page.locator("#wish-words textarea").blur()
    expect(said).to_have_text("Counts from the next answer on.")
    assert echo.wait("session.update", updates + 2)[-1]["session"]["instructions"] == "Be a pirate."
    choose(page, "wish-model", "the-better")
    expect(page.page.locator("#wishes-status")).to_have_text("Counts from the next call on.")
    choose(page, "wish-voice", "marin")
    expect(said).to_contain_text("next call")
    assert len(echo.of("session.update")) == updates + 2, "a session that may have spoken keeps its voice"
    page.hang_up()
    page.call()
    assert echo.of("session.update")[-1]["session"]["audio"]["output"]["voice"] == "marin"
    page.hang_up()


def test_a_screen_reader_is_given_whole_phrases_each_once(visit: Callable[..., Typist], echo: Echo) -> None:
    page = visit()
    echo.go_on.clear()
    text = "WAIT for it. One is 3.5 metres long, two is red"
    page.write(text)
    page.until("() => document.querySelector('#text-chat [data-testid=bot]')?.innerText.trim().length > 5")
    aloud = "[...document.querySelectorAll('#read-aloud p')].map((p) => p.textContent)"
    # What she wrote may be drawn before the answer's bubble is, and is then read in two phrases.
    run_together = f"{aloud}.join('').replaceAll(' ', '')"
    hers = text.replace(" ", "")
    page.until(f"() => {run_together} === '{hers}WAITforit.' || {run_together} === '{hers}WAITforit.Oneis3.5'")
    assert page.page.evaluate(aloud).count("WAIT for it.") >= 1
    echo.go_on.set()
    page.chat_stage("listening")
    page.until(f"() => {run_together} === '{hers}{hers}'")
    assert not any(read.endswith("3.") for read in page.page.evaluate(aloud))
    assert page.page.locator("#text-chat [aria-live=polite]").count() == 0
