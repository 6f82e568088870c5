"""Daily quota: seconds of calls per visitor and day."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.manual_clock import ManualClock
from voicechat.limits.daily_quota import OVERRUN_GRACE_S, DailyQuota, QuotaMeter

DAY = 86_400.0


def test_quota_is_reset_at_midnight_utc() -> None:
    wall = ManualClock(100 * DAY + 5)
    allowance = DailyQuota(60, wall)
    allowance.add("a", 59)
    assert not allowance.is_exhausted("a")
    allowance.add("a", 1)
    assert allowance.is_exhausted("a") and not allowance.is_exhausted("b")
    wall.now -= 10  # set back over midnight: nothing is forgiven
    assert allowance.is_exhausted("a")
    wall.now += DAY + 20
    assert not allowance.is_exhausted("a")
    allowance.add("a", 59)
    assert not allowance.is_exhausted("a"), "yesterday's do not count"


def test_quota_without_visitor_or_limit_is_never_exhausted() -> None:
    allowance, free = DailyQuota(1, ManualClock(100 * DAY + 5)), DailyQuota(0, ManualClock(100 * DAY + 5))
    allowance.add("", 100)
    free.add("a", 100)
    assert not allowance.is_exhausted("") and not free.is_exhausted("a")
    assert not QuotaMeter(free, "a", 0.0).must_end(True, 1e6)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 10))))
def test_quota_keeps_the_most_recent_visitors(added: list[tuple[str, float]]) -> None:
    allowance = DailyQuota(1, ManualClock(100 * DAY + 5), max_visitors=3)
    for visitor, seconds in added:
        allowance.add(visitor, seconds)
        assert len(allowance._used_s) <= 3 and next(reversed(allowance._used_s)) == visitor


def test_quota_counts_simultaneous_calls_and_lets_reply_finish() -> None:
    allowance = DailyQuota(10, ManualClock(100 * DAY + 5))
    one, two = QuotaMeter(allowance, "a", 0.0), QuotaMeter(allowance, "a", 0.0)
    assert not one.must_end(True, 4.0) and not two.must_end(True, 4.0)
    assert not one.must_end(False, 6.0), "something is being said"
    assert two.must_end(True, 6.0)
    assert not one.must_end(False, 6.0 + OVERRUN_GRACE_S - 0.1)
    assert one.must_end(False, 6.0 + OVERRUN_GRACE_S)
