"""Failures of a server: the notice that the visitor reads, the log, and the end without a hang."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.realtime import fake_faulty_servers as faults
from tests.support.realtime import fake_server_variants
from tests.support.sessions.session_users import (
    IN_CALL_AND_CHAT,
    SessionFactory,
    is_listening,
    is_over,
    is_shown,
    notice_text_for,
)
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.protocol.notices import Notice
from voicechat.turn_taking.snapshot import CallStage
from voicechat.upstream.connection import Failure

pytestmark = [pytest.mark.timeout(30), pytest.mark.usefixtures("no_secrets_logged", "no_tasks_left")]

# -------------------------------------------------------------------- what ends it, and is said

KEY_REFUSED = "The server did not accept the API key."
NO_MODEL = "The server does not have the chosen model."
NO_CREDIT = "The account has no credit left."
FULL = "The server has no free connection."

REFUSALS: dict[str, tuple[Callable[[], faults.FaultyServer], Failure, str, str]] = {
    "key, 401": (lambda: faults.rejects_handshake(401), Failure.WRONG_KEY, KEY_REFUSED, "status=401"),
    "key, 403": (lambda: faults.rejects_handshake(403), Failure.WRONG_KEY, KEY_REFUSED, "status=403"),
    "key, error and 3000": (
        lambda: faults.sends_error_and_closes("invalid_api_key", 3000, "invalid_request_error.invalid_api_key"),
        Failure.WRONG_KEY,
        KEY_REFUSED,
        "invalid_api_key",
    ),
    "key, 3000 alone": (
        lambda: faults.closes_without_event(3000, "invalid_request_error.invalid_api_key"),
        Failure.WRONG_KEY,
        KEY_REFUSED,
        "code=3000",
    ),
    "quota, error and 4000": (
        lambda: faults.sends_error_and_closes(
            "insufficient_quota", 4000, "insufficient_quota.credit_balance_exhausted"
        ),
        Failure.QUOTA,
        NO_CREDIT,
        "insufficient_quota",
    ),
    "quota, close reason alone": (
        lambda: faults.closes_without_event(4000, "insufficient_quota.credit_balance_exhausted"),
        Failure.QUOTA,
        NO_CREDIT,
        "code=4000",
    ),
    "quota, 429": (lambda: faults.rejects_handshake(429, "insufficient_quota"), Failure.QUOTA, NO_CREDIT, "status=429"),
    "model, 404": (lambda: faults.rejects_handshake(404), Failure.MODEL_NOT_FOUND, NO_MODEL, "status=404"),
    "model, 400": (
        lambda: faults.rejects_handshake(400, "invalid_model"),
        Failure.MODEL_NOT_FOUND,
        NO_MODEL,
        "status=400",
    ),
    "model, error and 4004": (
        lambda: faults.sends_error_and_closes("model_not_found", 4004),
        Failure.MODEL_NOT_FOUND,
        NO_MODEL,
        "model_not_found",
    ),
    "beta header forced": (
        lambda: faults.sends_error_and_closes(
            "beta_api_shape_disabled", 4000, "invalid_request_error.beta_api_shape_disabled"
        ),
        Failure.REFUSED_SETTINGS,
        "The server refused the",
        "beta_api_shape_disabled",
    ),
    "full, 503": (lambda: faults.rejects_handshake(503), Failure.SERVER_FULL, FULL, "status=503"),
    "full, 1013": (lambda: faults.closes_without_event(1013, "try again later"), Failure.SERVER_FULL, FULL, "1013"),
    "full, error and 1008": (
        lambda: faults.sends_error_and_closes("", 1008, kind="session_limit_reached"),
        Failure.SERVER_FULL,
        FULL,
        "server_full",
    ),
    "a required setting": (
        faults.rejects_session_update,
        Failure.REFUSED_SETTINGS,
        "The server refused the",
        "field=type code=invali",
    ),
    "no Realtime server": (
        lambda: faults.rejects_handshake(400),
        Failure.WRONG_ADDRESS,
        "no Realtime server",
        "status=400",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
@IN_CALL_AND_CHAT
async def test_fatal_failure_ends_session_at_once(
    name: str, start_session: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    make, failure, words, logged = REFUSALS[name]
    fault = make()
    async with fault.running() as url, start_session(url) as person:
        last = await person.wait_for_snapshot(is_over)
        assert (last.stage, last.notice) == (CallStage.FAILED, failure)
        assert words in notice_text_for(person, last)
        assert not await person.send_text(fake_server_variants.TYPED), "it is over"
    assert fault.connection_count == 1, "and nothing is tried again"
    assert logged in caplog.text


@pytest.mark.parametrize(
    ("make", "failure", "words", "logged"),
    [
        (lambda: faults.rejects_handshake(502), Failure.SERVER_ERROR, "The server had a problem.", "status=502"),
        (
            lambda: faults.sends_error_only("model_load_error"),
            Failure.SERVER_ERROR,
            "The server had a",
            "model_load_error",
        ),
        (lambda: faults.closes_without_event(1011, ""), Failure.LOST, "connection to the server was lost", "1011"),
    ],
    ids=["502", "a model that does not load", "closed at once"],
)
@IN_CALL_AND_CHAT
async def test_retryable_failure_ends_session_after_retries(
    make: Callable[[], faults.FaultyServer],
    failure: Failure,
    words: str,
    logged: str,
    start_session: SessionFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault = make()
    async with fault.running() as url, start_session(url) as person:
        last = await person.wait_for_snapshot(is_over)
        assert (last.stage, last.notice) == (CallStage.FAILED, failure)
        assert words in notice_text_for(person, last)
    assert fault.connection_count == 3
    assert logged in caplog.text


@pytest.mark.parametrize("make", [lambda: faults.rejects_handshake(401), lambda: faults.closes_without_event(3000, "")])
@IN_CALL_AND_CHAT
async def test_own_wrong_key_is_reported_to_visitor(
    make: Callable[[], faults.FaultyServer], start_session: SessionFactory
) -> None:
    fault = make()
    async with (
        fault.running() as url,
        start_session(url, fake_server_variants.KEY, realtime_api_key="the-operators") as person,
    ):
        last = await person.wait_for_snapshot(is_over)
        assert (last.stage, last.notice) == (CallStage.FAILED, Failure.WRONG_OWN_KEY)
        assert "did not accept your API key" in notice_text_for(person, last)
    assert fault.authorizations == {f"Bearer {fake_server_variants.KEY}"}, "the operator's key is not sent with it"


@IN_CALL_AND_CHAT
async def test_unreachable_server_fails(
    unused_tcp_port: int, start_session: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    async with start_session(f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime") as person:
        last = await person.wait_for_snapshot(is_over)
        assert (last.stage, last.notice) == (CallStage.FAILED, Failure.UNREACHABLE)
        assert "cannot be reached" in notice_text_for(person, last)
    assert "upstream: connection failed host=127.0.0.1 proxy=none error=ConnectionRefusedError" in caplog.text


@IN_CALL_AND_CHAT
async def test_silent_server_fails(start_session: SessionFactory, caplog: pytest.LogCaptureFixture) -> None:
    async with faults.silent_tcp_server() as url, start_session(url, connect_seconds=0.1) as person:
        last = await person.wait_for_snapshot(is_over)
        assert (last.stage, last.notice) == (CallStage.FAILED, Failure.UNREACHABLE)
    assert "TimeoutError" in caplog.text


@IN_CALL_AND_CHAT
async def test_quota_exhausted_during_reply_fails(
    start_session: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    there = faults.OutOfQuotaServer()
    async with there.running() as url, start_session(url) as person:
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        last = await person.wait_for_snapshot(is_over)
        assert (last.stage, last.notice) == (CallStage.FAILED, Failure.QUOTA)
        assert NO_CREDIT in notice_text_for(person, last)
        assert [bubble.text for bubble in last.bubbles] == [fake_server_variants.TYPED]
    assert there.connection_count == 1
    assert "call: reply ended early status=failed reason=failed error=insufficient_quota" in caplog.text


# -------------------------------------------------------------------- what heals


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
        await person.wait_for_snapshot(lambda snapshot: is_listening(snapshot) and len(there.session_updates) == 2)
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
