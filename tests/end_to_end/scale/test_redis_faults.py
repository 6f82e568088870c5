"""Redis hangs, dies and comes back empty under ten calls: sound goes on, no word is lost, all is stored again."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder
from tests.support.app.prometheus_samples import parse_metrics
from tests.support.scale.fake_turn_server import TURN_S, TurnServer
from tests.support.scale.known_call import KnownCall, stored_words, wait_until
from tests.support.scale.replica_inspection import inspect_replica
from tests.support.scale.replica_set import ReplicaSet, ReplicaUnderTest, running_replicas
from tests.support.shared_state.redis_census import RedisCensus
from voicechat.config.settings import Settings
from voicechat.shared_state.redis_connection import REQUEST_TIMEOUT_S

log = logging.getLogger(__name__)

FAULT_S = 60.0 if os.environ.get("LONG") else 6.0
"""Seconds of each fault."""
MAX_GAP_S = 0.1
"""Seconds between two packets of a call that the page's jitter buffer hides."""
CALLS = 10
WEBRTC_CALLS = (0, 5, 8)
"""Calls over WebRTC; the others are over a WebSocket, where each sample counts."""
FIELDS_BESIDE_MESSAGES = 5
"""Fields of a stored conversation beside its messages: header, page, and the three plain ones."""


class FaultedCalls:
    """Running calls of two replicas, and what happens to their Redis."""

    def __init__(self, replicas: ReplicaSet, server: TurnServer) -> None:
        self.replicas, self.server = replicas, server
        self.calls: list[KnownCall] = []
        self.blocked_s: dict[str, float] = {}
        """Longest time for which a replica blocked its event loop, by phase, in seconds."""
        self.gaps_s: dict[str, float] = {}
        """Longest time between two packets of a WebRTC call, by phase. A busy computer makes it longer."""

    async def start(self) -> None:
        """Start the calls, half of them at each replica."""
        for number in range(CALLS):
            replica = self.replicas.replicas[number % 2]
            self.calls.append(KnownCall(replica.app.url, self.server, uses_webrtc=number in WEBRTC_CALLS))
            await self.calls[-1].start()

    async def pass_phase(self, name: str) -> None:
        """Let all calls talk for `FAULT_S`, while one more call begins and ends at each replica."""
        begin, clock = {call.number: call.turns for call in self.calls}, time.monotonic()
        await self._read_blocked()
        for replica in self.replicas.replicas:
            newcomer = KnownCall(replica.app.url, self.server, uses_webrtc=False)
            await newcomer.start()
            await wait_until(lambda call=newcomer: call.turns > 0)
            await newcomer.hang_up()
        turns = math.ceil(FAULT_S / TURN_S)
        await wait_until(lambda: all(call.turns >= begin[call.number] + turns for call in self.calls), 300)
        self.blocked_s[name] = await self._read_blocked()
        self.gaps_s[name] = max(call.longest_gap_s(clock) for call in self.calls if call.uses_webrtc)

    async def _read_blocked(self) -> float:
        return max([(await asyncio.to_thread(inspect_replica, each)).blocked_s for each in self.replicas.replicas])

    async def wait_for_shared_state(self, state: str) -> None:
        """Wait until both replicas say this of Redis."""
        for each in self.replicas.replicas:
            await asyncio.to_thread(each.app.wait_for_health, lambda health: health["shared_state"] == state)

    async def wait_until_stored(self, census: RedisCensus) -> None:
        """Wait until Redis has every message of every call, and has been written once more since then."""
        wanted = Counter(len(call.words) + FIELDS_BESIDE_MESSAGES for call in self.calls)
        sizes, since = set(wanted), dict[str, int]()

        def has_all() -> bool:
            stored = {name: found for name, found in census.stored_revisions().items() if found[0] in sizes}
            if not wanted <= Counter(fields for fields, _ in stored.values()):
                return False
            for name, (_, revision) in stored.items():
                since.setdefault(name, revision)
            return all(revision > since[name] for name, (_, revision) in stored.items())

        await wait_until(has_all)

    async def kill(self, replica: ReplicaUnderTest) -> list[KnownCall]:
        """Kill a replica, and return its calls."""
        lost = [call for call in self.calls if call.page.url == replica.app.url]
        await asyncio.to_thread(replica.app.kill)
        for call in lost:
            await call.abandon()
        self.calls = [call for call in self.calls if call not in lost]
        return lost


