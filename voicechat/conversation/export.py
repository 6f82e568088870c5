"""Export of a conversation: Markdown to read, JSON for programs, SRT as subtitles of the recording. Pure.

All three hold the heard text. The unheard part of an interrupted reply is marked in Markdown and JSON, and left out of
the subtitles. So is the reason why the rest of an incomplete message is missing. Times are seconds of the call clock
(`voicechat.conversation.call_clock`), as in the recording.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .audio_text_alignment import speech_length
from .call_clock import TimeSpan
from .incomplete_reason import IncompleteReason
from .shown.bubble import Bubble, Role, Utterance
from .shown.tool_use import ToolUse

FORMAT = "realtime-voice-chat/conversation"
VERSION = 1

MAX_LINE_COLUMNS = 42
"""Columns of a subtitle line."""
MAX_LINE_CHINESE_CHARS = 20
"""Chinese characters that fill it."""
MAX_LINES_PER_CUE = 2
MIN_CUE_MS = 1000
"""Milliseconds of a cue, where the speaker's next one leaves the time."""
MIN_CUE_MS_BEFORE_NEXT = 200
"""Milliseconds of a cue in any case."""

_WIDE = (
    r"[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6"
    r"\U00020000-\U0003ffff]"
)
_CLOSING = r"[，。、；：？！）」』】》〉…—,.;:?!)\]}”’]"
_OPENING = r"[（「『【《〈]"
_UNBREAKABLE = re.compile(rf"\s+|{_OPENING}*{_WIDE}{_CLOSING}*|(?:(?!{_WIDE})\S)+{_CLOSING}*")
"""Unit without line breaks: a word, or one Chinese character with its punctuation."""
_WIDE_CHAR = re.compile(_WIDE)
_SENTENCE_END = re.compile(r"[。？！…]\W*$|[.?!][\"'”’)]*$")
_SUBTITLE_ESCAPES = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
"""Replacements for characters that players take for markup, or in `-->` for a time."""
_MARKDOWN_SPECIAL = re.compile(r"[\\`*_\[\]#~|$<>&]")
_MARKDOWN_START = re.compile(r"^([-+=]|\d+(?=[.)]))", re.MULTILINE)
_LINE_BREAK = re.compile(r"\s*\n\s*")


# -------------------------------------------------------------------- JSON


def to_json(utterances: Iterable[Utterance], exported_at: datetime) -> str:
    """Return the conversation as an indented JSON object:

    - `format`: "realtime-voice-chat/conversation"; `version`: 1
    - `exported_at`: ISO 8601 with the offset from UTC
    - `messages`: in order, each with
      - `role`: "user" or "assistant"
      - `text`: spoken or typed text; of a reply its heard part
      - `unheard`: the rest of an interrupted reply; "" otherwise
      - `state`: "done", "interrupted", "incomplete", or "pending" and "growing" when the call was under way
      - `incomplete_reason`: why the rest of an incomplete message is missing (`IncompleteReason`); null otherwise
      - `start`, `end`: seconds of the call, as in its recording; equal for a typed message, null without audio
      - `pictures`, of a message with pictures: name, alternative text, width and height of each, without its pixels
    - `tool_calls`: in order, only where there are any; each with
      - `name`, `arguments`, `result`, `seconds`: null for a call that never ran
      - `state`: value of `ToolCallState`; `heard`: "none", "part" or "all" of the answer to the result
      - `after_message`: number of messages before the call; `start`: seconds of the call, null without a clock
    """
    messages, tool_calls = list[dict[str, Any]](), list[dict[str, Any]]()
    for bubble, span in utterances:
        if bubble.tool_use is not None:
            tool_calls.append(_to_json_tool_call(bubble.tool_use, span, len(messages)))
        else:
            messages.append(_to_json_message(bubble, span))
    whole = {"format": FORMAT, "version": VERSION, "exported_at": _format_iso(exported_at), "messages": messages}
    if tool_calls:
        whole["tool_calls"] = tool_calls
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _to_json_message(bubble: Bubble, span: TimeSpan | None) -> dict[str, Any]:
    return {
        "role": bubble.role,
        "text": bubble.text,
        "unheard": bubble.unheard.strip(),
        "state": str(bubble.state),
        "incomplete_reason": bubble.incomplete_reason,
        "start": None if span is None else round(span.start, 3),
        "end": None if span is None else round(span.end, 3),
        **({"pictures": [each.to_json() for each in bubble.pictures]} if bubble.pictures else {}),
    }


