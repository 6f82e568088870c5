"""Texts as the chatbot's Markdown."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.ui.widgets.markdown import (
    WORD_JOINER,
    escape_with_entities,
    safe_model_markdown,
    with_strikethrough,
)


@pytest.mark.parametrize(
    "text", ["a<b", "`a<b`", "**no**", "[x](http://y)", "$$x$$", "<script>", "&amp;", "a|b", "~~x~~"]
)
def test_a_persons_signs_are_shown_and_mean_nothing(text: str) -> None:
    shown = escape_with_entities(text)
    assert html.unescape(shown) == text
    assert not re.search(r"[`*_\[\]<>$|~]", shown)


@pytest.mark.parametrize("text", ["1. one", "- one", "+ one", "# one", "    one", "a\n2) two", "==="])
def test_a_line_a_person_begins_is_no_list_heading_or_code(text: str) -> None:
    shown = escape_with_entities(text)
    assert not re.search(r"^\s*(\d+[.)]|[-+#=]|    )", shown, re.MULTILINE)
    assert html.unescape(shown).replace("\u2060", "").replace("\xa0", " ") == text


@given(st.text(alphabet="ab <>&`*\n1.-#", max_size=40))
def test_nothing_of_a_persons_text_is_lost(text: str) -> None:
    assert html.unescape(escape_with_entities(text)).replace("\u2060", "").replace("\xa0", " ") == text


def test_a_models_html_is_text_and_its_code_is_code() -> None:
    shown = safe_model_markdown("**b** vector<int> `a<b`\n```\nx<y> < z\n```")
    assert shown == "**b** vector&lt;int> `a<\u2060b`\n```\nx<\u2060y> < z\n```"


@given(st.text(alphabet="ab<>/!?[]()`~\n \t-|\\img", max_size=60))
def test_nothing_a_model_writes_can_begin_a_tag_or_a_picture(text: str) -> None:
    shown = safe_model_markdown(text)
    assert not re.search(r"<[A-Za-z/!?]", shown)
    assert "![" not in shown
    assert html.unescape(shown).replace(WORD_JOINER, "") == text


def test_a_models_picture_is_a_link() -> None:
    assert safe_model_markdown("![alt](http://host/x.png)") == "&#33;[alt](http://host/x.png)"


def test_what_was_not_heard_is_text_and_nothing_else() -> None:
    assert "![" not in with_strikethrough("One.", "![x](http://elsewhere/y.png)")


def test_what_was_not_heard_is_struck_on_one_line() -> None:
    assert with_strikethrough("One.", " Two.\n\n1. <b>") == 'One. <span class="unheard">Two. 1. &#60;b&#62;</span>'
    assert with_strikethrough("One.", " \n") == "One."
    assert (
        with_strikethrough("See:\n```\nx = 1", "\ny = 2\n```")
        == 'See:\n```\nx = 1\n```\n <span class="unheard">y = 2 &#96;&#96;&#96;</span>'
    )
