"""Time and money as a person reads them: one line each, and behind the first, at a tap, the picture. Pure: HTML out.

Nothing in it comes from a model or a visitor: numbers, and words of our own table.
"""

from __future__ import annotations

from html import escape

from voicechat.limits.budget import CostSummary
from voicechat.limits.pricing import PRICES, SpendStatus, TokenUsage
from voicechat.turn_taking.snapshot import Snapshot
from voicechat.turn_taking.turn_latency import LatencySummary, TurnLatency
from voicechat.ui.i18n import USAGE_PANEL_TEXTS, Locale, get_message

MAX_SHOWN_TURNS = 5
"""Answers in the picture: a screen of a phone."""
TOKEN_MODALITIES = ("audio", "text", "image")


def render_usage_panel(snapshot: Snapshot, locale: Locale) -> str:
    """What the page says of time and money; "" while there is nothing to say."""
    parts = []
    if snapshot.latency is not None:
        parts.append(_render_latency(snapshot.latency, locale))
    if snapshot.cost is not None:
        parts.append(_render_cost(snapshot.cost, locale))
    return f'<div class="figures">{"".join(parts)}</div>' if parts else ""


# ---------------------------------------------------------------- time


def format_latency_breakdown(latency: TurnLatency, locale: Locale) -> str:
    """ "0.82 s = waited for you to finish 0.45 + model 0.29 + network and playback 0.08". The parts add up as shown."""
    names = ["model", "playout"] if latency.is_typed else ["endpointing", "model", "playout"]
    parts = {name: round(getattr(latency, f"{name}_s") * 100) for name in names}
    shown = " + ".join(f"{_get_text(name, locale)} {part / 100:.2f}" for name, part in parts.items())
    return f"{sum(parts.values()) / 100:.2f} s = {shown}"


def _render_latency(summary: LatencySummary, locale: Locale) -> str:
    line = f"<b>{escape(format_latency_breakdown(summary.recent[-1], locale))}</b>"
    for name, seconds in (("p50", summary.p50_s), ("p95", summary.p95_s)):
        if seconds is not None:
            line += f' · <abbr title="{escape(_get_text(name, locale))}">{name}</abbr> {seconds:.2f} s'
    pictures = "".join(_render_waterfall(turn, locale) for turn in reversed(summary.recent[-MAX_SHOWN_TURNS:]))
    title = escape(_get_text("picture", locale))
    return (
        f'<details class="times"><summary title="{title}">{line}</summary>'
        f'<div class="waterfall" role="group" aria-label="{title}">{pictures}</div></details>'
    )


def _render_waterfall(latency: TurnLatency, locale: Locale) -> str:
    """One answer: a row for each span, on one scale from the first to the last moment."""
    whole = max((span.end_s for span in latency.spans), default=0.0) or 1.0
    rows = []
    for span in latency.spans:
        left, width = 100 * span.start_s / whole, 100 * (span.end_s - span.start_s) / whole
        bar = f'<i class="{escape(span.name)}" style="left:{left:.1f}%;width:{width:.1f}%"></i>'
        word = escape(_get_text(f"span_{span.name}", locale))
        rows.append(f"<tr><th>{word}</th><td>{bar}</td><td>{span.end_s - span.start_s:.2f}</td></tr>")
    return f"<table><caption>{escape(format_latency_breakdown(latency, locale))}</caption>{''.join(rows)}</table>"


# ---------------------------------------------------------------- money


def _render_cost(money: CostSummary, locale: Locale) -> str:
    if money.is_free:
        words = [_get_text("free", locale)]
    elif money.usd is None:
        words = [_get_text("unknown", locale)]
    else:
        words = [f"US${money.usd:.4f}", f"{_get_text('prices', locale)} {PRICES.date}"]
    line = " · ".join(escape(word) for word in [words[0], *_describe_tokens(money.tokens, locale), *words[1:]])
    warning = ""  # said once by screen_reader.js; an alert in what is drawn anew would be one after every answer
    if money.status is not SpendStatus.OK:
        warning = f'<span class="warning">{escape(_get_text(money.status.value, locale))}</span>'
    return f'<div class="money" data-budget="{money.status.value}">{line}{warning}</div>'


def _describe_tokens(tokens: TokenUsage, locale: Locale) -> list[str]:
    """What it was for: "audio 1,300 in (500 cached), 200 out"."""
    said = []
    for kind in TOKEN_MODALITIES:
        came, cached, went = (getattr(tokens, f"{kind}_{way}", 0) for way in ("in", "cached", "out"))
        if came or went:
            kept = f" ({cached:,} {_get_text('cached', locale)})" if cached else ""
            part = f"{_get_text(kind, locale)} {came:,} {_get_text('in', locale)}{kept}"
            said.append(part + (f", {went:,} {_get_text('out', locale)}" if went else ""))
    seconds = tokens.transcription_seconds + tokens.transcription_tokens / 10
    if seconds:
        said.append(f"{_get_text('transcription', locale)} {seconds:.0f} s")
    return said


def _get_text(code: str, locale: Locale) -> str:
    return get_message(USAGE_PANEL_TEXTS, code, locale)
