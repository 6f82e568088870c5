"""Plain fastrtc demo: a Realtime server behind fastrtc as in fastrtc's own examples. A process of its own.

    python -m benchmarks.support.plain_fastrtc PORT REALTIME_URL [CALLS]

Each delta goes into a queue, `emit()` returns it without pacing, and `speech_started` calls `clear_queue()`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import numpy as np
from fastrtc import AdditionalOutputs, AsyncStreamHandler, WebRTC, wait_for_item
from websockets.asyncio.client import ClientConnection, connect

RATE = 24_000


class PlainFastrtcHandler(AsyncStreamHandler):
    """fastrtc handler of a call that forwards audio both ways."""

    def __init__(self, url: str) -> None:
        super().__init__(expected_layout="mono", output_sample_rate=RATE, input_sample_rate=RATE)
        self.url = url
        self.output_queue: asyncio.Queue[Any] = asyncio.Queue()
        self.connection: ClientConnection | None = None

    def copy(self) -> PlainFastrtcHandler:
        return PlainFastrtcHandler(self.url)

    async def start_up(self) -> None:
        async with connect(self.url, max_size=None) as connection:
            self.connection = connection
            await connection.send(json.dumps({"type": "session.update", "session": {"type": "realtime"}}))
            async for message in connection:
                event = json.loads(message)
                if event["type"] == "input_audio_buffer.speech_started":
                    self.clear_queue()
                elif event["type"] == "response.output_audio.delta":
                    samples = np.frombuffer(base64.b64decode(event["delta"]), np.int16).reshape(1, -1)
                    await self.output_queue.put((RATE, samples))

    async def receive(self, frame: tuple[int, Any]) -> None:
        if self.connection is not None:
            audio = base64.b64encode(frame[1].squeeze().tobytes()).decode()
            await self.connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))

    async def emit(self) -> tuple[int, Any] | AdditionalOutputs | None:
        return await wait_for_item(self.output_queue)  # type: ignore[no-any-return]

    async def shutdown(self) -> None:
        if self.connection is not None:
            await self.connection.close()


def main() -> None:
    """Serve the demo until the process ends."""
    port, url, calls = int(sys.argv[1]), sys.argv[2], int((sys.argv[3:] or ["1"])[0])
    with gr.Blocks() as page:
        rtc = WebRTC(modality="audio", mode="send-receive", elem_id="voice-call", full_screen=True)
        rtc.stream(PlainFastrtcHandler(url), inputs=[rtc], outputs=[rtc], concurrency_limit=calls)
    page.launch(server_name="127.0.0.1", server_port=port, ssr_mode=False, quiet=True)


if __name__ == "__main__":
    main()
