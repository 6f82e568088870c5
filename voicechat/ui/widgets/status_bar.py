"""Status bar of a tab: stage, notice and server name."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradio.components import Component

from voicechat.turn_taking.snapshot import CallStage
from voicechat.ui.i18n import (
    CALL_NOTICE_TEXTS,
    CALL_STAGE_TEXTS,
    CHAT_NOTICE_TEXTS,
    CHAT_STAGE_TEXTS,
    SERVER_NAMES,
    SERVER_TITLES,
    Locale,
    TranslationTable,
    get_message,
    quote_server,
)

ServerStatusProvider = Callable[[str], tuple[CallStage | str, str | None, str]]
"""Maps a visitor's own key, or "", to (stage outside a call: "idle", "loading" or "failed"; notice code or None;
`Endpoint.name`)."""


@dataclass(frozen=True, slots=True)
class StatusRefresh:
    """Update of a tab's status bar: a function of (`Visitor`, `Locale`) and the outputs of its results."""

    render: Callable[..., Any]
    outputs: Sequence[Component]


@dataclass(frozen=True, slots=True)
class StatusTexts:
    """Sentences of a tab's stages and notices, by their codes."""

    stages: TranslationTable
    notices: TranslationTable


CALL_STATUS = StatusTexts(CALL_STAGE_TEXTS, CALL_NOTICE_TEXTS)
CHAT_STATUS = StatusTexts(CHAT_STAGE_TEXTS, CHAT_NOTICE_TEXTS)


def render_status_sentence(
    texts: StatusTexts,
    stage: str,
    notice: str | None,
    server_name: str,
    locale: Locale,
    queue_position: int = 0,
    seconds: int = 0,
    server_words: str = "",
) -> str:
    """Return the HTML of a status bar with the sentence of its notice, or of its stage without one.

    `queue_position`, `seconds`, `server_words`: see `Snapshot`.
    """
    text = get_message(texts.notices, notice, locale) if notice else get_message(texts.stages, stage, locale)
    sentence = text.format(position=queue_position, seconds=seconds)
    return render_status_bar(stage, notice, sentence, server_name, locale, server_words, queue_position)


def render_status_bar(
    stage: str,
    notice: str | None,
    text: str,
    server_name: str,
    locale: Locale,
    server_words: str = "",
    queue_position: int = 0,
) -> str:
    """Return the HTML of the status bar. `server_name`: an `Endpoint.name`; `server_words`: see `Snapshot`."""
    text += quote_server(server_words, locale)
    server = server_name if server_name in SERVER_TITLES else "other"
    icon = "shield" if server in ("offline", "offline_network") else "cloud"
    title = html.escape(get_message(SERVER_TITLES, server, locale))
    return (
        f'<div class="status" data-stage="{html.escape(stage)}" data-server="{server}"'
        f' data-notice="{html.escape(notice or "")}" data-position="{queue_position}"><span class="dot"></span>'
        f'<span class="sentence">{html.escape(text)}</span><span class="server" title="{title}">'
        f'<i class="icon tiny" data-icon="{icon}"></i>'
        f"<span>{html.escape(get_message(SERVER_NAMES, server_name, locale))}</span></span></div>"
    )
