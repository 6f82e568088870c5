"""Status bar of a tab: stage, notice and server name."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradio.components import Component

from voicechat.turn_taking.snapshot import CallStage
from voicechat.ui.i18n import SERVER_NAMES, Locale, get_message, quote_server

ServerStatusProvider = Callable[[str], tuple[CallStage | str, str | None, str]]
"""Maps a visitor's own key, or "", to (stage outside a call: "idle", "loading" or "failed"; notice code or None;
`Endpoint.name`)."""


@dataclass(frozen=True, slots=True)
class StatusRefresh:
    """Update of a tab's status bar: a function of (`Visitor`, `Locale`) and the outputs of its results."""

    render: Callable[..., Any]
    outputs: Sequence[Component]


def render_status_bar(
    stage: str, notice: str | None, text: str, server_name: str, locale: Locale, server_words: str = ""
) -> str:
    """Return the HTML of the status bar. `server_name`: an `Endpoint.name`; `server_words`: see `Snapshot`."""
    text += quote_server(server_words, locale)
    return (
        f'<div class="status" data-stage="{html.escape(stage)}"'
        f' data-notice="{html.escape(notice or "")}"><span class="dot"></span><span>{html.escape(text)}</span>'
        f'<span class="server">{html.escape(get_message(SERVER_NAMES, server_name, locale))}</span></div>'
    )
