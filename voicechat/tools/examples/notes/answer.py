"""Answers from notes: the passages for the model, and a sentence that says where the best one stands. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from voicechat.tools.examples.notes.bm25 import Found
from voicechat.tools.examples.notes.passages import Passage, joined_lines, sentences_of
from voicechat.tools.examples.notes.terms import read_query, terms_of

MAX_SAID_CHARS = 260
"""Characters of a quotation that is spoken; one Chinese character counts as three."""
MAX_FOLLOWING = 2
"""Sentences after the best one that are quoted with it: of the same line, or with more words of the question."""
_HAN = re.compile(r"[\u3400-\u9fff]")


def describe_place(passage: Passage) -> str:
    """Return the file, page and heading of a passage, for the model."""
    parts = [passage.file]
    if passage.page:
        parts.append(f"page {passage.page}")
    if passage.heading:
        parts.append(passage.heading)
    return ", ".join(parts)


def passages_text(found: Sequence[Found]) -> str:
    """Return the passages for the model, each with its place."""
    listed = (f"[{describe_place(one.passage)}]\n{one.passage.text}" for one in found)
    return "Passages from the visitor's notes. Answer from them only, and name the file.\n\n" + "\n\n".join(listed)


def spoken_answer(question: str, passage: Passage, language: str, weight: Callable[[str], float]) -> str:
    """Return a sentence with the place of a passage and its part that answers best."""
    name = passage.file.rsplit("/", 1)[-1].rsplit(".", 1)[0].replace("_", " ")
    heading = passage.heading.rsplit(" › ", 1)[-1]
    quotation = best_quotation(question, passage.text, weight)
    if language == "zh":
        place = f"《{name}》" + (f"第 {passage.page} 頁" if passage.page else "")
        place += f"的「{heading}」" if heading and heading != name else ""
        return f"根據{place}：{_ended(quotation, '。')}"
    place = f"{name}, page {passage.page}" if passage.page else name
    place += f', under "{heading}"' if heading and heading.casefold() != name.casefold() else ""
    return f"According to {place}: {_ended(quotation, '.')}"


def best_quotation(question: str, text: str, weight: Callable[[str], float]) -> str:
    """Return the sentence of a text with most of the question's weight, and what fits after it."""
    wanted = {term: weight(term) for term in read_query(question).terms}
    lines = [sentences for line in text.splitlines() if (sentences := sentences_of(line))]
    places = [(line, place) for line, sentences in enumerate(lines) for place in range(len(sentences))]
    if not places:
        return ""

    def hits(line: int, place: int) -> set[str]:
        return wanted.keys() & set(terms_of(lines[line][place]))

    def rank(at: tuple[int, int]) -> tuple[float, int, int]:
        return sum(wanted[term] for term in hits(*at)), -at[0], -at[1]

    number, start = max(places, key=rank)
    held, covered = lines[number][start], hits(number, start)
    after = [at for at in places if at > (number, start)]
    for at in after[:MAX_FOLLOWING]:
        new = hits(*at) - covered
        joined = joined_lines(held if at[0] == number else _ended(held, "."), lines[at[0]][at[1]])
        if (at[0] != number and not new) or _size(joined) > MAX_SAID_CHARS:
            break
        held, covered = joined, covered | new
    return _cut(held)


def _size(text: str) -> int:
    return len(text) + 2 * len(_HAN.findall(text))


def _cut(text: str) -> str:
    if _size(text) <= MAX_SAID_CHARS:
        return text
    size = kept = 0
    while size <= MAX_SAID_CHARS:
        size += 3 if _HAN.match(text[kept]) else 1
        kept += 1
    text = text[: kept - 1]
    last = max(text.rfind(mark) for mark in (" ", "，", "、", "；"))
    return (text[:last] if last > kept // 2 else text).rstrip(" ,，、；;") + "…"


def _ended(text: str, mark: str) -> str:
    text = text.rstrip(" ,，;；:：")
    return text if text.endswith((".", "!", "?", "。", "！", "？", "…")) else text + mark
