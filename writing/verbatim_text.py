"""Verbatim text of a growing reply: code and quotations of the user, whose characters are never converted. Pure.

A fenced block lasts to its closing fence, inline code and a quotation at most to the end of their line: a stray mark of
a small model then costs one line. A quotation is kept only if the user typed its text. What the model itself quotes,
such as a dialogue in a story, is the model's own writing and is converted like the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

MAX_UNDECIDED_CHARS = 8
"""Characters of a quotation after which it counts as the user's, if all of them are."""

_CLOSING_MARKS = {"「": "」", "『": "』", "“": "”", '"': '"', ">": "\n"}
"""Closing mark of each opening one. ">" opens a quotation at the start of a line only."""
_MIN_FENCE = 3


class TextKind(Enum):
    """Kind of the text at one position."""

    PROSE = "prose"
    FENCED_CODE = "fenced_code"
    INLINE_CODE = "inline_code"
    QUOTATION = "quotation"
    UNDECIDED = "undecided"
    """First characters of a quotation that may be the user's."""


class VerbatimScanner:
    """State at the end of the scanned characters."""

    def __init__(self, typed_texts: Sequence[str] = ()) -> None:
        """`typed_texts`: what the user has typed."""
        self.kind = TextKind.PROSE
        """Kind of the last character."""
        self.decided_kind = TextKind.PROSE
        """Kind of the undecided characters before, once `kind` is no longer UNDECIDED."""
        self._typed_texts = tuple(typed_texts)
        self._fence = ""
        """Opening mark of the code."""
        self._is_info_line = False
        """The line of the opening fence has not ended."""
        self._run = ""
        """Marks of a fence or of inline code just scanned."""
        self._is_run_at_line_start = False
        self._is_line_start = True
        self._closing_mark = ""
        self._quoted = ""
        """Scanned characters of an undecided quotation."""

    def scan(self, character: str) -> TextKind:
        """Advance by one character and return its kind."""
        if self._run and character != self._run[0]:
            self._end_run(character)
        if character == "\n":
            self._end_line()
        elif self.kind in (TextKind.QUOTATION, TextKind.UNDECIDED):
            self._scan_quotation(character)
        elif character in "`~":
            self._is_run_at_line_start = self._is_run_at_line_start if self._run else self._is_line_start
            self._run += character
        elif self.kind is TextKind.PROSE and character in _CLOSING_MARKS:
            self._open_quotation(character)
        self._is_line_start = character == "\n" or (self._is_line_start and character in " \t>-*+")
        return self.kind

    def _end_run(self, following: str) -> None:
        run, self._run = self._run, ""
        is_fence = self._is_run_at_line_start and len(run) >= _MIN_FENCE
        if self.kind is TextKind.FENCED_CODE:
            if self._is_info_line:
                if run[0] == self._fence[0] == "`":  # a fence's first line has no such mark: it was inline code
                    self.kind = TextKind.PROSE if run == self._fence else TextKind.INLINE_CODE
            elif is_fence and run.startswith(self._fence) and following.isspace():
                self.kind = TextKind.PROSE
        elif self.kind is TextKind.INLINE_CODE:
            self.kind = TextKind.PROSE if run == self._fence else self.kind
        elif is_fence or run[0] == "`":
            self.kind = TextKind.FENCED_CODE if is_fence else TextKind.INLINE_CODE
            self._fence, self._is_info_line = run, is_fence

    def _end_line(self) -> None:
        self._is_info_line = False
        if self.kind is not TextKind.FENCED_CODE:
            self.decided_kind = TextKind.QUOTATION
            self.kind = TextKind.PROSE

    def _open_quotation(self, mark: str) -> None:
        if self._typed_texts and (mark != ">" or self._is_line_start):
            self.kind, self._closing_mark, self._quoted = TextKind.UNDECIDED, _CLOSING_MARKS[mark], ""

    def _scan_quotation(self, character: str) -> None:
        if character == self._closing_mark:
            self.kind, self.decided_kind = TextKind.PROSE, TextKind.QUOTATION
        elif self.kind is TextKind.UNDECIDED and (self._quoted or not character.isspace()):
            self._quoted += character
            if not any(self._quoted in text for text in self._typed_texts):
                self.kind = self.decided_kind = TextKind.PROSE
                self.scan(character)
            elif len(self._quoted) >= MAX_UNDECIDED_CHARS:
                self.kind = self.decided_kind = TextKind.QUOTATION
