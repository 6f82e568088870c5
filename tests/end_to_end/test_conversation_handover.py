"""Handover through the real app: a replica is killed in the middle of a reply, and its page goes on at another one."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.app.app_process import running_app
from tests.support.app.canaries import SPOKEN, WRITTEN
from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer
from tests.support.shared_state.redis_process import RedisProcess, running_redis

REPLY = (
    "The lighthouse stands on a rock in the sea. Its keeper has a grey cat. Every evening they climb the stairs "
    "together, and the keeper lights the lamp. Then the cat sleeps beside it until the morning."
)
REPLY_S = 30.0
"""Seconds of every reply: it is still being played when its replica is killed."""


@pytest.fixture(scope="module")
def model() -> Iterator[ThreadedRealtimeServer]:
    with ThreadedRealtimeServer(SPOKEN, REPLY, REPLY_S).running() as server:
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def environment(model: ThreadedRealtimeServer, shared: RedisProcess) -> dict[str, str]:
    return {
        "REALTIME_URL": model.url,
        "REALTIME_API_KEY": "sk-test",
        "REDIS_URL": shared.url,
        "DEBUG": "true",
    }


def heard_chars(record: dict[str, list[dict[str, object]]]) -> int:
    """Return how many characters of the spoken reply were heard; 0 before it has come."""
    parts = [item["parts"] for item in record["voice"] if item["kind"] == "assistant"]
    match parts:
        case [[[str(text), int(heard)]]] if text == REPLY:
            return heard
    return 0


async def wait_until_reply_is_heard(page: GradioPageClient) -> dict[str, list[dict[str, object]]]:
    """Ask again and again until the first sentence of the reply was heard, and return the record of that moment."""
    while heard_chars(record := await page.saved_record()) < 45:
        pass
    return record


@pytest.mark.timeout(300)
async def test_page_of_a_killed_replica_goes_on_at_another_one_with_what_was_heard(
    model: ThreadedRealtimeServer, shared: RedisProcess, tmp_path: Path
) -> None:
    token = secrets.token_hex(32)
    settings = environment(model, shared)
    with running_app(tmp_path / "a.log", **settings) as first, running_app(tmp_path / "b.log", **settings) as second:
        for app in (first, second):
            app.wait_for_health(lambda health: health["status"] == "ok", 120)
        async with httpx.AsyncClient(timeout=20, headers={"User-Agent": "one"}) as client, asyncio.timeout(90):
            page = GradioPageClient(first.url, client, TrafficRecorder(), "page")
            await page.open(token)
            await page.trigger_event("text-send", text_input=WRITTEN)
            await page.wait_for_text(lambda text: WRITTEN in text)
            async with page.websocket_call():
                before = await wait_until_reply_is_heard(page)
                first.kill()
            await asyncio.gather(page.close(), return_exceptions=True)
            back = GradioPageClient(second.url, client, TrafficRecorder(), "back")
            await back.open(token)
            assert SPOKEN in back.received_text and WRITTEN in back.received_text
            after = await back.saved_record()
            assert [item["parts"] for item in after["text"]][:1] == [item["parts"] for item in before["text"]][:1]
            assert after["voice"][0] == before["voice"][0]
            assert len(after["voice"]) == len(before["voice"]) == 2
            heard = heard_chars(after)
            assert heard_chars(before) - len(REPLY) / REPLY_S * 2 < heard < len(REPLY) / 2, "the heard part only"
            expected = [("user", SPOKEN), ("assistant", REPLY[:heard].strip())]

            def knows_heard_part(health: dict[str, object]) -> bool:
                sessions = range(len(model.sessions))
                return health["calls"] == 1 and any(model.messages_of(each)[:2] == expected for each in sessions)

            async with back.websocket_call():
                await asyncio.to_thread(second.wait_for_health, knows_heard_part)
            await back.close()
    logs = (tmp_path / "a.log").read_text() + (tmp_path / "b.log").read_text()
    assert not [each for each in (token, SPOKEN, WRITTEN, REPLY[:20]) if each in logs]
    assert not re.search("Traceback", (tmp_path / "b.log").read_text())
