"""Arguments of a call as far as code can read them in a message, and repair of those that a small model wrote. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

from offline.chinese_text import HAN_CHARACTER, contains_han, to_simplified
from offline.facts.fact import Arguments
from offline.facts.number_words import digits_for_chinese, digits_for_words
from offline.facts.registry import catch_fact
from offline.llm.tool_calls import matches_schema

from .declaration import DeclaredTool, content_words

_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_UNIT_OF_PROPERTY = re.compile(r"(second|minute|hour|秒|分鐘|分钟|小時|小时)", re.I)
_CHINESE_UNITS = {"秒": "second", "分鐘": "minute", "分钟": "minute", "小時": "hour", "小时": "hour"}
_DURATION_EN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?|half an?|an?)(?P<half> and a half)?[\s-]*"
    r"(?P<unit>seconds?|secs?|minutes?|mins?|hours?|hrs?)\b"
    r"(?P<tail> and a half)?"
)
_DURATION_ZH = re.compile(
    r"(?P<number>\d+(?:\.\d+)?|半)个?(?P<half>半)?(?:多)?(?P<unit>小时|钟头|分钟|分|秒钟|秒|刻钟)(?P<tail>半)?"
)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "小": 3600, "钟": 3600, "分": 60, "秒": 1, "刻": 900}
_FACT_PROPERTIES = {
    "expression": r"expression|formula|equation|calculation|math|input|query",
    "amount": r"amount|value|number|quantity|magnitude",
    "from_unit": r"from|source|input_unit",
    "to_unit": r"to$|to_|target|output_unit|into",
    "time_zone": r"zone|tz|location|city|place",
}
"""Names of properties that mean an argument of a fact."""

_TAKES_DURATION = re.compile(r"duration|delay|interval|time_?span|how_?long", re.I)
"""Names of texts that are a duration."""
_TAKES_MESSAGE = re.compile(r"query|question|text|prompt|message|search|input|keyword|topic|content|^q$", re.I)
"""Names of texts that the whole message may stand for."""


@dataclass(frozen=True, slots=True)
class KnownArguments:
    """Arguments that code has read in a message."""

    values: Mapping[str, Any] = field(default_factory=dict)
    is_complete: bool = False
    """Whether the call needs nothing from a language model."""


def read_duration_s(message: str) -> Fraction | None:
    """Return the seconds of the durations in `message` together; None without any."""
    if contains_han(message):
        text = digits_for_chinese(to_simplified(message))
        matches = list(_DURATION_ZH.finditer(text))
    else:
        text = digits_for_words(message.lower())
        matches = list(_DURATION_EN.finditer(re.sub(r"\bquarter of an hour\b", "15 minutes", text)))
    if not matches:
        return None
    return sum((_seconds(match) for match in matches), Fraction(0))


def _seconds(match: re.Match[str]) -> Fraction:
    number = match["number"]
    is_half = number.startswith(("half", "半"))
    amount = Fraction(1, 2) if is_half else Fraction(1) if number in ("a", "an") else Fraction(number)
    if match["half"] or match["tail"]:
        amount += Fraction(1, 2)
    return amount * _UNIT_SECONDS[match["unit"][0]]


def read_arguments(message: str, tool: DeclaredTool, now: datetime) -> KnownArguments:
    """Return the arguments of a call of `tool` that `message` shows."""
    properties, required = _properties(tool), _required(tool)
    if not properties:
        return KnownArguments({}, not required)
    caught = catch_fact(message, now)
    if caught is not None:
        values = _from_fact(caught.arguments, properties)
        if values is not None and set(required) <= set(values) and matches_schema(values, tool.parameters):
            return KnownArguments(values, is_complete=True)
    values = _from_duration(message, properties)
    if not values or not matches_schema(values, {"properties": properties}):
        return KnownArguments()
    has_free_text = any(_is_text(part) for name, part in properties.items() if name not in values)
    return KnownArguments(values, set(required) <= set(values) and not (has_free_text and _has_more(message, tool)))


def complete_arguments(
    written: Mapping[str, Any] | None, known: KnownArguments, message: str, tool: DeclaredTool
) -> dict[str, Any] | None:
    """Return the arguments of the call: those that a model wrote, corrected by code; None when none fit the schema.

    Optional ones that the message does not show are left out: a small model makes them up. The whole message stands for
    a missing text such as a query, where that is the only thing required.
    """
    properties, required = _properties(tool), _required(tool)
    values = {
        name: value
        for name, value in (written or {}).items()
        if name in properties and (name in required or _is_shown(value, properties[name], message))
    }
    values.update(known.values)
    missing = [name for name in required if name not in values or values[name] == ""]
    if len(missing) == 1 and _is_text(properties.get(missing[0])) and _TAKES_MESSAGE.search(missing[0]):
        values[missing[0]] = message.strip()
    if any(name not in values for name in required) or not matches_schema(values, tool.parameters):
        return None
    return values


def shows_required(tool: DeclaredTool, arguments: Mapping[str, Any] | None, message: str) -> bool:
    """Return whether `message` shows a required text that a model wrote, where it wrote any."""
    required = {name: value for name, value in (arguments or {}).items() if name in _required(tool)}
    return not any(isinstance(value, str) for value in required.values()) or _shows_text(required, message)


def has_shown_arguments(tool: DeclaredTool, arguments: Mapping[str, Any] | None, message: str) -> bool:
    """Return whether all arguments are declared, with the required ones among them, and `message` shows a text."""
    are_declared = set(_required(tool)) <= set(arguments or {}) <= set(_properties(tool))
    return are_declared and bool(arguments) and _shows_text(arguments or {}, message)


def _shows_text(arguments: Mapping[str, Any], message: str) -> bool:
    """Return whether `message` has a number, or the words of one of the texts."""
    texts = [value for value in arguments.values() if isinstance(value, str) and value]
    return bool(re.search(r"\d", _with_digits(message))) or any(_is_shown(text, {}, message) for text in texts)


def _with_digits(message: str) -> str:
    return digits_for_chinese(to_simplified(message)) if contains_han(message) else digits_for_words(message.lower())


def _properties(tool: DeclaredTool) -> Mapping[str, Any]:
    properties = tool.parameters.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _required(tool: DeclaredTool) -> list[str]:
    required = tool.parameters.get("required")
    return [name for name in required if isinstance(name, str)] if isinstance(required, list) else []


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "string" and "enum" not in part and "const" not in part


def _from_fact(arguments: Arguments, properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of a fact under the names of `properties`; None when one has no such name."""
    values = {}
    for key, value in arguments.items():
        name = (
            key
            if key in properties
            else next((each for each in properties if re.search(_FACT_PROPERTIES.get(key, "$^"), each, re.I)), None)
        )
        if name is None or name in values:
            return None
        values[name] = value
    return values


