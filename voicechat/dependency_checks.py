"""Checks of other packages' internals before they are replaced or relied on.

A target is written "package.module:Qualified.name". `voicechat/patched_internals` lists them all, and
`voicechat/patches.py` installs the patches.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection
from pkgutil import resolve_name
from types import FunctionType
from typing import Any


class DependencyChanged(Exception):
    """A package differs from its pinned version: a target is missing or has another shape."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(f"{target}: {reason}")
        self.target = target
        self.reason = reason


def find_target(target: str) -> Any:
    """Return the object that `target` names. Raise DependencyChanged when it is missing."""
    try:
        return resolve_name(target)
    except (ImportError, AttributeError) as error:
        raise DependencyChanged(target, type(error).__name__) from error


def require_function(target: str, parameters: Collection[str]) -> Any:
    """Return the function that `target` names. Raise DependencyChanged unless it has exactly these parameters."""
    function = find_target(target)
    try:
        found = list(inspect.signature(function).parameters)
    except (TypeError, ValueError) as error:
        raise DependencyChanged(target, type(error).__name__) from error
    if found != list(parameters):
        raise DependencyChanged(target, "parameters")
    return function


def require_names(target: str, names: Collection[str]) -> None:
    """Raise DependencyChanged unless the code of the functions of `target` uses these attributes.

    `target` is a function, or a class with all its own methods.
    """
    found = find_target(target)
    functions = [found] if not isinstance(found, type) else list(vars(found).values())
    used = {
        name
        for function in map(inspect.unwrap, functions)
        if isinstance(function, FunctionType)
        for name in (*function.__code__.co_names, *function.__code__.co_varnames, *function.__code__.co_freevars)
    }
    if missing := set(names) - used:
        raise DependencyChanged(target, f"no {', '.join(sorted(missing))}")
