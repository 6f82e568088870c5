"""A visitor's own API key: typed here, kept in that visitor's session, used for what they start from then on.

It is never sent back: the field is emptied as soon as it was read, and the page is only told that there is a key.
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
    """Lay out the drawer inside the current Blocks and wire it. `status_refreshes` show which server they would talk to."""
    with gr.Accordion(label("key_title"), open=False, elem_id="own-key"):
        with gr.Row():
            key = gr.Textbox(
                type="password",
                elem_id="own-key-input",
                show_label=False,
                container=False,
                placeholder=label("key_placeholder"),
                max_length=500,
                scale=5,
            )
            use = gr.Button(label("key_use"), elem_id="own-key-use", scale=1, min_width=90)
            forget = gr.Button(label("key_forget"), elem_id="own-key-forget", scale=1, min_width=90)
        said = gr.Markdown(label("key_note"), elem_id="own-key-status")

    def on_use(who: Visitor, typed: str, user_locale: Locale) -> tuple[str, str]:
        try:
            who.own_key = check_key(typed)
        except SettingsError:
            return "", get_message(KEY_MESSAGES, "bad", user_locale)
        return "", get_message(KEY_MESSAGES, "used" if who.own_key else "none", user_locale)

    def on_forget(who: Visitor, user_locale: Locale) -> tuple[str, str]:
        who.own_key = ""
        return "", get_message(KEY_MESSAGES, "none", user_locale)

    quick: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_name": False}
    used = gr.on([use.click, key.submit], on_use, [visitor, key, locale], [key, said], **quick)
    forgotten = forget.click(on_forget, [visitor, locale], [key, said], **quick)
    for change in (used, forgotten):
        for tab in status_refreshes:
            change.then(tab.render, [visitor, locale], list(tab.outputs), **quick)
