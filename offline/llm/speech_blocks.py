"""Speech blocks: code blocks and tables of a growing reply, told apart from its prose. Pure.

    pieces -> ReplySplitter -> parts: clauses of prose, and the text of blocks as it arrives

A block is shown and not read aloud: its first part stands for all of it. Joined, the parts are the text, and they do
not depend on how the text was cut into pieces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from .clause_splitter import CHINESE_REAL_TIME_FACTOR, ClauseSplitter

MIN_FENCE_CHARS = 3
"""Backticks or tildes of a fence (CommonMark)."""
MAX_HELD_CHARS = 400
"""Characters of a possible head of a table that are held back, at most."""

_LINE_START = re.compile(r"[\s>]*(?:(?:[-*+]|\d{1,2}[.)])\s+)?")
_DELIMITER_ROW = re.compile(r"[ \t>]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_DELIMITER_CHARS = frozenset(" \t>|:-\r")


class PartKind(Enum):
    """Content of a part."""

    CLAUSE = "clause"
    CODE_START = "code_start"
    """First text of a code block."""
    CODE = "code"
    TABLE_START = "table_start"
    """First text of a table."""
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class ReplyPart:
    """Piece of a reply with one way of speaking it."""

    text: str
    kind: PartKind = PartKind.CLAUSE
    is_unfinished: bool = False
    """Whether it is the end of a reply that stopped within a clause."""


class _State(Enum):
    PROSE = "prose"
    HEAD = "head"
    """Held: a line with a bar, and the line after it, which decides whether they begin a table."""
    CODE = "code"
    TABLE = "table"
    TABLE_LINE = "table_line"
    """Held: the start of a line after a table's row."""


