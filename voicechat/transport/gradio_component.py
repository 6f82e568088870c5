"""Access to fastrtc's component in the page: its connections, its inputs, and the updates that it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr
from fastrtc import WebRTC


class RtcConnection:
    """One WebRTC connection of fastrtc's component."""

    def __init__(self, rtc: WebRTC, webrtc_id: str) -> None:
        self._rtc, self._id = rtc, webrtc_id
        self._peer = rtc.pcs[webrtc_id]

    @classmethod
    def find(cls, rtc: WebRTC, webrtc_id: str) -> RtcConnection | None:
        """Return the connection with this id, or None."""
        return cls(rtc, webrtc_id) if webrtc_id in rtc.pcs else None

    async def wait_connected(self) -> bool:
        """Wait until the connection is established (True) or has ended (False)."""
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
        """Close the connection and remove it from fastrtc, which does not notice the end of a failed offer."""
        await self._peer.close()
        for track in self._rtc.clean_up(self._id):
            track.stop()


async def close_connection(rtc: WebRTC, webrtc_id: str) -> None:
    """Close a connection that carries no audio any more. Do nothing without one.

    Without a message from the browser it would hold its slot and its sockets for half a minute.
    """
    connection = rtc.pcs.get(webrtc_id)
    if connection is not None:
        await connection.close()


def find_webrtc_component(page: gr.Blocks) -> WebRTC:
    """Return fastrtc's component of this page. Raise ValueError unless there is exactly one."""
    (found,) = (block for block in page.blocks.values() if isinstance(block, WebRTC))
    return found


def component_input_indexes(page: gr.Blocks, component: WebRTC) -> dict[int, tuple[int, ...]]:
    """Return, for every function of the page, the indexes of the component among its inputs."""
    return {
        number: tuple(index for index, each in enumerate(function.inputs) if each is component)
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
    """Show the handler's `AdditionalOutputs`: `present(*inputs, *emitted)` returns the page's outputs.

    This replaces `WebRTC.on_additional_outputs`, which shows a progress overlay for the whole call. A notice after the
    hang-up starts it for a closed connection, and it waits forever. When it ends without a yield, Gradio empties every
    output.
    """
    nothing = tuple(gr.skip() for _ in outputs)

    async def follow(webrtc_id: str, *values: Any) -> AsyncIterator[tuple[Any, ...]]:
        if webrtc_id in rtc.connections:
            for track in rtc.connections[webrtc_id]:
                track.has_consumer = True
            async for update in rtc.output_stream(webrtc_id):
                yield present(*values, *update.args)
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
