"""Parts of the rules of Mandarin: patterns, tables of words, and functions that write a match in words.

Written text has ASCII digits and operators here; `characters` converts other ones before.
"""

from __future__ import annotations

import re

from .numbers import (
    amount_zh,
    clock_zh,
    count_zh,
    date_zh,
    is_date,
    number_zh,
    whole_zh,
    year_zh,
)

N = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
"""A number of 0 or more; use it in a group."""
NB = r"(?<![\d.])"
"""Not within a number, before one."""
NA = r"(?![\d]|\.\d|,\d{3})"
"""Not within a number, after one."""
TO = r"\s*(?:-|–|—|~|至|到)\s*"
"""Sign of a range."""
COLON = "[:：]"

MEASURE = (
    r"(?:(?:小時|分鐘|秒|星期|禮拜|公分|公斤|公尺|公里|公克|公噸|公頃|公升|毫[升克米]"
    r"|平方|立方|歲|週|周|倍|元|塊|點|坪|度|成|代|邊|人(?!座)"
    r"|個|位|本|隻|只|杯|天|次|張|條|件|台|臺|部|輛|家|間|棟|層|顆|粒|支|枝|枚"
    r"|包|盒|瓶|碗|盤|片|份|種|樣|句|字|集|季|場|首|篇|段|步"
    r"|分(?!之)|年(?!級|代|[0-9]|\s*\d)|千|百|萬|億|兆|封|項|名|把|頭|匹|雙|對"
    r"|套|束|朵|棵|株|道|艘|架|座|幅|卷|串|滴|桶|箱|袋|罐|斤|兩"
    r"|打(?![0-9])|趟|遍|回|口|根|頂|副|筆|則|通|班(?!級)|大(?=[類種項])|組|場"
    r"|局|勝|敗|週年|美元|歐元|日圓|英[寸尺里])(?!月\d))"
)
"""Words before which a lone 2 is 兩. Not 月, 日, 號, 樓: those are ordinals."""
UNITS = {
    "mm": "公釐", "cm": "公分", "m": "公尺", "km": "公里", "mg": "毫克", "g": "公克", "kg": "公斤", "ml": "毫升",
    "mL": "毫升",
    "L": "公升", "km/h": "公里", "m/s": "公尺每秒", "Hz": "赫茲", "kHz": "千赫", "MHz": "百萬赫", "W": "瓦",
    "kW": "千瓦",
    "kWh": "度", "V": "伏特", "mAh": "毫安時", "h": "小時", "hr": "小時", "hrs": "小時", "min": "分鐘", "mins": "分鐘",
    "sec": "秒", "s": "秒", "ms": "毫秒", "lb": "磅", "lbs": "磅", "oz": "盎司", "ft": "英尺", "kcal": "大卡",
    "ha": "公頃",
    "m2": "平方公尺", "m3": "立方公尺", "cm2": "平方公分", "km2": "平方公里", "dB": "分貝", "cc": "西西",
    "c.c.": "西西",
}  # fmt: skip
MONEY = {
    "NT$": "新台幣{}元", "NTD": "新台幣{}元", "TWD": "新台幣{}元", "US$": "{}美元", "USD": "{}美元", "HK$": "{}港元",
    "A$": "{}澳元", "S$": "{}新加坡元", "C$": "{}加元", "$": "{}元", "€": "{}歐元", "EUR": "{}歐元", "£": "{}英鎊",
    "¥": "{}日圓",
    "JPY": "{}日圓", "RMB": "人民幣{}元", "CNY": "人民幣{}元", "₩": "{}韓元",
}  # fmt: skip
OPERATORS = {"+": "加", "-": "減", "×": "乘以", "x": "乘以", "*": "乘以", "÷": "除以", "/": "除以", "=": "等於"}
COMPARISONS = {
    "=": "等於", "≠": "不等於", "≥": "大於等於", "≤": "小於等於", ">=": "大於等於", "<=": "小於等於", "!=": "不等於",
    "==": "等於", "≈": "約等於", "<": "小於", ">": "大於",
}  # fmt: skip
UNIT_NAMES = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
MONEY_SIGNS = "|".join(re.escape(sign) for sign in sorted(MONEY, key=len, reverse=True))


