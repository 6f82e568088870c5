"""Token bucket: rate and burst."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.limits.token_bucket import TokenBucket


@given(st.floats(1, 1000), st.floats(1, 100), st.lists(st.floats(0, 2), max_size=200))
def test_bucket_with_waits_keeps_rate_and_burst(rate: float, most: float, pauses: list[float]) -> None:
    bucket, now = TokenBucket(rate, most, 0.0), 0.0
    for taken, pause in enumerate(pauses, 1):
        now += pause
        now += bucket.take(now)
        assert taken <= most + rate * now + 1e-6


@given(st.floats(1, 1000))
def test_bucket_within_rate_never_waits(rate: float) -> None:
    bucket = TokenBucket(rate, 2, 0.0)
    assert all(bucket.take(n / rate) == 0.0 for n in range(200))


def test_bucket_after_burst_waits() -> None:
    bucket = TokenBucket(10, 5, 0.0)
    assert [bucket.take(0.0) for _ in range(7)] == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.2])
    assert bucket.take(100.0) == 0.0
    assert bucket.take(99.0) == 0.0, "a clock that goes back takes nothing away"
