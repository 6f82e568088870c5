"""Time and money as a person reads them: one line each, and behind the first, at a tap, the picture. Pure: HTML out.

Nothing in it comes from a model or a visitor: numbers, and words of our own table.
"""

from __future__ import annotations

from html import escape

from realtime.accounts import Money
from realtime.snapshot import Snapshot
from realtime.timing import TurnTime, Waits
from realtime.usage import PRICES, Budget, Tokens

from .texts import FIGURES, Locale, sentence

SHOWN = 5
"""Answers in the picture: a screen of a phone."""
KINDS = ("audio", "text", "image")


def figures(snapshot: Snapshot, locale: Locale) -> str:
    """What the page says of time and money; "" while there is nothing to say."""
    parts = []
    if snapshot.waits is not None:
        parts.append(_times(snapshot.waits, locale))
    if snapshot.money is not None:
        parts.append(_money(snapshot.money, locale))
    return f'<div class="figures">{"".join(parts)}</div>' if parts else ""


# ---------------------------------------------------------------- time


def sum_of(turn: TurnTime, locale: Locale) -> str:
    """ "0.82 s = waited for you to finish 0.45 + model 0.29 + network and playback 0.08". The parts add up as shown."""
    names = ["model", "rest"] if turn.typed else ["waited", "model", "rest"]
    parts = {name: round(getattr(turn, f"{name}_s") * 100) for name in names}
    shown = " + ".join(f"{_word(name, locale)} {part / 100:.2f}" for name, part in parts.items())
    return f"{sum(parts.values()) / 100:.2f} s = {shown}"


def _times(waits: Waits, locale: Locale) -> str:
    line = f"<b>{escape(sum_of(waits.recent[-1], locale))}</b>"
    for name, seconds in (("p50", waits.p50_s), ("p95", waits.p95_s)):
        if seconds is not None:
            line += f' · <abbr title="{escape(_word(name, locale))}">{name}</abbr> {seconds:.2f} s'
    pictures = "".join(_picture(turn, locale) for turn in reversed(waits.recent[-SHOWN:]))
    title = escape(_word("picture", locale))
    return (
        f'<details class="times"><summary title="{title}">{line}</summary>'
        f'<div class="waterfall" role="group" aria-label="{title}">{pictures}</div></details>'
    )


def _picture(turn: TurnTime, locale: Locale) -> str:
    """One answer: a row for each span, on one scale from the first to the last moment."""
    whole = max((span.end_s for span in turn.spans), default=0.0) or 1.0
    rows = []
    for span in turn.spans:
        left, width = 100 * span.start_s / whole, 100 * (span.end_s - span.start_s) / whole
        bar = f'<i class="{escape(span.name)}" style="left:{left:.1f}%;width:{width:.1f}%"></i>'
        word = escape(_word(f"span_{span.name}", locale))
        rows.append(f"<tr><th>{word}</th><td>{bar}</td><td>{span.end_s - span.start_s:.2f}</td></tr>")
    return f"<table><caption>{escape(sum_of(turn, locale))}</caption>{''.join(rows)}</table>"


# ---------------------------------------------------------------- money


def _money(money: Money, locale: Locale) -> str:
    if money.free:
        words = [_word("free", locale)]
    elif money.usd is None:
        words = [_word("unknown", locale)]
    else:
        words = [f"US${money.usd:.4f}", f"{_word('prices', locale)} {PRICES.date}"]
    line = " · ".join(escape(word) for word in [words[0], *_used(money.tokens, locale), *words[1:]])
    warning = ""  # said once by aloud.js; an alert in what is drawn anew would be one after every answer
    if money.budget is not Budget.FINE:
        warning = f'<span class="warning">{escape(_word(money.budget.value, locale))}</span>'
    return f'<div class="money" data-budget="{money.budget.value}">{line}{warning}</div>'


def _used(tokens: Tokens, locale: Locale) -> list[str]:
    """What it was for: "audio 1,300 in (500 cached), 200 out"."""
    said = []
    for kind in KINDS:
        came, cached, went = (getattr(tokens, f"{kind}_{way}", 0) for way in ("in", "cached", "out"))
        if came or went:
            kept = f" ({cached:,} {_word('cached', locale)})" if cached else ""
            part = f"{_word(kind, locale)} {came:,} {_word('in', locale)}{kept}"
            said.append(part + (f", {went:,} {_word('out', locale)}" if went else ""))
    seconds = tokens.transcription_seconds + tokens.transcription_tokens / 10
    if seconds:
        said.append(f"{_word('transcription', locale)} {seconds:.0f} s")
    return said


def _word(code: str, locale: Locale) -> str:
    return sentence(FIGURES, code, locale)
