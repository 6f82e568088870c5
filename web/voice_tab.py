"""The voice tab: one round button, live captions of both sides, volume, typed messages, clear, and the status bar.

The tab owns nothing of a call. It shows snapshots that the call hands out (`realtime_handler.Snapshot`), always whole:
fastrtc's output event is one endless generator per call, and increments would be lost between it and other events.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastrtc import WebRTC
from gradio.events import Dependency

from realtime.conversation import Bubble
from realtime.snapshot import OVER
from realtime_handler import Snapshot, Stage, Visitor, VoiceCall
from webrtc_edge import SERVER_RTC_CONFIGURATION

from . import voice_fallback
from .chatbox import Message, chatbox, message_box, places_in_queue, shown, taking
from .figures import figures
from .markup import literal, struck
from .rtc_page import MOST_OFFERS, on_news
from .status import Refresh, ServerLine, status_html
from .texts import NOTICES, STAGES, Locale, label, sentence
from .turn import RtcConfiguration
from .voice_socket import VoiceSockets

MICROPHONE = {
    # Bare values are wishes ("ideal"): fastrtc's own default demands them exactly, and then a device that cannot obey
    # (iOS, many headsets) ends in an error no one catches. The browser's echo canceller is the first line of defence
    # against a model that interrupts itself.
    "echoCancellation": True,
    "noiseSuppression": True,
    "autoGainControl": True,
    "channelCount": 1,
}


UNDER_THE_BUTTON = (
    '<div id="voice-timer" role="timer" aria-live="off"></div><div id="voice-hint" role="alert"></div>'
    '<button id="voice-hold" type="button" data-text="hold_to_talk"></button>'
)
"""Filled by page.js and stage.js."""


def caption(bubble: Bubble) -> Message | None:
    """One bubble as a chatbot message; None when there is nothing to show yet."""
    return shown(bubble, literal(bubble.text) if bubble.role == "user" else struck(bubble.text, bubble.unheard))


def captions(snapshot: Snapshot) -> list[Message]:
    return [message for bubble in snapshot.bubbles if (message := caption(bubble)) is not None]


def line(stage: str, notice: str | None, server: str, locale: Locale, place: int = 0, seconds: int = 0) -> str:
    """The tab's status bar. `place` and `seconds`: as in a `Snapshot`."""
    text = sentence(NOTICES, notice, locale) if notice else sentence(STAGES, stage, locale)
    return status_html(stage, notice, text.format(place=place, seconds=seconds), server, locale)


