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
    notice_text_for,
)
from voicechat.protocol.notices import Notice
from voicechat.turn_taking.snapshot import CallStage
from voicechat.upstream import reconnecting_client
from voicechat.upstream.connection import Failure
from voicechat.upstream.retry_policy import MAX_CAPACITY_RETRIES

pytestmark = [pytest.mark.timeout(30), pytest.mark.usefixtures("no_secrets_logged", "no_tasks_left")]

# -------------------------------------------------------------------- what ends it, and is said

KEY = fake_server_variants.KEY
KEY_REFUSED = "The server did not accept the API key."
NO_MODEL = "The server does not have the chosen model."
NO_CREDIT = "The account has no credit left."
FULL = "The server has no free connection."

REFUSALS: dict[str, tuple[Callable[[], faults.FaultyServer], Failure, str, str]] = {
    "key, 401": (lambda: faults.rejects_handshake(401), Failure.WRONG_KEY, KEY_REFUSED, "status=401"),
    "key, 403": (
        lambda: faults.rejects_handshake(403, "invalid_api_key"),
        Failure.WRONG_KEY,
        KEY_REFUSED,
        "status=403",
    ),
    "access, 403": (
        lambda: faults.rejects_handshake(403),
        Failure.FORBIDDEN,
        "The server denied access.",
        "status=403",
    ),
    "region, 403": (
        lambda: faults.rejects_handshake(403, "unsupported_country_region_territory"),
        Failure.REGION,
        "not available in the country or region",
        "status=403",
    ),
    "region, 1008": (
        lambda: faults.closes_without_event(1008, "Country, region, or territory not supported"),
        Failure.REGION,
        "not available in the country or region",
        "code=1008 reason=(not shown)",
    ),
    "region, error": (
        lambda: faults.sends_error_only("unsupported_country_region_territory"),
        Failure.REGION,
        "not available in the country or region",
        "failure=region",
    ),
    "refused, 1008 without a reason": (
        lambda: faults.closes_without_event(1008, ""),
        Failure.REFUSED,
        "The server refused the connection because of its rules.",
        "code=1008 reason=none",
    ),
    "refused, 1008": (
        lambda: faults.closes_without_event(1008, f"No pirates, {KEY}"),
        Failure.REFUSED,
        "The server refused the connection because of its rules.",
        "code=1008 reason=(not shown)",
    ),
    "an echo service": (
        lambda: faults.echoes_messages(),
        Failure.WRONG_ADDRESS,
        "no Realtime server",
        "own event came back",
    ),
    "no model, 404": (
        lambda: faults.rejects_handshake(404, "model_not_found"),
        Failure.MODEL_NOT_FOUND,
        NO_MODEL,
        "status=404",
    ),
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
    "no such path, 404": (
        lambda: faults.rejects_handshake(404),
        Failure.WRONG_ADDRESS,
        "no Realtime server",
        "status=404",
    ),
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


FULL_SERVERS: dict[str, Callable[[], faults.FaultyServer]] = {
    "503": lambda: faults.rejects_handshake(503),
    "429": lambda: faults.rejects_handshake(429),
    "1013": lambda: faults.closes_without_event(1013, "try again later"),
    "error and 1008": lambda: faults.sends_error_and_closes("", 1008, kind="session_limit_reached"),
    "one client": lambda: faults.closes_without_event(1008, "Only one client allowed!"),
    "pool": lambda: faults.closes_without_event(1008, "All pipeline units in use"),
}


@pytest.mark.parametrize("name", FULL_SERVERS)
@IN_CALL_AND_CHAT
async def test_full_server_is_waited_for_and_then_reported(name: str, start_session: SessionFactory) -> None:
    fault = FULL_SERVERS[name]()
    async with fault.running() as url, start_session(url) as person:
        waiting = await person.wait_for_snapshot(lambda snapshot: snapshot.notice == Notice.AWAITING_SERVER)
        assert waiting.stage is CallStage.CONNECTING
        assert "Trying again" in notice_text_for(person, waiting)
        last = await person.wait_for_snapshot(is_over)
        assert (last.stage, last.notice) == (CallStage.FAILED, Failure.SERVER_FULL)
        assert FULL in notice_text_for(person, last)
    assert fault.connection_count == 1 + MAX_CAPACITY_RETRIES


@pytest.mark.parametrize(
    ("reason", "quoted"),
    [
        ("No pirates on Sundays, please.", "No pirates on Sundays, please."),
        (f"No pirates with {KEY} here", "No pirates with … here"),
        (f"No: {fake_server_variants.PROMPT}", ""),
        ("", ""),
    ],
)
@IN_CALL_AND_CHAT
async def test_unknown_policy_is_shown_in_the_servers_scrubbed_words(
    reason: str, quoted: str, start_session: SessionFactory
) -> None:
    fault = faults.closes_without_event(1008, reason)
    async with fault.running() as url, start_session(url) as person:
        last = await person.wait_for_snapshot(is_over)
        assert (last.notice, last.server_words) == (Failure.REFUSED, quoted)
    assert fault.connection_count == 1


@IN_CALL_AND_CHAT
async def test_silent_server_is_said_and_given_up(
    start_session: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = faults.LoadingServer()
    async with there.running() as url, start_session(url, ready_seconds=0.05) as person:
        silent = await person.wait_for_snapshot(lambda snapshot: snapshot.notice == Notice.SERVER_SILENT)
        assert silent.stage is CallStage.LISTENING
        assert "has not answered yet" in notice_text_for(person, silent)
        monkeypatch.setattr(reconnecting_client, "UNANSWERED_TIMEOUT_S", 0.0)
        last = await person.wait_for_snapshot(is_over)
        assert (last.stage, last.notice) == (CallStage.FAILED, Failure.UNANSWERED)
        there.load_finished.set()


@pytest.mark.parametrize(
    ("make", "failure", "words"),
    [
        (lambda: faults.rejects_handshake(401), Failure.WRONG_OWN_KEY, "did not accept your API key"),
        (lambda: faults.closes_without_event(3000, ""), Failure.WRONG_OWN_KEY, "did not accept your API key"),
        (lambda: faults.rejects_handshake(403), Failure.FORBIDDEN_OWN_KEY, "denied access with your API key"),
        (lambda: faults.rejects_handshake(402), Failure.QUOTA_OWN_KEY, "The account of your API key"),
        (
            lambda: faults.closes_without_event(1008, "No pirates"),
            Failure.REFUSED_OWN_KEY,
            "Check the account of your API key",
        ),
        (
            lambda: faults.sends_error_and_closes("model_not_found", 4004),
            Failure.MODEL_NOT_FOUND_OWN_KEY,
            "Your API key has no access",
        ),
    ],
)
@IN_CALL_AND_CHAT
async def test_failure_of_own_key_is_reported_to_visitor(
    make: Callable[[], faults.FaultyServer], failure: Failure, words: str, start_session: SessionFactory
) -> None:
    fault = make()
    async with (
        fault.running() as url,
        start_session(url, fake_server_variants.KEY, realtime_api_key="the-operators") as person,
    ):
        last = await person.wait_for_snapshot(is_over)
        assert (last.stage, last.notice) == (CallStage.FAILED, failure)
        assert words in notice_text_for(person, last)
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


@IN_CALL_AND_CHAT
async def test_quota_of_own_key_exhausted_during_reply_concerns_the_visitor(start_session: SessionFactory) -> None:
    there = faults.OutOfQuotaServer()
    async with there.running() as url, start_session(url, fake_server_variants.KEY) as person:
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text(fake_server_variants.TYPED)
        assert (await person.wait_for_snapshot(is_over)).notice == Failure.QUOTA_OWN_KEY
