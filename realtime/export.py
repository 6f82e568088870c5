"""One conversation as a file: Markdown to read, JSON to work with, SRT to lay under the recording. Pure.

All three hold what was heard. What a reply still meant to say when it was interrupted is marked as such in Markdown and
JSON, and left out of the subtitles. Times are seconds of the call clock (`realtime.timeline`), the same as in the
recording.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .hearing import letters
from .items import Bubble, Role, Utterance
from .timeline import Span

FORMAT = "realtime-voice-chat/conversation"
VERSION = 1

LINE = 42
"""Columns of a line of subtitles."""
LINE_CHINESE = 20
"""Chinese characters that fill it."""
LINES = 2
SHORTEST_MS = 1000
"""A subtitle stays this long where the speaker's next one leaves the time."""
BARELY_MS = 200
"""And this long in any case."""

_WIDE = (
    r"[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6"
    r"\U00020000-\U0003ffff]"
)
_CLOSING = r"[，。、；：？！）」』】》〉…—,.;:?!)\]}”’]"
_OPENING = r"[（「『【《〈]"
_PIECE = re.compile(rf"\s+|{_OPENING}*{_WIDE}{_CLOSING}*|(?:(?!{_WIDE})\S)+{_CLOSING}*")
"""What a line is not broken within: a word, or one Chinese character with the signs that stick to it."""
_IS_WIDE = re.compile(_WIDE)
_SENTENCE_END = re.compile(r"[。？！…]\W*$|[.?!][\"'”’)]*$")
_SUBTITLE_SIGNS = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
"""Players take these for markup, and `-->` for a time."""
_MARKDOWN = re.compile(r"[\\`*_\[\]#~|$<>&]")
_MARKDOWN_START = re.compile(r"^([-+=]|\d+(?=[.)]))", re.MULTILINE)
_LINE_BREAK = re.compile(r"\s*\n\s*")


# -------------------------------------------------------------------- JSON


def to_json(utterances: Iterable[Utterance], exported: datetime) -> str:
    """The conversation as a JSON object, indented:

    - `format`: "realtime-voice-chat/conversation"; `version`: 1
    - `exported_at`: ISO 8601 with the offset from UTC
    - `messages`: in order, each with
      - `role`: "user" or "assistant"
      - `text`: what was said or typed; of a reply what was heard
      - `unheard`: the rest of a reply that was interrupted; "" otherwise
      - `state`: "done", "interrupted", or "pending" and "growing" when the call was under way
      - `start`, `end`: seconds of the call, as in its recording; equal for what was typed, null for what had no sound
    """
    messages = [_message(bubble, span) for bubble, span in utterances]
    whole = {"format": FORMAT, "version": VERSION, "exported_at": _moment(exported), "messages": messages}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _message(bubble: Bubble, span: Span | None) -> dict[str, Any]:
    return {
        "role": bubble.role,
        "text": bubble.text,
        "unheard": bubble.unheard.strip(),
        "state": str(bubble.state),
        "start": None if span is None else round(span.start, 3),
        "end": None if span is None else round(span.end, 3),
    }


