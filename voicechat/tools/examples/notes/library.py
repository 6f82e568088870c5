"""Library of notes: the passages of a folder, read once, and a file again when it has changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from voicechat.tools.examples.notes.bm25 import Bm25Index, CountedPassage, Found
from voicechat.tools.examples.notes.folder import NoteFile, decode_text, list_notes, read_note
from voicechat.tools.examples.notes.passages import Passage, markdown_passages, text_passages
from voicechat.tools.examples.notes.pdf_pages import pdf_pages

MAX_PASSAGES = 40_000
"""Passages of all files: some 20 million characters."""
REFRESH_SECONDS = 2.0
"""Seconds for which a listing of the folder counts as fresh."""

FIRST_READ_SECONDS = 12.0
"""Seconds that a search waits for the first reading of the folder."""

logger = logging.getLogger(__name__)


class NotesLibrary:
    """Passages of one folder. Several threads may search it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._files: dict[str, tuple[tuple[int, int, int], list[CountedPassage]]] = {}
        self._index = Bm25Index(())
        self._listed_at: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no file had a readable text when the folder was last read."""
        return not any(passages for _, passages in self._files.values())

    def find(self, question: str, limit: int) -> list[Found] | None:
        """Return the best passages for a question, best first; None while the folder is read for the first time.

        While another thread reads changed files, the passages from before are searched.
        """
        is_read = self._listed_at is not None
        if not self._lock.acquire(timeout=0.0 if is_read else FIRST_READ_SECONDS):
            return self._index.find(question, limit) if is_read else None
        try:
            self._refresh()
        finally:
            self._lock.release()
        return self._index.find(question, limit)

    def term_weight(self, term: str) -> float:
        """Return the weight of a term: rare ones weigh more."""
        return self._index.weight(term)

    def refresh(self) -> None:
        """Read the files that are new or have changed, and forget those that were removed."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        if self._listed_at is not None and self._clock() - self._listed_at < REFRESH_SECONDS:
            return
        notes = list_notes(self._folder)
        changed = [note for note in notes if self._files.get(note.name, ((), []))[0] != note.stamp]
        removed = self._files.keys() - {note.name for note in notes}
        for name in removed:
            del self._files[name]
        for note in changed:
            self._files[note.name] = (note.stamp, _counted(note))
        if changed or removed:
            passages = [one for name in sorted(self._files) for one in self._files[name][1]]
            self._index = Bm25Index(passages[:MAX_PASSAGES])
            unread = sum(not passages for _, passages in self._files.values())
            logger.info("tools: notes_read files=%d passages=%d without_text=%d", len(notes), len(passages), unread)
        self._listed_at = self._clock()


def _counted(note: NoteFile) -> list[CountedPassage]:
    try:
        return [CountedPassage.of(passage) for passage in passages_of(note)]
    except OSError as error:
        logger.warning("tools: note_not_read error=%s", type(error).__name__)
        return []


def passages_of(note: NoteFile) -> list[Passage]:
    """Return the passages of a file. Raise OSError when it cannot be read."""
    content = read_note(note)
    ending = note.path.suffix.lower()
    if ending == ".pdf":
        pages = enumerate(pdf_pages(content), 1)
        return [passage for number, page in pages for passage in text_passages(note.name, page, number)]
    text = decode_text(content)
    split = text_passages if ending == ".txt" else markdown_passages
    return list(split(note.name, text))
