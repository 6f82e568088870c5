"""WebSocket fallback of the voice tab, for calls without a working WebRTC path.

websocket_fallback.js clicks a hidden button and receives the URL of a WebSocket. The snapshots of such a call come from
an endless generator of its own, like those of a text chat.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
from fastrtc import WebRTC
from gradio.components import Component

from voicechat.session.audio_socket_call import AudioSocketRegistry, AudioSocketTicket
from voicechat.session.visitor import Visitor
from voicechat.transport.gradio_component import close_connection
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage, Snapshot
from voicechat.ui.i18n import Locale
from voicechat.ui.widgets.chatbox import queue_concurrency_limit

NOTICE_DURATION_S = 8.0
"""Seconds for which the status bar shows the fallback notice, before it shows the stage again."""
REPEAT_DELAY_S = 1.0
"""Seconds until the first snapshot is repeated. The ended WebRTC generator may have shown its last output after it."""
OPEN_SOCKET_JS = "(url) => { window.voiceTransport.open(url); return []; }"


async def with_fallback_notice(
    snapshots: AsyncIterator[Snapshot],
    notice_duration_s: float = NOTICE_DURATION_S,
    repeat_delay_s: float = REPEAT_DELAY_S,
) -> AsyncIterator[Snapshot]:
    """Yield the snapshots; at first with the notice `over_web`, unless they have a notice, and later without it."""
    shown: Snapshot | None = None
    timers: list[asyncio.Task[None]] = []  # the last one ends the notice
    next_snapshot = asyncio.ensure_future(anext(snapshots))
    try:
        while True:
            if next_snapshot.done():
                try:
                    shown = next_snapshot.result()
                except StopAsyncIteration:
                    return
                next_snapshot = asyncio.ensure_future(anext(snapshots))
                timers = timers or [
                    asyncio.create_task(asyncio.sleep(delay)) for delay in (repeat_delay_s, notice_duration_s)
                ]
            if shown is not None:
                has_own_text = shown.stage in TERMINAL_STAGES or shown.stage is CallStage.QUEUED
                is_marked = not timers[-1].done() and shown.notice is None and not has_own_text
                yield replace(shown, notice="over_web") if is_marked else shown
            await asyncio.wait(
                {next_snapshot, *(timer for timer in timers if not timer.done())}, return_when=asyncio.FIRST_COMPLETED
            )
    finally:
        for task in (next_snapshot, *timers):
            task.cancel()


def build(
    audio_sockets: AudioSocketRegistry,
    rtc: WebRTC,
    render: Callable[[Locale, Visitor, Snapshot], tuple[Any, ...]],
    visitor: gr.State,
    locale: gr.State,
    outputs: Sequence[Component],
) -> None:
    """Lay out and wire the hidden button in the current Blocks. `render`: converts a snapshot to `outputs`."""
    fallback_button = gr.Button(elem_id="voice-fallback")
    socket_url = gr.Textbox(visible=False)
    ticket_state = gr.State(None)

    # async: runs in the event loop of the call
    async def on_fallback_request(session_visitor: Visitor, webrtc: Any) -> tuple[str, AudioSocketTicket]:
        webrtc_id = str(getattr(webrtc, "webrtc_id", webrtc))

        async def release_transport() -> None:
            await close_connection(rtc, webrtc_id)

        return audio_sockets.issue_ticket(session_visitor, release_transport)

    async def on_watch(
        session_visitor: Visitor, user_locale: Locale, ticket: AudioSocketTicket | None
    ) -> AsyncIterator[tuple[Any, ...]]:
        if ticket is not None:
            async for snapshot in with_fallback_notice(ticket.snapshots()):
                yield render(user_locale, session_visitor, snapshot)
        yield (gr.skip(),) * len(outputs)  # a generator that yields nothing would clear its outputs

    settings = audio_sockets.prototype.settings
    max_calls = queue_concurrency_limit(settings.max_calls, settings)
    unlimited: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_name": False}
    ticket_issued = fallback_button.click(
        on_fallback_request, [visitor, rtc], [socket_url, ticket_state], trigger_mode="multiple", **unlimited
    )
    ticket_issued.then(None, socket_url, None, js=OPEN_SOCKET_JS, api_name=False)
    ticket_issued.then(
        on_watch,
        [visitor, locale, ticket_state],
        list(outputs),
        trigger_mode="multiple",
        **{**unlimited, "concurrency_limit": max_calls},
    )