def _to_json_tool_call(use: ToolUse, span: TimeSpan | None, message_count: int) -> dict[str, Any]:
    known = use.to_json()
    return {
        **{key: known[key] for key in ("name", "arguments", "result", "state", "seconds", "heard")},
        "after_message": message_count,
        "start": None if span is None else round(span.start, 3),
    }


def _format_iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


# -------------------------------------------------------------------- Markdown


def to_markdown(
    utterances: Iterable[Utterance], title: str, names: Mapping[Role, str], marks: Mapping[IncompleteReason, str]
) -> str:
    """Return the conversation as Markdown under a heading. `names`: of the speakers. `marks`: put in italics behind an
    incomplete message. Texts are escaped, and the unheard part is struck out."""
    parts = [f"# {escape_with_backslashes(title)}\n"]
    for bubble, span in utterances:
        if bubble.tool_use is not None:
            parts.append(_to_markdown_line(bubble.tool_use))
            continue
        unheard = f"~~{escape_with_backslashes(' '.join(bubble.unheard.split()))}~~" if bubble.unheard.strip() else ""
        mark = f"*{escape_with_backslashes(f'[{marks[reason]}]')}*" if (reason := bubble.incomplete_reason) else ""
        shown = (f"[{': '.join(filter(None, [each.file_name, each.alt]))}]" for each in bubble.pictures)
        pictures = " ".join(f"*{escape_with_backslashes(each)}*" for each in shown)
        said = " ".join(filter(None, [escape_with_backslashes(bubble.text), unheard, pictures, mark]))
        if said:
            time = f" ({_format_duration(span.start)})" if span is not None else ""
            parts.append(f"**{escape_with_backslashes(names[bubble.role])}**{time}\n\n{said}\n")
    return "\n".join(parts)


def _to_markdown_line(use: ToolUse) -> str:
    """Return a tool call as one line of Markdown."""
    arguments, result = (" ".join(text.split()) for text in (use.arguments, use.result or use.state))
    seconds = "" if use.seconds is None else f" ({use.seconds:.1f} s)"
    return f"🔧 {escape_with_backslashes(f'{use.name} {arguments} → {result}')}{seconds}\n"


def escape_with_backslashes(text: str) -> str:
    """Return Markdown that shows `text` exactly: special characters are escaped by a backslash."""

    def start(found: re.Match[str]) -> str:
        return f"{found[1]}\\" if found[1].isdigit() else f"\\{found[1]}"

    lines = _LINE_BREAK.sub("\n", text.strip())
    return _MARKDOWN_START.sub(start, _MARKDOWN_SPECIAL.sub(r"\\\g<0>", lines)).replace("\n", "\\\n")


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# -------------------------------------------------------------------- SRT


@dataclass(slots=True)
class Cue:
    """One subtitle. Times in ms."""

    role: Role
    start_ms: int
    end_ms: int
    lines: list[str]


def to_srt(utterances: Iterable[Utterance], names: Mapping[Role, str]) -> str:
    """Return the conversation as SubRip: all messages with a time and words, in cues of at most two lines. Cues of one
    speaker do not overlap; cues of both do where one spoke over the other."""
    blocks = []
    for number, cue in enumerate(build_cues(utterances, names), 1):
        time = f"{_format_srt_timestamp(cue.start_ms)} --> {_format_srt_timestamp(cue.end_ms)}"
        blocks.append("\n".join([str(number), time, *cue.lines]) + "\n")
    return "\n".join(blocks)


