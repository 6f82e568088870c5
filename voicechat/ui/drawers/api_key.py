"""API key drawer: a visitor's own key, kept in the session and used for calls and chats started afterwards.

The key is never sent back. The field is cleared at once, and the page learns only that a key is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from voicechat.config.settings import SettingsError, check_key
from voicechat.session.visitor import Visitor
from voicechat.ui.i18n import KEY_MESSAGES, Locale, get_message, label
from voicechat.ui.widgets.status_bar import StatusRefresh


def build(visitor: gr.State, locale: gr.State, status_refreshes: Sequence[StatusRefresh]) -> None:
    """Lay out and wire the drawer in the current Blocks. `status_refreshes`: update the status bars of the tabs."""
    with gr.Accordion(label("key_title"), open=False, elem_id="own-key"):
        with gr.Row():
            key = gr.Textbox(
                type="password",
                elem_id="own-key-input",
                label=label("key_title"),  # not shown: the accessible name
                show_label=False,
                container=False,
                placeholder=label("key_placeholder"),
                max_length=500,
                scale=5,
            )
            use = gr.Button(label("key_use"), elem_id="own-key-use", scale=1, min_width=90)
            forget = gr.Button(label("key_forget"), elem_id="own-key-forget", scale=1, min_width=90)
        status = gr.Markdown(label("key_note"), elem_id="own-key-status")

    def on_use(session_visitor: Visitor, typed: str, user_locale: Locale) -> tuple[str, str]:
        try:
            session_visitor.own_key = check_key(typed)
        except SettingsError:
            return "", get_message(KEY_MESSAGES, "bad", user_locale)
        return "", get_message(KEY_MESSAGES, "used" if session_visitor.own_key else "none", user_locale)

    def on_forget(session_visitor: Visitor, user_locale: Locale) -> tuple[str, str]:
        session_visitor.own_key = ""
        return "", get_message(KEY_MESSAGES, "none", user_locale)

    unlimited: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_name": False}
    key_set = gr.on([use.click, key.submit], on_use, [visitor, key, locale], [key, status], **unlimited)
    key_removed = forget.click(on_forget, [visitor, locale], [key, status], **unlimited)
    for change in (key_set, key_removed):
        for refresh in status_refreshes:
            change.then(refresh.render, [visitor, locale], list(refresh.outputs), **unlimited)