def _moment(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


# -------------------------------------------------------------------- Markdown


def to_markdown(utterances: Iterable[Utterance], title: str, names: Mapping[Role, str]) -> str:
    """The conversation as Markdown under a heading. `names`: who speaks. Every word shows as it was said: no sign in it
    means anything. What was not heard is struck out."""
    parts = [f"# {literal(title)}\n"]
    for bubble, span in utterances:
        unheard = f"~~{literal(' '.join(bubble.unheard.split()))}~~" if bubble.unheard.strip() else ""
        said = " ".join(filter(None, [literal(bubble.text), unheard]))
        if said:
            time = f" ({_minutes(span.start)})" if span is not None else ""
            parts.append(f"**{literal(names[bubble.role])}**{time}\n\n{said}\n")
    return "\n".join(parts)


def literal(text: str) -> str:
    """Markdown that shows `text` exactly, and can still be read as it is: signs are escaped by a backslash."""

    def start(found: re.Match[str]) -> str:
        return f"{found[1]}\\" if found[1].isdigit() else f"\\{found[1]}"

    lines = _LINE_BREAK.sub("\n", text.strip())
    return _MARKDOWN_START.sub(start, _MARKDOWN.sub(r"\\\g<0>", lines)).replace("\n", "\\\n")


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# -------------------------------------------------------------------- SRT


@dataclass(slots=True)
class Cue:
    """One subtitle. Times in ms."""

    role: Role
    start: int
    end: int
    lines: list[str]


def to_srt(utterances: Iterable[Utterance], names: Mapping[Role, str]) -> str:
    """The conversation as SubRip: what has a time and words, in cues of two lines at most. Of one speaker no two cues
    overlap; those of both may, where one spoke over the other."""
    blocks = []
    for number, cue in enumerate(cues(utterances, names), 1):
        time = f"{_stamp(cue.start)} --> {_stamp(cue.end)}"
        blocks.append("\n".join([str(number), time, *cue.lines]) + "\n")
    return "\n".join(blocks)


def _stamp(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{ms:03}"


def cues(utterances: Iterable[Utterance], names: Mapping[Role, str]) -> list[Cue]:
    """The subtitles in the order of their beginnings."""
    found: list[Cue] = []
    for bubble, span in utterances:
        if span is not None and bubble.text.strip():
            found += _cues_of(bubble.role, bubble.text, span, names[bubble.role])
    found.sort(key=lambda cue: cue.start)
    for role in {cue.role for cue in found}:
        _take_turns([cue for cue in found if cue.role == role])
    return sorted(found, key=lambda cue: cue.start)


def _cues_of(role: Role, text: str, span: Span, name: str) -> list[Cue]:
    """One message, its time shared out by how long each part takes to say. The first cue says who speaks."""
    said = text.translate(_SUBTITLE_SIGNS)
    blocks = split(f"{name}: {said}")
    weights = [letters(" ".join(lines)) for lines in blocks]
    weights[0] = max(1, weights[0] - letters(f"{name}: "))
    start, end, total = round(span.start * 1000), round(span.end * 1000), sum(weights)
    made, before = [], 0
    for lines, weight in zip(blocks, weights, strict=True):
        first, last = before, before + weight
        made.append(Cue(role, start + (end - start) * first // total, start + (end - start) * last // total, lines))
        before = last
    return made


def _take_turns(mine: Sequence[Cue]) -> None:
    """Cues of one speaker, by beginning: long enough to be read, and none begins before the last one has ended."""
    free = 0
    for place, cue in enumerate(mine):
        cue.start = max(cue.start, free)
        wanted = max(cue.end, cue.start + SHORTEST_MS)
        if place + 1 < len(mine):
            wanted = min(wanted, max(mine[place + 1].start, cue.start + BARELY_MS))
        cue.end = free = wanted


def width(text: str) -> float:
    """Columns."""
    return len(text) + len(_IS_WIDE.findall(text)) * (LINE - LINE_CHINESE) / LINE_CHINESE


def split(text: str) -> list[list[str]]:
    """A text as subtitles of at most `LINES` lines of at most `LINE` columns. One ends at the end of a sentence where
    the next sentence does not fit in whole. Nothing is lost but white space at the breaks."""
    blocks: list[list[str]] = []
    so_far = ""  # the text of the last block, while it is whole sentences
    for sentence in _sentences(text):
        lines = _lines(so_far + sentence)
        if so_far and len(lines) <= LINES:
            blocks[-1] = lines
            so_far += sentence
            continue
        lines = _lines(sentence)
        blocks += [lines[first : first + LINES] for first in range(0, len(lines), LINES)]
        so_far = sentence if len(lines) <= LINES else ""
    return blocks


def _sentences(text: str) -> list[str]:
    """Each with the white space behind it, as one space."""
    found = [""]
    for piece in _PIECE.findall(text.strip()):
        if not piece.isspace() and _SENTENCE_END.search(found[-1].rstrip()):
            found.append("")
        found[-1] += " " if piece.isspace() else piece
    return found if found[0] else []


def _lines(text: str) -> list[str]:
    """Filled line by line; what is longer than a line in itself is cut."""
    lines, current, used = list[str](), "", 0.0
    for piece in _PIECE.findall(text):
        piece = " " if piece.isspace() else piece
        wide = width(piece)
        if used + wide <= LINE or piece == " ":
            current, used = current + piece, used + wide
            continue
        if current.strip():
            lines.append(current.strip())
        current = piece.lstrip()
        while width(current) > LINE:
            fits = next(n for n in range(len(current), 0, -1) if width(current[:n]) <= LINE)
            lines.append(current[:fits])
            current = current[fits:]
        used = width(current)
    return [*lines, current.strip()] if current.strip() else lines
