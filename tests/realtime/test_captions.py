"""Captions: Traditional Chinese as people in Taiwan write it, and nothing else touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.captions import traditional, traditional_parts


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("台湾的台风很大", "台灣的颱風很大"),
        ("臺灣", "臺灣"),
        ("舞台上的皇后", "舞台上的皇后"),
        ("后天见", "後天見"),
        ("里面干净，头发", "裡面乾淨，頭髮"),
        ("打開文件", "打開文件"),  # good Taiwanese text stays
        ("用 Python 写软件", "用 Python 寫軟件"),  # script, not vocabulary
        ("Hello, world!", "Hello, world!"),
        ("日本の国会です", "日本の国会です"),
        ("한국 国", "한국 国"),
        ("", ""),
    ],
)
def test_script(raw: str, shown: str) -> None:
    assert traditional(raw) == shown
    assert traditional(shown) == shown


def test_a_cut_does_not_take_away_context() -> None:
    assert traditional_parts("我们后", "天见") == ("我們後", "天見")
    assert traditional_parts("Hello", " there") == ("Hello", " there")


@given(st.text(alphabet="台湾灣后天皇发头里面软件国会一二三，。 abc", max_size=40))
def test_a_cut_anywhere_shows_the_same_letters(text: str) -> None:
    once = traditional(text)
    assert len(once) == len(text)
    for place in range(len(text) + 1):
        head, tail = traditional_parts(text[:place], text[place:])
        assert head + tail == once
