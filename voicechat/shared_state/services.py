"""Services of one replica that share their state with the others over Redis."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voicechat.config.settings import Settings
from voicechat.limits.admission import ConcurrencyLimits

from .password_attempts import SharedPasswordAttempts
from .redis_connection import RedisConnection
from .shared_admission import SharedAdmissionController
from .spending import SharedDailySpend
from .sum_exchange import SumExchange
from .visitor_names import VisitorNames, deployment_secret
from .visitor_seconds import SharedDailyQuota


class SharedServices:
    """Services that replicas share: admission, sums and password attempts, over one connection to Redis."""

    def __init__(self, settings: Settings, connection: RedisConnection) -> None:
        self.connection = connection
        self.replica_id = secrets.token_hex(8)
        """Random name of this process."""
        self.names = names = VisitorNames(connection, deployment_secret(settings))
        limits = ConcurrencyLimits.from_settings(settings)
        self.admission = SharedAdmissionController(
            limits,
            connection,
            self.replica_id,
            names,
            expected_replicas=settings.scale.replicas,
            has_own_offline_server=not settings.embedded.offline_url,
        )
        self.sum_exchange = SumExchange(connection)
        self.daily_spend = SharedDailySpend(
            connection, self.sum_exchange, self.replica_id, lambda: self.admission.count_everywhere().replicas
        )
        quota_s = settings.limits.max_visitor_seconds_per_day
        self.daily_quota = SharedDailyQuota(connection, self.sum_exchange, names, self.replica_id, quota_s)
        self.password_attempts = SharedPasswordAttempts(connection, names)

    @classmethod
    def open(cls, settings: Settings) -> SharedServices:
        """Return the services of a deployment with REDIS_URL. Nothing is sent yet."""
        return cls(settings, RedisConnection.open(settings.scale.redis_url, settings.scale.redis_prefix))

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Run the periodic tasks in this event loop. On exit, send what is unsent and close the connection."""
        async with (
            self.connection.run_in_background(),
            self.admission.run_in_background(),
            self.sum_exchange.run_in_background(),
        ):
            yield
