"""Shared state of the application: with REDIS_URL only."""

from __future__ import annotations

import subprocess
import sys

import app
from tests.support.paths import ROOT
from voicechat.config.groups.limit_settings import LimitSettings
from voicechat.config.groups.scale_settings import ScaleSettings
from voicechat.config.groups.security_settings import SecuritySettings
from voicechat.config.settings import Settings
from voicechat.limits.daily_quota import DailyQuota
from voicechat.limits.pricing import DailySpend
from voicechat.shared_state.password_attempts import SharedPasswordAttempts
from voicechat.shared_state.spending import SharedDailySpend
from voicechat.shared_state.visitor_seconds import SharedDailyQuota

NOTHING_LISTENS = "redis://127.0.0.1:1/0"
LOADED_MODULES = """
import sys
import app
from voicechat.config.settings import Settings
app.create_application(Settings())
print([name for name in sys.modules if name.split(".")[0] == "redis" or name.startswith("voicechat.shared_state")])
"""


def test_without_redis_url_the_client_of_redis_is_not_imported() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED_MODULES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_application_without_redis_url_counts_in_memory() -> None:
    application = app.create_application(Settings())
    assert application.shared_services is None
    assert isinstance(application.billing.daily_spend, DailySpend)
    assert isinstance(application.billing.daily_quota, DailyQuota)


async def test_application_with_redis_url_counts_over_replicas_and_works_without_an_answer() -> None:
    settings = Settings(
        max_day_cost=1.0,
        openai_api_key="sk-operator",
        scale=ScaleSettings(redis_url=NOTHING_LISTENS),
        limits=LimitSettings(max_visitor_seconds_per_day=10),
        security=SecuritySettings(app_password="correct horse"),
    )
    application = app.create_application(settings)
    assert isinstance(application.billing.daily_spend, SharedDailySpend)
    assert isinstance(application.billing.daily_quota, SharedDailyQuota)
    login = application.access_policy.password_login
    assert login is not None and isinstance(login._attempts, SharedPasswordAttempts)
    async with application.run_in_background():
        assert await login.check_password("correct horse", "a") is True
        assert not application.billing.is_day_exceeded
        application.billing.daily_spend.add(1.0)
        application.billing.daily_quota.add("a", 10.0)
        assert application.billing.is_day_exceeded and application.billing.daily_quota.is_exhausted("a")
