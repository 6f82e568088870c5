"""Filter of a reply by the language model here: sure sentences only, and two of them when spoken. Pure.

Only a factual question's sentences are held: until their end, and the first one for at most `MAX_HELD_TOKENS`. Other
text passes at once.
"""

from __future__ import annotations

import re

from offline.protocol.worker_messages import ReplyRequest

from .confidence import (
    Confidence,
    ScoredToken,
    claims_political_status,
    hedge,
    is_factual_question,
    is_interjection,
    judge,
    makes_claim,
    refusal,
    touches_political_status,
)
from .sentences import SPOKEN_SENTENCES, sentence_end, wants_long_reply

MAX_HELD_TOKENS = 24
"""Tokens for which the first sentence is held, about a second of generation. A longer one is decided on by its
beginning, and is never said as sure: its end is not known."""


class AnswerFilter:
    """Filter of one reply. It takes the pieces as the model generates them, and returns the text to deliver."""

    def __init__(
        self, request: ReplyRequest, *, is_small_model: bool, spoken_sentences: int = SPOKEN_SENTENCES
    ) -> None:
        """`is_small_model`: the thresholds of `confidence` hold for the model.

        `spoken_sentences` limits a spoken reply unless more is asked for.
        """
        last = request.messages[-1] if request.messages else None
        is_answer = request.is_turn and last is not None and last.role == "user"
        self._question = last.text if is_answer and last is not None else ""
        self._said_before = " ".join(m.text for m in request.messages[:-1] if m.role in ("user", "system"))
        self.needs_probabilities = is_answer and is_small_model and is_factual_question(self._question)
        """Whether the request of the model has to ask for log-probabilities."""
        self._checks_status = is_answer and is_small_model and touches_political_status(self._question)
        self._sentences_left: int | None = None
        if is_answer and request.speak and not wants_long_reply(request):
            self._sentences_left = spoken_sentences
        self.is_complete = False
        """Whether the reply has ended. Later text is not needed."""
        self._pending = ""
        """Text of the incomplete sentence."""
        self._tokens: list[ScoredToken] = []
        """Pieces of the incomplete sentence with known probabilities."""
        self._delivered_chars = 0
        """Characters of the incomplete sentence that were delivered."""
        self._total: float | None = None
        self._has_answered = False
        self._was_hedged_early = False
        """The incomplete sentence was hedged by its beginning, and passes."""
        self._is_in_code = False
        """Whether the text so far ends within a code block."""

    def push(self, piece: str, log_probability: float | None) -> str:
        """Return the text to deliver now. `log_probability` is the sum over the reply so far; None when unknown."""
        if self.is_complete:
            return ""
        if log_probability is not None:
            self._tokens.append(ScoredToken(piece, log_probability - (self._total or 0.0)))
            self._total = log_probability
        self._pending += piece
        out = ""
        while not self.is_complete and (end := sentence_end(self._pending)) is not None:
            out += self._end_sentence(end)
        if not self.is_complete and self._is_gated and len(self._tokens) >= MAX_HELD_TOKENS:
            out += self._decide_early()
        if not self.is_complete and not self._holds:
            out += self._pending[self._delivered_chars :]
            self._delivered_chars = len(self._pending)
        return out

    def flush(self, *, is_whole: bool = True) -> str:
        """Return the rest of the text at the end of the reply. `is_whole`: the model itself ended it."""
        if self.is_complete or not self._pending.strip():
            return ""
        if self._holds and not is_whole and self._has_answered:
            return ""
        return self._end_sentence(len(self._pending))

    @property
    def _holds(self) -> bool:
        """Whether the incomplete sentence waits for its end."""
        return self._is_gated or self._checks_status

    @property
    def _is_gated(self) -> bool:
        """Whether probabilities decide on the incomplete sentence."""
        return self.needs_probabilities and self._total is not None and not self._was_hedged_early

    def _end_sentence(self, end: int) -> str:
        """Return what is to be delivered of the sentence that ends at `end`, and count it."""
        sentence, self._pending = self._pending[:end], self._pending[end:]
        rest, self._delivered_chars = sentence[self._delivered_chars :], max(0, self._delivered_chars - end)
        tokens, self._tokens = self._tokens, []
        if self._pending and tokens:  # the last piece belongs to the next sentence, as far as it has text of it
            tokens, self._tokens = (tokens[:-1], tokens[-1:]) if len(tokens) > 1 else (tokens, [])
        if self._checks_status and claims_political_status(sentence):
            out = self._refuse(rest)
        else:
            out = self._decide(rest, sentence, tokens) if self._is_gated else rest
        if self._was_hedged_early:
            self._was_hedged_early, self.is_complete = False, True  # as after any unsure sentence
        if self._is_heard(sentence) and self._sentences_left is not None and not is_interjection(sentence):
            self._sentences_left -= 1
            self.is_complete = self.is_complete or self._sentences_left == 0
        self._has_answered = self._has_answered or bool(out.strip())
        return out

    def _is_heard(self, sentence: str) -> bool:
        """Return whether a sentence is said. Code blocks and tables go to the screen, and may have any length."""
        text = sentence.strip()
        if text.startswith(("```", "~~~")):
            self._is_in_code = not self._is_in_code
            return False
        return bool(text) and not self._is_in_code and not text.startswith("|")

    def _decide_early(self) -> str:
        """Return what is to be delivered of a long first sentence whose end is not known yet."""
        # The sentence before is being spoken; one about Taiwan is judged by its end too.
        may_wait = self._has_answered or self._checks_status
        if may_wait or not makes_claim(self._pending, self._question, self._said_before):
            return ""
        if judge(self._tokens, self._question) is Confidence.NOT_CLAIMED:
            return self._refuse("")
        self._was_hedged_early, self._delivered_chars = True, len(self._pending)
        return hedge(self._pending, self._question)

    def _decide(self, rest: str, sentence: str, tokens: list[ScoredToken]) -> str:
        if not makes_claim(sentence, self._question, self._said_before):
            return rest
        confidence = judge(tokens, self._question)
        if confidence is Confidence.SAID:
            return rest
        if confidence is Confidence.HEDGED and not self._has_answered:
            self.is_complete = True  # the sentences after an unsure one build on it
            return hedge(rest.rstrip(), self._question)
        return self._refuse(rest)

    def _refuse(self, rest: str) -> str:
        """End the reply, and return what is said in place of `rest`: nothing after a sentence that was said."""
        self.is_complete = True
        if self._has_answered:
            return ""
        lead = re.match(r"\s*", rest)
        return (lead[0] if lead else "") + refusal(self._question)
