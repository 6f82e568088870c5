"""Markdown of a spoken reply: marks that are not said, links of which the words are said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offline.llm.clause_splitter import ClauseSplitter
from offline.tts.spoken_form import spoken_form
from offline.tts.spoken_form.markdown import strip_markdown
from offline.tts.spoken_form.web import hosts_only


def test_strip_markdown_removes_the_marks() -> None:
    assert (
        strip_markdown("**Bold** and `code`, see [this](http://x.y).\n- one\n# Two")
        == "Bold and code, see this.\none\nTwo"
    )
    assert strip_markdown("2 * 3 * 4") == "2 * 3 * 4"


def split_clauses(text: str) -> list[str]:
    splitter = ClauseSplitter()
    return splitter.push(text) + splitter.flush()


def spoken_clauses(text: str) -> list[str]:
    return [strip_markdown(clause).strip() for clause in split_clauses(text) if clause.strip()]


def test_strip_markdown_removes_list_numbers() -> None:
    assert spoken_clauses("Try these:\n\n1. Eat apples\n2. **Sleep** well.\n10) Walk") == [
        "Try these:", "Eat apples", "Sleep well.", "Walk",
    ]  # fmt: skip
    assert spoken_clauses("1. Eat.\n2. Sleep.\n- Walk\n- Sing") == ["Eat.", "Sleep.", "Walk", "Sing"]
    assert spoken_clauses("1. 吃蘋果。\n2、睡覺。\n3.走路。") == ["吃蘋果。", "睡覺。", "走路。"]


def test_strip_markdown_keeps_other_numbers() -> None:
    assert spoken_clauses("4. Anything else?") == ["4. Anything else?"]
    assert spoken_clauses("It is\n3.14 in all.") == ["It is", "3.14 in all."]
    assert spoken_clauses("12.") == ["12."]
    assert spoken_clauses("1.5 litres\n2024 was good.") == ["1.5 litres", "2024 was good."]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**Bold** and *soft* and __strong__.", "Bold and soft and strong."),
        ("## A heading", "A heading"),
        ("> quoted", "quoted"),
        ("- [ ] milk", "milk"),
        ("---", ""),
        ('See [the page](https://example.com/a_(b) "title").', "See the page."),
        ("![a cat](cat.png)", "a cat"),
        ("Open <https://example.com/a>.", "Open example dot com."),
        ("One[^1] more.", "One more."),
        ("a<br>b", "a b"),
        ("the page](https://example.com/a) is here", "the page is here"),
        (r"So $\frac{1}{2} \times x^2$.", "So one half times x squared."),
        (r"\[ \sqrt{2} \approx 1.4 \]", "the square root of two is about one point four"),
        ("It costs $5, or $6 today.", "It costs five dollars, or six dollars today."),
        ("snake_case and 2 * 3", "snake case and two times three"),
    ],
)
def test_spoken_form_of_markdown_has_its_words_only(written: str, said: str) -> None:
    assert spoken_form(written, "en") == said


def test_hosts_only_leaves_the_host_of_each_url() -> None:
    assert (
        hosts_only("See https://example.com/docs and www.example.org/a?b=1.") == "See example.com and www.example.org."
    )
    assert hosts_only("看https://user:secret@example.com:8080/a，謝謝") == "看example.com，謝謝"
    assert hosts_only("amy@example.com 3.5") == "amy@example.com 3.5"


@settings(max_examples=100)
@given(st.text(alphabet=st.sampled_from(list("ab*_`~[]()!<>#|-+.$\\{}1 \nhttps://例")), max_size=80))
def test_strip_markdown_of_any_text_keeps_its_words(text: str) -> None:
    assert set(strip_markdown(text)) <= set(text) | set(" √×÷±≤≥≠≈→αβγδθλμπσφω°/")
