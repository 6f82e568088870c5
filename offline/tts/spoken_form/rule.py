"""Rule: one entry of a table that turns written text into words, with its examples as its test."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of written form. A match is replaced by words without digits, so that no later rule changes it."""

    name: str
    pattern: re.Pattern[str]
    replace: Replacement
    """Template or function as for `re.sub`. A function that returns the match leaves it to later rules."""
    examples: tuple[tuple[str, str], ...]
    """Written sentences in which the rule takes part, each with what is said after all rules."""


def rule(name: str, pattern: str, replace: Replacement, *examples: tuple[str, str]) -> Rule:
    """Return a rule. `pattern` is compiled for ASCII digits, because other digits are converted before."""
    return Rule(name, re.compile(pattern), replace, examples)


def apply_rules(rules: Iterable[Rule], text: str, used: list[str] | None = None) -> str:
    """Return `text` after all rules, in order. The names of the rules that changed it are appended to `used`."""
    for each in rules:
        changed = each.pattern.sub(each.replace, text)
        if used is not None and changed != text:
            used.append(each.name)
        text = changed
    return text
