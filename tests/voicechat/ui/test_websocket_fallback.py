"""What the status bar says of a call that goes over the web."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from voicechat.protocol.notices import Notice
from voicechat.turn_taking.snapshot import CallStage, Snapshot
from voicechat.ui.i18n import CALL_NOTICE_TEXTS
from voicechat.ui.tabs.websocket_fallback import with_fallback_notice

LISTENING = Snapshot((), CallStage.LISTENING)
HOUR = 3600.0


async def test_the_notice_comes_first_and_goes_by_itself() -> None:
    over = asyncio.Event()

    async def news() -> AsyncIterator[Snapshot]:
        yield LISTENING
        await over.wait()

    seen = []
    async with asyncio.timeout(5):
        async for snapshot in with_fallback_notice(news(), notice_duration_s=0.2, repeat_delay_s=0.05):
            assert snapshot.stage is CallStage.LISTENING
            seen.append(snapshot.notice)
            if snapshot.notice is None:
                over.set()
    assert seen == ["over_web", "over_web", None], "the second time for what Gradio showed in between"
    assert "over_web" in CALL_NOTICE_TEXTS


async def test_what_else_there_is_to_say_goes_before_it() -> None:
    said = [
        LISTENING,
        Snapshot((), CallStage.THINKING),
        Snapshot((), CallStage.LISTENING, Notice.REPLY_FAILED),
        Snapshot((), CallStage.FAILED, Notice.INTERNAL),
        Snapshot((), CallStage.ENDED),
    ]

    async def news() -> AsyncIterator[Snapshot]:
        for each in said:
            yield each

    seen = [snapshot async for snapshot in with_fallback_notice(news(), HOUR, HOUR)]
    assert [each.stage for each in seen] == [each.stage for each in said]
    assert [each.notice for each in seen] == ["over_web", "over_web", Notice.REPLY_FAILED, Notice.INTERNAL, None]


async def test_no_socket_came() -> None:
    async def news() -> AsyncIterator[Snapshot]:
        return
        yield LISTENING

    assert [snapshot async for snapshot in with_fallback_notice(news())] == []
