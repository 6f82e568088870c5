"""Chips of tool calls."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.conversation.conversation import Bubble, BubbleState
from voicechat.conversation.shown.tool_use import CLOSED_STATES, OPEN_STATES, ToolUse
from voicechat.tools.calls.tool_call import ToolCallState
from voicechat.ui.i18n import TOOL_OUTCOMES
from voicechat.ui.tools.chip import (
    MAX_SHOWN_CHARS,
    call_id_of,
    call_key,
    format_seconds,
    literal_html,
    render_chip,
    with_heard_shares,
)

WEATHER = ToolUse(
    "call_1",
    "weather",
    '{"place": "Taipei"}',
    "done",
    "24 °C, dry until 15:00\nand rain later",
    0.83,
    titles=(("en", "Weather"), ("zh", "查天氣")),
)


class OwnTags(HTMLParser):
    """Collector of the tags of a chip and of its text."""

    def __init__(self, chip: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(chip)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "br":
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_state_of_a_call_has_a_word() -> None:
    assert set(TOOL_OUTCOMES) == {state.value for state in ToolCallState} == OPEN_STATES | CLOSED_STATES


def test_chip_shows_the_title_in_the_language_of_the_page() -> None:
    english, chinese = (OwnTags(render_chip(WEATHER, locale)).text for locale in ("en", "zh-TW"))
    assert english.startswith("Weather done 0.8 s 24 °C, dry until 15:00")
    assert "place: Taipei" in english and "and rain later" in english
    assert chinese.startswith("查天氣 完成 0.8 秒")


@pytest.mark.parametrize("state", sorted(OPEN_STATES | CLOSED_STATES))
def test_chip_has_a_cancel_button_only_while_the_call_is_open(state: str) -> None:
    use = ToolUse("call_1", "weather", state=state)
    assert ("tool-cancel" in render_chip(use, "en")) is (state in OPEN_STATES)
    assert f"tool-call {state} call-" in render_chip(use, "en")


def test_chip_of_a_running_call_names_no_result_and_no_seconds() -> None:
    running = OwnTags(render_chip(ToolUse("c", "clock", state="running"), "en")).text
    assert running == "clock runningAskednothingCancel"


def test_chip_of_a_cut_answer_names_the_heard_share() -> None:
    assert "answer heard to 40 %" in render_chip(WEATHER, "en", 40)
    assert "回答聽到 40%" in render_chip(WEATHER, "zh-TW", 40)


def test_chip_of_a_long_result_says_how_much_is_left_out() -> None:
    shown = OwnTags(render_chip(ToolUse("c", "read", "{}", "done", "x" * 5000), "en")).text
    assert f"{5000 - MAX_SHOWN_CHARS:,} more characters" in shown and len(shown) < MAX_SHOWN_CHARS + 300


HOSTILE = st.text(alphabet="ab<>&\"'`*_[]()#~|$!\\/:.-+= \n\t1{}\u202e", max_size=60)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_chip_shows_hostile_texts_literally(name: str, arguments: str, result: str) -> None:
    chip = render_chip(ToolUse(name, name, arguments, "done", result), "en")
    plain = OwnTags(render_chip(ToolUse("c", "n", "{}", "done", "r"), "en"))
    assert "\n" not in chip, "an empty line would end the HTML block in Markdown"
    assert not re.search(r"[`*_\[\]~|$\\]", re.sub(r"<[^>]*>", "", chip).replace("call_", ""))
    assert [tag for tag in OwnTags(chip).tags if tag not in ("br", "span")] == [
        tag for tag in plain.tags if tag != "span"
    ]


@given(st.text(max_size=80))
def test_literal_html_loses_nothing(text: str) -> None:
    assert html.unescape(literal_html(text).replace("<br>", "\n")) == text


@given(st.text(min_size=1, max_size=40))
def test_call_key_gives_the_id_back(call_id: str) -> None:
    assert call_id_of(call_key(call_id)) == call_id
    assert re.fullmatch("[0-9a-f]+", call_key(call_id))


@pytest.mark.parametrize("key", ["xyz", "0", "ff", "61 <"])
def test_call_key_of_a_hostile_page_is_refused(key: str) -> None:
    assert call_id_of(key) is None


def bubble(role: str, text: str = "", unheard: str = "") -> Bubble:
    """Return a bubble of this role."""
    use = WEATHER if role == "tool" else None
    return Bubble("i", role, text, unheard, BubbleState.DONE, tool_use=use)  # type: ignore[arg-type]


def shares(*bubbles: Bubble) -> list[int | None]:
    """Return the heard shares of these bubbles."""
    return [share for _, share in with_heard_shares(bubbles)]


def test_heard_share_counts_the_reply_after_the_call() -> None:
    cut = bubble("assistant", "1234", "567890")
    assert shares(bubble("user", "?"), bubble("assistant", "Let me look."), bubble("tool"), cut) == [
        None,
        None,
        40,
        None,
    ]
    assert shares(bubble("tool"), bubble("tool"), cut) == [40, 40, None]
    assert shares(bubble("tool"), bubble("user", "Stop"), cut) == [None, None, None]
    assert shares(bubble("tool"), bubble("assistant", "", "all")) == [0, None]
    assert shares(bubble("tool"), bubble("assistant", "all")) == [None, None]
    assert shares() == []


def test_seconds_are_rounded_for_reading() -> None:
    assert [format_seconds(s, "en") for s in (0.04, 0.83, 9.94, 9.96, 61.2, -1)] == [
        "0.0 s",
        "0.8 s",
        "9.9 s",
        "10 s",
        "61 s",
        "0.0 s",
    ]
    assert format_seconds(1.25, "zh-TW") == "1.2 秒"
