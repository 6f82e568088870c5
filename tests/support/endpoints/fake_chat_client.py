"""Chat client with scripted answers, in place of an endpoint over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from offline.endpoints.chat_stream import ChatEnd, ChatEvent, ChatText
from offline.endpoints.dialect import ChatRequest
from offline.llm.errors import LlmUsage

USAGE = LlmUsage(40, 8, 6)

Step = ChatEvent | Exception | asyncio.Event
"""Event to yield, error to raise, or event of the test to wait for."""


def answer(*texts: str) -> list[Step]:
    """Return the steps of a complete answer."""
    return [*(ChatText(text) for text in texts), ChatEnd(USAGE, "stop")]


class FakeChatClient:
    """Plays one script per request, the last one again and again. Records the requests."""

    model = "big-model"

    def __init__(self, *scripts: Sequence[Step], is_private: bool = True) -> None:
        self.host = "models.example:8080"
        self.is_private = is_private
        self.unloads_when_idle = False
        self.takes_images = True
        self.scripts = list(scripts)
        self.requests: list[ChatRequest] = []
        self.warm_ups: list[ChatRequest] = []
        self.warm_up_script: Sequence[Step] = ()
        self.cancelled_count = 0
        """Requests and warm-ups that were closed before their end."""
        self.is_closed = False

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        self.requests.append(request)
        async for event in self._play(script):
            yield event

    async def warm_up(self, request: ChatRequest) -> None:
        self.warm_ups.append(request)
        async for _ in self._play(self.warm_up_script):
            pass

    async def _play(self, script: Sequence[Step]) -> AsyncGenerator[ChatEvent, None]:
        try:
            for step in script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled_count += 1
            raise

    async def close(self) -> None:
        self.is_closed = True