def _from_duration(message: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that name a unit of time, or else the text for a duration, with that of `message`."""
    units = {name: unit for name, part in properties.items() if (unit := _time_unit(name, part))}
    texts = [name for name, part in properties.items() if _is_text(part) and _TAKES_DURATION.search(name)]
    total = read_duration_s(message) if units or texts else None
    if total is None:
        return {}
    if not units:
        return {texts[0]: _write_duration(total)}
    values: dict[str, Any] = {}
    ordered = sorted(units, key=lambda name: -_SECONDS[units[name]])
    for index, name in enumerate(ordered):
        size = _SECONDS[units[name]]
        amount = total / size if index == len(ordered) - 1 else Fraction(total // size)
        is_whole = amount.denominator == 1
        if not is_whole and properties[name].get("type") == "integer":
            amount, is_whole = Fraction(round(amount)), True
        values[name] = int(amount) if is_whole else float(amount)
        total -= amount * size
    return values


def _write_duration(seconds: Fraction) -> str:
    """Return a duration in words that programs read, in its largest whole unit."""
    unit = next((name for name in ("hour", "minute") if (seconds / _SECONDS[name]).denominator == 1), "second")
    amount = seconds / _SECONDS[unit]
    return f"{amount if amount.denominator == 1 else float(amount)} {unit}{'' if amount == 1 else 's'}"


def _time_unit(name: str, part: Any) -> str:
    if not isinstance(part, Mapping) or part.get("type") not in ("integer", "number"):
        return ""
    described = part.get("description")
    for text in (name, described if isinstance(described, str) else ""):
        if match := _UNIT_OF_PROPERTY.search(text):
            return _CHINESE_UNITS.get(match[1], match[1].lower())
    return ""


def _has_more(message: str, tool: DeclaredTool) -> bool:
    """Return whether `message` names more than the function and a duration, such as a label."""
    if contains_han(message):
        rest = _DURATION_ZH.sub("", digits_for_chinese(to_simplified(message)))
        for word in (
            *tool.keywords,
            "计时器",
            "计时",
            "倒数",
            "闹钟",
            "提醒",
            "帮我",
            "请",
            "设定",
            "设",
            "一个",
            "之后",
            "后",
            "叫我",
        ):
            rest = rest.replace(word, "")
        return len(HAN_CHARACTER.findall(rest)) >= 2
    rest = _DURATION_EN.sub("", digits_for_words(message.lower()))
    spoken = {
        "start",
        "timer",
        "put",
        "begin",
        "need",
        "thank",
        "pleas",
        "just",
        "minut",
        "create",
        "go",
        "count",
        "down",
        "now",
    }
    return bool(content_words(rest) - tool.name_words - tool.description_words - spoken)


def _is_shown(value: Any, part: Any, message: str) -> bool:
    """Return whether an optional argument can be read in `message`."""
    if isinstance(value, bool) or (isinstance(part, Mapping) and ("enum" in part or "const" in part)):
        return True
    if isinstance(value, (int, float)):
        return any(float(number) == value for number in re.findall(r"\d+(?:\.\d+)?", _with_digits(message)))
    if isinstance(value, str):
        if contains_han(message):
            shown = to_simplified(message)
            chars = set(HAN_CHARACTER.findall(to_simplified(value)))
            latin = re.findall(r"[a-z]{2,}", value.lower())
            return bool(chars and chars <= set(shown)) or any(word in message.lower() for word in latin)
        return bool(content_words(value.replace("/", " ")) & content_words(message)) or value.lower() in message.lower()
    return bool(value)
