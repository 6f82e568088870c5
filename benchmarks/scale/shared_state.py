"""Shared state over Redis, beside the same in memory: admission to a slot, and the sums that are sent."""

from __future__ import annotations

import time

from voicechat.limits.admission import Admission, AdmissionKind, AdmissionState, AdmissionTicket, ConcurrencyLimits
from voicechat.limits.pricing import DailySpend
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.session.conversation_store import InMemoryConversationStore, resume_key
from voicechat.session.page_resume import PageResume
from voicechat.session.visitor import Visitor
from voicechat.shared_state.conversations.redis_conversation_store import RedisConversationStore
from voicechat.shared_state.redis_connection import RedisConnection
from voicechat.shared_state.shared_admission import SharedAdmissionController
from voicechat.shared_state.spending import SharedDailySpend
from voicechat.shared_state.sum_exchange import SumExchange
from voicechat.shared_state.visitor_names import VisitorNames
from voicechat.shared_state.visitor_seconds import SharedDailyQuota

from .servers import LocalServer, running_redis
from .steps import StepRow, TimedRound, make_row, time_steps

CALLS_PER_REPLICA = 45
"""Calls of a replica that is full: one core carries about as many."""
HELD_CALLS, QUICK_HELD_CALLS = (CALLS_PER_REPLICA, 100, 1000), (CALLS_PER_REPLICA, 1000)
"""Calls that hold a slot while others are admitted. The measured replica is full with the first ones."""
SENT_VISITORS = (1, CALLS_PER_REPLICA)
"""Visitors whose seconds are sent in one exchange."""
OTHER_REPLICAS = 500
"""Replicas that have spent money on the same day, in the last rows of the exchange: each reads the parts of all."""
ADMISSIONS, QUICK_ADMISSIONS = 100, 30
"""Admissions of one round."""
EXCHANGES, QUICK_EXCHANGES = 50, 20
"""Exchanges of one round."""
MESSAGES = 40
"""Messages of a conversation before the measured ones."""
MESSAGE = "a sentence of a call " * 7
KEPT_S = 1800.0
"""Seconds for which a conversation is kept."""
LIMITS = ConcurrencyLimits(calls=10_000, chats=10_000, api_clients=10_000, offline_sessions=10_000, queue_length=100)
"""Limits that no round reaches."""


class SilentListener:
    """Session that holds a ticket and does nothing."""

    def on_admission_changed(self) -> None:
        pass

    def on_shutdown(self, grace_s: float) -> None:
        pass


# ---------------------------------------------------------------- admission


async def admit(admission: Admission) -> AdmissionTicket:
    """Request a slot for a call, and wait for it. Raises RuntimeError when it is refused."""
    ticket = admission.request_admission(SilentListener(), AdmissionKind.CALL, "visitor", resume_id="page")
    await ticket.decided()
    if ticket.state is not AdmissionState.ADMITTED:
        raise RuntimeError(f"not admitted: {ticket.state.name}")
    return ticket


def open_admission(connection: RedisConnection, replica_id: str) -> SharedAdmissionController:
    """Return the admission of one replica."""
    return SharedAdmissionController(LIMITS, connection, replica_id, VisitorNames(connection, b"benchmark"))


async def hold_calls(replica: SharedAdmissionController, calls: int) -> None:
    """Take slots of one replica. Each call has a page and a visitor."""
    tickets = [
        replica.request_admission(
            SilentListener(), AdmissionKind.CALL, f"visitor {number}", resume_id=f"{replica.replica_id} {number}"
        )
        for number in range(calls)
    ]
    await replica.synchronise()
    if any(ticket.state is not AdmissionState.ADMITTED for ticket in tickets):
        raise RuntimeError("a call is without its slot")


class HeldCalls:
    """Calls that hold a slot at other replicas, with the calls of one core at each."""

    def __init__(self, calls: int, connection: RedisConnection) -> None:
        self._replicas = [
            (open_admission(connection, f"other-{first}"), min(CALLS_PER_REPLICA, calls - first))
            for first in range(0, calls, CALLS_PER_REPLICA)
        ]

    async def enter(self) -> None:
        """Take all slots."""
        for replica, calls in self._replicas:
            await hold_calls(replica, calls)

    async def renew(self) -> None:
        """Renew the leases, which last for some seconds."""
        for replica, _ in self._replicas:
            await replica.synchronise()


