"""The status bar of a tab."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradio.components import Component

from voicechat.turn_taking.snapshot import CallStage
from voicechat.ui.i18n import SERVER_NAMES, Locale, get_message

ServerStatusProvider = Callable[[str], tuple[CallStage | str, str | None, str]]
"""(a visitor's own key or "") -> stage outside a call ("idle", "loading" or "failed"), notice code or None,
`Endpoint.name`."""


@dataclass(frozen=True, slots=True)
class StatusRefresh:
    """How a tab shows again what it would talk to: a function of (`Visitor`, `Locale`), and where its results go."""

    render: Callable[..., Any]
    outputs: Sequence[Component]


def render_status_bar(stage: str, notice: str | None, text: str, server_name: str, locale: Locale) -> str:
    """State as a word for everyone, as a colour for those who see it. `server`: an `Endpoint.name`."""
    return (
        f'<div class="status" data-stage="{html.escape(stage)}"'
        f' data-notice="{html.escape(notice or "")}"><span class="dot"></span><span>{html.escape(text)}</span>'
        f'<span class="server">{html.escape(get_message(SERVER_NAMES, server_name, locale))}</span></div>'
    )
