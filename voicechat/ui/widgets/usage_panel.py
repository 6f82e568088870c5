"""Usage panel: latency and cost of a session, one line each, with a waterfall chart of the latest turns. Pure.

The HTML contains numbers and texts of the app only, never text of a model or a visitor.
"""

from __future__ import annotations

from html import escape

from voicechat.limits.billing import CostSummary
from voicechat.limits.pricing import PRICES, SpendStatus, TokenUsage
from voicechat.turn_taking.snapshot import Snapshot
from voicechat.turn_taking.turn_latency import LatencySummary, TurnLatency
from voicechat.ui.i18n import USAGE_PANEL_TEXTS, Locale, get_message

MAX_SHOWN_TURNS = 5
"""Turns in the chart: as many as fit on the screen of a phone."""
TOKEN_MODALITIES = ("audio", "text", "image")


def render_usage_panel(snapshot: Snapshot, locale: Locale) -> str:
    """Return the HTML of the panel; "" without latency and cost."""
    parts = []
    if snapshot.latency is not None:
        parts.append(_render_latency(snapshot.latency, locale))
    if snapshot.cost is not None:
        parts.append(_render_cost(snapshot.cost, locale))
    return f'<div class="figures">{"".join(parts)}</div>' if parts else ""


# ---------------------------------------------------------------- latency


def format_latency_breakdown(latency: TurnLatency, locale: Locale) -> str:
    """Return a sum such as "0.82 s = waited for you to finish 0.45 + model 0.29 + network and playback 0.08".

    The rounded parts add up to the shown total.
    """
    names = ["model", "playout"] if latency.is_typed else ["endpointing", "model", "playout"]
    parts = {name: round(getattr(latency, f"{name}_s") * 100) for name in names}
    shown = " + ".join(f"{_get_text(name, locale)} {part / 100:.2f}" for name, part in parts.items())
    return f"{sum(parts.values()) / 100:.2f} s = {shown}"


def _render_latency(summary: LatencySummary, locale: Locale) -> str:
    line = f"<b>{escape(format_latency_breakdown(summary.recent[-1], locale))}</b>"
    for name, seconds in (("p50", summary.p50_s), ("p95", summary.p95_s)):
        if seconds is not None:
            line += f' · <abbr title="{escape(_get_text(name, locale))}">{name}</abbr> {seconds:.2f} s'
    charts = "".join(_render_waterfall(turn, locale) for turn in reversed(summary.recent[-MAX_SHOWN_TURNS:]))
    title = escape(_get_text("picture", locale))
    return (
        f'<details class="times"><summary title="{title}">{line}</summary>'
        f'<div class="waterfall" role="group" aria-label="{title}">{charts}</div></details>'
    )


def _render_waterfall(latency: TurnLatency, locale: Locale) -> str:
    """Return the chart of one turn: a row per span, on a common time scale."""
    whole = max((span.end_s for span in latency.spans), default=0.0) or 1.0
    rows = []
    for span in latency.spans:
        left, width = 100 * span.start_s / whole, 100 * (span.end_s - span.start_s) / whole
        bar = f'<i class="{escape(span.name)}" style="left:{left:.1f}%;width:{width:.1f}%"></i>'
        name = escape(_get_text(f"span_{span.name}", locale))
        rows.append(f"<tr><th>{name}</th><td>{bar}</td><td>{span.end_s - span.start_s:.2f}</td></tr>")
    return f"<table><caption>{escape(format_latency_breakdown(latency, locale))}</caption>{''.join(rows)}</table>"


# ---------------------------------------------------------------- cost


def _render_cost(cost: CostSummary, locale: Locale) -> str:
    if cost.is_free:
        parts = [_get_text("free", locale)]
    elif cost.usd is None:
        parts = [_get_text("unknown", locale)]
    else:
        parts = [f"US${cost.usd:.4f}", f"{_get_text('prices', locale)} {PRICES.date}"]
    line = " · ".join(escape(part) for part in [parts[0], *_describe_tokens(cost.tokens, locale), *parts[1:]])
    warning = ""  # not role="alert": the panel is rendered after every reply. screen_reader.js announces it once
    if cost.status is not SpendStatus.OK:
        warning = f'<span class="warning">{escape(_get_text(cost.status.value, locale))}</span>'
    return f'<div class="money" data-budget="{cost.status.value}">{line}{warning}</div>'


def _describe_tokens(tokens: TokenUsage, locale: Locale) -> list[str]:
    """Return the used tokens by modality, such as "audio 1,300 in (500 cached), 200 out"."""
    parts = []
    for kind in TOKEN_MODALITIES:
        tokens_in, cached, tokens_out = (getattr(tokens, f"{kind}_{part}", 0) for part in ("in", "cached", "out"))
        if tokens_in or tokens_out:
            cached_part = f" ({cached:,} {_get_text('cached', locale)})" if cached else ""
            part = f"{_get_text(kind, locale)} {tokens_in:,} {_get_text('in', locale)}{cached_part}"
            parts.append(part + (f", {tokens_out:,} {_get_text('out', locale)}" if tokens_out else ""))
    seconds = tokens.transcription_seconds + tokens.transcription_tokens / 10
    if seconds:
        parts.append(f"{_get_text('transcription', locale)} {seconds:.0f} s")
    return parts


def _get_text(code: str, locale: Locale) -> str:
    return get_message(USAGE_PANEL_TEXTS, code, locale)
