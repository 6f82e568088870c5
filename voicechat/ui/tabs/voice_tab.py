"""Voice tab: call button, live captions of both sides, volume, typed messages, Clear and the status bar.

The tab holds no state of a call. It shows whole snapshots of the call (`Snapshot`): fastrtc's output event is one
endless generator per call, and increments would be lost between it and other events.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastrtc import WebRTC
from gradio.events import Dependency

from voicechat.conversation.conversation import Bubble
from voicechat.security.gradio.pending_offers import MAX_PENDING_OFFERS
from voicechat.session.audio_socket_call import AudioSocketRegistry
from voicechat.session.call_handler import CallHandler
from voicechat.session.visitor import Visitor
from voicechat.transport.gradio_component import bind_additional_outputs
from voicechat.transport.ice_servers import RtcConfigurationProvider
from voicechat.transport.stream_handler import SERVER_RTC_CONFIGURATION
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage, Snapshot
from voicechat.ui.i18n import CALL_NOTICE_TEXTS, CALL_STAGE_TEXTS, Locale, get_message, label
from voicechat.ui.widgets.chatbox import (
    ChatMessage,
    build_chatbox,
    build_message_box,
    clear_input_js,
    queue_concurrency_limit,
    to_chat_message,
)
from voicechat.ui.widgets.markdown import escape_with_entities, with_strikethrough
from voicechat.ui.widgets.status_bar import ServerStatusProvider, StatusRefresh, render_status_bar
from voicechat.ui.widgets.usage_panel import render_usage_panel

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


CALL_HINTS_HTML = (
    '<div id="voice-timer" role="timer" aria-live="off"></div><div id="voice-hint" role="alert"></div>'
    '<button id="voice-hold" type="button" data-text="hold_to_talk"></button>'
)
"""Filled by call_control.js and call_view.js."""


def render_caption(bubble: Bubble, locale: Locale) -> ChatMessage | None:
    """Return a bubble as a chatbot message; None while it is empty."""
    return to_chat_message(
        bubble,
        escape_with_entities(bubble.text) if bubble.role == "user" else with_strikethrough(bubble.text, bubble.unheard),
        locale,
    )


def render_captions(snapshot: Snapshot, locale: Locale) -> list[ChatMessage]:
    """Return all captions of a snapshot as chatbot messages."""
    return [message for bubble in snapshot.bubbles if (message := render_caption(bubble, locale)) is not None]


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
    text = get_message(CALL_NOTICE_TEXTS, notice, locale) if notice else get_message(CALL_STAGE_TEXTS, stage, locale)
    return render_status_bar(
        stage, notice, text.format(position=queue_position, seconds=seconds), server_name, locale, server_words
    )


def build(
    prototype: CallHandler,
    server_status: ServerStatusProvider,
    audio_sockets: AudioSocketRegistry,
    visitor: gr.State,
    locale: gr.State,
    load_event: Dependency,
    *,
    rtc_configuration: RtcConfigurationProvider | None,
) -> StatusRefresh:
    """Lay out and wire the tab in the current Blocks.

    `prototype`: handler that fastrtc copies for each call. `visitor` and `locale` are known after `load_event`.
    """
    # Above the limit of calls, so that the app itself refuses further calls and not fastrtc's toast.
    max_calls = queue_concurrency_limit(prototype.settings.max_calls, prototype.settings)
    chat = build_chatbox("voice", height="calc(100dvh - 510px)")
    with gr.Row(elem_id="voice-controls"):
        with gr.Column(scale=2, min_width=150):
            volume = gr.Slider(
                0,
                100,
                value=100,
                step=1,
                elem_id="voice-volume",
                interactive=True,
                label=label("voice_volume"),
                show_reset_button=False,
            )
        with gr.Column(scale=3, min_width=200):
            rtc = WebRTC(
                modality="audio",
                mode="send-receive",
                elem_id="voice-call",
                full_screen=True,  # the only variant without a second click; the style sheet keeps it inside the page
                track_constraints=MICROPHONE_CONSTRAINTS,
                rtc_configuration=rtc_configuration,
                server_rtc_configuration=SERVER_RTC_CONFIGURATION,
            )
        with gr.Column(scale=2, min_width=150):
            stop = gr.Button(label("text_stop"), elem_id="voice-stop")
            clear = gr.Button(label("voice_clear"), elem_id="voice-clear")
    gr.HTML(CALL_HINTS_HTML, padding=False)
    with gr.Row(elem_id="voice-typing"):
        typed = build_message_box("voice", max_lines=6)
        send = gr.Button(label("voice_send"), elem_id="voice-send", variant="primary", scale=1, min_width=90)
    usage = gr.HTML(elem_id="voice-figures", padding=False)
    released = gr.Button(
        elem_id="voice-released"
    )  # hidden; clicked by call_control.js when only the browser ends a call
    status = gr.HTML(elem_id="status", elem_classes="status-bar", padding=False)
    ready_poll = gr.Timer(1.0, active=False)

    def idle_status(session_visitor: Visitor, user_locale: Locale) -> str:
        stage, notice, name = server_status(session_visitor.own_key)
        return render_status(stage, notice, name, user_locale)

    def poll_timer(session_visitor: Visitor) -> gr.Timer:
        return gr.Timer(active=server_status(session_visitor.own_key)[0] != "idle")

    def on_load(session_visitor: Visitor, user_locale: Locale) -> tuple[str, gr.Timer]:
        return idle_status(session_visitor, user_locale), poll_timer(session_visitor)

    def on_tick(session_visitor: Visitor, user_locale: Locale) -> tuple[Any, gr.Timer]:
        if session_visitor.call is not None:  # the call updates the status bar
            return gr.skip(), gr.Timer(active=False)
        return idle_status(session_visitor, user_locale), poll_timer(session_visitor)

    def on_snapshot(
        user_locale: Locale, session_visitor: Visitor, snapshot: Snapshot
    ) -> tuple[list[ChatMessage], str, str]:
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
        return render_captions(snapshot, user_locale), status_bar, render_usage_panel(snapshot, user_locale)

    async def on_send(session_visitor: Visitor, text: str, user_locale: Locale) -> tuple[Any, Any]:
        if not text.strip():
            return gr.skip(), gr.skip()
        if session_visitor.call is None or not session_visitor.is_in_call:
            stage, _, name = server_status(session_visitor.own_key)
            return text, render_status(stage, "not_in_call", name, user_locale)
        is_sent = session_visitor.call.send_text(text)
        return gr.skip() if is_sent else text, gr.skip()

    async def on_stop(session_visitor: Visitor) -> None:
        if session_visitor.call is not None:
            session_visitor.call.interrupt()

    async def on_clear(session_visitor: Visitor) -> list[ChatMessage]:
        await session_visitor.clear()
        return []

    async def on_hang_up(
        session_visitor: Visitor, user_locale: Locale
    ) -> tuple[list[ChatMessage], str]:  # async: runs in the event loop of the call
        if session_visitor.call is not None:
            session_visitor.call.end_by_user()
        # The captions too: unheard text is now struck through, and the stream of the call's snapshots has ended.
        return render_captions(session_visitor.snapshot(), user_locale), render_status(
            CallStage.ENDED, None, server_status(session_visitor.own_key)[2], user_locale
        )

    def on_call_start(session_visitor: Visitor, user_locale: Locale) -> str:
        return render_status(CallStage.CONNECTING, None, server_status(session_visitor.own_key)[2], user_locale)

    rtc.stream(prototype, inputs=[rtc, visitor], outputs=[rtc], concurrency_limit=max_calls + MAX_PENDING_OFFERS)
    # With Gradio's default limit of one, the second visitor's captions would wait until the first call ends.
    bind_additional_outputs(rtc, on_snapshot, [locale, visitor], [chat, status, usage], concurrency_limit=max_calls)
    websocket_fallback.build(audio_sockets, rtc, on_snapshot, visitor, locale, [chat, status, usage])
    # Queued one after the other, so that the page receives these events in the order in which they happened.
    in_order: dict[str, Any] = {
        "show_progress": "hidden",
        "concurrency_id": "voice-status",
        "concurrency_limit": 1,
        "api_name": False,
    }
    rtc.start_recording(on_call_start, [visitor, locale], status, **in_order)
    rtc.stop_recording(on_hang_up, [visitor, locale], [chat, status], **in_order)
    released.click(on_hang_up, [visitor, locale], [chat, status], **in_order)

    gr.on(
        [send.click, typed.submit],
        on_send,
        [visitor, typed, locale],
        [typed, status],
        js=clear_input_js("voice", 3),
        trigger_mode="multiple",
        show_progress="hidden",
        concurrency_limit=None,
        api_name=False,
    )
    stop.click(on_stop, visitor, None, show_progress="hidden", concurrency_limit=None, api_name=False)
    clear.click(on_clear, visitor, chat, show_progress="hidden", concurrency_limit=None, api_name=False)

    load_event.then(on_load, [visitor, locale], [status, ready_poll], show_progress="hidden", api_name=False)
    load_event.then(None, None, volume, js="() => window.voiceGetVolume()", api_name=False)
    ready_poll.tick(on_tick, [visitor, locale], [status, ready_poll], show_progress="hidden", api_name=False)
    return StatusRefresh(on_tick, [status, ready_poll])
