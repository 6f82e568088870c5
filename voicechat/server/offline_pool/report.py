"""Report of an embedded server: its `/health` as values, and the summary of several. Pure; no answer raises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voicechat.protocol.event_fields import Event, get_string, to_count
from voicechat.server.embedded_server import EmbeddedServerPhase
from voicechat.upstream.model_news import MAX_NAME_CHARS, EmbeddedPart, ModelNews, parse_fallbacks, parse_model_news

MAX_SESSIONS = 1000
"""Sessions of one server that are believed, as many as OFFLINE_SESSIONS allows."""
MAX_NAMES = 200
"""Languages or voices of one server that are read."""
MAX_DETAIL_CHARS = 300
"""Characters of a server's own sentence."""
UNAUTHORIZED = 401
"""HTTP status of a server that has another key."""

_PHASES = {
    "ok": EmbeddedServerPhase.READY,
    "loading": EmbeddedServerPhase.LOADING,
    "failed": EmbeddedServerPhase.FAILED,
}
_ORDER = (
    EmbeddedServerPhase.READY,
    EmbeddedServerPhase.LOADING,
    EmbeddedServerPhase.FAILED,
    EmbeddedServerPhase.UNREACHABLE,
)
"""Phases of single servers. The pool has the first one that any of them has."""


@dataclass(frozen=True, slots=True)
class EmbeddedReport:
    """State of one embedded server at its last check, or of the whole pool."""

    phase: EmbeddedServerPhase
    detail: str = ""
    """One sentence for the operator; "" without one."""
    sessions: int = 0
    capacity: int = 0
    """Sessions at a time. Only those of a server that is ready count."""
    model: str = ""
    languages: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    news: tuple[ModelNews, ...] = ()
    fallbacks: frozenset[EmbeddedPart] = frozenset()


UNCHECKED = EmbeddedReport(EmbeddedServerPhase.LOADING, "The embedded servers have not answered yet.")


def unreachable(host: str, reason: str = "does not answer") -> EmbeddedReport:
    """Return the report of a server without a usable answer. `reason` is the rest of the sentence."""
    return EmbeddedReport(EmbeddedServerPhase.UNREACHABLE, f"The embedded server at {host} {reason}.")


def parse_report(host: str, status: int, health: object) -> EmbeddedReport:
    """Return the report in an answer of `/health`. `health` is its JSON, or anything else that came."""
    if status == UNAUTHORIZED:
        return unreachable(host, "refuses OFFLINE_KEY")
    phase = _PHASES.get(get_string(health, "status")) if isinstance(health, dict) else None
    if not isinstance(health, dict) or phase is None or not to_count(health.get("capacity")):
        return unreachable(host, "is not an embedded server")
    return EmbeddedReport(
        phase,
        get_string(health, "detail")[:MAX_DETAIL_CHARS],
        to_count(health.get("sessions")),
        min(MAX_SESSIONS, to_count(health.get("capacity"))),
        get_string(health, "model")[:MAX_NAME_CHARS],
        _names(health, "languages"),
        _names(health, "voices"),
        parse_model_news(health),
        parse_fallbacks(health),
    )


def summarize(reports: Sequence[EmbeddedReport]) -> EmbeddedReport:
    """Return the report of all servers together. A session may come to any of those that are ready.

    It has the languages and voices that all of them share, and the model of the first one.
    """
    best = next(phase for phase in _ORDER if any(report.phase is phase for report in reports))
    chosen = [report for report in reports if report.phase is best]
    detail = next((report.detail for report in chosen if report.detail), "")
    if best is not EmbeddedServerPhase.READY:
        return EmbeddedReport(best, detail)
    if missing := [report for report in reports if report.phase is not best]:
        reason = next((report.detail for report in missing if report.detail), "The others are not ready.")
        detail = f"Ready embedded servers: {len(chosen)} of {len(reports)}. {reason}"
    return EmbeddedReport(
        best,
        detail,
        sum(report.sessions for report in chosen),
        sum(report.capacity for report in chosen),
        chosen[0].model,
        _shared(report.languages for report in chosen),
        _shared(report.voices for report in chosen),
        tuple(dict.fromkeys(news for report in chosen for news in report.news)),
        frozenset().union(*(report.fallbacks for report in chosen)),
    )


def _names(health: Event, key: str) -> tuple[str, ...]:
    value = health.get(key)
    names = [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
    return tuple(name[:MAX_NAME_CHARS] for name in names[:MAX_NAMES])


def _shared(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the names that all lists have, in the order of the first one."""
    first, *others = lists
    return tuple(name for name in first if all(name in other for other in others))
