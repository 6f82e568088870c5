"""Declared function as the router reads it: names, keywords and the words of its description. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from offline.chinese_text import HAN_CHARACTER, to_simplified

_KEYWORDS = re.compile(
    r"(?:^|(?<=[.!?。；;\s]))\s*(?:keywords?|關鍵[詞字]|关键[词字])\s*[:：]\s*(.+?)\s*\.?\s*$", re.I | re.S
)
_BETWEEN_KEYWORDS = re.compile(r"[,，、;；\n]+")
_COMMON_WORDS = frozenset(
    [
        "a",
        "about",
        "all",
        "also",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "by",
        "call",
        "can",
        "do",
        "for",
        "from",
        "function",
        "get",
        "give",
        "given",
        "gets",
        "has",
        "have",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "make",
        "may",
        "me",
        "my",
        "name",
        "new",
        "no",
        "not",
        "of",
        "on",
        "one",
        "only",
        "or",
        "other",
        "our",
        "out",
        "param",
        "parameter",
        "person",
        "please",
        "return",
        "returns",
        "run",
        "say",
        "see",
        "set",
        "show",
        "so",
        "some",
        "string",
        "such",
        "tell",
        "that",
        "the",
        "their",
        "them",
        "there",
        "these",
        "they",
        "this",
        "to",
        "tool",
        "up",
        "use",
        "used",
        "user",
        "users",
        "using",
        "value",
        "want",
        "was",
        "what",
        "when",
        "where",
        "whether",
        "which",
        "who",
        "will",
        "with",
        "you",
        "your",
    ]
)
"""Words of a description that say nothing about its subject."""


def stem(word: str) -> str:
    """Return an English word without its ending: "lights" and "lighting" are "light"."""
    for ending in ("'s", "ings", "ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def content_words(text: str) -> frozenset[str]:
    """Return the stems of the meaningful English words of `text`."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).replace("_", " ").lower()
    return frozenset(stem(w) for w in re.findall(r"[a-z][a-z']+", spaced) if w not in _COMMON_WORDS)


@dataclass(frozen=True, slots=True)
class DeclaredTool:
    """One declared function."""

    name: str
    description: str
    """Without its keywords."""
    keywords: tuple[str, ...]
    """In lower case and Simplified characters."""
    parameters: Mapping[str, Any]
    name_words: frozenset[str]
    description_words: frozenset[str]

    @property
    def subject(self) -> str:
        """What names the function's kind: its name and keywords, in lower case and Simplified characters."""
        name = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\W]+", " ", self.name).lower()
        return f"{name} {' '.join(self.keywords)}"


def read_declaration(tool: Mapping[str, Any]) -> DeclaredTool:
    """Return a declaration `{"name", "description", "parameters"}` as the router reads it."""
    description = tool.get("description") or ""
    description = description if isinstance(description, str) else ""
    keywords: tuple[str, ...] = ()
    if match := _KEYWORDS.search(description):
        words = (word.strip(" .\"'「」") for word in _BETWEEN_KEYWORDS.split(match[1]))
        keywords = tuple(to_simplified(word).lower() for word in words if word)
        description = description[: match.start()].strip()
    parameters = tool.get("parameters")
    return DeclaredTool(
        tool["name"],
        description,
        keywords,
        parameters if isinstance(parameters, Mapping) else {},
        content_words(tool["name"]),
        content_words(description.split(". ")[0]),
    )


def keyword_weight(keyword: str, clause: str, stems: frozenset[str]) -> float:
    """Return how much a keyword in a clause says for its function; 0.0 when the clause does not contain it."""
    if HAN_CHARACTER.search(keyword):
        if keyword not in clause:
            return 0.0
        return {1: 0.5, 2: 0.9}.get(len(keyword), 1.0)
    words = re.findall(r"[\w']+", keyword)
    if len(words) > 1:
        return 1.0 if re.search(rf"\b{re.escape(keyword)}\b", clause) else 0.0
    return 0.9 if words and stem(words[0]) in stems else 0.0
