"""Verbatim text of a caption: code and quotations of the visitor, whose characters are never converted. Pure.

A fenced block lasts to its closing fence, inline code and a quotation at most to the end of their line: a stray mark of
a small model then costs one line. A quotation is kept only if the visitor typed its text. What the model itself quotes,
such as a dialogue in a story, is the model's own writing and is converted like the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

MAX_UNDECIDED_CHARS = 8
"""Characters of a quotation after which it counts as the visitor's, if all of them are."""

_CLOSING_MARKS = {"「": "」", "『": "』", "“": "”", '"': '"', ">": "\n"}
"""Closing mark of each opening one. ">" opens a quotation at the start of a line only."""
_MIN_FENCE = 3


class CaptionTextKind(Enum):
    """Kind of the text at one position."""

    PROSE = "prose"
    FENCED_CODE = "fenced_code"
    INLINE_CODE = "inline_code"
    QUOTATION = "quotation"
    UNDECIDED = "undecided"
    """First characters of a quotation that may be the visitor's."""


class CaptionScanner:
    """State at the end of the scanned characters."""

    def __init__(self, typed_texts: Sequence[str] = ()) -> None:
        """`typed_texts`: what the visitor has typed."""
        self.kind = CaptionTextKind.PROSE
        """Kind of the last character."""
        self.decided_kind = CaptionTextKind.PROSE
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

    def scan(self, character: str) -> CaptionTextKind:
        """Advance by one character and return its kind."""
        if self._run and character != self._run[0]:
            self._end_run(character)
        if character == "\n":
            self._end_line()
        elif self.kind in (CaptionTextKind.QUOTATION, CaptionTextKind.UNDECIDED):
            self._scan_quotation(character)
        elif character in "`~":
            self._is_run_at_line_start = self._is_run_at_line_start if self._run else self._is_line_start
            self._run += character
        elif self.kind is CaptionTextKind.PROSE and character in _CLOSING_MARKS:
            self._open_quotation(character)
        self._is_line_start = character == "\n" or (self._is_line_start and character in " \t>-*+")
        return self.kind

    def _end_run(self, following: str) -> None:
        run, self._run = self._run, ""
        is_fence = self._is_run_at_line_start and len(run) >= _MIN_FENCE
        if self.kind is CaptionTextKind.FENCED_CODE:
            if self._is_info_line:
                if run[0] == self._fence[0] == "`":  # a fence's first line has no such mark: it was inline code
                    self.kind = CaptionTextKind.PROSE if run == self._fence else CaptionTextKind.INLINE_CODE
            elif is_fence and run.startswith(self._fence) and following.isspace():
                self.kind = CaptionTextKind.PROSE
        elif self.kind is CaptionTextKind.INLINE_CODE:
            self.kind = CaptionTextKind.PROSE if run == self._fence else self.kind
        elif is_fence or run[0] == "`":
            self.kind = CaptionTextKind.FENCED_CODE if is_fence else CaptionTextKind.INLINE_CODE
            self._fence, self._is_info_line = run, is_fence

    def _end_line(self) -> None:
        self._is_info_line = False
        if self.kind is not CaptionTextKind.FENCED_CODE:
            self.decided_kind = CaptionTextKind.QUOTATION
            self.kind = CaptionTextKind.PROSE

    def _open_quotation(self, mark: str) -> None:
        if self._typed_texts and (mark != ">" or self._is_line_start):
            self.kind, self._closing_mark, self._quoted = CaptionTextKind.UNDECIDED, _CLOSING_MARKS[mark], ""

    def _scan_quotation(self, character: str) -> None:
        if character == self._closing_mark:
            self.kind, self.decided_kind = CaptionTextKind.PROSE, CaptionTextKind.QUOTATION
        elif self.kind is CaptionTextKind.UNDECIDED and (self._quoted or not character.isspace()):
            self._quoted += character
            if not any(self._quoted in text for text in self._typed_texts):
                self.kind = self.decided_kind = CaptionTextKind.PROSE
                self.scan(character)
            elif len(self._quoted) >= MAX_UNDECIDED_CHARS:
                self.kind = self.decided_kind = CaptionTextKind.QUOTATION


class CaptionKinds:
    """Kind of each character of one growing text."""

    def __init__(self, typed_texts: Sequence[str] = ()) -> None:
        self._scanner = CaptionScanner(typed_texts)
        self.kinds: list[CaptionTextKind] = []

    def extend(self, piece: str) -> None:
        """Scan the next piece of the text."""
        for character in piece:
            kind = self._scanner.scan(character)
            if self.kinds and self.kinds[-1] is CaptionTextKind.UNDECIDED and kind is not CaptionTextKind.UNDECIDED:
                self._decide(self._scanner.decided_kind)
            self.kinds.append(kind)

    def finish(self) -> None:
        """Decide what is undecided at the end of the text."""
        self._decide(CaptionTextKind.QUOTATION)

    @property
    def undecided_count(self) -> int:
        """Characters at the end that are undecided."""
        return next(
            (count for count, kind in enumerate(reversed(self.kinds)) if kind is not CaptionTextKind.UNDECIDED),
            len(self.kinds),
        )

    def restore(self, raw: str, converted: str, start: int = 0) -> str:
        """Return `converted`, of which `raw` begins at character `start`, with its verbatim characters as in `raw`."""
        kinds = self.kinds[start : start + len(raw)]
        if all(kind is CaptionTextKind.PROSE for kind in kinds) or len(raw) != len(converted):
            return converted
        return "".join(
            new if kind is CaptionTextKind.PROSE else old for old, new, kind in zip(raw, converted, kinds, strict=True)
        )

    def _decide(self, kind: CaptionTextKind) -> None:
        end = len(self.kinds)
        count = self.undecided_count
        self.kinds[end - count :] = [kind] * count