class ReplySplitter:
    """Takes the pieces of a reply and returns its parts."""

    def __init__(self, real_time_factor: float = CHINESE_REAL_TIME_FACTOR) -> None:
        """`real_time_factor` is that of `ClauseSplitter`."""
        self._clauses = ClauseSplitter(real_time_factor)
        self._parts: list[ReplyPart] = []
        self._state = _State.PROSE
        self._line = ""
        """Text of the current line, the run of fence characters included."""
        self._run = ""
        """Fence characters at the end of the text so far, held back in prose."""
        self._held = ""
        self._block = ""
        """Text of the block that is not returned yet."""
        self._fence = ""
        """Opening fence of the code block."""
        self._is_first_line = False
        """Whether the code block is still in the line of its opening fence."""
        self._is_line_blank = False
        """Whether only white space precedes the run in a line of code."""
        self._has_edge_bars = False
        """Whether the table's rows begin with a bar."""
        self._is_bar_prose = False
        """Whether the bars of the current line are known to be prose."""

    def push(self, piece: str) -> list[ReplyPart]:
        """Return the parts that `piece` completes."""
        for char in piece:
            self._step(char)
        return self._take_parts()

    def flush(self) -> list[ReplyPart]:
        """Return what is held. Call it once, after the last piece."""
        while self._state in (_State.HEAD, _State.TABLE_LINE):
            head, newline, second = self._held.partition("\n")
            if self._state is _State.HEAD and newline and self._is_table(head, second):
                self._open_table()
            else:
                self._release_held()
        if self._run and self._state is _State.PROSE:
            self._end_run("")
        if self._state is _State.PROSE:
            self._parts += [ReplyPart(rest, is_unfinished=True) for rest in self._clauses.flush()]
        self._emit_block()
        return self._take_parts()

    def _take_parts(self) -> list[ReplyPart]:
        parts, self._parts = self._parts, []
        return parts

    def _step(self, char: str) -> None:
        match self._state:
            case _State.PROSE:
                self._prose(char)
            case _State.HEAD:
                self._head(char)
            case _State.CODE:
                self._code(char)
            case _State.TABLE:
                self._table(char)
            case _State.TABLE_LINE:
                self._table_line(char)

    # ------------------------------------------------------------------ prose

    def _prose(self, char: str) -> None:
        if self._run and char != self._run[0] and self._end_run(char):
            return
        is_line_start = _LINE_START.fullmatch(self._line.removesuffix(self._run)) is not None
        if char == "`" or (char == "~" and is_line_start):
            self._run += char
            self._line += char
        elif char == "|" and not self._is_bar_prose:
            self._state, self._held = _State.HEAD, char
        else:
            self._say(char)

    def _say(self, text: str) -> None:
        self._parts += [ReplyPart(clause) for clause in self._clauses.push(text)]
        self._line = "" if text.endswith("\n") else self._line + text
        if not self._line:
            self._is_bar_prose = False

    def _end_run(self, char: str) -> bool:
        """Open a code block if the run is a fence, and give it `char`. Return whether it is one."""
        run, self._run = self._run, ""
        if len(run) < MIN_FENCE_CHARS:
            self._line = self._line.removesuffix(run)
            self._say(run)
            return False
        self._open_block(_State.CODE, PartKind.CODE_START, run)
        self._fence, self._is_first_line, self._is_line_blank = run, True, False
        if char:
            self._code(char)
        return True

    def _open_block(self, state: _State, kind: PartKind, text: str) -> None:
        """Return what is pending as a clause, and `text` as the block's first part, with white space before it."""
        pending = "".join(self._clauses.flush())
        if any(map(str.isalnum, pending)):
            self._parts.append(ReplyPart(pending))
            pending = ""
        self._parts.append(ReplyPart(pending + text, kind))
        self._state, self._line, self._block = state, "", ""

    def _close_block(self) -> None:
        self._emit_block()
        self._state, self._line, self._run = _State.PROSE, "", ""

    def _emit_block(self) -> None:
        if self._block:
            kind = PartKind.CODE if self._state is _State.CODE else PartKind.TABLE
            self._parts.append(ReplyPart(self._block, kind))
            self._block = ""

    # ------------------------------------------------------------------ code

    def _code(self, char: str) -> None:
        """Take a character of a code block, which ends at a fence: in the first line, or at an edge of a later line."""
        is_closing = len(self._run) >= len(self._fence)
        if char == self._fence[0]:
            self._run += char
        elif is_closing and (self._is_first_line or char == "\n" or (self._is_line_blank and char.isspace())):
            self._close_block()
            self._prose(char)
            return
        elif not (is_closing and char in " \t\r"):
            self._is_line_blank = self._is_line_blank and not self._run and char in " \t>"
            self._run = ""
        self._block += char
        if char == "\n":
            self._is_first_line, self._is_line_blank, self._run = False, True, ""
            self._emit_block()

    # ------------------------------------------------------------------ tables

    def _head(self, char: str) -> None:
        self._held += char
        head, newline, second = self._held.partition("\n")
        if not newline:
            if len(self._held) > MAX_HELD_CHARS:
                self._release_held()
            return
        if char == "\n" and second:
            if self._is_table(head, second[:-1]):
                self._open_table()
            else:
                self._release_held()
        elif second and self._is_edged(head) and second.lstrip(" \t>")[:1] == "|":
            self._open_table()
        elif not set(second) <= _DELIMITER_CHARS or (char == "\n" and second) or len(self._held) > MAX_HELD_CHARS:
            self._release_held()

    def _is_edged(self, head: str) -> bool:
        return _LINE_START.fullmatch(self._line) is not None and head.startswith("|")

    def _is_table(self, head: str, second: str) -> bool:
        """Return whether the held lines begin a table: the second one is a delimiter row with a bar."""
        return "|" in second and _DELIMITER_ROW.fullmatch(second.rstrip("\r")) is not None

    def _open_table(self) -> None:
        self._has_edge_bars = self._is_edged(self._held)
        line, held = self._clauses.take_line(), self._held
        self._held = ""
        self._open_block(_State.TABLE, PartKind.TABLE_START, line + held)
        if held.endswith("\n"):
            self._state = _State.TABLE_LINE

    def _table(self, char: str) -> None:
        self._block += char
        if char == "\n":
            self._emit_block()
            self._state = _State.TABLE_LINE

    def _table_line(self, char: str) -> None:
        """Hold the start of a line until it is known to be a row, by its bar, or prose."""
        self._held += char
        start = self._held.lstrip(" \t>")
        if char == "|" and (start == "|" or not self._has_edge_bars):
            self._block, self._held, self._state = self._held, "", _State.TABLE
        elif start and (self._has_edge_bars or char == "\n" or len(self._held) > MAX_HELD_CHARS):
            self._release_held()

    def _release_held(self) -> None:
        """Read what is held as prose. Its first line cannot begin a table."""
        held, self._held = self._held, ""
        if self._state is _State.TABLE_LINE:
            self._close_block()
        self._state, self._is_bar_prose = _State.PROSE, True
        for char in held:
            self._step(char)
