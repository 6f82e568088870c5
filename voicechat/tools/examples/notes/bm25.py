"""BM25: ranking of passages by the words of a question. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from voicechat.tools.examples.notes.passages import Passage
from voicechat.tools.examples.notes.terms import Query, pairs_of, read_query, terms_of

K1 = 1.2
"""Saturation of repeated terms."""
B = 0.75
"""Weight of a passage's length."""
HEADING_WEIGHT = 4
"""Times that a term of the nearest heading counts. One of the file's name or a heading above it counts once."""
MIN_COVERAGE = 0.5
"""Least share of a question that a passage must contain; below it nothing fits."""
CHARACTER_WEIGHT = 0.7
"""Weight of a Chinese character in that share. A word weighs from 1, when common, to 2."""
MAX_CANDIDATES = 100
"""Passages of the highest scores whose share is worked out."""


@dataclass(frozen=True, slots=True)
class CountedPassage:
    """A passage with how often it contains each term."""

    passage: Passage
    counts: dict[str, int]
    length: int

    @classmethod
    def of(cls, passage: Passage) -> CountedPassage:
        """Count the terms of a passage, its headings and its file's name."""
        counts = Counter(terms_of(passage.text))
        length = max(1, counts.total())
        above, _, nearest = passage.heading.rpartition(" › ")
        name = passage.file.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        counts.update(set(terms_of(f"{name.replace('_', ' ')} {above}")))
        for term in set(terms_of(nearest)):
            counts[term] += HEADING_WEIGHT
        return cls(passage, dict(counts), length)


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that fits a question."""

    passage: Passage
    score: float
    coverage: float
    """Share of the question that the passage contains, up to 1."""


class Bm25Index:
    """Passages ranked by BM25. It does not change: another one is made when documents change."""

    def __init__(self, passages: Sequence[CountedPassage]) -> None:
        self._passages = passages
        self._mean_length = sum(one.length for one in passages) / max(1, len(passages))
        self._holders: dict[str, list[int]] = {}
        for number, one in enumerate(passages):
            for term in one.counts:
                self._holders.setdefault(term, []).append(number)

    def weight(self, term: str) -> float:
        """Return the weight of a term: rare ones weigh more, unknown ones most."""
        holders = len(self._holders.get(term, ()))
        return math.log(1 + (len(self._passages) - holders + 0.5) / (holders + 0.5))

    def find(self, question: str, limit: int) -> list[Found]:
        """Return the best passages that fit a question, best first; [] when nothing fits."""
        query = read_query(question)
        scores: dict[int, float] = {}
        for term in query.terms:
            weight = self.weight(term)
            for number in self._holders.get(term, ()):
                one = self._passages[number]
                count = one.counts[term]
                norm = count + K1 * (1 - B + B * one.length / self._mean_length)
                scores[number] = scores.get(number, 0.0) + weight * count * (K1 + 1) / norm
        best = sorted(scores, key=lambda number: (-scores[number], number))[:MAX_CANDIDATES]
        found = [
            Found(self._passages[number].passage, scores[number], self._coverage(query, self._passages[number].counts))
            for number in best
        ]
        fitting = [one for one in found if one.coverage >= MIN_COVERAGE]
        return sorted(fitting, key=lambda one: -one.score * one.coverage)[:limit]

    def _coverage(self, query: Query, counts: dict[str, int]) -> float:
        total = covered = 0.0
        rarest = self.weight("")  # of a term that no passage has
        for word in query.words:
            weight = 1 + self.weight(word) / rarest
            total += weight
            covered += weight * (word in counts)
        for run in query.runs:
            total += CHARACTER_WEIGHT * len(run)
            held = {
                place
                for start, pair in enumerate(pairs_of(run))
                if pair in counts
                for place in range(start, start + len(pair))
            }
            covered += CHARACTER_WEIGHT * len(held)
        return covered / total if total else 0.0
