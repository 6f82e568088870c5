"""The voice tab's wiring of a call that WebRTC cannot carry: websocket_fallback.js presses a hidden button, is told where to open
a web socket, and the call's snapshots come by an endless generator of its own, as those of the text chat do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
from fastrtc import WebRTC
from gradio.components import Component

from voicechat.session.visitor import Visitor
from voicechat.session.websocket_call import AudioSocketRegistry, AudioSocketTicket
from voicechat.transport.gradio_component import close_connection
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage, Snapshot
from voicechat.ui.i18n import Locale
from voicechat.ui.widgets.chatbox import queue_concurrency_limit

NOTICE_DURATION_S = 8.0
"""Seconds in which the status bar says that the call goes another way; then it says again what the call does."""
REPEAT_DELAY_S = 1.0
"""Gradio shows the last output of a generator once more when it ends: that of the call's WebRTC days may come after the
first of ours."""
OPEN_SOCKET_JS = "(where) => { window.voiceWay.open(where); return []; }"


async def with_fallback_notice(
    snapshots: AsyncIterator[Snapshot],
    notice_duration_s: float = NOTICE_DURATION_S,
    repeat_delay_s: float = REPEAT_DELAY_S,
) -> AsyncIterator[Snapshot]:
    """The same, with the notice `over_web` at first where there is none, and again without it when its time is over."""
    shown: Snapshot | None = None
    wakes: list[asyncio.Task[None]] = []  # the last one ends the notice
    following = asyncio.ensure_future(anext(snapshots))
    try:
        while True:
            if following.done():
                try:
                    shown = following.result()
                except StopAsyncIteration:
                    return
                following = asyncio.ensure_future(anext(snapshots))
                wakes = wakes or [
                    asyncio.create_task(asyncio.sleep(delay)) for delay in (repeat_delay_s, notice_duration_s)
                ]
            if shown is not None:
                silent = (
                    shown.stage in TERMINAL_STAGES or shown.stage is CallStage.QUEUED
                )  # which have something to say themselves
                marked = not wakes[-1].done() and shown.notice is None and not silent
                yield replace(shown, notice="over_web") if marked else shown
            await asyncio.wait({following, *(w for w in wakes if not w.done())}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (following, *wakes):
            task.cancel()


def build(
    audio_sockets: AudioSocketRegistry,
    rtc: WebRTC,
    render: Callable[[Locale, Visitor, Snapshot], tuple[Any, ...]],
    visitor: gr.State,
    locale: gr.State,
    outputs: Sequence[Component],
) -> None:
    """Lay out the hidden button inside the current Blocks and wire it. `present` makes `outputs` of a snapshot."""
    asked = gr.Button(elem_id="voice-fallback")
    where = gr.Textbox(visible=False)
    lane = gr.State(None)

    async def on_fallback_request(
        who: Visitor, webrtc: Any
    ) -> tuple[str, AudioSocketTicket]:  # in the call's event loop
        webrtc_id = str(getattr(webrtc, "webrtc_id", webrtc))

        async def release_transport() -> None:
            await close_connection(rtc, webrtc_id)

        return audio_sockets.issue_ticket(who, release_transport)

    async def on_watch(
        who: Visitor, user_locale: Locale, ticket: AudioSocketTicket | None
    ) -> AsyncIterator[tuple[Any, ...]]:
        if ticket is not None:
            async for snapshot in with_fallback_notice(ticket.snapshots()):
                yield render(user_locale, who, snapshot)
        yield (gr.skip(),) * len(outputs)  # a generator that ends without a word empties its outputs

    settings = audio_sockets.prototype.settings
    most = queue_concurrency_limit(settings.max_calls, settings)
    quick: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_name": False}
    offer = asked.click(on_fallback_request, [visitor, rtc], [where, lane], trigger_mode="multiple", **quick)
    offer.then(None, where, None, js=OPEN_SOCKET_JS, api_name=False)
    offer.then(
        on_watch,
        [visitor, locale, lane],
        list(outputs),
        trigger_mode="multiple",
        **{**quick, "concurrency_limit": most},
    )
