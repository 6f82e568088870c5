"""Text tab: a chat with a connection and a conversation of its own, streamed as Markdown.

Like the voice tab it holds no state and shows whole snapshots. One endless generator per chat (`on_watch`) yields them;
the Connect button or the first message starts it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from gradio.context import Context
from gradio.events import Dependency

from voicechat.conversation.conversation import Bubble
from voicechat.session.call_handler import CallHandler
from voicechat.session.text_session import TextSession
from voicechat.session.visitor import Visitor
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage, Snapshot
from voicechat.ui.i18n import CHAT_NOTICE_TEXTS, CHAT_STAGE_TEXTS, CONNECT_BUTTON_LABELS, Locale, get_message, label
from voicechat.ui.widgets.chatbox import (
    PENDING_PLACEHOLDER,
    ChatMessage,
    build_chatbox,
    build_message_box,
    clear_input_js,
    queue_concurrency_limit,
    to_chat_message,
)
from voicechat.ui.widgets.markdown import escape_with_entities, safe_model_markdown
from voicechat.ui.widgets.status_bar import ServerStatusProvider, StatusRefresh, render_status_bar
from voicechat.ui.widgets.usage_panel import render_usage_panel

from .stream_liveness import count_unread, until_unread

GENERATING_STAGES = frozenset({CallStage.THINKING, CallStage.SPEAKING})


def render_message(bubble: Bubble, locale: Locale) -> ChatMessage | None:
    """Return a bubble as a chatbot message; None while it is empty."""
    return to_chat_message(
        bubble,
        escape_with_entities(bubble.text) if bubble.role == "user" else safe_model_markdown(bubble.text),
        locale,
    )


def render_history(snapshot: Snapshot, locale: Locale) -> list[ChatMessage]:
    """Return all messages, with a placeholder for an expected reply."""
    messages = [message for bubble in snapshot.bubbles if (message := render_message(bubble, locale)) is not None]
    if snapshot.stage in GENERATING_STAGES and (not messages or messages[-1]["role"] == "user"):
        messages.append({"role": "assistant", "content": PENDING_PLACEHOLDER})
    return messages


def render_status(
    stage: str,
    notice: str | None,
    server_name: str,
    locale: Locale,
    queue_position: int = 0,
    seconds: int = 0,
    server_words: str = "",
) -> str:
    """Return the HTML of the status bar. `queue_position`, `seconds`: see `Snapshot`."""
    text = get_message(CHAT_NOTICE_TEXTS, notice, locale) if notice else get_message(CHAT_STAGE_TEXTS, stage, locale)
    return render_status_bar(
        stage, notice, text.format(position=queue_position, seconds=seconds), server_name, locale, server_words
    )


def connect_button(connected: bool, locale: Locale) -> gr.Button:
    """Return the button that connects or disconnects."""
    text = get_message(CONNECT_BUTTON_LABELS, "disconnect" if connected else "connect", locale)
    return gr.Button(text, variant="secondary" if connected else "primary")


def build(
    prototype: CallHandler,
    server_status: ServerStatusProvider,
    visitor: gr.State,
    locale: gr.State,
    load_event: Dependency,
) -> StatusRefresh:
    """Lay out and wire the tab in the current Blocks.

    `prototype`: its settings, endpoints, admission and billing also serve the chats.
    `visitor` and `locale` are known after `load_event`.
    """
    chat = build_chatbox("text", height="calc(100dvh - 350px)")
    with gr.Row(elem_id="text-typing"):
        typed = build_message_box("text", max_lines=10)
        send = gr.Button(label("voice_send"), elem_id="text-send", variant="primary", scale=1, min_width=90)
        stop = gr.Button(
            label("text_stop"), elem_id="text-stop", variant="stop", scale=1, min_width=90, interactive=False
        )
    with gr.Row(elem_id="text-controls"):
        connect = gr.Button(label("text_connect"), elem_id="text-connect", variant="primary", scale=1, min_width=120)
        clear = gr.Button(label("voice_clear"), elem_id="text-clear", scale=1, min_width=120)
    usage = gr.HTML(elem_id="text-figures", padding=False)
    status = gr.HTML(elem_id="text-status", elem_classes="status-bar", padding=False)

    def open_chat(session_visitor: Visitor) -> TextSession:
        session = session_visitor.text_session = TextSession(
            prototype.settings,
            lambda: prototype.resolve_endpoint(session_visitor.own_key),
            prototype.admission,
            session_visitor.text_conversation,
            prototype.billing,
            visitor_key=session_visitor.visitor_key,
        )
        session.start()
        return session

    def active_chat(session_visitor: Visitor) -> TextSession | None:
        return (
            session_visitor.text_session
            if session_visitor.text_session is not None and session_visitor.text_session.is_active
            else None
        )

    async def on_connect(session_visitor: Visitor) -> None:
        current = active_chat(session_visitor)
        if current is None:
            open_chat(session_visitor)
        else:
            current.end_by_user()

    async def on_send(session_visitor: Visitor, text: str) -> Any:
        if not text.strip():
            return gr.skip()
        current = active_chat(session_visitor) or open_chat(session_visitor)
        return gr.skip() if current.send_text(text) else text

    page = Context.root_block
    assert page is not None

    async def on_watch(
        session_visitor: Visitor, user_locale: Locale, request: gr.Request
    ) -> AsyncIterator[tuple[Any, ...]]:
        current = session_visitor.text_session
        if current is None or current.is_watched:
            yield (gr.skip(),) * 5  # a generator that yields nothing would clear its outputs
            return
        async for snapshot in until_unread(current.snapshots(), lambda: count_unread(page, request.session_hash)):
            connected = snapshot.stage not in TERMINAL_STAGES
            name = snapshot.server_name or server_status(session_visitor.own_key)[2]
            yield (
                render_history(snapshot, user_locale),
                render_status(
                    snapshot.stage,
                    snapshot.notice,
                    name,
                    user_locale,
                    snapshot.queue_position,
                    snapshot.notice_seconds,
                    snapshot.server_words,
                ),
                connect_button(connected, user_locale),
                gr.Button(interactive=snapshot.stage in GENERATING_STAGES),
                render_usage_panel(snapshot, user_locale),
            )
        current.end_by_user()  # the page has stopped reading

    async def on_stop(session_visitor: Visitor) -> None:
        if session_visitor.text_session is not None:
            session_visitor.text_session.interrupt()

    async def on_clear(session_visitor: Visitor) -> list[ChatMessage]:
        current = active_chat(session_visitor)
        if current is not None:
            current.clear()
        else:
            session_visitor.text_conversation.clear()
        return []

    def on_load(session_visitor: Visitor, user_locale: Locale) -> tuple[str, gr.Button]:
        return render_status(
            CallStage.IDLE, None, server_status(session_visitor.own_key)[2], user_locale
        ), connect_button(False, user_locale)

    def on_server_change(session_visitor: Visitor, user_locale: Locale) -> Any:
        return (
            gr.skip()
            if active_chat(session_visitor)
            else render_status(CallStage.IDLE, None, server_status(session_visitor.own_key)[2], user_locale)
        )

    unlimited: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_name": False}
    watch: dict[str, Any] = {
        "fn": on_watch,
        "inputs": [visitor, locale],
        "outputs": [chat, status, connect, stop, usage],
        "show_progress": "hidden",
        "concurrency_limit": queue_concurrency_limit(prototype.settings.max_chats, prototype.settings),
        "trigger_mode": "multiple",
        "api_name": False,
    }
    connect.click(on_connect, visitor, None, **unlimited).then(**watch)
    gr.on(
        [send.click, typed.submit],
        on_send,
        [visitor, typed],
        typed,
        js=clear_input_js("text", 2),
        trigger_mode="multiple",
        **unlimited,
    ).then(**watch)
    stop.click(on_stop, visitor, None, **unlimited)
    clear.click(on_clear, visitor, chat, **unlimited)
    load_event.then(on_load, [visitor, locale], [status, connect], **unlimited)
    return StatusRefresh(on_server_change, [status])
