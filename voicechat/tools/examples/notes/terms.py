"""Terms of a text for the search: words without endings, and pairs of Chinese characters. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA_HANGUL = "\u3041-\u30ff\uac00-\ud7af"
_RUN = re.compile(rf"[{_HAN}{_KANA_HANGUL}]+|[^\W_{_HAN}{_KANA_HANGUL}]+(?:['’.][^\W_{_HAN}{_KANA_HANGUL}]+)*")
_IS_CJK = re.compile(rf"[{_HAN}{_KANA_HANGUL}]")

_STOP_TEXT = """
a about according after all also am an and any anything are as at be been before but by can could did do does document
documents done down else ever every file files find for from get got had has have he help her here hey hi him his how i
if in into is it its just know let like look me mention mentioned mentions mine might more much must my need next no not
note notes now of often on one or our out over page per please put read said say says search see she should so some
something tell than that the their them then there these they thing this those to up us use used very want was we were
what when where whether which who whom whose why will with would write wrote written you your yours many long far ok
okay hello thanks thank soon come comes coming go goes happen happens give gives take takes make makes mean means number
name called time times
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())
"""English words that say nothing about a subject."""
_STOP_TEXT_ZH = """
請問一下 請問 請幫我 請你 幫我 告訴我 跟我說 我想知道 想知道 我想 知道 查一下 找一下 查查 搜尋 查詢 看一下 我的 你的
我們 你們 他們 我 你 您 她 它 筆記本裡 筆記本 筆記裡 筆記 文件裡 文件 檔案裡 檔案 資料裡 裡面 裡頭 關於 有關 提到 寫到
寫著 寫了 有沒有 是不是 可不可以 能不能 要不要 會不會 什麼時候 什麼 甚麼 怎麼樣 怎麼辦 怎麼 怎樣 如何 為什麼 為何
哪裡 哪兒 哪個 哪些 哪一天 哪一 哪 誰 多少錢 多少 多久 多長 幾個 幾次 幾點 幾天 幾月幾號 幾號 幾度 是 的 了 嗎 呢 吧 啊
呀 嘛 喔 可以 應該 需要 這個 那個 這些 那些 這 那 一個 一次 一下 上面 的時候 時候 如果 一定要 要 太
"""
MAX_QUERY_TERMS = 40
"""Different terms of one question."""


class _ScriptFold(dict[int, str]):
    """Simplified form of each character, worked out when it is first met; other characters stay."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if _IS_CJK.match(char):
            char = _simplifier().convert(char)
        self[code] = char
        return char


@lru_cache(maxsize=1)
def _simplifier() -> Any:
    from opencc import OpenCC  # its tables take time to load, which a search in English need not wait for

    return OpenCC("t2s")


_FOLD = _ScriptFold()


@lru_cache(maxsize=1)
def _stop_pattern() -> re.Pattern[str]:
    stops = (stop.translate(_FOLD) for stop in _STOP_TEXT_ZH.split())
    kept = {"要": "(?<![重主])要(?!求|点)", "太": "太(?![阳太空])"}
    return re.compile("|".join(kept.get(stop, stop) for stop in sorted(stops, key=len, reverse=True)))


def terms_of(text: str) -> Iterator[str]:
    """Yield the terms of a text: stems of words, and each pair of neighbouring Chinese characters."""
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).lower()):
        if _IS_CJK.match(run):
            run = run.translate(_FOLD)
            yield from pairs_of(run)
        else:
            yield stem(run)


@dataclass(frozen=True, slots=True)
class Query:
    """What a question asks for: stems of its words, and its runs of Chinese characters."""

    words: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def terms(self) -> list[str]:
        """Different terms, as documents have them."""
        pairs = (pair for run in self.runs for pair in pairs_of(run))
        return list(dict.fromkeys((*self.words, *pairs)))[:MAX_QUERY_TERMS]


def pairs_of(run: str) -> list[str]:
    """Return each pair of neighbouring characters; a single character is its own."""
    return [run[start : start + 2] for start in range(len(run) - 1)] or [run]


def read_query(question: str) -> Query:
    """Return what a question asks for, without the words that say nothing about a subject."""
    plain = unicodedata.normalize("NFKC", question).lower().translate(_FOLD)
    words: dict[str, None] = {}
    runs: dict[str, None] = {}
    for run in _RUN.findall(_stop_pattern().sub(" ", plain)):
        if _IS_CJK.match(run):
            runs[run] = None
        elif run.replace("’", "'").split("'")[0] not in STOP_WORDS:
            words[stem(run)] = None
    longer = {run: None for run in runs if len(run) > 1}  # a single one is a remain of the words taken out
    return Query(tuple(words)[:MAX_QUERY_TERMS], tuple(longer or (runs if not words else ()))[:MAX_QUERY_TERMS])


def stem(word: str) -> str:
    """Return an English word without the commonest endings, so that "watering" finds "water"."""
    word = re.sub(r"['’]s?$", "", word)
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        root = word[: -len(ending)]
        if word.endswith(ending) and len(root) > 2 and re.search(r"[aeiouy]", root):
            if root[-1] == root[-2] and root[-1] not in "lsz":
                root = root[:-1]
            word = root
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word
