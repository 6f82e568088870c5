"""Passages: documents cut into pieces that fit an answer, each with its place in the document. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PASSAGE_CHARS = 700
"""Characters after which a passage ends at the next paragraph or sentence."""
MAX_PASSAGE_CHARS = 1200
"""Characters of the longest passage."""
MAX_HEADING_CHARS = 120
"""Characters of the headings above a passage."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document."""

    file: str
    """Path within the folder, with "/"."""
    heading: str
    """Headings above it, outermost first, joined by " › "; "" when there are none."""
    page: int
    """Page of a PDF, from 1; 0 for other documents."""
    text: str
    """Plain text, without Markdown's signs."""


_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_FENCE = re.compile(r"\s*(```|~~~)")
_RULE = re.compile(r"\s*([-*_]\s*){3,}$|\s*\|?[\s:|-]+\|[\s:|-]*$|\s*=+\s*$")
_STARTS_ITEM = re.compile(r"\s*(?:[-*+]\s|\d+[.)]\s|>|\|)")
_ENDS_SENTENCE = re.compile(r"[.!?:。！？：；]['\"”’」』)）]*$")
_WIDE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
WRAPPED_WIDTH = 45
"""Columns from which a line without a full stop goes on in the next one."""
_SENTENCE_END = re.compile(r"(?<=[。！？])|(?<=[.!?])\s+|\n")
_MARKS = (
    (re.compile(r"!\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\[([^\]]+)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\[\[(?:[^\]|]*\|)?([^\]|]+)\]\]"), r"\1"),
    (re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?"), ""),
    (re.compile(r"^\s*>+\s?"), ""),
    (re.compile(r"(\*\*|__|`+|~~)"), ""),
    (re.compile(r"(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)"), ""),
    (re.compile(r"<[^<>]{1,200}>"), ""),
)


def markdown_passages(file: str, text: str) -> Iterator[Passage]:
    """Yield the passages of a Markdown document; a heading always begins a new one."""
    headings: list[tuple[int, str]] = []
    paragraphs: list[str] = []
    lines: list[str] = []
    is_code = False

    def passages() -> Iterator[Passage]:
        if lines:
            paragraphs.append("\n".join(lines))
            lines.clear()
        joined = " › ".join(title for _, title in headings)[-MAX_HEADING_CHARS:]
        yield from (Passage(file, joined, 0, piece) for piece in _pieces(paragraphs))
        paragraphs.clear()

    for line in _without_front_matter(text).splitlines():
        if _FENCE.match(line):
            is_code = not is_code
            continue
        heading = None if is_code else _HEADING.match(line)
        if heading:
            yield from passages()
            level = len(heading[1])
            headings = [above for above in headings if above[0] < level] + [(level, plain_line(heading[2]))]
        elif not line.strip():
            if lines:
                paragraphs.append("\n".join(lines))
                lines.clear()
        elif is_code:
            lines.append(line.strip())
        elif not _RULE.match(line):
            is_continued = bool(lines) and not _STARTS_ITEM.match(line)
            if is_continued:
                lines[-1] = joined_lines(lines[-1], plain_line(line))
            else:
                lines.append(plain_line(line))
    yield from passages()


def text_passages(file: str, text: str, page: int = 0) -> Iterator[Passage]:
    """Yield the passages of a plain text, or of one page of a PDF."""
    blocks: list[list[str]] = [[]]
    for line in (" ".join(line.split()) for line in text.splitlines()):
        block = blocks[-1]
        if not line:
            blocks.append([])
        elif block and _width(block[-1]) >= WRAPPED_WIDTH and not _ENDS_SENTENCE.search(block[-1]):
            block[-1] = joined_lines(block[-1], line)
        else:
            block.append(line)
    yield from (Passage(file, "", page, piece) for piece in _pieces("\n".join(block) for block in blocks if block))


def joined_lines(first: str, second: str) -> str:
    """Return two lines of one sentence as one: hyphens at the break go, and Chinese needs no space."""
    if re.search(r"[a-z]-$", first) and second[:1].islower():
        return first[:-1] + second
    return first + ("" if _WIDE.match(first[-1:]) and _WIDE.match(second[:1]) else " ") + second


def plain_line(line: str) -> str:
    """Return a line of Markdown as plain text."""
    for pattern, plain in _MARKS:
        line = pattern.sub(plain, line)
    if line.strip().startswith("|"):
        line = ", ".join(cell.strip() for cell in line.strip().strip("|").split("|") if cell.strip())
    return line.strip()


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a plain text; each line of a list is one."""
    return [piece.strip() for piece in _SENTENCE_END.split(text) if piece and piece.strip()]


def _width(line: str) -> int:
    return len(line) + len(_WIDE.findall(line))


def _without_front_matter(text: str) -> str:
    if text.startswith("---\n") and (end := text.find("\n---", 4, 4000)) > 0:
        return text[end + 4 :]
    return text


def _pieces(paragraphs: Iterable[str]) -> Iterator[str]:
    """Yield paragraphs joined up to the length of a passage; longer ones are cut at sentences."""
    held = ""
    for paragraph in paragraphs:
        for part in _bounded(paragraph):
            if held and len(held) + len(part) > PASSAGE_CHARS:
                yield held
                held = ""
            held = f"{held}\n{part}" if held else part
    if held:
        yield held


def _bounded(paragraph: str) -> Iterator[str]:
    if len(paragraph) <= MAX_PASSAGE_CHARS:
        yield paragraph
        return
    held = ""
    for sentence in sentences_of(paragraph):
        for start in range(0, len(sentence), PASSAGE_CHARS):  # a "sentence" without an end, such as base64
            part = sentence[start : start + PASSAGE_CHARS]
            if held and len(held) + len(part) >= PASSAGE_CHARS:
                yield held
                held = ""
            held = f"{held} {part}" if held else part
    if held:
        yield held
