"""What fastrtc's component in the page needs besides a handler. fastrtc 0.0.34 is pinned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr
from fastrtc import WebRTC


class RtcConnection:
    """One WebRTC connection at fastrtc's end."""

    def __init__(self, rtc: WebRTC, webrtc_id: str) -> None:
        self._rtc, self._id = rtc, webrtc_id
        self._peer = rtc.pcs[webrtc_id]

    @classmethod
    def find(cls, rtc: WebRTC, webrtc_id: str) -> RtcConnection | None:
        """None when there is none of that name."""
        return cls(rtc, webrtc_id) if webrtc_id in rtc.pcs else None

    async def wait_connected(self) -> bool:
        """Wait until it stands (True), or has ended (False)."""
        changed = asyncio.Event()
        self._peer.on("connectionstatechange", changed.set)
        try:
            while self._peer.connectionState not in ("connected", "failed", "closed"):
                await changed.wait()
                changed.clear()
        finally:
            self._peer.remove_listener("connectionstatechange", changed.set)
        return bool(self._peer.connectionState == "connected")

    async def close(self) -> None:
        """Close it, and let fastrtc forget it: of an offer that failed on the way it knows no end by itself."""
        await self._peer.close()
        for track in self._rtc.clean_up(self._id):
            track.stop()


async def close_connection(rtc: WebRTC, webrtc_id: str) -> None:
    """Close fastrtc's end of a connection that carries nothing any more; without a word from the browser it would hold
    its place, and its sockets, for half a minute. Harmless when there is none."""
    connection = rtc.pcs.get(webrtc_id)
    if connection is not None:
        await connection.close()


def find_webrtc_component(page: gr.Blocks) -> WebRTC:
    """fastrtc's component in this page. Raises ValueError unless there is exactly one."""
    (found,) = (block for block in page.blocks.values() if isinstance(block, WebRTC))
    return found


def component_input_indexes(page: gr.Blocks, component: WebRTC) -> dict[int, tuple[int, ...]]:
    """For every function of the page, where among its inputs the component's value is."""
    return {
        number: tuple(place for place, each in enumerate(function.inputs) if each is component)
        for number, function in page.fns.items()
    }


def bind_additional_outputs(
    rtc: WebRTC,
    present: Callable[..., tuple[Any, ...]],
    inputs: list[Any],
    outputs: list[Any],
    *,
    concurrency_limit: int,
) -> None:
    """Show what the handler emits as `AdditionalOutputs`: `present(*inputs, *emitted)` gives the page's outputs.

    `WebRTC.on_additional_outputs` without its traps: it shows a progress overlay for the whole call; a notice that
    arrives after the hang-up starts it for a connection that is gone, which waits for ever; and when it ends without a
    yield, Gradio empties every output.
    """
    nothing = tuple(gr.skip() for _ in outputs)

    async def follow(webrtc_id: str, *values: Any) -> AsyncIterator[tuple[Any, ...]]:
        if webrtc_id in rtc.connections:
            for track in rtc.connections[webrtc_id]:
                track.has_consumer = True
            async for news in rtc.output_stream(webrtc_id):
                yield present(*values, *news.args)
        yield nothing

    rtc.state_change(
        follow,
        [rtc, *inputs],
        outputs,
        concurrency_limit=concurrency_limit,
        show_progress="hidden",
        trigger_mode="once",
        api_name=False,
    )
