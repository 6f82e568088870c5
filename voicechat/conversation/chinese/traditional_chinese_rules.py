"""Corrections of OpenCC's `s2tw` to Taiwanese usage: a short list from ordinary talk. Pure.

Only letters change, never words (软件 becomes 軟件, not 軟體), and every entry keeps the length of the text, so that
indices in the raw text and in the caption are the same.
"""

from __future__ import annotations

import re

_CHAR_CORRECTIONS = {
    ("台", "臺"): "台",  # 台灣, 台北, 舞台: only authorities write 臺
    ("污", "汙"): "污",  # 污染: what newspapers print
    ("祕", "秘"): "祕",  # 祕書: the Ministry's own choice, and good as it is
    ("癡", "痴"): "癡",
    ("布", "佈"): "布",  # 分布, 公布, 布置
    ("凶", "兇"): "凶",  # 凶手
    ("岩", "巖"): "岩",  # 岩石
    ("账", "賬"): "帳",  # 帳號, 帳單
}
"""(raw letter, letter by OpenCC): Taiwanese letter."""

_WORD_CORRECTIONS = {
    "了解": "了解",  # 瞭解 where the speaker's text has that; never forced
    "一目了然": "一目了然",
    "家具": "家具",  # not 傢俱
    "胡同": "胡同",  # not 衚衕
    "干貝": "干貝",  # the scallop, not 幹
    "干贝": "干貝",
    "计划": "計畫",  # the noun and the verb; 劃 only in 規劃
    "发霉": "發霉",
    "發霉": "發霉",
    "倒霉": "倒楣",  # another letter in Taiwan
    "复议": "覆議",
    "岳飞": "岳飛",  # the name, not the mountain
    "岳飛": "岳飛",
    "里長": "里長",  # the head of a neighbourhood, written as it should be
    "鄰里": "鄰里",
    "干擾": "干擾",
    "濃郁": "濃郁",
    "不准": "不准",  # forbidden; 不準 is inaccurate and was heard less often
    "稻谷": "稻穀",  # OpenCC is led astray by the letter before
    "头发干": "頭髮乾",  # dry; OpenCC has 幹 wherever it knows no phrase
    "衣服干": "衣服乾",
    "衣服还没干": "衣服還沒乾",
    "水都干": "水都乾",
    "干拌面": "乾拌麵",
    "冲咖啡": "沖咖啡",  # water, not a rush
    "冲一杯": "沖一杯",
    "冲杯": "沖杯",
    "冲马桶": "沖馬桶",
    "系领带": "繫領帶",
    "我困了": "我睏了",  # sleepy
    "困了吗": "睏了嗎",
    "别只": "別只",  # "not only", no counted thing
    "面线": "麵線",
    "面筋": "麵筋",
    "这家面": "這家麵",  # the noodles of this shop
    "那家面": "那家麵",
    "好吃的面": "好吃的麵",
}
"""Raw words that OpenCC has wrong, and how they are written."""

_SURNAMES = re.compile(
    r"(?:(?<![其多剩业業])余|(?<![模典规規示师師])范|(?<![至关關对對由终終属屬在])于|(?<![旅导導漫])游|涂|郁|岳)"
    r"(?=先生|小姐|太太|女士|老[师師]|[医醫]生|[经經]理|教授|主任|同[学學])"
)
"""Surnames that have another letter as a word: 余先生, not 餘先生."""
_SWIM = re.compile(r"(?<![旅导導漫郊出巡])游(?=[得了过到])")
"""他游得很快: to swim; 遊 is to travel."""
_WORD_PATTERN = re.compile("|".join(sorted(map(re.escape, _WORD_CORRECTIONS), key=len, reverse=True)))

_HAN = r"[\u3400-\u9fff\uf900-\ufaff]"
_HALF_WIDTH_PATTERN = re.compile(rf"(?<={_HAN})[,.?!:;](?={_HAN}|$)|(?<=[A-Za-z])[,?!:;](?={_HAN})")
"""A half-width sign between Chinese characters, behind the last, or between an English word and Chinese. Never inside
numbers, addresses and English."""
_FULL_WIDTH = {",": "，", ".": "。", "?": "？", "!": "！", ":": "：", ";": "；"}

AMBIGUOUS_CHARS = frozenset(
    "后发里台干面只系了制准松复历钟谷范郁周云余于出采冲游困别几尽占当术签丑斗舍借须胡表卷霉计杯刮蒙朱仆折岳家"
)
"""Letters that the words around them decide."""
HALF_WIDTH_PUNCTUATION = frozenset(_FULL_WIDTH)


def apply_corrections(raw: str, converted: str) -> str:
    """`converted`, which OpenCC made of `raw` letter by letter, as it is written in Taiwan. All of one length."""
    letters = [_CHAR_CORRECTIONS.get(pair, pair[1]) for pair in zip(raw, converted, strict=True)]
    for name in (_SURNAMES, _SWIM):
        for found in name.finditer(raw):
            letters[found.start()] = found.group()
    for found in _WORD_PATTERN.finditer(raw):
        letters[found.start() : found.end()] = _WORD_CORRECTIONS[found.group()]
    for found in _HALF_WIDTH_PATTERN.finditer(raw):
        letters[found.start()] = _FULL_WIDTH[found.group()]
    return "".join(letters)
