"""Failures of a server that heal: late, full, lost, inactive and expired sessions, and malformed messages."""

from __future__ import annotations

import pytest

from tests.support.realtime import fake_faulty_servers as faults
from tests.support.realtime import fake_server_variants
from tests.support.sessions.session_users import IN_CALL_AND_CHAT, SessionFactory, is_listening, is_shown
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.protocol.notices import Notice
from voicechat.turn_taking.snapshot import CallStage

pytestmark = [pytest.mark.timeout(30), pytest.mark.usefixtures("no_secrets_logged", "no_tasks_left")]


@IN_CALL_AND_CHAT
async def test_slot_that_becomes_free_connects(start_session: SessionFactory) -> None:
    there = faults.BusyServer()
    async with there.running() as url, start_session(url) as person:
        await person.wait_for_snapshot(lambda snapshot: snapshot.notice == Notice.AWAITING_SERVER)
        there.busy = False
        assert (await person.wait_for_snapshot(is_listening)).notice is None


@IN_CALL_AND_CHAT
async def test_inactive_session_is_opened_again(start_session: SessionFactory) -> None:
    there = fake_server_variants.OfficialServer()
    async with there.running() as url, start_session(url) as person:
        await person.wait_for_snapshot(is_listening)
        await there.sockets[-1].close(1008, "inactive")
        await person.wait_for_snapshot(lambda snapshot: is_listening(snapshot) and there.connection_count == 2)
        assert await person.send_text(fake_server_variants.TYPED)
        await person.wait_for_snapshot(is_shown(fake_server_variants.TYPED, fake_server_variants.REPLY))


@IN_CALL_AND_CHAT
async def test_late_first_event_is_awaited(start_session: SessionFactory) -> None:
    there = faults.LoadingServer()
    async with there.running() as url, start_session(url, ready_seconds=5.0) as person:
        await person.wait_for_snapshot(lambda snapshot: snapshot.stage is CallStage.CONNECTING)
        there.load_finished.set()
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        await person.wait_for_snapshot(is_shown(fake_server_variants.TYPED, fake_server_variants.REPLY))


@IN_CALL_AND_CHAT
async def test_first_event_after_timeout_fails(start_session: SessionFactory, caplog: pytest.LogCaptureFixture) -> None:
    there = faults.LoadingServer()
    async with there.running() as url, start_session(url, ready_seconds=0.05) as person:
        await person.wait_for_snapshot(is_listening)
        assert "upstream: settings unconfirmed" in caplog.text
        assert await person.send_text(fake_server_variants.TYPED)
        there.load_finished.set()
        await person.wait_for_snapshot(is_shown(fake_server_variants.TYPED, fake_server_variants.REPLY))


@IN_CALL_AND_CHAT
async def test_connection_lost_in_reply_reconnects(
    start_session: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    there = faults.DroppingServer()
    async with there.running() as url, start_session(url) as person:
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        await person.wait_for_snapshot(lambda snapshot: snapshot.stage is CallStage.RECONNECTING)
        there.reconnect_allowed.set()
        back = await person.wait_for_snapshot(is_listening)
        assert (back.notice, len(back.bubbles)) == (Notice.REPLY_LOST, 2)
        assert back.bubbles[1].incomplete_reason is IncompleteReason.CONNECTION_LOST
        assert back.bubbles[0].text == fake_server_variants.TYPED
        assert fake_server_variants.REPLY.startswith(back.bubbles[1].text)
        assert await person.send_text(fake_server_variants.TYPED)
        await person.wait_for_snapshot(lambda snapshot: is_listening(snapshot) and len(snapshot.bubbles) == 4)
    replayed = [event["item"]["content"][0]["text"] for event in there.received if "item" in event]
    assert replayed[:2] == [fake_server_variants.TYPED, fake_server_variants.TYPED], (
        "the second server received the earlier messages"
    )
    assert "upstream: connection ended failure=lost" in caplog.text


@pytest.mark.parametrize("with_error", [True, False])
@IN_CALL_AND_CHAT
async def test_session_expired_reconnects(
    with_error: bool, start_session: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    there = faults.ExpiringServer()
    async with there.running() as url, start_session(url) as person:
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        await person.wait_for_snapshot(is_shown(fake_server_variants.TYPED, fake_server_variants.REPLY))
        await there.expire(with_error=with_error)
        await person.wait_for_snapshot(lambda snapshot: is_listening(snapshot) and there.connection_count == 2)
        assert await person.send_text(fake_server_variants.TYPED)
        last = await person.wait_for_snapshot(
            is_shown(
                fake_server_variants.TYPED,
                fake_server_variants.REPLY,
                fake_server_variants.TYPED,
                fake_server_variants.REPLY,
            )
        )
        assert last.notice is None
    assert there.connection_count == 2
    assert "upstream: connection ended failure=expired" in caplog.text


@IN_CALL_AND_CHAT
async def test_malformed_events_are_ignored(start_session: SessionFactory) -> None:
    there = faults.NonsenseServer()
    async with there.running() as url, start_session(url) as person:
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        last = await person.wait_for_snapshot(is_shown(fake_server_variants.TYPED, fake_server_variants.REPLY))
        assert last.notice is None
    assert there.connection_count == 1


@IN_CALL_AND_CHAT
async def test_message_of_20_mb_is_accepted(start_session: SessionFactory) -> None:
    there = faults.HugeMessageServer(20_000_000)
    async with there.running() as url, start_session(url) as person:
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        last = await person.wait_for_snapshot(
            lambda snapshot: snapshot.stage is CallStage.SPEAKING or len(snapshot.bubbles) == 2
        )
        assert sum(len(bubble.text) for bubble in last.bubbles) < 200_000
        assert last.notice is None
    assert there.connection_count == 1


@IN_CALL_AND_CHAT
async def test_message_above_limit_reconnects(start_session: SessionFactory) -> None:
    """The connection is closed, and the next one serves."""
    there = faults.HugeMessageServer(33 * 2**20)
    async with there.running() as url, start_session(url) as person:
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        await person.wait_for_snapshot(lambda snapshot: is_listening(snapshot) and there.connection_count == 2)