async def assert_call_goes_on(call: KnownCall, other: ReplicaUnderTest, words: list[tuple[str, str]]) -> None:
    """Load the page of a lost call at another replica: it shows all words, and the model gets them."""
    page = GradioPageClient(other.app.url, call.client, TrafficRecorder())
    await page.open(call.token)
    assert await stored_words(page) == words
    assert not [text for role, text in words if role == "user" and text not in page.received_text]
    number = len(call.server.sessions)
    async with page.websocket_call():
        known = words[-Settings().replay_items :]
        await wait_until(lambda: number in call.server.turns and len(call.server.messages_of(number)) >= len(known))
        assert call.server.messages_of(number) == known
    await page.close()
    await call.client.aclose()


async def pass_all_faults(replicas: ReplicaSet, server: TurnServer, running: FaultedCalls, census: RedisCensus) -> None:
    """Let Redis hang, die and come back empty, and compare all words, all sound and what is stored."""
    redis = replicas.redis
    await running.start()
    await running.pass_phase("before")

    redis.freeze()
    await running.wait_for_shared_state("unreachable")
    await running.pass_phase("hung")
    redis.thaw()
    await running.wait_for_shared_state("ok")
    redis.kill()
    await running.wait_for_shared_state("unreachable")
    await running.pass_phase("killed")
    redis.start()
    await running.wait_for_shared_state("ok")
    await running.pass_phase("restarted empty")
    log.info("scale: redis faults blocked_s=%s gaps_s=%s", running.blocked_s, running.gaps_s)

    server.is_talking = False
    for call in running.calls:
        await call.wait_until_heard()
    for call in running.calls:
        await call.assert_words_are_whole()
        call.assert_sound_is_whole()
    assert max(running.blocked_s.values()) < max(REQUEST_TIMEOUT_S, 3 * running.blocked_s["before"])
    assert max(running.gaps_s.values()) < max(MAX_GAP_S, 3 * running.gaps_s["before"])

    await wait_until(lambda: census.admission_entries() == CALLS)
    metrics = [parse_metrics(each.app.fetch_text("/metrics")) for each in replicas.replicas]
    spent = [found["voice_chat_spent_usd_total",] for found in metrics]
    assert min(spent) > 0
    await wait_until(lambda: census.spent_usd() == pytest.approx(sum(spent), abs=1e-5))
    await running.wait_until_stored(census)
    killed, other = replicas.replicas
    words = {call.number: call.words for call in running.calls}
    for call in await running.kill(killed):
        await assert_call_goes_on(call, other, words[call.number])
    for call in running.calls:
        await call.hang_up()
    await wait_until(lambda: census.admission_entries() == 0)


@pytest.mark.alone
@pytest.mark.timeout(900)
async def test_redis_that_hangs_dies_and_returns_empty_disturbs_no_call(tmp_path: Path) -> None:
    limits = {"MAX_CALLS": "24", "MAX_CALLS_PER_VISITOR": "0", "MAX_DAY_COST": "1000", "VANISHED_SECONDS": "120"}
    settings = {"REALTIME_API_KEY": "sk-test", "REALTIME_MODEL": "gpt-realtime", **limits}
    with (
        TurnServer().running() as server,
        running_replicas(
            tmp_path,
            ("-m", "tests.support.scale.inspected_app"),
            REALTIME_URL=server.url,
            **settings,
        ) as replicas,
    ):
        replicas.start()
        census = RedisCensus(replicas.redis)
        running = FaultedCalls(replicas, server)
        try:
            await pass_all_faults(replicas, server, running, census)
        finally:
            await asyncio.gather(*(call.abandon() for call in running.calls))
