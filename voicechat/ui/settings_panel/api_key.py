"""Key and costs group: the spending limit of a call, and a visitor's own key for calls and chats started afterwards.

The key stays in the session and is never sent back. The field is cleared at once, and the page learns only that a key
is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from voicechat.config.settings import SettingsError, check_key
from voicechat.session.visitor import Visitor
from voicechat.ui.i18n import KEY_MESSAGES, Locale, get_message, label
from voicechat.ui.widgets.status_bar import StatusRefresh


@dataclass(frozen=True, slots=True)
class KeyFields:
    """Fields of the visitor's own key."""

    key: gr.Textbox
    use: gr.Button
    forget: gr.Button
    status: gr.Markdown
    in_use: gr.Textbox
    """Hidden: "yes" while a key is set. A reloaded page has lost it, and asks for it (own_key.js)."""


def build_cost_cap(visible: bool) -> gr.Number:
    """Lay out the spending limit of a call in the current group."""
    return gr.Number(value=0, minimum=0, precision=2, label=label("wish_cost"), elem_id="wish-cost", visible=visible)


def build_key_fields() -> KeyFields:
    """Lay out the key's fields in the current group."""
    with gr.Row(elem_id="own-key"):
        key = gr.Textbox(
            type="password",
            elem_id="own-key-input",
            label=label("key_title"),
            placeholder=label("key_placeholder"),
            max_length=500,
            scale=5,
        )
        use = gr.Button(label("key_use"), elem_id="own-key-use", scale=1, min_width=90)
        forget = gr.Button(label("key_forget"), elem_id="own-key-forget", scale=1, min_width=90)
    status = gr.Markdown(label("key_note"), elem_id="own-key-status")
    return KeyFields(key, use, forget, status, gr.Textbox(visible=False))


def wire(fields: KeyFields, visitor: gr.State, locale: gr.State, status_refreshes: Sequence[StatusRefresh]) -> None:
    """Wire the key's fields in the current Blocks. `status_refreshes`: update the status bars of the tabs."""

    def shown(session_visitor: Visitor, message: str, user_locale: Locale) -> tuple[str, str, str]:
        return "", get_message(KEY_MESSAGES, message, user_locale), "yes" if session_visitor.own_key else ""

    def on_use(session_visitor: Visitor, typed: str, user_locale: Locale) -> tuple[str, str, str]:
        try:
            session_visitor.own_key = check_key(typed)
        except SettingsError:
            return shown(session_visitor, "bad", user_locale)
        return shown(session_visitor, "used" if session_visitor.own_key else "none", user_locale)

    def on_forget(session_visitor: Visitor, user_locale: Locale) -> tuple[str, str, str]:
        session_visitor.own_key = ""
        return shown(session_visitor, "none", user_locale)

    unlimited: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_name": False}
    key_set = gr.on(
        [fields.use.click, fields.key.submit],
        on_use,
        [visitor, fields.key, locale],
        [fields.key, fields.status, fields.in_use],
        **unlimited,
    )
    key_removed = fields.forget.click(
        on_forget, [visitor, locale], [fields.key, fields.status, fields.in_use], **unlimited
    )
    note_js = "(inUse) => { window.voiceOwnKey.note(Boolean(inUse)); return []; }"
    for change in (key_set, key_removed):
        change.then(None, fields.in_use, None, js=note_js, show_progress="hidden", api_name=False)
        for refresh in status_refreshes:
            change.then(refresh.render, [visitor, locale], list(refresh.outputs), **unlimited)
