"""The status bar of a tab."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradio.components import Component

from realtime_handler import Stage

from .texts import SERVERS, Locale, sentence

ServerLine = Callable[[str], tuple[Stage | str, str | None, str]]
"""(a visitor's own key or "") -> stage outside a call ("idle", "loading" or "failed"), notice code or None,
`Endpoint.name`."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """How a tab shows again what it would talk to: a function of (`Visitor`, `Locale`), and where its results go."""

    show: Callable[..., Any]
    outputs: Sequence[Component]


def status_html(stage: str, notice: str | None, text: str, server: str, locale: Locale) -> str:
    """State as a word for everyone, as a colour for those who see it. `server`: an `Endpoint.name`."""
    return (
        f'<div class="status" data-stage="{html.escape(stage)}"'
        f' data-notice="{html.escape(notice or "")}"><span class="dot"></span><span>{html.escape(text)}</span>'
        f'<span class="server">{html.escape(sentence(SERVERS, server, locale))}</span></div>'
    )
