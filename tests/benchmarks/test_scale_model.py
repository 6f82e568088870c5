"""Model of many calls: what it calculates from the measured rows, and the tables for people."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scale.model import CALLS, MAX_REDIS_SHARE, MeasuredCosts, calls_per_redis, model_row
from benchmarks.scale.page_events import make_row
from benchmarks.scale.report import format_report

MICROSECONDS = st.floats(0.1, 1000.0)
COSTS = st.builds(MeasuredCosts, *[MICROSECONDS] * 5, st.floats(0.0, 5.0))


def step_row(step: str, size: int, redis_cpu_us: float) -> dict[str, object]:
    measured = {"memory_ms": (0.1, 0.2), "redis_ms": (0.3, 0.4), "added_median_ms": (0.2, 0.1, 0.3)}
    return {"step": step, "size": size, **measured, "added_p95_ms": (0.2, 0.1, 0.3)} | {
        "own_cpu_us": 1.0,
        "redis_cpu_us": redis_cpu_us,
    }


def trip_row(connections: int, percent: float) -> dict[str, object]:
    times = {"direct_ms": (1.0, 2.0), "haproxy_ms": (1.1, 2.2), "added_median_ms": (0.1, 0.0, 0.2)}
    shares = {"haproxy_cpu_percent_each": percent, "replica_cpu_percent_each": 1.0}
    return {"connections": connections, **times, "added_p95_ms": (0.2, 0.1, 0.3), **shares}


STEPS = [
    step_row("admission", 10, 70.0),
    step_row("admission", 1010, 3070.0),
    step_row("booking", 1, 0.0),
    step_row("exchange", 1, 40.0),
    step_row("exchange", 45, 200.0),
    step_row("exchange_beside", 500, 700.0),
    step_row("message", 40, 50.0),
]
TRIPS = [trip_row(1, 0.4), trip_row(30, 0.2)]


def test_costs_are_those_of_the_measured_rows() -> None:
    costs = MeasuredCosts.from_rows(STEPS, TRIPS)
    assert asdict(costs) == pytest.approx(
        {
            **{"admission_us": 40, "admission_us_per_call": 3, "exchange_us": 200, "exchange_us_per_replica": 1},
            **{"message_us": 50, "haproxy_percent": 0.2},
        }
    )


def test_calls_of_others_that_cost_nothing_measurable_cost_nothing_in_the_model() -> None:
    faster = [{**row, "redis_cpu_us": 60.0} if row["size"] == 1010 else row for row in STEPS]
    costs = MeasuredCosts.from_rows(faster, TRIPS)
    assert (costs.admission_us, costs.admission_us_per_call) == (70.0, 0.0)


def test_row_of_a_thousand_calls_is_the_sum_of_its_steps() -> None:
    row = model_row(900, MeasuredCosts(100.0, 1.0, 200.0, 10.0, 50.0, 0.2))
    assert (row.replicas, row.admission_ms) == (20, pytest.approx(1.0))
    assert row.admission_share == pytest.approx((20 / 2 + 2 * 900 / 300) * 0.001)
    assert row.sums_share == pytest.approx(20 * (200 + 19 * 10) / 1e6)
    assert row.conversations_share == pytest.approx(2 * 900 * 0.00005)
    assert row.redis_share == pytest.approx(0.016 + 0.0078 + 0.09)
    assert row.haproxy_cores == pytest.approx(1.8)


@given(COSTS)
def test_load_grows_with_the_calls_and_what_others_add_to_an_admission_with_their_square(costs: MeasuredCosts) -> None:
    rows = [model_row(calls, costs) for calls in CALLS]
    shares = [row.redis_share for row in rows]
    assert shares == sorted(shares)
    small, large = model_row(4500, costs), model_row(45_000, costs)
    free = replace(costs, admission_us=0.0)
    ratio = model_row(45_000, free).admission_share / model_row(4500, free).admission_share
    assert ratio == pytest.approx(100)
    assert large.admission_share > small.admission_share


@given(COSTS)
def test_calls_of_one_redis_are_the_most_that_leave_it_half_idle(costs: MeasuredCosts) -> None:
    most = calls_per_redis(costs)
    assert most == 0 or model_row(most, costs).redis_share <= MAX_REDIS_SHARE
    assert most >= CALLS[-1] or model_row(most + 100, costs).redis_share > MAX_REDIS_SHARE


def test_report_shows_every_part_that_was_measured() -> None:
    costs = MeasuredCosts.from_rows(STEPS, TRIPS)
    rows = [{**asdict(row), "redis_share": row.redis_share} for row in (model_row(calls, costs) for calls in CALLS)]
    call_row = {
        **{
            "replicas": 2,
            "has_redis": True,
            "calls_held": 60,
            "calls_least": 58,
            "calls_most": 62,
            "limited_by": "",
            "verdict": "intact",
        },
        **{"measured_calls": 60, "replica_cores": 1.2, "cpu_percent_per_call": 2.0, "mb_per_replica": 226.0},
        "other_cores": {"callers": 0.5, "server": 0.2, "haproxy": 0.01},
    }
    times = [float(each) for each in range(1, 101)]
    page_events = make_row([times, times], [[5 * each for each in times]] * 2)
    report = {
        **{"seconds": 5.0, "all_programs_cores": None, "computer_cores": 2},
        "page_events": asdict(page_events),
        **{"round_trips": TRIPS, "shared_state": STEPS, "calls": {"computer_cores": 2, "rows": [call_row]}},
        "model": {"costs": asdict(costs), "calls_per_redis": calls_per_redis(costs), "rows": rows},
    }
    text = format_report(report)
    assert "50.5 96       252 480       202 (202-202)           384 (384-384)" in text
    assert all(f"while {size} calls hold one" in text for size in (10, 1010))
    assert "60 (58-62)" in text and "exchange of sums, with 45 visitors" in text
    assert f"half busy with {calls_per_redis(costs)} calls" in text
    alone = format_report({"seconds": 5.0, "all_programs_cores": 1.5, "computer_cores": 2})
    assert "1.50 of 2 cores" in alone and "Redis" not in alone
