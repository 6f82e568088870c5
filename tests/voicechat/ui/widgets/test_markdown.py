"""Markdown of the visitor's and the model's texts."""

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
    with_mark,
    with_strikethrough,
)


@pytest.mark.parametrize(
    "text", ["a<b", "`a<b`", "**no**", "[x](http://y)", "$$x$$", "<script>", "&amp;", "a|b", "~~x~~"]
)
def test_special_characters_of_a_visitor_are_literal(text: str) -> None:
    shown = escape_with_entities(text)
    assert html.unescape(shown) == text
    assert not re.search(r"[`*_\[\]<>$|~]", shown)


@pytest.mark.parametrize("text", ["1. one", "- one", "+ one", "# one", "    one", "a\n2) two", "==="])
def test_line_starts_of_a_visitor_form_no_list_heading_or_code(text: str) -> None:
    shown = escape_with_entities(text)
    assert not re.search(r"^\s*(\d+[.)]|[-+#=]|    )", shown, re.MULTILINE)
    assert html.unescape(shown).replace("\u2060", "").replace("\xa0", " ") == text


@given(st.text(alphabet="ab <>&`*\n1.-#", max_size=40))
def test_escaped_text_loses_nothing(text: str) -> None:
    assert html.unescape(escape_with_entities(text)).replace("\u2060", "").replace("\xa0", " ") == text


def test_model_html_is_text_and_code_stays_code() -> None:
    shown = safe_model_markdown("**b** vector<int> `a<b`\n```\nx<y> < z\n```")
    assert shown == "**b** vector&lt;int> `a<\u2060b`\n```\nx<\u2060y> < z\n```"


@given(st.text(alphabet="ab<>/!?[]()`~\n \t-|\\img", max_size=60))
def test_model_text_contains_no_tag_or_image_start(text: str) -> None:
    shown = safe_model_markdown(text)
    assert not re.search(r"<[A-Za-z/!?]", shown)
    assert "![" not in shown
    assert html.unescape(shown).replace(WORD_JOINER, "") == text


def test_model_image_becomes_a_link() -> None:
    assert safe_model_markdown("![alt](http://host/x.png)") == "&#33;[alt](http://host/x.png)"


def test_unheard_text_is_escaped() -> None:
    assert "![" not in with_strikethrough("One.", "![x](http://elsewhere/y.png)")


def test_unheard_text_is_struck_through_on_one_line() -> None:
    assert with_strikethrough("One.", " Two.\n\n1. <b>") == 'One. <span class="unheard">Two. 1. &#60;b&#62;</span>'
    assert with_strikethrough("One.", " \n") == "One."
    assert (
        with_strikethrough("See:\n```\nx = 1", "\ny = 2\n```")
        == 'See:\n```\nx = 1\n```\n <span class="unheard">y = 2 &#96;&#96;&#96;</span>'
    )


def test_mark_of_a_cut_message_stands_outside_its_code() -> None:
    assert with_mark("One", "cut off") == 'One <span class="incomplete">[cut off]</span>'
    assert with_mark("", "cut off") == '<span class="incomplete">[cut off]</span>'
    assert with_mark("```\nx =", "cut *off*") == '```\nx =\n```\n <span class="incomplete">[cut &#42;off&#42;]</span>'