def _format_srt_timestamp(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{ms:03}"


def build_cues(utterances: Iterable[Utterance], names: Mapping[Role, str]) -> list[Cue]:
    """Return the cues in the order of their start times."""
    found: list[Cue] = []
    for bubble, span in utterances:
        if span is not None and bubble.text.strip():
            found += _build_message_cues(bubble.role, bubble.text, span, names[bubble.role])
    found.sort(key=lambda cue: cue.start_ms)
    for role in {cue.role for cue in found}:
        _remove_overlaps([cue for cue in found if cue.role == role])
    return sorted(found, key=lambda cue: cue.start_ms)


def _build_message_cues(role: Role, text: str, span: TimeSpan, name: str) -> list[Cue]:
    """Return the cues of one message, with its time divided by spoken length. The first cue names the speaker."""
    said = text.translate(_SUBTITLE_ESCAPES)
    blocks = split_into_cue_lines(f"{name}: {said}")
    weights = [speech_length(" ".join(lines)) for lines in blocks]
    weights[0] = max(1, weights[0] - speech_length(f"{name}: "))
    start, end, total = round(span.start * 1000), round(span.end * 1000), sum(weights)
    made, before = [], 0
    for lines, weight in zip(blocks, weights, strict=True):
        first, last = before, before + weight
        made.append(Cue(role, start + (end - start) * first // total, start + (end - start) * last // total, lines))
        before = last
    return made


def _remove_overlaps(speaker_cues: Sequence[Cue]) -> None:
    """Make ordered cues of one speaker long enough to read, and end each before the next one starts."""
    free = 0
    for index, cue in enumerate(speaker_cues):
        cue.start_ms = max(cue.start_ms, free)
        wanted = max(cue.end_ms, cue.start_ms + MIN_CUE_MS)
        if index + 1 < len(speaker_cues):
            wanted = min(wanted, max(speaker_cues[index + 1].start_ms, cue.start_ms + MIN_CUE_MS_BEFORE_NEXT))
        cue.end_ms = free = wanted


def count_columns(text: str) -> float:
    """Return the columns that a text fills."""
    return (
        len(text) + len(_WIDE_CHAR.findall(text)) * (MAX_LINE_COLUMNS - MAX_LINE_CHINESE_CHARS) / MAX_LINE_CHINESE_CHARS
    )


def split_into_cue_lines(text: str) -> list[list[str]]:
    """Return a text as cues of at most `MAX_LINES_PER_CUE` lines of at most `MAX_LINE_COLUMNS` columns.

    A cue ends with a sentence where the next sentence does not fit. Only white space at the breaks is lost.
    """
    blocks: list[list[str]] = []
    so_far = ""  # the text of the last block, while it is whole sentences
    for sentence in _split_sentences(text):
        lines = _wrap_lines(so_far + sentence)
        if so_far and len(lines) <= MAX_LINES_PER_CUE:
            blocks[-1] = lines
            so_far += sentence
            continue
        lines = _wrap_lines(sentence)
        blocks += [lines[first : first + MAX_LINES_PER_CUE] for first in range(0, len(lines), MAX_LINES_PER_CUE)]
        so_far = sentence if len(lines) <= MAX_LINES_PER_CUE else ""
    return blocks


def _split_sentences(text: str) -> list[str]:
    """Return the sentences, each with the white space behind it as one space."""
    found = [""]
    for piece in _UNBREAKABLE.findall(text.strip()):
        if not piece.isspace() and _SENTENCE_END.search(found[-1].rstrip()):
            found.append("")
        found[-1] += " " if piece.isspace() else piece
    return found if found[0] else []


def _wrap_lines(text: str) -> list[str]:
    """Return the text in full lines; a word that is longer than a line is cut."""
    lines, current, used = list[str](), "", 0.0
    for piece in _UNBREAKABLE.findall(text):
        piece = " " if piece.isspace() else piece
        wide = count_columns(piece)
        if used + wide <= MAX_LINE_COLUMNS or piece == " ":
            current, used = current + piece, used + wide
            continue
        if current.strip():
            lines.append(current.strip())
        current = piece.lstrip()
        while count_columns(current) > MAX_LINE_COLUMNS:
            fits = next(n for n in range(len(current), 0, -1) if count_columns(current[:n]) <= MAX_LINE_COLUMNS)
            lines.append(current[:fits])
            current = current[fits:]
        used = count_columns(current)
    return [*lines, current.strip()] if current.strip() else lines
