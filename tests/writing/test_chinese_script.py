"""Chinese script: what a person writes, what a person asks for, and what decides."""

from __future__ import annotations

import re

import pytest

from tests.data.traditional_chinese_pairs import PAIRS
from writing.chinese_script import asks_for_simplified_once, count_simplified, requested_script, written_script


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("我们后天见", "simplified"),
        ("我們後天見", "traditional"),
        ("皇后在台北", None),
        ("hello", None),
        ("什么是人工智能", "simplified"),
        ("他是家裡的老么", "traditional"),
        ("", None),
        ("床前的灶和一群人", None),
        ("「我们」是什麼意思？", "traditional"),
        ("“我們”是什么意思？", "simplified"),
        ("請看：\n```\nd = {'颜色': 1}  # 这里\n```\n對嗎？", "traditional"),
        ("這個 `变量` 是什麼？", "traditional"),
        ("> 这是引文\n請解釋", "traditional"),
        ("国会の話です", None),
    ],
)
def test_script_of_a_message_is_that_of_its_own_characters(text: str, script: str | None) -> None:
    assert written_script(text) == script


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if not re.search("[\u3041-\u30ff\uac00-\ud7af]", pair[1])])
def test_traditional_sentence_is_never_taken_for_simplified(pair: tuple[str, str]) -> None:
    assert count_simplified(pair[1]) == 0
    assert written_script(pair[1]) != "simplified"


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("用簡體字", "simplified"),
        ("請用简体", "simplified"),
        ("请用简体字回答", "simplified"),
        ("請改用簡體中文。", "simplified"),
        ("可以用簡體字嗎？", "simplified"),
        ("我要看簡體字", "simplified"),
        ("換成简体", "simplified"),
        ("簡體字，謝謝", "simplified"),
        ("你好，以後都用簡體字回答我", "simplified"),
        ("不要用繁體字", "simplified"),
        ("Please write in Simplified Chinese.", "simplified"),
        ("Can you answer in simplified characters?", "simplified"),
        ("請用繁體字", "traditional"),
        ("请用繁体中文", "traditional"),
        ("用正體字寫", "traditional"),
        ("不要用簡體", "traditional"),
        ("別再用簡體字了", "traditional"),
        ("請用簡體字。還是用繁體字好了", "traditional"),
        ("Don't use simplified Chinese.", "traditional"),
        ("Please use Traditional Chinese", "traditional"),
        ("給我簡體字", "simplified"),
        ("用簡體字怎麼寫", None),
        ("中國用簡體字", None),
        ("為什麼你用簡體字？", None),
        ("簡體字是什麼時候開始的？", None),
        ("簡體字和繁體字有什麼不同？", None),
        ("他說「請用簡體字」", None),
        ("簡單說明一下", None),
        ("簡報怎麼做", None),
        ("What is simplified Chinese?", None),
        ("你好", None),
    ],
)
def test_request_is_an_order_to_write_so_from_now_on(text: str, script: str | None) -> None:
    assert requested_script(text) == script


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("把「我們後天見」翻譯成簡體字", True),
        ("請把這句話轉成简体：後天見", True),
        ("「龍」的簡體字怎麼寫？", True),
        ("Translate this into simplified Chinese: 後天見", True),
        ("翻譯成繁體字：我们", False),
        ("簡體字的歷史", False),
    ],
)
def test_one_text_in_simplified_is_asked_for_once(text: str, asks: bool) -> None:
    assert asks_for_simplified_once(text) is asks
    assert requested_script(text) is None
