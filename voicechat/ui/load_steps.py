"""Load steps: what the parts of the page show first, for the visitor and in the language of a page that has loaded.

All steps run in one event. An event for each would cost a new page one more request and answer before it can be used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradio.components import Component

from voicechat.session.visitor import Visitor
from voicechat.ui.i18n import Locale

FirstValues = Callable[[Visitor, Locale], Sequence[Any]]
"""Return the first values of a part's components. Must not block: it runs in the event loop of the calls."""


class LoadSteps:
    """Steps of all parts, in the order of their addition."""

    def __init__(self) -> None:
        self._steps: list[tuple[FirstValues, int]] = []
        self._outputs: list[Component] = []
        self._is_sealed = False

    def add(self, first_values: FirstValues, outputs: Sequence[Component]) -> None:
        """Add a part, whose components `outputs` show `first_values`. Raises RuntimeError after `seal`."""
        if self._is_sealed:
            raise RuntimeError("a part added after the load event would never show its first values")
        self._steps.append((first_values, len(outputs)))
        self._outputs.extend(outputs)

    def seal(self) -> list[Component]:
        """Return the components of all steps, for the load event. No part can be added afterwards."""
        self._is_sealed = True
        return list(self._outputs)

    def values(self, visitor: Visitor, locale: Locale) -> list[Any]:
        """Return the first values of the components. Raises ValueError if a part returns another number of them."""
        found: list[Any] = []
        for first_values, count in self._steps:
            values = list(first_values(visitor, locale))
            if len(values) != count:
                raise ValueError(f"{len(values)} values for {count} components")
            found += values
        return found
