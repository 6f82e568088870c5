"""Report of the benchmark as tables. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

STEP_NAMES = {
    "admission": "slot, while {} calls hold one",
    "booking": "booking of an amount",
    "exchange": "exchange of sums, with {} visitors",
    "exchange_beside": "the same, beside {} replicas",
    "message": "message, after {} others",
}


def format_spread(values: Sequence[float]) -> str:
    """Return median, minimum and maximum."""
    middle, low, high = values
    return f"{middle:.3g} ({low:.3g}-{high:.3g})"


def format_pair(values: Sequence[float] | None) -> str:
    """Return median and 95th percentile; "-" without them."""
    return f"{values[0]:.3g} {values[1]:.3g}" if values else "-"


def _round_trip_lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "Round trips of programs, ms: median and 95th percentile; added: median (minimum-maximum of the rounds)"
    head = ("connections", "direct", "HAProxy", "added p50", "added p95", "CPU each: HAProxy", "replica")
    yield "{:>11}  {:<12}{:<12}{:<20}{:<20}{:<20}{}".format(*head)
    for row in rows:
        yield (
            f"{row['connections']:>11}  {format_pair(row['direct_ms']):<12}{format_pair(row['haproxy_ms']):<12}"
            f"{format_spread(row['added_median_ms']):<20}{format_spread(row['added_p95_ms']):<20}"
            f"{row['haproxy_cpu_percent_each']:<20.2f}{row['replica_cpu_percent_each']:.2f} %"
        )


def _page_event_lines(row: dict[str, Any]) -> Iterator[str]:
    yield "Events of a page, ms: median and 95th percentile; added: median (minimum-maximum of the rounds)"
    yield "{:<14}{:<14}{:<24}{}".format("direct", "HAProxy", "added p50", "added p95")
    yield (
        f"{format_pair(row['direct_ms']):<14}{format_pair(row['haproxy_ms']):<14}"
        f"{format_spread(row['added_median_ms']):<24}{format_spread(row['added_p95_ms'])}"
    )


def _shared_state_lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "Shared state, ms: median and 95th percentile; added: median (minimum-maximum of the rounds)"
    head = ("step", "memory", "Redis", "added p50", "added p95", "CPU us: replica", "Redis")
    yield "{:<34}{:<14}{:<14}{:<24}{:<24}{:<18}{}".format(*head)
    for row in rows:
        name = STEP_NAMES[row["step"]].format(row["size"])
        yield (
            f"{name:<34}{format_pair(row['memory_ms']):<14}{format_pair(row['redis_ms']):<14}"
            f"{format_spread(row['added_median_ms']):<24}{format_spread(row['added_p95_ms']):<24}"
            f"{row['own_cpu_us']:<18.0f}{row['redis_cpu_us']:.0f}"
        )


def _call_lines(part: dict[str, Any]) -> Iterator[str]:
    yield f"WebRTC calls behind HAProxy; all processes share {part['computer_cores']} cores"
    yield (
        f"{'replicas':>8}  {'Redis':<7}{'calls held':<18}{'measured':<10}{'sound':<11}{'cores: replicas':<17}"
        f"{'callers':<9}{'server':<8}{'HAProxy':<9}{'CPU per call':<14}{'MB each'}"
    )
    for row in part["rows"]:
        held = "-"
        if row["calls_held"] is not None:
            held = f"{row['calls_held']:.0f} ({row['calls_least']}-{row['calls_most']})"
        others, redis = row["other_cores"], "yes" if row["has_redis"] else "no"
        yield (
            f"{row['replicas']:>8}  {redis:<7}{held:<18}{row['measured_calls']:<10}{row['verdict']:<11}"
            f"{row['replica_cores']:<17.2f}{others['callers']:<9.2f}{others['server']:<8.2f}{others['haproxy']:<9.2f}"
            f"{row['cpu_percent_per_call']:<5.2f}%        {row['mb_per_replica']:.0f}"
            + (f"   limited by {row['limited_by']}" if row["limited_by"] else "")
        )


def _model_lines(part: dict[str, Any]) -> Iterator[str]:
    yield "Calculated: share of one core of Redis, and cores of HAProxy if all calls were programs' sockets"
    yield (
        f"{'calls':>7}  {'replicas':<10}{'one admission':<15}{'admission':<11}{'sums':<8}{'conversations':<15}"
        f"{'Redis':<9}{'HAProxy cores'}"
    )
    for row in part["rows"]:
        yield (
            f"{row['calls']:>7}  {row['replicas']:<10}{row['admission_ms']:<8.2f}ms     {row['admission_share']:<11.1%}"
            f"{row['sums_share']:<8.1%}{row['conversations_share']:<15.1%}{row['redis_share']:<9.1%}"
            f"{row['haproxy_cores']:.1f}"
        )
    yield f"One Redis is half busy with {part['calls_per_redis']} calls."


def format_report(report: dict[str, Any]) -> str:
    """Return the report as tables for people."""
    parts: list[Sequence[str]] = []
    if "round_trips" in report:
        parts.append(list(_round_trip_lines(report["round_trips"])))
    if "page_events" in report:
        parts.append(list(_page_event_lines(report["page_events"])))
    if "shared_state" in report:
        parts.append(list(_shared_state_lines(report["shared_state"])))
    if "calls" in report:
        parts.append(list(_call_lines(report["calls"])))
    if "model" in report:
        parts.append(list(_model_lines(report["model"])))
    busy = report["all_programs_cores"]
    kept = "an unknown number of" if busy is None else f"{busy:.2f}"
    parts.append(
        [f"{report['seconds']} s. All programs together kept {kept} of {report['computer_cores']} cores busy."]
    )
    return "\n\n".join("\n".join(lines) for lines in parts)
