"""Fact: a kind of question that code answers, and the request in the form that its catcher reads. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from offline.chinese_text import contains_han, to_simplified

Locale = Literal["en", "zh"]
Arguments = Mapping[str, Any]

MAX_REQUEST_CHARS = 160
"""Characters of a request that may be a question for code. Longer ones tell a story."""


@dataclass(frozen=True, slots=True)
class Request:
    """Whole request of the user without punctuation at its ends and polite frames.

    English is in lower case. Chinese is in Simplified characters without spaces: few Traditional characters share a
    Simplified one, so that one pattern reads both.
    """

    text: str
    locale: Locale
    now: datetime
    """Time of the request, with the time zone of the server."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Kind of question that code answers. It may also be declared to a model as a function."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON schema of the arguments."""
    catch: Callable[[Request], Arguments | None]
    """Returns the arguments when the whole request is such a question, else None."""
    answer: Callable[[Arguments, Locale, datetime], str]
    """Returns one sentence. The arguments match the schema. Raises `ValueError` for values that have no answer."""

    def declaration(self) -> dict[str, Any]:
        """Return the function as the Realtime protocol declares it."""
        return {"type": "function", "name": self.name, "description": self.description, "parameters": self.parameters}


_FRAMES_EN = (
    r"(?:hey|hi|hello|ok|okay|so|well|um+|uh+|and|please|excuse me|now|alright|quick question|sorry|hmm+)\b",
    r"(?:can|could|would|will) you (?:please )?(?:kindly )?(?:tell me|help me|calculate|work out|figure out|compute)\b",
    r"(?:can|could|would) you (?=convert|add|multiply|divide|subtract|please convert)",
    r"do you (?:happen to )?know\b",
    r"(?:i want|i'd like|i would like|i need) to know\b",
    r"(?:please )?tell me\b",
    r"i wonder\b",
    r"(?:do you know|can i ask you|may i ask|let me ask you)\b",
)
_FRAME_EN = re.compile(rf"(?:{'|'.join(_FRAMES_EN)})[\s,:.!]*")
_TAIL_EN = re.compile(r"[\s,]*\b(?:please|for me|thanks|thank you|exactly|again|then|by the way|roughly)$")
_FRAME_ZH = re.compile(
    r"请问一下|请问|请|麻烦你|麻烦|不好意思|你好|哈啰|嗨|嗯+|呃+|欸|诶|那么|那"
    r"|(?:你)?(?:可以|能不能|可不可以|能)(?:请你)?(?:告诉我|跟我说|帮我算一下|帮我算|帮我看一下|帮我换算)"
    r"|告诉我|跟我说|帮我算一下|帮我算|帮我计算|帮我看一下|帮我看|帮我查一下|帮我查|帮我"
    r"|你知道|你知不知道|我想知道|我想问一下|我想问|我要问|想请问|想问"
)
_TAIL_ZH = re.compile(r"(?:谢谢你?|拜托|好吗|可以吗|呢|啊|呀|啦|喔|哦|吗|咧)$")
_EDGE_MARKS = "?!.,;:。，！？；：、…~\"'「」『』“”‘’ \t\n"


def read_request(text: str, now: datetime) -> Request | None:
    """Return the request in `text` in the form that catchers read; None when it is empty or too long."""
    if not 0 < len(text) <= MAX_REQUEST_CHARS:
        return None
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'")
    if contains_han(text):
        locale, text = _read_chinese(text)
    else:
        locale, text = _read_english(text)
    return Request(text, locale, now) if text else None


def _read_english(text: str) -> tuple[Locale, str]:
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", " ".join(text.lower().split())).strip(_EDGE_MARKS)
    text = re.sub(r"\bto-(?=(?:day|morrow|night)\b)", "to", text)  # the recogniser writes some words the old way
    while match := _FRAME_EN.match(text):
        text = text[match.end() :].lstrip(_EDGE_MARKS)
    while match := _TAIL_EN.search(text):
        text = text[: match.start()].rstrip(_EDGE_MARKS)
    return "en", text


def _read_chinese(text: str) -> tuple[Locale, str]:
    # Spaces between Latin words stay: "3 mph".
    text = re.sub(r"(?<![a-z]) +| +(?![a-z])", "", to_simplified(text).lower())
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text).strip(_EDGE_MARKS)
    text = re.sub(r"(?<=[\dx×)])[时事](?=多少$)", "是", text)  # the recogniser confuses them
    while match := _FRAME_ZH.match(text):
        text = text[match.end() :].lstrip(_EDGE_MARKS)
    while match := _TAIL_ZH.search(text):
        text = text[: match.start()].rstrip(_EDGE_MARKS)
    return "zh", text
