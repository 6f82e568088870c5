"""Folder of notes: what is listed, what never leaves it, encodings, changes, and PDFs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.tools.sample_notes import make_pdf, write_notes
from voicechat.tools.examples.notes import folder as folder_module
from voicechat.tools.examples.notes.folder import NoteFile, decode_text, list_notes, read_note
from voicechat.tools.examples.notes.library import REFRESH_SECONDS, NotesLibrary
from voicechat.tools.examples.notes.pdf_pages import pdf_pages
from voicechat.tools.examples.search_notes import answer_from


class SteppedTime:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def names(folder: Path) -> list[str]:
    return [note.name for note in list_notes(folder)]


def test_listing_takes_the_known_kinds_and_leaves_hidden_files_out(tmp_path: Path) -> None:
    for name in ("b.md", "a.TXT", "c.pdf", "d.docx", ".env", ".git/config.txt", "deep/er/e.markdown"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text", encoding="utf-8")
    assert names(tmp_path) == ["a.TXT", "b.md", "c.pdf", "deep/er/e.markdown"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_out_of_the_folder_are_never_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "notes"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret.txt").write_text("the safe opens with 1234", encoding="utf-8")
    (inside / "real.txt").write_text("the garden gate squeaks", encoding="utf-8")
    (inside / "file.txt").symlink_to(outside / "secret.txt")
    (inside / "folder").symlink_to(outside)
    (inside / "up.txt").symlink_to("../outside/secret.txt")
    (inside / "loop.txt").symlink_to("loop.txt")
    (inside / "again").symlink_to(inside)
    (inside / "within.txt").symlink_to("real.txt")
    assert names(inside) == ["real.txt", "within.txt"]
    assert answer_from(NotesLibrary(inside), "the safe opens", "en").speech.startswith("Nothing")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_file_replaced_by_a_link_after_the_listing_is_not_read(tmp_path: Path) -> None:
    inside = tmp_path / "notes"
    inside.mkdir()
    (inside / "a.txt").write_text("one", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("two", encoding="utf-8")
    note = list_notes(inside)[0]
    (inside / "a.txt").unlink()
    (inside / "a.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(OSError):
        read_note(note)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_named_like_a_note_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    assert names(tmp_path) == []
    note = NoteFile("a.txt", tmp_path / "a.txt", (0, 0, (tmp_path / "a.txt").stat().st_ino))
    with pytest.raises(OSError):
        read_note(note)


def test_files_over_the_limits_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "MAX_TEXT_BYTES", 100)
    monkeypatch.setattr(folder_module, "MAX_FILES", 3)
    (tmp_path / "large.txt").write_bytes(b"x" * 101)
    for number in range(5):
        (tmp_path / f"{number}.txt").write_bytes(b"x")
    assert names(tmp_path) == ["0.txt", "1.txt", "2.txt"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp950"])
def test_text_of_each_encoding_is_decoded(encoding: str) -> None:
    assert decode_text("鍋爐的壓力".encode(encoding)) == "鍋爐的壓力"


def test_text_of_binary_content_is_empty() -> None:
    assert decode_text(b"\x7fELF\0\0") == ""


def test_library_reads_a_changed_file_again_and_forgets_a_removed_one(tmp_path: Path) -> None:
    time = SteppedTime()
    library = NotesLibrary(tmp_path, time)
    path = tmp_path / "pets.txt"
    path.write_text("The cat is called Ginger.", encoding="utf-8")
    assert "Ginger" in answer_from(library, "cat", "en").speech
    path.write_text("The cat is called Pepper.", encoding="utf-8")
    os.utime(path, ns=(1, 2))
    time.now += REFRESH_SECONDS
    assert "Pepper" in answer_from(library, "cat", "en").speech
    path.unlink()
    time.now += REFRESH_SECONDS
    assert answer_from(library, "cat", "en").speech == "There are no notes to search."


def test_library_reads_an_unchanged_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted_read(note: NoteFile) -> bytes:
        read.append(note.name)
        return read_note(note)

    monkeypatch.setattr("voicechat.tools.examples.notes.library.read_note", counted_read)
    time = SteppedTime()
    library = NotesLibrary(write_notes(tmp_path), time)
    for _ in range(3):
        library.refresh()
        time.now += REFRESH_SECONDS
    assert len(read) == len(set(read)) == len(names(tmp_path))


def test_library_that_is_being_read_for_the_first_time_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.tools.examples.notes.library.FIRST_READ_SECONDS", 0.0)
    library = NotesLibrary(write_notes(tmp_path))
    answers = []

    def ask_meanwhile(folder: Path) -> list[NoteFile]:
        answers.append(answer_from(library, "boiler", "en"))
        return list_notes(folder)

    monkeypatch.setattr("voicechat.tools.examples.notes.library.list_notes", ask_meanwhile)
    library.refresh()
    assert answers[0].is_error
    assert "still being read" in answers[0].speech


def test_pdf_is_answered_with_its_page(tmp_path: Path) -> None:
    pages = ("Washing machine\nUse the short programme for lightly worn clothes.", "Clean the lint filter every month.")
    (tmp_path / "washer_guide.pdf").write_bytes(make_pdf(*pages))
    result = answer_from(NotesLibrary(tmp_path), "How often do I clean the lint filter?", "en")
    assert result.speech == "According to washer guide, page 2: Clean the lint filter every month."
    assert "[washer_guide.pdf, page 2]" in result.text
    chinese = answer_from(NotesLibrary(tmp_path), "lint filter", "zh").speech
    assert chinese == "根據《washer guide》第 2 頁：Clean the lint filter every month."


@pytest.mark.parametrize("content", [b"", b"not a pdf", b"%PDF-1.7\n" + b"\xff" * 5000, make_pdf("one")[:-200]])
def test_pdf_that_is_broken_has_no_pages_and_harms_nothing(content: bytes) -> None:
    assert pdf_pages(content) in ([], ["one"])


def test_pdf_that_takes_too_long_is_given_up() -> None:
    assert pdf_pages(make_pdf("one"), seconds=0.001) == []


def test_reading_a_pdf_loads_its_package_in_another_process_only() -> None:
    import sys

    assert pdf_pages(make_pdf("one", "two")) == ["one", "two"]
    assert "pypdf" not in sys.modules
