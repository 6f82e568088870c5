"""Voice tab: call button, live captions of both sides, volume, typed messages, Clear and the status bar.

The tab holds no state of a call. It shows whole snapshots of the call (`Snapshot`): fastrtc's output event is one
endless generator per call, and increments would be lost between it and other events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gradio as gr
from fastrtc import WebRTC

from voicechat.conversation.conversation import Bubble
from voicechat.pictures.picture import Picture
from voicechat.security.gradio.pending_offers import MAX_PENDING_OFFERS
from voicechat.session.audio_socket_call import AudioSocketRegistry
from voicechat.session.call_handler import CallHandler
from voicechat.session.picture_store import PictureStore
from voicechat.session.visitor import Visitor
from voicechat.transport.gradio_component import bind_additional_outputs
from voicechat.transport.ice_servers import RtcConfigurationProvider
from voicechat.transport.stream_handler import SERVER_RTC_CONFIGURATION
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage, Snapshot
from voicechat.ui.i18n import MESSAGE_NOTES, Locale, get_message, label
from voicechat.ui.load_steps import LoadSteps
from voicechat.ui.outbox import Delivery, acknowledge, build_delivery, deliver, delivery_js
from voicechat.ui.tools.approval_bar import approval_requests, render_approval
from voicechat.ui.tools.chip import with_heard_shares
from voicechat.ui.widgets.call_dock import (
    AUDIO_CONTROLS_HTML,
    HINT_HTML,
    MORE_BUTTON_HTML,
    OVERLAY_HTML,
    TYPING_HTML,
    newest_button_html,
    outbox_html,
    own_key_html,
)
from voicechat.ui.widgets.chatbox import (
    ChatMessage,
    Tab,
    build_approval_bar,
    build_chatbox,
    build_message_box,
    queue_concurrency_limit,
    to_chat_message,
    to_tool_message,
)
from voicechat.ui.widgets.markdown import escape_with_entities, with_note, with_strikethrough
from voicechat.ui.widgets.pictures import picture_button_html, picture_strip_html
from voicechat.ui.widgets.status_bar import CALL_STATUS, ServerStatusProvider, StatusRefresh, render_status_sentence
from voicechat.ui.widgets.usage_panel import render_usage_panel
from voicechat.ui.widgets.welcome import render_voice_welcome

from . import websocket_fallback

MICROPHONE_CONSTRAINTS = {
    # Plain values are preferences ("ideal"). fastrtc's default requires them exactly, and a device without one of them
    # (iOS, many headsets) then raises an uncaught error. The browser's echo canceller is the main protection against a
    # model that interrupts itself.
    "echoCancellation": True,
    "noiseSuppression": True,
    "autoGainControl": True,
    "channelCount": 1,
}


def render_caption(bubble: Bubble, locale: Locale) -> ChatMessage | None:
    """Return a bubble as a chatbot message; None while it is empty."""
    if bubble.role == "user":
        return to_chat_message(bubble, escape_with_entities(bubble.text), locale)
    markup = with_strikethrough(bubble.text, bubble.unheard)
    if bubble.unheard.strip():
        markup = with_note(markup, get_message(MESSAGE_NOTES, "interrupted", locale))
    return to_chat_message(bubble, markup, locale)


def render_captions(snapshot: Snapshot, locale: Locale) -> list[ChatMessage]:
    """Return all captions and tool calls of a snapshot as chatbot messages."""
    messages = (
        to_tool_message(bubble, locale, heard) or render_caption(bubble, locale)
        for bubble, heard in with_heard_shares(snapshot.bubbles)
    )
    return [message for message in messages if message is not None]


render_status = partial(render_status_sentence, CALL_STATUS)
"""Return the HTML of the tab's status bar."""


