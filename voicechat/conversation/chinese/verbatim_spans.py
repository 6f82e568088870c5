"""Verbatim spans of a caption: the kind of each character, and the characters that are not converted. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from writing.verbatim_text import TextKind, VerbatimScanner


class CaptionKinds:
    """Kind of each character of one growing text."""

    def __init__(self, typed_texts: Sequence[str] = ()) -> None:
        self._scanner = VerbatimScanner(typed_texts)
        self.kinds: list[TextKind] = []

    def extend(self, piece: str) -> None:
        """Scan the next piece of the text."""
        for character in piece:
            kind = self._scanner.scan(character)
            if self.kinds and self.kinds[-1] is TextKind.UNDECIDED and kind is not TextKind.UNDECIDED:
                self._decide(self._scanner.decided_kind)
            self.kinds.append(kind)

    def finish(self) -> None:
        """Decide what is undecided at the end of the text."""
        self._decide(TextKind.QUOTATION)

    @property
    def undecided_count(self) -> int:
        """Characters at the end that are undecided."""
        return next(
            (count for count, kind in enumerate(reversed(self.kinds)) if kind is not TextKind.UNDECIDED),
            len(self.kinds),
        )

    def restore(self, raw: str, converted: str, start: int = 0) -> str:
        """Return `converted`, of which `raw` begins at character `start`, with its verbatim characters as in `raw`."""
        kinds = self.kinds[start : start + len(raw)]
        if all(kind is TextKind.PROSE for kind in kinds) or len(raw) != len(converted):
            return converted
        return "".join(
            new if kind is TextKind.PROSE else old for old, new, kind in zip(raw, converted, kinds, strict=True)
        )

    def _decide(self, kind: TextKind) -> None:
        end = len(self.kinds)
        count = self.undecided_count
        self.kinds[end - count :] = [kind] * count
