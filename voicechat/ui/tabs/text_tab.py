"""Text tab: a chat with a connection and a conversation of its own, streamed as Markdown.

Like the voice tab it holds no state and shows whole snapshots. One endless generator per chat (`on_watch`) yields them;
the Connect button or the first message starts it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import gradio as gr
from gradio.context import Context

from voicechat.conversation.conversation import Bubble
from voicechat.pictures.picture import Picture
from voicechat.session.call_handler import CallHandler
from voicechat.session.picture_store import PictureStore
from voicechat.session.text_session import TextSession
from voicechat.session.visitor import Visitor
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage, Snapshot
from voicechat.ui.i18n import CONNECT_BUTTON_LABELS, Locale, get_message, label
from voicechat.ui.load_steps import LoadSteps
from voicechat.ui.outbox import Delivery, acknowledge, build_delivery, deliver, delivery_js
from voicechat.ui.tools.approval_bar import approval_requests, render_approval
from voicechat.ui.tools.chip import with_heard_shares
from voicechat.ui.widgets.call_dock import newest_button_html, outbox_html, own_key_html
from voicechat.ui.widgets.chatbox import (
    PENDING_PLACEHOLDER,
    ChatMessage,
    Tab,
    build_approval_bar,
    build_chatbox,
    build_message_box,
    queue_concurrency_limit,
    to_chat_message,
    to_tool_message,
)
from voicechat.ui.widgets.markdown import escape_with_entities, safe_model_markdown
from voicechat.ui.widgets.pictures import picture_button_html, picture_strip_html
from voicechat.ui.widgets.status_bar import CHAT_STATUS, ServerStatusProvider, StatusRefresh, render_status_sentence
from voicechat.ui.widgets.usage_panel import render_usage_panel
from voicechat.ui.widgets.welcome import render_text_welcome

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
    """Return all messages and tool calls, with a placeholder for an expected reply."""
    found = (
        to_tool_message(bubble, locale, heard) or render_message(bubble, locale)
        for bubble, heard in with_heard_shares(snapshot.bubbles)
    )
    messages = [message for message in found if message is not None]
    if snapshot.stage in GENERATING_STAGES and _awaits_reply(snapshot):
        messages.append({"role": "assistant", "content": PENDING_PLACEHOLDER})
    return messages


def _awaits_reply(snapshot: Snapshot) -> bool:
    """Return whether the last bubble is the visitor's, or a tool call that is over."""
    last = snapshot.bubbles[-1] if snapshot.bubbles else None
    return last is None or last.role == "user" or (last.tool_use is not None and not last.tool_use.is_open)


render_status = partial(render_status_sentence, CHAT_STATUS)
"""Return the HTML of the tab's status bar."""


def connect_button(connected: bool, locale: Locale) -> gr.Button:
    """Return the button that connects or disconnects."""
    text = get_message(CONNECT_BUTTON_LABELS, "disconnect" if connected else "connect", locale)
    return gr.Button(text)


