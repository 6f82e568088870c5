"""Differences between the outputs of an event: those of an event that ended early are forgotten with it.

An event with several outputs sends the first whole, and of the others only what differs. Gradio keeps the newest output
of each under the `id()` of the event's iterator, and forgets it after the last one. Of an event that ends before, as by
a closed tab, it keeps the output for ever: a visitor's messages. And Python may give the same id to the iterator of a
later event of that page. Its first output would be sent as a difference to one that the page does not have, which
would then show nothing of the call.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any

import gradio as gr

from voicechat.dependency_checks import require_function, require_names

PROCESS_API = "gradio.blocks:Blocks.process_api"
PARAMETERS = (
    *("self", "block_fn", "inputs", "state", "request", "iterator", "session_hash", "event_id", "event_data"),
    *("in_event_listener", "simple_format", "explicit_call", "root_path"),
)
RELIED_ON = {
    "gradio.blocks:Blocks.handle_streaming_diffs": {"pending_diff_streams", "run", "session_hash"},
    "gradio.blocks:Blocks.handle_streaming_outputs": {"pending_streams", "run", "session_hash"},
}
"""Attributes and arguments that the deletion uses, by the code that must know them."""


def _forget(outputs_by_session: dict[str, dict[int, Any]], session_hash: str, run: int) -> None:
    """Forget what was kept for an iterator that does not exist any more."""
    runs = outputs_by_session.get(session_hash)
    if runs is not None:
        runs.pop(run, None)
        if not runs:
            outputs_by_session.pop(session_hash, None)


def install() -> None:
    """Let Gradio forget the outputs of an event together with its iterator. A second call changes nothing.

    Raise DependencyChanged, with nothing replaced, when Gradio is not as expected.
    """
    original = require_function(PROCESS_API, PARAMETERS)
    for target, names in RELIED_ON.items():
        require_names(target, names)
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    async def process_api(self: gr.Blocks, *arguments: Any, **named: Any) -> dict[str, Any]:
        output: dict[str, Any] = await original(self, *arguments, **named)
        iterator, session_hash = output["iterator"], named.get("session_hash")
        if iterator is not None and named.get("iterator") is None and session_hash:
            for kept in (self.pending_diff_streams, self.pending_streams):
                weakref.finalize(iterator, _forget, kept, session_hash, id(iterator)).atexit = False
        return output

    gr.Blocks.process_api = process_api
