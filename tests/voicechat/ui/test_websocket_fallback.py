"""Notice of the WebSocket fallback in the status bar."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from voicechat.protocol.notices import Notice
from voicechat.turn_taking.snapshot import CallStage, Snapshot
from voicechat.ui.i18n import CALL_NOTICE_TEXTS
from voicechat.ui.tabs.websocket_fallback import with_fallback_notice

LISTENING = Snapshot((), CallStage.LISTENING)
HOUR = 3600.0


async def test_fallback_notice_is_shown_first_and_removed_later() -> None:
    over = asyncio.Event()

    async def stream() -> AsyncIterator[Snapshot]:
        yield LISTENING
        await over.wait()

    seen = []
    async with asyncio.timeout(5):
        async for snapshot in with_fallback_notice(stream(), notice_duration_s=0.2, repeat_delay_s=0.05):
            assert snapshot.stage is CallStage.LISTENING
            seen.append(snapshot.notice)
            if snapshot.notice is None:
                over.set()
    assert seen == ["over_web", "over_web", None], "repeated after the last output of the WebRTC generator"
    assert "over_web" in CALL_NOTICE_TEXTS


async def test_other_notices_replace_the_fallback_notice() -> None:
    snapshots = [
        LISTENING,
        Snapshot((), CallStage.THINKING),
        Snapshot((), CallStage.LISTENING, Notice.REPLY_FAILED),
        Snapshot((), CallStage.FAILED, Notice.INTERNAL),
        Snapshot((), CallStage.ENDED),
    ]

    async def stream() -> AsyncIterator[Snapshot]:
        for each in snapshots:
            yield each

    seen = [snapshot async for snapshot in with_fallback_notice(stream(), HOUR, HOUR)]
    assert [each.stage for each in seen] == [each.stage for each in snapshots]
    assert [each.notice for each in seen] == ["over_web", "over_web", Notice.REPLY_FAILED, Notice.INTERNAL, None]


async def test_no_snapshots_without_a_socket() -> None:
    async def stream() -> AsyncIterator[Snapshot]:
        return
        yield LISTENING

    assert [snapshot async for snapshot in with_fallback_notice(stream())] == []
