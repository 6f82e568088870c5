"""The voice tab: one round button, live captions of both sides, volume, typed messages, clear, and the status bar.

The tab owns nothing of a call. It shows snapshots that the call hands out (`Snapshot`), always whole:
fastrtc's output event is one endless generator per call, and increments would be lost between it and other events.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastrtc import WebRTC
from gradio.events import Dependency

from voicechat.conversation.conversation import Bubble
from voicechat.security.gradio.pending_offers import MAX_PENDING_OFFERS
from voicechat.session.call_handler import CallHandler
from voicechat.session.visitor import Visitor
from voicechat.session.websocket_call import AudioSocketRegistry
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
from voicechat.ui.widgets.markdown import escape_markdown, with_strikethrough
from voicechat.ui.widgets.status_bar import ServerStatusProvider, StatusRefresh, render_status_bar
from voicechat.ui.widgets.usage_panel import render_usage_panel

from . import websocket_fallback

MICROPHONE_CONSTRAINTS = {
    # Bare values are wishes ("ideal"): fastrtc's own default demands them exactly, and then a device that cannot obey
    # (iOS, many headsets) ends in an error no one catches. The browser's echo canceller is the first line of defence
    # against a model that interrupts itself.
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


def render_caption(bubble: Bubble) -> ChatMessage | None:
    """One bubble as a chatbot message; None when there is nothing to show yet."""
    return to_chat_message(
        bubble,
        escape_markdown(bubble.text) if bubble.role == "user" else with_strikethrough(bubble.text, bubble.unheard),
    )


def render_captions(snapshot: Snapshot) -> list[ChatMessage]:
    return [message for bubble in snapshot.bubbles if (message := render_caption(bubble)) is not None]


def render_status(
    stage: str, notice: str | None, server_name: str, locale: Locale, queue_position: int = 0, seconds: int = 0
) -> str:
    """The tab's status bar. `place` and `seconds`: as in a `Snapshot`."""
    text = get_message(CALL_NOTICE_TEXTS, notice, locale) if notice else get_message(CALL_STAGE_TEXTS, stage, locale)
    return render_status_bar(stage, notice, text.format(place=queue_position, seconds=seconds), server_name, locale)


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
    """Lay out the tab inside the current Blocks and wire it. `call` is the prototype fastrtc copies for each call.
    `visitor` holds a `Visitor`, `locale` a `Locale`; `begin` is the event after which they are known."""

    # Else the one too many is told by fastrtc's toast.
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
                full_screen=True,  # the only variant without a second click; the style sheet puts it back into the page
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
    sums = gr.HTML(elem_id="voice-figures", padding=False)
    released = gr.Button(
        elem_id="voice-released"
    )  # hidden; pressed by call_control.js when a call ends in the browser alone
    status = gr.HTML(elem_id="status", elem_classes="status-bar", padding=False)
    until_ready = gr.Timer(1.0, active=False)

    def idle_status(who: Visitor, user_locale: Locale) -> str:
        stage, notice, name = server_status(who.own_key)
        return render_status(stage, notice, name, user_locale)

    def poll_timer(who: Visitor) -> gr.Timer:
        return gr.Timer(active=server_status(who.own_key)[0] != "idle")

    def on_load(who: Visitor, user_locale: Locale) -> tuple[str, gr.Timer]:
        return idle_status(who, user_locale), poll_timer(who)

    def on_tick(who: Visitor, user_locale: Locale) -> tuple[Any, gr.Timer]:
        if who.call is not None:  # the call has the status bar
            return gr.skip(), gr.Timer(active=False)
        return idle_status(who, user_locale), poll_timer(who)

    def on_snapshot(user_locale: Locale, who: Visitor, snapshot: Snapshot) -> tuple[list[ChatMessage], str, str]:
        # A snapshot may have been waiting while the visitor hung up; the captions in it still count.
        stage = snapshot.stage if who.is_in_call or snapshot.stage in TERMINAL_STAGES else CallStage.ENDED
        name = snapshot.server_name or server_status(who.own_key)[2]
        bar = render_status(stage, snapshot.notice, name, user_locale, snapshot.queue_position, snapshot.notice_seconds)
        return render_captions(snapshot), bar, render_usage_panel(snapshot, user_locale)

    async def on_send(who: Visitor, text: str, user_locale: Locale) -> tuple[Any, Any]:
        if not text.strip():
            return gr.skip(), gr.skip()
        if who.call is None or not who.is_in_call:
            stage, _, name = server_status(who.own_key)
            return text, render_status(stage, "not_in_call", name, user_locale)
        taken = who.call.send_text(text)
        return gr.skip() if taken else text, gr.skip()

    async def on_stop(who: Visitor) -> None:
        if who.call is not None:
            who.call.interrupt()

    async def on_clear(who: Visitor) -> list[ChatMessage]:
        await who.clear()
        return []

    async def on_hang_up(
        who: Visitor, user_locale: Locale
    ) -> tuple[list[ChatMessage], str]:  # in the call's event loop
        if who.call is not None:
            who.call.end_by_user()
        # The captions too: what was still to be said is struck out now, and the call's own news has no reader any more.
        return render_captions(who.snapshot()), render_status(
            CallStage.ENDED, None, server_status(who.own_key)[2], user_locale
        )

    def on_call_start(who: Visitor, user_locale: Locale) -> str:
        return render_status(CallStage.CONNECTING, None, server_status(who.own_key)[2], user_locale)

    rtc.stream(prototype, inputs=[rtc, visitor], outputs=[rtc], concurrency_limit=max_calls + MAX_PENDING_OFFERS)
    # Its own limit: with Gradio's default of one, the second visitor's captions would wait for the first to hang up.
    bind_additional_outputs(rtc, on_snapshot, [locale, visitor], [chat, status, sums], concurrency_limit=max_calls)
    websocket_fallback.build(audio_sockets, rtc, on_snapshot, visitor, locale, [chat, status, sums])
    # Queued like the captions, and one after the other: the page receives them in the order in which they happened.
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

    load_event.then(on_load, [visitor, locale], [status, until_ready], show_progress="hidden", api_name=False)
    load_event.then(None, None, volume, js="() => window.voiceVolumeNow()", api_name=False)
    until_ready.tick(on_tick, [visitor, locale], [status, until_ready], show_progress="hidden", api_name=False)
    return StatusRefresh(on_tick, [status, until_ready])
