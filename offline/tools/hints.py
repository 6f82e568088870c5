"""Hints: words that occur in requests for the usual functions, and elsewhere too. Pure.

They are too weak to call a function. They decide which functions the language model is asked about. The English words
are those of the public request collection CLINC150 that are typical of such requests, the Mandarin ones their
counterparts. Clauses are in lower case and Simplified characters, with their numbers as digits.
"""

from __future__ import annotations

import re

from . import concepts
from .concepts import Concept


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_HINTS: tuple[tuple[Concept, re.Pattern[str]], ...] = (
    (
        concepts.TIMER,
        _words(
            r"\b(?:timers?|alarms?|countdown|remind\w*|wake|ring)\b|\d+ ?(?:am|pm)\b|"
            r"\b(?:hours?|minutes?|mins?|seconds?)\b",
            r"计时|倒数|闹钟|闹铃|定时|提醒|叫醒|叫我|喊我|\d个?半?(?:小时|钟头|分钟|分|秒)|半个?(?:小时|钟头)",
        ),
    ),
    (
        concepts.LIGHTS,
        _words(
            r"\b(?:lights?|lamps?|bulbs?|lighting|dark\w*|bright\w*|dim\w*)\b|\bturn\b.*\b(?:on|off|up|down)\b",
            r"灯|亮|暗|(?:开|关)一?下",
        ),
    ),
    (
        concepts.MESSAGE,
        _words(
            r"\b(?:text|message|send|tell|ask|write|saying|says|mail|e-?mail|reply|know that)\b|"
            r"\blet \w+(?: \w+)? know\b",
            r"讯息|消息|简讯|短信|传|发|寄|告诉|通知|转告|问|(?:跟|和|给|对)(?!我|你|您).{1,6}(?:说|讲|一声)",
        ),
    ),
    (
        concepts.CONVERT,
        _words(
            r"\b(?:convert|conversion|units?)\b|\b(?:inch|inches|feet|foot|yards?|miles?|met(?:er|re)s?|"
            r"\w+met(?:er|re)s?|"
            r"ounces?|pounds?|kilos?|\w*grams?|cups?|\w+spoons?|pints?|quarts?|gallons?|\w*lit(?:er|re)s?|"
            r"celsius|fahrenheit)\b",
            r"换算|单位|公里|公尺|公分|英里|英尺|英寸|英吋|公斤|公克|磅|盎司|台斤|公升|毫升|加仑|汤匙|茶匙|摄氏|华氏|坪",
        ),
    ),
    (
        concepts.CALCULATE,
        _words(
            r"\d.*\b(?:times|plus|minus|by|of|off|x|and|each|per|for|at|is|what)\b|\b(?:square|root|percent|sum|divided|"
            r"multipl\w+|math\w*)\b",
            r"\d.*(?:多少|几|等于|一共|总共)|平方|根号|百分|折|加起来|乘|除以|算",
        ),
    ),
    (
        concepts.NOTES,
        _words(
            r"\b(?:notes?|documents?|docs|files?|papers?|page|wrote|written|write|noted|saved|stored|search|find|"
            r"look|where)\b",
            r"笔记|文件|资料|文档|手册|纪录|记录|档案|记的|记过|写的|写过|写下|存的|找|查|翻|搜",
        ),
    ),
    (
        concepts.WEATHER,
        _words(
            r"\b(?:weather|forecast|rain\w*|snow\w*|sun\w*|wind\w*|storm\w*|temperature|degrees|hot|cold|warm\w*|"
            r"cool\w*|outside|conditions|chance|tonight|tomorrow|weekend|umbrella|coat|jacket)\b",
            r"天气|气温|温度|几度|雨|雪|风|晴|太阳|冷|热|凉|外面|外头|明天|后天|周末|伞|外套",
        ),
    ),
    (
        concepts.TIME,
        _words(
            r"\b(?:time|times|timezone|clock|date|day|today's|month|year|hour|o'clock|late|noon|midnight)\b",
            r"时间|几点|点钟|\d点|时钟|时区|几号|几月|几日|日期|星期几|礼拜几|周几|今天是",
        ),
    ),
)


def has_hint(concept: Concept | None, clause: str) -> bool:
    """Return whether a clause contains a word that occurs in requests for functions of this concept."""
    return any(hint.search(clause) is not None for each, hint in _HINTS if each is concept)
