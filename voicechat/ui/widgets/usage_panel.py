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
    """Return the HTML of the panel: one line, and the details that it opens; "" without latency and cost.

    The spaces between the elements of a line are for screen readers and for copied text.
    """
    latency, cost = snapshot.latency, snapshot.cost
    if latency is None and cost is None:
        return ""
    line = []
    if latency is not None:
        answered = escape(_get_text("answered", locale))
        line.append(
            f'<i class="icon tiny" data-icon="clock"></i><span class="wide">{answered}</span> '
            f"<b>{_shown_total(latency.recent[-1])} {escape(_get_text('seconds', locale))}</b>"
        )
    budget = SpendStatus.OK
    if cost is not None:
        budget = cost.status
        # Not role="alert": rendered after every reply. screen_reader.js announces it.
        if budget is not SpendStatus.OK:
            words = escape(_get_text(budget.value, locale))
            line = [f'<i class="icon tiny" data-icon="alert"></i><span class="warning">{words}</span>']
        elif line:
            line.append(f' <span class="wide">· {escape(_short_cost(cost, locale))}</span>')
        else:
            line.append(f"<span>{escape(_short_cost(cost, locale))}</span>")
    parts = [
        _render_latency(latency, locale) if latency is not None else "",
        _render_cost(cost, locale) if cost is not None else "",
    ]
    title = escape(_get_text("details", locale))
    return (
        f'<details class="figures" data-budget="{budget.value}"><summary title="{title}">{"".join(line)}'
        f'<i class="icon tiny chevron" data-icon="chevron"></i></summary>'
        f'<div class="figures-detail" role="group" aria-label="{title}">{"<hr>".join(filter(None, parts))}</div>'
        "</details>"
    )


# ---------------------------------------------------------------- latency


def format_latency_breakdown(latency: TurnLatency, locale: Locale) -> str:
    """Return a sum such as "0.82 s = waited for you to finish 0.45 + model 0.29 + network and playback 0.08".

    The rounded parts add up to the shown total.
    """
    shown = " + ".join(f"{_get_text(name, locale)} {part / 100:.2f}" for name, part in _rounded_parts(latency).items())
    return f"{_shown_total(latency)} s = {shown}"


def _rounded_parts(latency: TurnLatency) -> dict[str, int]:
    """Return the parts of a latency by name, in hundredths of a second."""
    names = ["model", "playout"] if latency.is_typed else ["endpointing", "model", "playout"]
    return {name: round(getattr(latency, f"{name}_s") * 100) for name in names}


def _shown_total(latency: TurnLatency) -> str:
    """Return the seconds of a turn, the same wherever the panel shows them: the sum of the rounded parts."""
    return f"{sum(_rounded_parts(latency).values()) / 100:.2f}"


def _render_latency(summary: LatencySummary, locale: Locale) -> str:
    last = summary.recent[-1]
    spread = [
        f"{_get_text(name, locale)} {seconds:.2f} s"
        for name, seconds in (("p50", summary.p50_s), ("p95", summary.p95_s))
        if seconds is not None
    ]
    unit = escape(_get_text("seconds", locale))
    percentiles = f'<p class="fine">{escape(" · ".join(spread))}</p>' if spread else ""
    charts = "".join(_render_waterfall(turn, locale) for turn in reversed(summary.recent[-MAX_SHOWN_TURNS:]))
    sub = escape(_get_text("typed_to_ear" if last.is_typed else "speech_to_ear", locale))
    return (
        f'<div class="two"><div><h2>{escape(_get_text("last_answer", locale))}</h2>'
        f'<div class="big">{_shown_total(last)} {unit} <small>{sub}</small></div>'
        f'<p class="fine">{escape(format_latency_breakdown(last, locale))}</p>'
        f"{percentiles}</div>"
        f'<div><h2>{escape(_get_text("latest_answers", locale))}</h2><div class="waterfall">{charts}</div></div></div>'
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


def _short_cost(cost: CostSummary, locale: Locale) -> str:
    if cost.is_free:
        return "US$0"
    return _get_text("unknown_short", locale) if cost.usd is None else f"US${cost.usd:.4f}"


def _render_cost(cost: CostSummary, locale: Locale) -> str:
    if cost.is_free:
        sub = _get_text("free", locale)
    elif cost.usd is None:
        sub = _get_text("unknown", locale)
    else:
        sub = f"{_get_text('prices', locale)} {PRICES.date}"
    tokens = escape(" · ".join(_describe_tokens(cost.tokens, locale)))
    return (
        f'<div class="money" data-budget="{cost.status.value}"><div class="big">{escape(_short_cost(cost, locale))} '
        f'<small>{escape(sub)}</small></div><p class="fine">{tokens}</p></div>'
    )


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
