"""Spoken decisions: whether a whole turn is a yes or a no, in English and Mandarin. Pure."""

from __future__ import annotations

import enum
import re
import unicodedata


class YesNo(enum.Enum):
    """Meaning of a whole turn."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


MAX_DECISION_CHARS = 48
"""Characters of the longest turn that is read as a yes or no, without punctuation."""


def _split(listed: str) -> tuple[str, ...]:
    return tuple(listed.split(", "))


_ENGLISH_YES = _split(
    "yes, yeah, yea, yep, yup, sure, ok, okay, of course, certainly, absolutely, definitely, go ahead, "
    "go for it, do it, do that, do so, please do, lets do it, by all means, yes please, yes you can, "
    "yes you may, you can, you may, i do, i agree, i approve, i confirm, approved, confirmed, confirm, "
    "proceed, correct, thats right, thats correct, thats fine, that is right, that is correct, "
    "that is fine, sounds good, all right, alright, send it, affirmative"
)
_ENGLISH_NO = _split(
    "no, nope, nah, no thanks, no thank you, no way, not now, not yet, not today, never, dont, do not, "
    "dont do it, do not do it, dont do that, do not do that, please dont, please do not, dont send it, "
    "do not send it, absolutely not, certainly not, definitely not, of course not, cancel, cancel it, "
    "cancel that, stop, stop it, stop that, never mind, nevermind, forget it, i dont, i do not, "
    "i dont want that, i do not want that, id rather not, rather not, leave it"
)
_ENGLISH_FILLERS = _split("um, uh, oh, ah, please, thanks, thank you, thank you very much")
_CHINESE_YES = _split(
    "好, 好的, 好啊, 好喔, 好哦, 好呀, 好吧, 可以, 可以的, 可以啊, 可以喔, 可以呀, 行, 行啊, 沒問題, 没问题, "
    "當然, 当然, 當然可以, 当然可以, 當然好, 是, 是的, 是啊, 對, 对, 對的, 对的, 對啊, 对啊, 沒錯, 没错, "
    "同意, 我同意, 確定, 确定, 我確定, 我确定, 確認, 确认, 要, 要的, 要啊, 我要, 去吧, 去做吧, 做吧, 就做吧, "
    "執行, 执行, 執行吧, 执行吧, 請執行, 送出, 送出吧, 請送出, 寄吧, 寄出吧, 傳吧, 傳出去吧, 就這樣, 就这样, "
    "就這麼做, 就这么做, ok的, ok啊, okay啊"
)
_CHINESE_NO = _split(
    "不, 不要, 不要了, 不用, 不用了, 不行, 不可以, 不好, 不是, 不對, 不对, 不必, 不必了, 不了, 先不要, "
    "先不用, 先別, 先别, 別, 别, 別做, 别做, 別送, 別寄, 別傳, 不要送, 不要寄, 不要傳, 不要做, 我不要, "
    "我不同意, 不同意, 不准, 拒絕, 拒绝, 算了, 取消, 取消吧, 停, 停止, 停下來, 沒有, 没有, 還不要, "
    "暫時不要, 不想, 我不想"
)
_CHINESE_FILLERS = _split(
    "嗯, 恩, 呃, 喔, 哦, 噢, 啊, 那, 那就, 謝謝, 谢谢, 謝謝你, 谢谢你, 麻煩, 麻煩你, 麻煩你了, 麻烦你, 請, 请"
)


def _alternatives(*phrases: str) -> str:
    """Return a pattern of one phrase, the longest first; a Latin one ends at a word's end."""
    ordered = sorted(set(phrases), key=len, reverse=True)
    return "|".join(re.escape(one) + (r"(?![a-z0-9])" if one[-1].isascii() else "") for one in ordered)


_FILLERS = _alternatives(*_ENGLISH_FILLERS, *_CHINESE_FILLERS)
_PATTERNS = {
    meaning: re.compile(rf"(?:(?:{_FILLERS})\s*)*(?:(?:{phrases})\s*(?:(?:{_FILLERS})\s*)*){{1,5}}")
    for meaning, phrases in (
        (YesNo.YES, _alternatives(*_ENGLISH_YES, *_CHINESE_YES)),
        (YesNo.NO, _alternatives(*_ENGLISH_NO, *_CHINESE_NO)),
    )
}

_PARTICLE_HOMOPHONE = re.compile("(?<=[好對对是要行以])[得地]")
"""Characters that recognisers write for 的 after a short answer, as in 好得，可以."""

_MISHEARD_PARTICLE = re.compile("^好[德多都底](?=可以$)")
"""Characters that sound like it, where a second yes follows: 好多可以."""


def match_yes_no(transcript: str) -> YesNo:
    """Return whether the whole turn is a yes or a no, in English or Mandarin. "Yes, but" is unclear."""
    text = unicodedata.normalize("NFKC", transcript[: 4 * MAX_DECISION_CHARS]).lower()
    if "?" in text or len(transcript) > 4 * MAX_DECISION_CHARS:
        return YesNo.UNCLEAR
    plain = " ".join(re.sub(r"[\W_]+", " ", re.sub(r"['’‘`]", "", text)).split())
    if not plain or len(plain) > MAX_DECISION_CHARS:
        return YesNo.UNCLEAR
    plain = _MISHEARD_PARTICLE.sub("好的", _PARTICLE_HOMOPHONE.sub("的", plain))
    found = [meaning for meaning, pattern in _PATTERNS.items() if pattern.fullmatch(plain)]
    return found[0] if len(found) == 1 else YesNo.UNCLEAR
