"""Spoken yes and no, in both languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.tools.calls.yes_no import YesNo, match_yes_no

YES = (
    *("yes", "Yes.", "Yes, please.", "Yeah, sure!", "yep", "OK", "Okay, go ahead.", "Of course.", "Please do."),
    *("um, yes", "That’s right.", "Yes yes yes", "Sure, thank you.", "YES"),
    *(
        "好",
        "好。",
        "好的",
        "好得，可以。",
        "好多可以",
        "嗯，好啊。",
        "可以",
        "可以啊，謝謝",
        "沒問題",
        "没问题",
        "當然可以",
        "對對對",
        "是的",
        "請送出",
    ),
    *("好，麻煩你了", "OK，好", "那就這樣", "要"),
)
NO = (
    *("no", "No.", "No, thanks.", "Nope", "Don’t do it!", "Please don't.", "not now", "Cancel that.", "of course not"),
    *("Never mind.", "No, no, no."),
    *("不要", "不用了，謝謝", "不行", "算了", "取消", "先不要", "別送", "嗯，不要", "不好", "拒绝"),
)
UNCLEAR = (
    *("", "…", "yes, but not now", "Yes but make it Tuesday", "Yes, and also tell Bob", "No, go ahead", "yes no"),
    *(
        "yes?",
        "Yesterday",
        "not sure",
        "sure is hot today",
        "mm-hmm",
        "uh",
        "I said yes to her",
        "approve a1",
        "right?",
    ),
    *("well", "okay stop", "He said: yes, do it, and I wondered why he would ever say such a thing to me", "wait"),
    *(
        "好，可是…",
        "好，可是要晚一點",
        "好，但是改成星期二",
        "可以嗎",
        "可以嗎？",
        "好不好",
        "是不是",
        "行不行",
        "要不要",
    ),
    *(
        "嗯",
        "不要但是好",
        "好啊不過先等一下",
        "等一下",
        "好像可以",
        "好多",
        "好不可以",
        "好貴",
        "是誰",
        "對不起",
        "要多少錢",
        "可以改天嗎",
    ),
)


@pytest.mark.parametrize("text", YES)
def test_whole_turn_that_agrees_is_yes(text: str) -> None:
    assert match_yes_no(text) is YesNo.YES


@pytest.mark.parametrize("text", NO)
def test_whole_turn_that_declines_is_no(text: str) -> None:
    assert match_yes_no(text) is YesNo.NO


@pytest.mark.parametrize("text", UNCLEAR)
def test_turn_that_says_more_or_asks_is_unclear(text: str) -> None:
    assert match_yes_no(text) is YesNo.UNCLEAR


@pytest.mark.parametrize("more", ["but", "if", "可是", "但是", "不過", "嗎", "unless it costs", "的話"])
@pytest.mark.parametrize("text", ["yes", "sure", "好", "可以"])
def test_yes_with_a_condition_is_unclear(text: str, more: str) -> None:
    assert match_yes_no(f"{text}, {more}") is YesNo.UNCLEAR


@given(st.text(alphabet="嗯啊好的不要可以 yesnoumk,.，。", max_size=400))
def test_match_of_any_text_ends(text: str) -> None:
    assert match_yes_no(text) in YesNo