def build(
    prototype: CallHandler,
    server_status: ServerStatusProvider,
    audio_sockets: AudioSocketRegistry,
    picture_store: PictureStore,
    visitor: gr.State,
    locale: gr.State,
    load_steps: LoadSteps,
    *,
    rtc_configuration: RtcConfigurationProvider | None,
    build_more_menu: Callable[[], None],
) -> Tab:
    """Lay out and wire the tab in the current Blocks.

    `prototype`: handler that fastrtc copies for each call. `visitor` and `locale` are known after the `load_steps`.
    `build_more_menu` lays out the menu of the dock.
    """
    # Above the limit of calls, so that the app itself refuses further calls and not fastrtc's toast.
    max_calls = queue_concurrency_limit(prototype.settings.max_calls, prototype.settings)
    gr.HTML(render_voice_welcome(prototype.settings.personas), elem_id="voice-welcome", padding=False)
    chat = build_chatbox("voice")
    gr.HTML(OVERLAY_HTML, elem_id="voice-overlay", padding=False)
    with gr.Column(elem_id="voice-dock", elem_classes="dock"):
        approval = build_approval_bar("voice")
        gr.HTML(HINT_HTML + own_key_html("voice") + newest_button_html("voice"), padding=False)
        with gr.Column(elem_id="voice-desk", elem_classes="desk"):
            with gr.Row(elem_id="voice-controls"):
                gr.HTML(AUDIO_CONTROLS_HTML, elem_id="voice-audio", padding=False)
                rtc = WebRTC(
                    modality="audio",
                    mode="send-receive",
                    elem_id="voice-call",
                    full_screen=True,  # the only variant without a second click; dock.css keeps it inside the dock
                    track_constraints=MICROPHONE_CONSTRAINTS,
                    rtc_configuration=rtc_configuration,
                    server_rtc_configuration=SERVER_RTC_CONFIGURATION,
                )
                gr.HTML('<span id="voice-timer" role="timer" aria-live="off"></span>', padding=False)
                stop = gr.Button(label("text_stop"), elem_id="voice-stop", elem_classes="slot")
                clear = gr.Button(label("voice_clear"), elem_id="voice-clear", elem_classes="slot")
                gr.HTML(MORE_BUTTON_HTML, padding=False)
            gr.HTML(outbox_html("voice") + picture_strip_html("voice"), padding=False)
            with gr.Row(elem_id="voice-typing", elem_classes="typing"):
                gr.HTML(picture_button_html("voice") + TYPING_HTML, padding=False)
                typed = build_message_box("voice", max_lines=5)
                delivery = build_delivery("voice")
                send = gr.Button(label("voice_send"), elem_id="voice-send", elem_classes="send")
        with gr.Row(elem_id="voice-foot", elem_classes="foot"):
            usage = gr.HTML(elem_id="voice-figures", elem_classes="figures-place", padding=False)
            status = gr.HTML(elem_id="status", elem_classes="status-bar", padding=False)
        build_more_menu()
    released = gr.Button(
        elem_id="voice-released"
    )  # hidden; clicked by call_control.js when only the browser ends a call
    ready_poll = gr.Timer(1.0, active=False)

    def idle_status(session_visitor: Visitor, user_locale: Locale) -> str:
        stage, notice, name = server_status(session_visitor.own_key)
        return render_status(stage, notice, name, user_locale)

    def poll_timer(session_visitor: Visitor) -> gr.Timer:
        return gr.Timer(active=server_status(session_visitor.own_key)[0] != "idle")

    def first_values(session_visitor: Visitor, user_locale: Locale) -> tuple[str, gr.Timer, Any]:
        shown = render_captions(session_visitor.snapshot(), user_locale) or gr.skip()  # of a page that goes on
        return idle_status(session_visitor, user_locale), poll_timer(session_visitor), shown

    def on_tick(session_visitor: Visitor, user_locale: Locale) -> tuple[Any, gr.Timer]:
        if session_visitor.call is not None:  # the call updates the status bar
            return gr.skip(), gr.Timer(active=False)
        return idle_status(session_visitor, user_locale), poll_timer(session_visitor)

    def on_snapshot(
        user_locale: Locale, session_visitor: Visitor, snapshot: Snapshot
    ) -> tuple[list[ChatMessage], str, str, str]:
        # The visitor may have hung up since this snapshot was made. Its captions are still valid.
        stage = snapshot.stage if session_visitor.is_in_call or snapshot.stage in TERMINAL_STAGES else CallStage.ENDED
        name = snapshot.server_name or server_status(session_visitor.own_key)[2]
        status_bar = render_status(
            stage,
            snapshot.notice,
            name,
            user_locale,
            snapshot.queue_position,
            snapshot.notice_seconds,
            snapshot.server_words,
        )
        return (
            render_captions(snapshot, user_locale),
            status_bar,
            render_usage_panel(snapshot, user_locale),
            render_approval("voice", approval_requests(snapshot, user_locale), user_locale),
        )

    async def on_send(
        session_visitor: Visitor, text: object, message_id: object, user_locale: Locale
    ) -> tuple[str, Any]:
        def send_text(text: str, pictures: Sequence[Picture]) -> Delivery:
            if session_visitor.call is None or not session_visitor.is_in_call:
                return Delivery.WAITING
            return Delivery.ACCEPTED if session_visitor.call.send_text(text, pictures) else Delivery.REFUSED

        answer = deliver(session_visitor, picture_store, message_id, text, send_text)
        if not answer.endswith(Delivery.WAITING):
            return answer, gr.skip()
        stage, _, name = server_status(session_visitor.own_key)
        return answer, render_status(stage, "not_in_call", name, user_locale)

    async def on_stop(session_visitor: Visitor) -> None:
        if session_visitor.call is not None:
            session_visitor.call.interrupt()

    async def on_clear(session_visitor: Visitor) -> list[ChatMessage]:
        await session_visitor.clear()
        return []

    async def on_hang_up(
        session_visitor: Visitor, user_locale: Locale
    ) -> tuple[list[ChatMessage], str, str]:  # async: runs in the event loop of the call
        if session_visitor.call is not None:
            session_visitor.call.end_by_user()
        # The captions too: unheard text is now struck through, and the stream of the call's snapshots has ended.
        status_bar = render_status(CallStage.ENDED, None, server_status(session_visitor.own_key)[2], user_locale)
        return render_captions(session_visitor.snapshot(), user_locale), status_bar, ""

    def on_call_start(session_visitor: Visitor, user_locale: Locale) -> str:
        return render_status(CallStage.CONNECTING, None, server_status(session_visitor.own_key)[2], user_locale)

    shown = [chat, status, usage, approval]
    rtc.stream(prototype, inputs=[rtc, visitor], outputs=[rtc], concurrency_limit=max_calls + MAX_PENDING_OFFERS)
    # With Gradio's default limit of one, the second visitor's captions would wait until the first call ends.
    bind_additional_outputs(rtc, on_snapshot, [locale, visitor], shown, concurrency_limit=max_calls)
    websocket_fallback.build(audio_sockets, rtc, on_snapshot, visitor, locale, shown)
    # Queued one after the other, so that the page receives these events in the order in which they happened.
    in_order: dict[str, Any] = {
        "show_progress": "hidden",
        "concurrency_id": "voice-status",
        "concurrency_limit": 1,
        "api_name": False,
    }
    rtc.start_recording(on_call_start, [visitor, locale], status, **in_order)
    rtc.stop_recording(on_hang_up, [visitor, locale], [chat, status, approval], **in_order)
    released.click(on_hang_up, [visitor, locale], [chat, status, approval], **in_order)

    delivered = send.click(
        on_send,
        [visitor, typed, delivery, locale],
        [delivery, status],
        js=delivery_js("voice", 4),
        trigger_mode="multiple",
        show_progress="hidden",
        concurrency_limit=None,
        api_name=False,
    )
    acknowledge("voice", delivered, delivery)
    stop.click(on_stop, visitor, None, show_progress="hidden", concurrency_limit=None, api_name=False)
    clear.click(on_clear, visitor, chat, show_progress="hidden", concurrency_limit=None, api_name=False).success(
        None, js="() => { window.voiceHistory.finishClear('voice'); return []; }", api_name=False
    )

    load_steps.add(first_values, [status, ready_poll, chat])
    ready_poll.tick(on_tick, [visitor, locale], [status, ready_poll], show_progress="hidden", api_name=False)
    return Tab(
        StatusRefresh(on_tick, [status, ready_poll]),
        chat,
        lambda each, user_locale: render_captions(each.snapshot(), user_locale),
    )
