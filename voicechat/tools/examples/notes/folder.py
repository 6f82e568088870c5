"""Folder of notes: which files belong to it, and their bytes. Nothing outside the folder is ever read."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

KINDS = frozenset({".md", ".markdown", ".txt", ".pdf"})
"""Endings of the files that are read."""
MAX_FILES = 2000
"""Files of one folder."""
MAX_ENTRIES = 50_000
"""Entries of directories that one listing looks at."""
MAX_FOLDER_DEPTH = 12
"""Directories within each other."""
MAX_TEXT_BYTES = 4_000_000
"""Bytes of a text or Markdown file."""
MAX_PDF_BYTES = 40_000_000
"""Bytes of a PDF."""


@dataclass(frozen=True, slots=True)
class NoteFile:
    """A file of the folder, as it was when the folder was listed."""

    name: str
    """Path within the folder, with "/"."""
    path: Path
    """Real path, without symbolic links."""
    stamp: tuple[int, int, int]
    """Time of the last change in nanoseconds, bytes, and inode: another stamp means another content."""


def list_notes(folder: Path) -> list[NoteFile]:
    """Return the readable files of a folder in order of their names; hidden ones are left out.

    A symbolic link counts when its target is a file inside the folder. Linked directories are not followed.
    """
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError):
        return []
    found: list[NoteFile] = []
    seen = 0
    for where, directories, names in os.walk(root, followlinks=False):
        here = Path(where)
        depth = len(here.relative_to(root).parts)
        kept = sorted(name for name in directories if not name.startswith("."))
        directories[:] = kept if depth < MAX_FOLDER_DEPTH else []
        for name in sorted(names):
            seen += 1
            if len(found) >= MAX_FILES or seen > MAX_ENTRIES:
                return sorted(found, key=lambda note: note.name)
            if not name.startswith(".") and Path(name).suffix.lower() in KINDS and (note := _note(root, here / name)):
                found.append(note)
    return sorted(found, key=lambda note: note.name)


def _note(root: Path, path: Path) -> NoteFile | None:
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError):
        return None
    if not real.is_relative_to(root) or not stat.S_ISREG(status.st_mode) or status.st_size > _max_bytes(path):
        return None
    stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
    return NoteFile(path.relative_to(root).as_posix(), real, stamp)


def read_note(note: NoteFile) -> bytes:
    """Return the bytes of a file. Raise OSError when it was replaced by a link, or has grown too large."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(note.path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_ino != note.stamp[2]:
            raise OSError("the file was replaced")
        limit = _max_bytes(note.path)
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError("the file is too large")
    return content


def decode_text(content: bytes) -> str:
    """Return the text of a file: UTF-8, UTF-16 with a mark, Big5, or else Latin-1. "" for other content."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    if b"\0" in content[:4096]:
        return ""
    for encoding in ("utf-8-sig", "cp950"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def _max_bytes(path: Path) -> int:
    return MAX_PDF_BYTES if path.suffix.lower() == ".pdf" else MAX_TEXT_BYTES
