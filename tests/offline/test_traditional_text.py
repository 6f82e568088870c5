"""Traditional text of a growing reply: any pieces give the same text, soon; code and quotations stay as they are."""

from __future__ import annotations

import random
import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.chinese_text import to_traditional
from offline.traditional_text import LOOKAHEAD_CHARS, MAX_HELD_CHARS, TraditionalConverter
from tests.data.traditional_chinese_pairs import PAIRS
from writing.chinese_script import count_simplified

KANA_OR_HANGUL = re.compile("[\u3041-\u30ff\uac00-\ud7af]")
SIMPLIFIED = [raw for raw, _ in PAIRS if count_simplified(raw) and not KANA_OR_HANGUL.search(raw)]
TRADITIONAL = [final for _, final in PAIRS if not KANA_OR_HANGUL.search(final) and "于" not in final]
"""Without the surname 于: in a reply it is more often the Simplified form of 於."""
TYPED = ["請問「头发干了」是什麼意思？", "我们后天见面"]

MARKS = [
    "```",
    "`",
    "```python\n",
    "\n",
    "~~~\n",
    "「头发干了」",
    "「头发",
    "“后天”",
    "> 我们后天",
    "| 后台 | 发票 |\n",
    "」",
    '"',
    "1. ",
]
CHARACTERS = ["后", "发", "里", "干", "面", "只", "了", "我们", "頭髮", " ", "，", "a"]
PIECES = st.sampled_from([*SIMPLIFIED, *MARKS, *CHARACTERS])
TEXTS = st.lists(PIECES, max_size=12).map("".join)
SEPARATED_TEXTS = st.lists(PIECES, max_size=12).map("，".join)
"""Texts without new words where two pieces meet: "后" before "面包" reads as "后面", "behind", and a bag."""
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def convert(text: str, typed: list[str] | None = None) -> str:
    converter = TraditionalConverter(typed or [])
    return converter.push(text) + converter.flush()


def cut(text: str, sizes: list[int]) -> list[str]:
    """Return `text` in pieces of these sizes, repeated."""
    pieces: list[str] = []
    while text:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[:size])
        text = text[size:]
    return pieces


@given(TEXTS, SIZES, st.sampled_from([[], TYPED]))
def test_any_pieces_give_the_text_of_the_whole_and_lag_by_a_few_characters(
    text: str, sizes: list[int], typed: list[str]
) -> None:
    converter, given_count, shown = TraditionalConverter(typed), 0, ""
    limit = MAX_HELD_CHARS if typed else LOOKAHEAD_CHARS
    for piece in cut(text, sizes):
        shown += converter.push(piece)
        given_count += len(piece)
        assert given_count - len(shown) <= limit
    assert shown + converter.flush() == convert(text, typed)


@given(SEPARATED_TEXTS, st.sampled_from([[], TYPED]))
def test_converted_text_stays_as_it_is(text: str, typed: list[str]) -> None:
    once = convert(text, typed)
    assert len(once) == len(text)
    assert convert(once, typed) == once


@pytest.mark.parametrize("text", SIMPLIFIED)
def test_sentence_is_converted_as_opencc_converts_the_whole(text: str) -> None:
    assert convert(text) == to_traditional(text)


def test_lookahead_loses_nothing_of_phrases_in_random_order() -> None:
    lines = (files("opencc") / "dictionary" / "STPhrases.txt").read_text("utf-8").splitlines()
    phrases = [phrase for phrase in (line.split("\t")[0] for line in lines) if len(phrase) <= 6]
    chance = random.Random(7)
    for _ in range(300):
        words = [
            chance.choice((chance.choice(phrases), chance.choice("的了在是我们你他和就不也一只很"))) for _ in range(8)
        ]
        text = "这个" + "".join(words) + "。"
        assert convert(text) == to_traditional(text)


@pytest.mark.parametrize("text", TRADITIONAL)
def test_traditional_sentence_stays_as_it_is(text: str) -> None:
    assert convert("繁體：" + text) == "繁體：" + text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("牛肉麵是一种面食，位于台灣", "牛肉麵是一種麵食，位於台灣"),
        ("會議裡的干扰", "會議裡的干擾"),
        ("下面說明：后天运行，里面", "下面說明：後天運行，裡面"),
        ("遠征軍的里長范先生不准你划船", "遠征軍的里長范先生不准你划船"),
    ],
)
def test_mixed_text_of_a_small_model_becomes_traditional(raw: str, shown: str) -> None:
    assert convert(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("| 颜色 | 后台 |\n|---|---|\n| 红 | 发 |", "| 顏色 | 後台 |\n|---|---|\n| 紅 | 發 |"),
        (
            "这样：\n```python\nd = {'颜色': '红'}  # 这里\n```\n然后运行。",
            "這樣：\n```python\nd = {'颜色': '红'}  # 这里\n```\n然後運行。",
        ),
        ("~~~\n颜色\n~~~\n颜色", "~~~\n颜色\n~~~\n顏色"),
        ("````\n颜色\n```\n颜色\n````\n颜色", "````\n颜色\n```\n颜色\n````\n顏色"),
        ("```\n颜色", "```\n颜色"),
        ("- 步骤：\n  ```\n  颜色\n  ```\n颜色", "- 步驟：\n  ```\n  颜色\n  ```\n顏色"),
        ("```颜色``` 颜色", "```颜色``` 顏色"),
        ("键 `颜色` 的值", "鍵 `颜色` 的值"),
        ("键 ``颜`色`` 的值", "鍵 ``颜`色`` 的值"),
        ("一个 ` 的颜色\n颜色", "一個 ` 的颜色\n顏色"),
        ("~~颜色~~ 颜色", "~~顏色~~ 顏色"),
        ("他说「颜色」", "他說「顏色」"),
    ],
)
def test_code_is_not_converted(raw: str, shown: str) -> None:
    assert convert(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("「头发干了」是指头发", "「头发干了」是指頭髮"),
        ("“头发”是指头发", "“头发”是指頭髮"),
        ('"头发"是指头发', '"头发"是指頭髮'),
        ("『头发』", "『头发』"),
        ("> 我们后天见面\n我们", "> 我们后天见面\n我們"),
        ("「头发很长」", "「頭髮很長」"),
        ("「头发", "「头发"),
        ("「头发\n头发", "「头发\n頭髮"),
        ("他说「这里」", "他說「這裡」"),
        ("头发「`发`」", "頭髮「`发`」"),
    ],
)
def test_quoted_words_of_the_user_are_not_converted(raw: str, shown: str) -> None:
    assert convert(raw, TYPED) == shown


def test_clauses_of_one_reply_keep_the_code_they_are_in() -> None:
    converter = TraditionalConverter()
    clauses = ["这样：\n```\n", "颜色，", "发\n", "```\n", "皇后", "后天"]
    shown = [converter.push(clause) + converter.flush() for clause in clauses]
    assert shown == ["這樣：\n```\n", "颜色，", "发\n", "```\n", "皇后", "後天"]


def test_unambiguous_characters_pass_at_once() -> None:
    converter = TraditionalConverter()
    assert [converter.push(piece) for piece in ("我们", "见", "OK，", "|", "\n", "头")] == [
        "我們",
        "見",
        "OK，",
        "|",
        "\n",
        "頭",
    ]
    assert converter.push("发") == ""
    assert converter.push("，") == "髮，"