def date_words(match: re.Match[str]) -> str:
    """Return a date in digits with its year, of either era: groups `roc`, `y`, `m`, `d`."""
    year, month, day = match["y"], match["m"], match["d"]
    if not is_date(month, day):
        return match[0]
    is_republic = len(year) <= 3
    return ("民國" if is_republic and not match["roc"] else match["roc"] or "") + date_zh(
        whole_zh(int(year)) if is_republic else year_zh(year), month, day
    )


def month_day_words(match: re.Match[str]) -> str:
    """Return two numbers with a slash as a date; as they are where they may be a fraction."""
    month, day = match["m"], match["d"]
    if not is_date(month, day):
        return match[0]
    has_context = bool(match["before"] or match["after"])
    is_fraction = int(month) < int(day) and int(day) <= 10
    if match["part"] or (is_fraction and not has_context):
        return match[0]
    return f"{match['before'] or ''}{date_zh('', month, day)}{match['after'] or ''}"


def time_words(match: re.Match[str]) -> str:
    """Return a time of day: groups `h`, `min`, `s`, `half`."""
    if int(match["h"]) > 24 or int(match["min"]) > 59:
        return match[0]
    half = {"a": "上午", "p": "下午"}.get((match["half"] or "").lower(), "")
    return half + clock_zh(match["h"], match["min"], match["s"])


def time_range_words(match: re.Match[str]) -> str:
    """Return a range of two times: groups 1 to 4."""
    if max(int(match[1]), int(match[3])) > 24 or max(int(match[2]), int(match[4])) > 59:
        return match[0]
    return f"{clock_zh(match[1], match[2])}到{clock_zh(match[3], match[4])}"


def money_words(match: re.Match[str]) -> str:
    """Return an amount of money: groups `sign`, `n`, `to`, `letter`, `scale`."""
    letter = match["letter"] or ""
    amount = amount_zh(match["n"], letter) + (match["scale"] or "")
    if match["to"]:
        amount += "到" + amount_zh(match["to"])
    return MONEY[match["sign"]].format(amount)


def temperature_words(match: re.Match[str]) -> str:
    """Return a temperature or an angle: groups `minus`, `n`, `to`, `scale`."""
    scale = {"C": "攝氏", "F": "華氏"}.get(match["scale"] or "", "")
    below = ("零下" if scale != "華氏" else "負") if match["minus"] else ""
    said = count_zh(match["n"]) + ("到" + count_zh(match["to"]) if match["to"] else "")
    return f"{'' if below == '零下' else scale}{below}{said}度"


def percent_words(match: re.Match[str]) -> str:
    """Return a share of a hundred or a thousand: groups `minus`, `n`, `to`, `sign`."""
    sign = "百分之" if match["sign"] == "%" else "千分之"
    if match["to"]:
        return f"{sign}{number_zh(match['n'])}到{number_zh(match['to'])}"
    return ("負" if match["minus"] else "") + sign + ("百" if match["n"] == "100" else number_zh(match["n"]))


def equation_words(match: re.Match[str]) -> str:
    """Return numbers with the operators between them in words."""
    words = re.sub(r"[+\-×x*÷/=]", lambda m: OPERATORS[m[0]], re.sub(r"\s+", "", match[0]))
    return re.sub(N, lambda m: number_zh(m[0]), words.replace("等於減", "等於負"))


def power_words(match: re.Match[str]) -> str:
    """Return a base and an exponent in words: groups 1 and 2."""
    base = match[1] if match[1].isalpha() else number_zh(match[1])
    exponent = ("負" if match[2].startswith("-") else "") + number_zh(match[2].lstrip("-"))
    return f"{base}的{'平方' if exponent == '二' else '立方' if exponent == '三' else exponent + '次方'}"


def range_words(match: re.Match[str]) -> str:
    """Return a range: groups 1, `scale`, 3, `measure`."""
    before_measure = bool(match["measure"])
    first = (count_zh if before_measure or match["scale"] else number_zh)(match[1])
    return f"{first}{match['scale'] or ''}到{(count_zh if before_measure else number_zh)(match[3])}"