def build(
    call: VoiceCall,
    server: ServerLine,
    sockets: VoiceSockets,
    visitor: gr.State,
    locale: gr.State,
    begin: Dependency,
    *,
    rtc_configuration: RtcConfiguration | None,
) -> Refresh:
    """Lay out the tab inside the current Blocks and wire it. `call` is the prototype fastrtc copies for each call.
    `visitor` holds a `Visitor`, `locale` a `Locale`; `begin` is the event after which they are known."""

    # Else the one too many is told by fastrtc's toast.
    max_calls = places_in_queue(call.settings.max_calls, call.settings)
    chat = chatbox("voice", height="calc(100dvh - 510px)")
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
                track_constraints=MICROPHONE,
                rtc_configuration=rtc_configuration,
                server_rtc_configuration=SERVER_RTC_CONFIGURATION,
            )
        with gr.Column(scale=2, min_width=150):
            stop = gr.Button(label("text_stop"), elem_id="voice-stop")
            clear = gr.Button(label("voice_clear"), elem_id="voice-clear")
    gr.HTML(UNDER_THE_BUTTON, padding=False)
    with gr.Row(elem_id="voice-typing"):
        typed = message_box("voice", max_lines=6)
        send = gr.Button(label("voice_send"), elem_id="voice-send", variant="primary", scale=1, min_width=90)
    sums = gr.HTML(elem_id="voice-figures", padding=False)
    released = gr.Button(elem_id="voice-released")  # hidden; pressed by page.js when a call ends in the browser alone
    status = gr.HTML(elem_id="status", elem_classes="status-bar", padding=False)
    until_ready = gr.Timer(1.0, active=False)

    def outside_a_call(who: Visitor, where: Locale) -> str:
        stage, notice, name = server(who.own_key)
        return line(stage, notice, name, where)

    def waiting(who: Visitor) -> gr.Timer:
        return gr.Timer(active=server(who.own_key)[0] != "idle")

    def on_load(who: Visitor, where: Locale) -> tuple[str, gr.Timer]:
        return outside_a_call(who, where), waiting(who)

    def on_tick(who: Visitor, where: Locale) -> tuple[Any, gr.Timer]:
        if who.call is not None:  # the call has the status bar
            return gr.skip(), gr.Timer(active=False)
        return outside_a_call(who, where), waiting(who)

    def on_snapshot(where: Locale, who: Visitor, snapshot: Snapshot) -> tuple[list[Message], str, str]:
        # A snapshot may have been waiting while the visitor hung up; the captions in it still count.
        stage = snapshot.stage if who.in_call or snapshot.stage in OVER else Stage.ENDED
        name = snapshot.server or server(who.own_key)[2]
        bar = line(stage, snapshot.notice, name, where, snapshot.place, snapshot.seconds)
        return captions(snapshot), bar, figures(snapshot, where)

    async def on_send(who: Visitor, text: str, where: Locale) -> tuple[Any, Any]:
        if not text.strip():
            return gr.skip(), gr.skip()
        if who.call is None or not who.in_call:
            stage, _, name = server(who.own_key)
            return text, line(stage, "not_in_call", name, where)
        taken = await who.call.say(text.strip())
        return gr.skip() if taken else text, gr.skip()

    async def on_stop(who: Visitor) -> None:
        if who.call is not None:
            await who.call.stop()

    async def on_clear(who: Visitor) -> list[Message]:
        await who.clear()
        return []

    async def on_hang_up(who: Visitor, where: Locale) -> tuple[list[Message], str]:  # in the call's event loop
        if who.call is not None:
            who.call.leave()
        # The captions too: what was still to be said is struck out now, and the call's own news has no reader any more.
        return captions(who.snapshot()), line(Stage.ENDED, None, server(who.own_key)[2], where)

    def on_press(who: Visitor, where: Locale) -> str:
        return line(Stage.CONNECTING, None, server(who.own_key)[2], where)

    rtc.stream(call, inputs=[rtc, visitor], outputs=[rtc], concurrency_limit=max_calls + MOST_OFFERS)
    # Its own limit: with Gradio's default of one, the second visitor's captions would wait for the first to hang up.
    on_news(rtc, on_snapshot, [locale, visitor], [chat, status, sums], concurrency_limit=max_calls)
    voice_fallback.build(sockets, rtc, on_snapshot, visitor, locale, [chat, status, sums])
    # Queued like the captions, and one after the other: the page receives them in the order in which they happened.
    in_order: dict[str, Any] = {
        "show_progress": "hidden",
        "concurrency_id": "voice-status",
        "concurrency_limit": 1,
        "api_name": False,
    }
    rtc.start_recording(on_press, [visitor, locale], status, **in_order)
    rtc.stop_recording(on_hang_up, [visitor, locale], [chat, status], **in_order)
    released.click(on_hang_up, [visitor, locale], [chat, status], **in_order)

    gr.on(
        [send.click, typed.submit],
        on_send,
        [visitor, typed, locale],
        [typed, status],
        js=taking("voice", 3),
        trigger_mode="multiple",
        show_progress="hidden",
        concurrency_limit=None,
        api_name=False,
    )
    stop.click(on_stop, visitor, None, show_progress="hidden", concurrency_limit=None, api_name=False)
    clear.click(on_clear, visitor, chat, show_progress="hidden", concurrency_limit=None, api_name=False)

    begin.then(on_load, [visitor, locale], [status, until_ready], show_progress="hidden", api_name=False)
    begin.then(None, None, volume, js="() => window.voiceVolumeNow()", api_name=False)
    until_ready.tick(on_tick, [visitor, locale], [status, until_ready], show_progress="hidden", api_name=False)
    return Refresh(on_tick, [status, until_ready])
