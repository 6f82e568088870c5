"""Fake page of a text chat: reads the snapshots of a `TextSession` as the page does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.admission import AdmissionKind, ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.session.text_session import TextSession
from voicechat.tools.runtime import ToolRuntime
from voicechat.turn_taking.snapshot import CallStage, Snapshot
from voicechat.upstream.reconnecting_client import EndpointSource

KEY = "sk-canary-0000"


def endpoint_source(url: str) -> EndpointSource:
    """Return a source that always gives the server at `url`."""
    return lambda: Endpoint(ServerKind.CUSTOM, url, {"Authorization": f"Bearer {KEY}"})


class FakeChatPage:
    """Reader of one chat. Keeps the newest snapshot."""

    def __init__(self, chat: TextSession) -> None:
        self.chat = chat
        self.snapshot: Snapshot = chat.snapshot
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for snapshot in self.chat.snapshots():
            async with self._changed:
                self.snapshot = snapshot
                self._changed.notify_all()

    async def wait_for_snapshot(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        """Wait for a newest snapshot that meets `condition`, and return it."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: condition(self.snapshot))
        return self.snapshot

    async def wait_for_stage(self, stage: CallStage) -> Snapshot:
        """Wait until the page shows this stage."""
        return await self.wait_for_snapshot(lambda snapshot: snapshot.stage is stage)

    async def wait_until_finished(self) -> Snapshot:
        """Wait for the last snapshot."""
        async with asyncio.timeout(10):
            await self._task
        return self.snapshot

    def disconnect(self) -> None:
        """Read no more, as a closed tab does."""
        self._task.cancel()


@asynccontextmanager
async def running_chat(
    endpoint: EndpointSource,
    conversation: Conversation | None = None,
    tools: ToolRuntime | None = None,
    **changed: Any,
) -> AsyncIterator[FakeChatPage]:
    """Run a chat until the block ends, and check that its slot is free afterwards."""
    admission = AdmissionController(ConcurrencyLimits(chats=1))
    settings = Settings().with_changes(**changed)
    chat = TextSession(settings, endpoint, admission, conversation or Conversation(text_only=True), tools=tools)
    chat.start()
    page = FakeChatPage(chat)
    try:
        yield page
    finally:
        chat.end_by_user()
        async with asyncio.timeout(30):
            await chat.wait_closed()
            await page.wait_until_finished()
        assert admission.count_admitted(AdmissionKind.CHAT) == 0
