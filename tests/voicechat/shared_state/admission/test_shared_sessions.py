"""Sessions and programs whose admission is decided over Redis: pending, queued, refused, and a slot that is lost."""

from __future__ import annotations

import asyncio

import fakeredis

from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_chat_page import FakeChatPage, endpoint_source
from tests.support.sessions.running_gateway import connected_client, running_gateway
from tests.support.shared_state.replica_fleet import Replica, ReplicaFleet
from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.admission import AdmissionKind, ConcurrencyLimits
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice
from voicechat.session.text_session import TextSession
from voicechat.shared_state.shared_admission import LEASE_S, LOOK_INTERVAL_S
from voicechat.turn_taking.snapshot import CallStage


async def started_fleet(limits: ConcurrencyLimits) -> ReplicaFleet:
    server = fakeredis.FakeServer()
    fleet = ReplicaFleet(limits, lambda: fakeredis.FakeAsyncRedis(server=server), 2)
    await fleet.start()
    return fleet


async def expire_lease(fleet: ReplicaFleet, running: Replica) -> None:
    """Let one replica alone run until the lease of the other has ended."""
    for _ in range(1 + int(LEASE_S / LOOK_INTERVAL_S)):
        fleet.now += LOOK_INTERVAL_S
        await running.admission.synchronise()


def new_chat(url: str, replica: Replica) -> TextSession:
    return TextSession(Settings(), endpoint_source(url), replica.admission, Conversation(text_only=True))


async def test_chat_is_connecting_until_redis_has_decided() -> None:
    there, fleet = ScriptedRealtimeServer(), await started_fleet(ConcurrencyLimits(chats=1, queue_length=1))
    one, two = fleet.replicas
    async with running_server(there.handle_connection) as url:
        chats = [new_chat(url, replica) for replica in (one, two, two)]
        for chat in chats:
            chat.start()
        assert [chat.snapshot.stage for chat in chats] == [CallStage.CONNECTING] * 3
        assert there.connection_count == 0
        pages = [FakeChatPage(chat) for chat in chats]
        await one.admission.synchronise()
        await two.admission.synchronise()
        await pages[0].wait_for_stage(CallStage.LISTENING)
        assert (await pages[1].wait_for_stage(CallStage.QUEUED)).queue_position == 1
        assert (await pages[2].wait_until_finished()).notice == Notice.SERVER_BUSY
        chats[0].end_by_user()
        await chats[0].wait_closed()
        await one.admission.synchronise()
        await two.admission.synchronise()
        await pages[1].wait_for_stage(CallStage.LISTENING)
        chats[1].end_by_user()
        await chats[1].wait_closed()
        await there.wait_closed()


async def test_chat_ended_while_pending_leaves_nothing_behind() -> None:
    fleet = await started_fleet(ConcurrencyLimits(chats=1))
    chat = new_chat("ws://127.0.0.1:1", fleet.replicas[0])
    chat.start()
    chat.end_by_user()
    await chat.wait_closed()
    await fleet.replicas[0].admission.synchronise()
    assert fleet.replicas[0].admission.is_empty
    assert fleet.replicas[0].admission.count_everywhere().admitted[AdmissionKind.CHAT] == 0


async def test_chat_whose_slot_is_given_away_ends_and_says_that_the_connection_was_lost() -> None:
    there, fleet = ScriptedRealtimeServer(), await started_fleet(ConcurrencyLimits(chats=1, queue_length=1))
    frozen, other = fleet.replicas
    async with running_server(there.handle_connection) as url:
        chat, next_chat = new_chat(url, frozen), new_chat(url, other)
        chat.start()
        page = FakeChatPage(chat)
        await frozen.admission.synchronise()
        await page.wait_for_stage(CallStage.LISTENING)
        next_chat.start()
        await expire_lease(fleet, other)
        await frozen.admission.synchronise()
        last = await page.wait_until_finished()
        assert (last.stage, last.notice) == (CallStage.FAILED, Failure.LOST)
        assert other.admission.count_admitted(AdmissionKind.CHAT) == 1 and frozen.admission.is_empty
        next_chat.end_by_user()
        for each in (chat, next_chat):
            await each.wait_closed()
        await there.wait_closed()


async def test_program_is_refused_when_another_replica_has_the_last_slot() -> None:
    there, fleet = ScriptedRealtimeServer(), await started_fleet(ConcurrencyLimits(api_clients=1))
    one, two = fleet.replicas
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, admission=one.admission) as ours,
        running_gateway(url, admission=two.admission) as theirs,
        one.admission.run_in_background(),
        two.admission.run_in_background(),
    ):
        async with connected_client(ours.url()) as client, connected_client(theirs.url()) as refused:
            assert (await client.next_event())["type"] == "session.created"
            assert (await refused.next_event())["error"]["code"] == "session_limit_reached"
            assert (await refused.read_until_closed())[0] == 1013
        await ours.wait_until_empty()
        await one.admission.synchronise()
        async with connected_client(theirs.url()) as client:
            assert (await client.next_event())["type"] == "session.created"
        await theirs.wait_until_empty()
        await there.wait_closed()


async def test_program_whose_slot_is_given_away_is_closed_with_the_reason() -> None:
    there, fleet = ScriptedRealtimeServer(), await started_fleet(ConcurrencyLimits(api_clients=1))
    frozen, other = fleet.replicas
    async with running_server(there.handle_connection) as url, running_gateway(url, admission=frozen.admission) as ours:
        connecting = asyncio.create_task(_wait_for_pending(frozen))
        async with connected_client(ours.url()) as client:
            await connecting
            assert (await client.next_event())["type"] == "session.created"
            await expire_lease(fleet, other)
            taking = fleet.enter(other, AdmissionKind.API_CLIENT)
            await other.admission.synchronise()
            assert taking.ticket.refusal is None
            await frozen.admission.synchronise()
            assert (await client.next_event())["error"]["code"] == "slot_taken"
            assert (await client.read_until_closed())[0] == 1012
        await ours.wait_until_empty()
        await there.wait_closed()


async def _wait_for_pending(replica: Replica) -> None:
    """Decide the first ticket that is requested here."""
    async with asyncio.timeout(10):
        while replica.admission.is_empty:  # noqa: ASYNC110
            await asyncio.sleep(0)  # a request is not announced
    await replica.admission.synchronise()
