"""History of conversations: kept by the browser alone (history.js). The server hands out the record of the present one.

After the first time it hands out the changes only (record_changes.py). It takes an earlier record back when the visitor
goes on from it.
"""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
from gradio.components import Component

from voicechat.conversation.record import ConversationRecord
from voicechat.session.visitor import Visitor
from voicechat.ui.i18n import Locale

from .record_changes import SentRecord, build_changes

MAX_RECORD_BYTES = 800_000
"""Bytes of a record as a browser sends it back, within the limit of a request (`queue_requests.MAX_BODY_BYTES`)."""
MAX_PAGE_ID_CHARS = 64
"""Characters of an id that the page gives a conversation or a request."""


def build_record(session_visitor: Visitor, now: float) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the conversations of a visitor as values of JSON, and the JSON of each message. The oldest messages are
    left out of a record that a browser could not send back."""
    record = session_visitor.to_record(now, end_call=False)
    value = {"voice": record.voice.to_json(), "text": record.text.to_json()}
    dumped = {name: [json.dumps(item, ensure_ascii=False) for item in value[name]["items"]] for name in value}
    sizes = {name: [_sent_bytes(item) for item in dumped[name]] for name in value}
    totals = {name: sum(sizes[name]) for name in value}
    while sum(totals.values()) > MAX_RECORD_BYTES:
        longer = max(totals, key=totals.__getitem__)
        totals[longer] -= sizes[longer].pop(0)
    for name, kept in sizes.items():
        dropped = len(dumped[name]) - len(kept)
        value[name]["items"], dumped[name] = value[name]["items"][dropped:], dumped[name][dropped:]
    return value, dumped


def dump_changes(
    session_visitor: Visitor, now: float, sent: SentRecord | None, known_token: object, asked_for: object = ""
) -> tuple[str, SentRecord | None]:
    """Return the record's changes since `sent` as JSON, "" while both conversations are empty, and what is sent then.

    `known_token`: names the copy that the page has; anything that a browser may send. `asked_for`: the page's id of its
    conversation, which is sent back: the page drops the answer when it has another conversation by then.
    """
    value, dumped = build_record(session_visitor, now)
    if not any(dumped.values()):
        return "", None
    changes, sent = build_changes(value, dumped, sent, known_token)
    page_id = asked_for if isinstance(asked_for, str) and len(asked_for) <= MAX_PAGE_ID_CHARS else ""
    return json.dumps({**changes, "asked_for": page_id}, ensure_ascii=False), sent


def _sent_bytes(dumped: str) -> int:
    """Return the bytes of a JSON text as a string within another one."""
    return len(dumped.encode()) + dumped.count('"') + dumped.count("\\")


def load_record(dumped: object) -> tuple[ConversationRecord, ConversationRecord] | None:
    """Return both conversations of a record (`build_record`) in JSON; None for anything else that a browser sends."""
    if not isinstance(dumped, str) or len(dumped) > MAX_RECORD_BYTES:
        return None
    try:
        value = json.loads(dumped)
        return ConversationRecord.from_json(value["voice"]), ConversationRecord.from_json(value["text"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def build(visitor: gr.State, locale: gr.State, clock: Any, outputs: list[Component], render: Any) -> None:
    """Lay out and wire the hidden fields in the current Blocks.

    `clock`: seconds of the calls' clock. `render`: maps a visitor and a locale to the values of `outputs`.
    """
    record = gr.Textbox(visible=False, elem_id="history-record")
    only_if_lost = gr.Checkbox(visible=False, elem_id="history-only-if-lost")
    page_id = gr.Textbox(visible=False, elem_id="history-page-id")
    sent_record = gr.State(None)
    with gr.Row(elem_id="history-events"):  # pressed by history.js, never seen
        save = gr.Button(elem_id="history-save")
        restore = gr.Button(elem_id="history-restore")

    async def on_save(
        session_visitor: Visitor, sent: SentRecord | None, token: object, asked_for: object
    ) -> tuple[str, Any]:
        return dump_changes(session_visitor, clock(), sent, token, asked_for)

    async def on_restore(
        session_visitor: Visitor, user_locale: Locale, dumped: object, if_lost: object, key: object
    ) -> list[Any]:
        records = load_record(dumped)
        has_any = session_visitor.conversation.captions() or session_visitor.text_conversation.captions()
        if records is None or session_visitor.is_in_call or (if_lost and has_any):
            return [*(gr.skip() for _ in outputs), ""]
        session_visitor.restore_conversations(*records)
        return [*render(session_visitor, user_locale), key]

    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_name": False}
    save.click(
        on_save,
        [visitor, sent_record, record, page_id],
        [record, sent_record],
        js="(visitor, sent) => [visitor, sent, ...window.voiceHistory.known()]",
        trigger_mode="always_last",  # a turn may end while the record of its beginning is on its way
        **quiet,
    ).then(None, record, None, js="(changes) => { window.voiceHistory.put(changes); return []; }", api_name=False)
    restore.click(
        on_restore,
        [visitor, locale, record, only_if_lost, page_id],
        [*outputs, page_id],
        js="(visitor, locale) => [visitor, locale, ...window.voiceHistory.chosen()]",
        **quiet,
    ).then(None, page_id, None, js="(key) => { window.voiceHistory.takeAnswer(key); return []; }", api_name=False)
