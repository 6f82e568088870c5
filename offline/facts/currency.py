"""Amounts of money at a rate that the user gives. No rate is known here. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from fractions import Fraction

from offline.chinese_text import to_simplified

from .fact import Arguments, Fact, Locale, Request
from .number_format import format_number
from .number_words import CHINESE_NUMBER, chinese_number, digits_for_words
from .units import MAX_AMOUNT

MONEY_PLACES = 2
"""Decimal places of an amount of money."""
_CURRENCIES = (
    ("TWD", "Taiwan dollars", "台幣", ("nt dollar", "nt", "ntd", "taiwan dollar", "new taiwan dollar"), ("新台币",)),
    ("USD", "US dollars", "美元", ("us dollar", "dollar", "usd", "american dollar", "buck"), ("美金", "美钞")),
    ("EUR", "euros", "歐元", ("euro", "eur"), ()),
    ("JPY", "yen", "日圓", ("yen", "jpy", "japanese yen"), ("日元", "日币")),
    ("GBP", "pounds", "英鎊", ("pound", "gbp", "british pound"), ()),
    ("CNY", "yuan", "人民幣", ("yuan", "rmb", "cny", "renminbi"), ()),
    ("HKD", "Hong Kong dollars", "港幣", ("hong kong dollar", "hkd"), ("港元",)),
    ("KRW", "won", "韓元", ("won", "krw", "korean won"), ("韩币", "韩圆")),
    ("AUD", "Australian dollars", "澳幣", ("australian dollar", "aud"), ("澳元",)),
    ("CAD", "Canadian dollars", "加幣", ("canadian dollar", "cad"), ("加元",)),
    ("CHF", "Swiss francs", "瑞士法郎", ("swiss franc", "franc", "chf"), ()),
    ("SGD", "Singapore dollars", "新加坡幣", ("singapore dollar", "sgd"), ("新币",)),
    ("THB", "baht", "泰銖", ("baht", "thb", "thai baht"), ()),
)
"""Code, names in both languages, and other names: in English singular, in Chinese Simplified."""
_BY_CODE = {row[0]: row for row in _CURRENCIES}
_ENGLISH = {
    name: row[0] for row in _CURRENCIES for singular in (row[1].lower(), *row[3]) for name in (singular, singular + "s")
}
_CHINESE = {name: row[0] for row in _CURRENCIES for name in (to_simplified(row[2]), *row[4])}


def _alternatives(names: dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def _english(amount: str, unit: str) -> str:
    return rf"(?:(?P<{amount}>\d+(?:\.\d+)?|an?) )(?P<{unit}>{_alternatives(_ENGLISH)})"


def _chinese(amount: str, unit: str) -> str:
    return rf"(?P<{amount}>{CHINESE_NUMBER})块?(?P<{unit}>{_alternatives(_CHINESE)})"


_TARGET_EN = rf"(?P<target>{_alternatives(_ENGLISH)})"
_RATE_EN = rf"(?:if )?{_english('one', 'base')} (?:is|equals|costs|is worth|gets you|buys) {_english('rate', 'quote')}"
_QUESTIONS_EN = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_RATE_EN} (?:then )?(?:how much|what) (?:is|are) {_english('amount', 'source')}(?: in {_TARGET_EN})?",
        rf"{_RATE_EN} (?:then )?how many {_TARGET_EN} (?:is|are) {_english('amount', 'source')}",
        rf"how much (?:is|are) {_english('amount', 'source')}(?: in {_TARGET_EN})?"
        rf" {_RATE_EN.replace('(?:if )?', 'if ')}",
    )
)
_QUESTION_ZH = re.compile(
    rf"(?:如果|假如|假设|要是)?{_chinese('one', 'base')}(?:是|等于|换|兑换|兑|可以换|可换)(?P<rate>{CHINESE_NUMBER})元?"
    rf"(?P<quote>{_alternatives(_CHINESE)})(?:的话)?[,，]?(?:那么|那)?{_chinese('amount', 'source')}"
    rf"(?:是|等于|换|可以换|可换|能换|换成)?(?:多少|几)(?:块|元)?(?P<target>{_alternatives(_CHINESE)}|钱)?"
)


def catch_exchange(request: Request) -> Arguments | None:
    """Return the arguments of `exchange_money` for a request that gives a rate and asks for an amount."""
    if request.locale == "en":
        text = digits_for_words(re.sub(r"[,$]", " ", request.text))
        text = " ".join(text.split())
        match = next((found for p in _QUESTIONS_EN if (found := p.fullmatch(text))), None)
        names = _ENGLISH
    else:
        match, names = _QUESTION_ZH.fullmatch(request.text), _CHINESE
    if match is None:
        return None
    one, rate, amount = (_amount(match[name]) for name in ("one", "rate", "amount"))
    base, quote, source = (names[match[name]] for name in ("base", "quote", "source"))
    target = names.get(match["target"] or "", quote if source == base else base)
    if one is None or rate is None or amount is None or not one or not rate or max(one, rate, amount) > MAX_AMOUNT:
        return None
    if base == quote or {source, target} != {base, quote}:
        return None
    return {
        "amount": float(amount),
        "from_currency": source,
        "to_currency": target,
        "one": float(one if source == base else rate),
        "is_worth": float(rate if source == base else one),
    }


def _amount(text: str) -> Fraction | None:
    if text in ("a", "an"):
        return Fraction(1)
    return Fraction(text) if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text) else chinese_number(text)


def answer_exchange(arguments: Arguments, locale: Locale, now: datetime) -> str:
    """Return the sentence with the amount. Raises `ValueError` for a rate that is not positive."""
    amount, one, worth = (Fraction(str(arguments[name])) for name in ("amount", "one", "is_worth"))
    if one <= 0 or worth <= 0 or not 0 <= amount <= MAX_AMOUNT:
        raise ValueError("amounts and rates are positive")
    said, is_rounded = format_number(amount * worth / one, locale, MONEY_PLACES)
    given, _ = format_number(amount, locale, 6)
    column = 1 if locale == "en" else 2
    source, target = _BY_CODE[arguments["from_currency"]][column], _BY_CODE[arguments["to_currency"]][column]
    if locale == "en":
        return f"At that rate, {given} {source} is {'about ' if is_rounded else ''}{said} {target}."
    return f"照這個匯率，{given} {source}{'大約' if is_rounded else ''}是 {said} {target}。"


EXCHANGE_MONEY = Fact(
    "exchange_money",
    "Convert an amount of money at a rate that the user gave: `one` of from_currency for `is_worth` of to_currency.",
    {
        "type": "object",
        "properties": {
            "amount": {"type": "number"},
            "from_currency": {"type": "string", "enum": list(_BY_CODE)},
            "to_currency": {"type": "string", "enum": list(_BY_CODE)},
            "one": {"type": "number"},
            "is_worth": {"type": "number"},
        },
        "required": ["amount", "from_currency", "to_currency", "one", "is_worth"],
    },
    catch_exchange,
    answer_exchange,
)
