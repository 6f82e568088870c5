"""What fastrtc's component in the page needs besides a handler. fastrtc 0.0.34 is pinned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr
from fastrtc import WebRTC


async def close_connection(rtc: WebRTC, webrtc_id: str) -> None:
    """Close fastrtc's end of a connection that carries nothing any more; without a word from the browser it would hold
    its place, and its sockets, for half a minute. Harmless when there is none."""
    connection = rtc.pcs.get(webrtc_id)
    if connection is not None:
        await connection.close()


def on_news(
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