def build(
    prototype: CallHandler,
    server_status: ServerStatusProvider,
    picture_store: PictureStore,
    visitor: gr.State,
    locale: gr.State,
    load_steps: LoadSteps,
) -> Tab:
    """Lay out and wire the tab in the current Blocks.

    `prototype`: its settings, endpoints, admission and billing also serve the chats.
    `visitor` and `locale` are known after the `load_steps`.
    """
    gr.HTML(render_text_welcome(), elem_id="text-welcome", padding=False)
    chat = build_chatbox("text")
    with gr.Column(elem_id="text-dock", elem_classes="dock"):
        approval = build_approval_bar("text")
        gr.HTML(own_key_html("text") + newest_button_html("text"), padding=False)
        with gr.Column(elem_id="text-desk", elem_classes="desk"):
            gr.HTML(outbox_html("text") + picture_strip_html("text"), padding=False)
            with gr.Row(elem_id="text-typing", elem_classes="typing"):
                gr.HTML(picture_button_html("text"), padding=False)
                typed = build_message_box("text", max_lines=5)
                delivery = build_delivery("text")
                stop = gr.Button(label("text_stop"), elem_id="text-stop", elem_classes="send", interactive=False)
                send = gr.Button(label("voice_send"), elem_id="text-send", elem_classes="send")
        with gr.Row(elem_id="text-foot", elem_classes="foot"):
            clear = gr.Button(label("voice_clear"), elem_id="text-clear", elem_classes="foot-button")
            connect = gr.Button(label("text_connect"), elem_id="text-connect", elem_classes="foot-button")
            usage = gr.HTML(elem_id="text-figures", elem_classes="figures-place", padding=False)
            status = gr.HTML(elem_id="text-status", elem_classes="status-bar", padding=False)

    def open_chat(session_visitor: Visitor) -> TextSession:
        session = session_visitor.text_session = TextSession(
            prototype.settings,
            lambda: prototype.resolve_endpoint(session_visitor.own_key),
            prototype.admission,
            session_visitor.text_conversation,
            prototype.billing,
            visitor_key=session_visitor.visitor_key,
            resume_id=session_visitor.resume_id,
            tools=prototype.tools,
            disabled_tools=session_visitor.preferences.switched_off_tools,
            timezone=session_visitor.timezone,
            recent_calls=session_visitor.recent_calls,
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

    async def on_send(session_visitor: Visitor, text: object, message_id: object) -> str:
        def send_text(text: str, pictures: Sequence[Picture]) -> Delivery:
            current = active_chat(session_visitor) or open_chat(session_visitor)
            return Delivery.ACCEPTED if current.send_text(text, pictures) else Delivery.REFUSED

        return deliver(session_visitor, picture_store, message_id, text, send_text)

    page = Context.root_block
    assert page is not None

    async def on_watch(
        session_visitor: Visitor, user_locale: Locale, request: gr.Request
    ) -> AsyncIterator[tuple[Any, ...]]:
        current = session_visitor.text_session
        if current is None or current.is_watched:
            yield (gr.skip(),) * 6  # a generator that yields nothing would clear its outputs
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
                render_approval("text", approval_requests(snapshot, user_locale), user_locale),
            )
        current.end_by_user()  # the page has stopped reading

    async def on_stop(session_visitor: Visitor) -> None:
        if session_visitor.text_session is not None:
            session_visitor.text_session.interrupt()

    async def on_clear(session_visitor: Visitor) -> list[ChatMessage]:
        session_visitor.clear_text()
        return []

    def first_values(session_visitor: Visitor, user_locale: Locale) -> tuple[str, gr.Button, Any]:
        bubbles = session_visitor.text_conversation.captions()
        shown = render_history(Snapshot(bubbles, CallStage.IDLE), user_locale) or gr.skip()  # of a page that goes on
        idle = render_status(CallStage.IDLE, None, server_status(session_visitor.own_key)[2], user_locale)
        return idle, connect_button(False, user_locale), shown

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
        "outputs": [chat, status, connect, stop, usage, approval],
        "show_progress": "hidden",
        "concurrency_limit": queue_concurrency_limit(prototype.settings.max_chats, prototype.settings),
        "trigger_mode": "multiple",
        "api_name": False,
    }
    connect.click(on_connect, visitor, None, **unlimited).then(**watch)
    delivered = send.click(
        on_send,
        [visitor, typed, delivery],
        delivery,
        js=delivery_js("text", 3),
        trigger_mode="multiple",
        **unlimited,
    )
    acknowledge("text", delivered, delivery)
    delivered.then(**watch)
    stop.click(on_stop, visitor, None, **unlimited)
    clear.click(on_clear, visitor, chat, **unlimited).success(
        None, js="() => { window.voiceHistory.finishClear('text'); return []; }", api_name=False
    )
    load_steps.add(first_values, [status, connect, chat])
    return Tab(
        StatusRefresh(on_server_change, [status]),
        chat,
        lambda each, user_locale: render_history(
            Snapshot(each.text_conversation.captions(), CallStage.IDLE), user_locale
        ),
    )
