"""Differences between outputs of an event: an event that ended early leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
import pytest

from voicechat.server.gradio_patches import streaming_diffs

SESSION = "session"
WHOLE = "Hello."


async def show() -> AsyncIterator[Any]:
    """Stand for the captions of a call, which do not end by themselves."""
    while True:
        yield WHOLE


@pytest.fixture
def page() -> gr.Blocks:
    streaming_diffs.install()
    with gr.Blocks() as page:
        shown = gr.Textbox()
        gr.Button().click(show, None, shown)
    return page


async def begin(page: gr.Blocks, outputs: int = 1) -> list[Any]:
    """Begin an event, take some outputs, and end it early. Return what is sent to the page."""
    sent, iterator = [], None
    for _ in range(outputs):
        output = await page.process_api(
            block_fn=page.fns[0], inputs=[], session_hash=SESSION, iterator=iterator, event_id="event"
        )
        iterator = output["iterator"]
        sent += output["data"]
    return sent


async def test_first_output_of_each_event_is_whole(page: gr.Blocks) -> None:
    for _ in range(50):  # Python soon gives the same id to another iterator
        assert await begin(page) == [WHOLE]


async def test_further_outputs_are_differences(page: gr.Blocks) -> None:
    assert await begin(page, outputs=3) == [WHOLE, [], []]


async def test_event_that_ends_early_leaves_nothing(page: gr.Blocks) -> None:
    await begin(page, outputs=2)
    async with asyncio.timeout(20):  # the event loop closes the iterator
        while page.pending_diff_streams or page.pending_streams:  # noqa: ASYNC110
            await asyncio.sleep(0)


def test_second_installation_changes_nothing(page: gr.Blocks) -> None:
    installed = gr.Blocks.process_api
    streaming_diffs.install()
    assert gr.Blocks.process_api is installed