async def measure_admission(
    rounds: int, redis: LocalServer, connection: RedisConnection, *, quick: bool
) -> list[StepRow]:
    """Measure admissions while some calls hold a slot, in memory and over Redis in turns."""
    rows = []
    count = QUICK_ADMISSIONS if quick else ADMISSIONS
    for held in QUICK_HELD_CALLS if quick else HELD_CALLS:
        await connection.request(lambda client: client.flushall())
        memory = AdmissionController(LIMITS)
        for number in range(held):
            memory.request_admission(SilentListener(), AdmissionKind.CALL, resume_id=f"page {number}")
        others = HeldCalls(held - CALLS_PER_REPLICA, connection)
        await others.enter()
        shared = open_admission(connection, "measured")
        await hold_calls(shared, CALLS_PER_REPLICA)
        found: dict[str, list[TimedRound]] = {"memory": [], "redis": []}
        async with shared.run_in_background():
            for _ in range(rounds):
                for name, admission in (("memory", memory), ("redis", shared)):
                    await others.renew()

                    async def step(admission: Admission = admission) -> None:
                        (await admit(admission)).release()  # over Redis, the next request takes the release along

                    found[name].append(await time_steps(count, step, redis, connection))
        rows.append(make_row("admission", held, found["memory"], found["redis"]))
    return rows


# ---------------------------------------------------------------- sums


async def measure_booking(rounds: int, redis: LocalServer, connection: RedisConnection) -> StepRow:
    """Measure what booking an amount takes in the call that spends it. Neither way waits for Redis."""
    exchange = SumExchange(connection)
    spending = {
        "memory": DailySpend(time.time),
        "redis": SharedDailySpend(connection, exchange, "benchmark", lambda: 2),
    }
    found: dict[str, list[TimedRound]] = {"memory": [], "redis": []}
    for _ in range(rounds):
        for name, spend in spending.items():

            async def step(spend: DailySpend | SharedDailySpend = spend) -> None:
                spend.add(0.001)
                assert spend.today_usd > 0

            found[name].append(await time_steps(1000, step, redis, connection))
    return make_row("booking", 1, found["memory"], found["redis"])


async def measure_exchange(
    rounds: int, redis: LocalServer, connection: RedisConnection, *, quick: bool
) -> list[StepRow]:
    """Measure the exchange of a second: the day's spending, and the seconds of some visitors."""
    rows = []
    count = QUICK_EXCHANGES if quick else EXCHANGES
    for visitors, others in (*((visitors, 0) for visitors in SENT_VISITORS), (SENT_VISITORS[-1], OTHER_REPLICAS)):
        for number in range(others):
            await spend_at_another(connection, f"other-{number}")
        exchange = SumExchange(connection)
        spend = SharedDailySpend(connection, exchange, "benchmark", lambda: 2)
        quota = SharedDailyQuota(connection, exchange, VisitorNames(connection, b"benchmark"), "benchmark", 3600)

        async def step(
            exchange: SumExchange = exchange,
            spend: SharedDailySpend = spend,
            quota: SharedDailyQuota = quota,
            visitors: int = visitors,
        ) -> None:
            spend.add(0.01)
            for number in range(visitors):
                quota.add(f"visitor {number}", 5)
            await exchange.exchange_due()

        await step()
        found = [await time_steps(count, step, redis, connection) for _ in range(rounds)]
        step_name, size = ("exchange_beside", others) if others else ("exchange", visitors)
        rows.append(make_row(step_name, size, [], found))
    return rows


async def spend_at_another(connection: RedisConnection, replica_id: str) -> None:
    """Let another replica spend money today."""
    exchange = SumExchange(connection)
    SharedDailySpend(connection, exchange, replica_id, lambda: 2).add(1.0)
    await exchange.exchange_due()


# ---------------------------------------------------------------- conversations


async def measure_conversation(rounds: int, redis: LocalServer, connection: RedisConnection, *, quick: bool) -> StepRow:
    """Measure a new message: in the conversation, and with its write to Redis, which no call waits for."""
    store = RedisConversationStore(
        connection, VisitorNames(connection, b"benchmark"), InMemoryConversationStore(KEPT_S), KEPT_S
    )
    pages = PageResume(store)
    visitor, key = Visitor(), resume_key("0" * 64, "benchmark")
    await pages.fetch(key, visitor)
    pages.open_page(key, visitor)
    in_memory = Visitor()
    for each in (visitor, in_memory):
        for _ in range(MESSAGES):
            each.conversation.add_user_message(MESSAGE)
    await store.write_changes()

    async def add() -> None:
        in_memory.conversation.add_user_message(MESSAGE)

    async def add_and_write() -> None:
        visitor.conversation.add_user_message(MESSAGE)
        await store.write_changes()

    count = QUICK_EXCHANGES if quick else EXCHANGES
    found: list[list[TimedRound]] = [[], []]
    for _ in range(rounds):
        for kept, step in zip(found, (add, add_and_write), strict=True):
            kept.append(await time_steps(count, step, redis, connection))
    return make_row("message", MESSAGES, *found)


async def measure_shared_state(rounds: int, *, quick: bool) -> list[StepRow]:
    """Run a Redis and measure all steps."""
    with running_redis() as redis:
        connection = RedisConnection.open(f"redis://127.0.0.1:{redis.port}/0", "benchmark")
        return [
            *await measure_admission(rounds, redis, connection, quick=quick),
            await measure_booking(rounds, redis, connection),
            *await measure_exchange(rounds, redis, connection, quick=quick),
            await measure_conversation(rounds, redis, connection, quick=quick),
        ]
