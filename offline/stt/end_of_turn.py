"""End-of-turn policy: how long a silence must last, by the words up to it and by how they were said. Pure.

Two judges look at a pause. The words may end a sentence or call for more; Smart Turn hears the voice fall, or an "um".
Either one alone is often wrong: together they cut off half as many people at a shorter median wait. `benchmarks.turns`
measures it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class WordsVerdict(Enum):
    """What the words up to a pause say about the end of the turn."""

    FINISHED = "finished"
    """They end a sentence."""
    UNCLEAR = "unclear"
    """They neither end a sentence nor call for more."""
    UNFINISHED = "unfinished"
    """They call for more: a comma, "and", 因為, a telephone number under way."""


_CLOSING = r"[\"'”’」』)）]*\s*$"
SENTENCE_END = re.compile(r"[.!?。！？]" + _CLOSING)
CONTINUATION_END = re.compile(
    r"(?:[,;:，、；：…—-]|\.\.\."
    r"|\b(?:and|or|but|because|if|whether|unless|although|than|which|whose|the|an?|my|your|our|their|um+|uh+|er+)[.?…]*"
    r"|(?:但是|可是|因為|因为|所以|如果|然後|然后|還有|还有|以及|或者|的話|的话|告訴我|告诉我|幫我|帮我|提醒我"
    r"|能不能|有沒有|有没有|[把跟從从比請请])[.。？…]*)" + _CLOSING,
    re.IGNORECASE,
)
"""Ends of words that call for more, with or without the full stop that a recogniser always adds."""
POSSIBLE_CONTINUATION_END = re.compile(
    r"(?:\b(?:so|that|to|of|with|for|from|by|about|in|at|on|into|since|until|who|is|are|was|i|we|well|like)"
    r"|[和與跟或但給给叫到在對对要想是說说一很最]|去了|就是|那個|那个|覺得|觉得|打算|希望|以為|以为|決定|决定|準備|准备|需要"
    r"|可不可以|知不知道|一直|已經|已经|正在|非常|嗯|呃)([.。?？]?)" + _CLOSING,
    re.IGNORECASE,
)
"""Words that call for more, or end a sentence ("I think so."). A full stop or question mark leaves it open."""
CONDITION_ALONE = re.compile(
    r"^\W*(?:(?:if|unless|although)\b[^,]*|(?:如果|要是|雖然|虽然|就算)[^，,就也還还都]*)$", re.IGNORECASE
)
"""Whole turns of a condition whose consequence is still to come."""
SHORT_ANSWER = re.compile(r"^\W*(?:對|对|不對|不对|是|不是|要|不要|想|不想)\W*$")
"""Whole turns of such a word, which are answers."""
NUMBER_END = re.compile(r"(?:\d[\d\s-]*|[零〇一二三四五六七八九]+)([.。]?)" + _CLOSING)
"""Digits at the end, of which more may follow."""
NUMBER_UNDER_WAY_DIGITS = range(3, 10)
"""Digits of a number that is probably under way. A telephone number has ten, a small number one or two."""


def _number_under_way(transcript: str) -> re.Match[str] | None:
    """Return the match of digits at the end that are fewer than a telephone number's and more than a quantity's."""
    number = NUMBER_END.search(transcript)
    return number if number is not None and len(re.findall(r"\w", number[0])) in NUMBER_UNDER_WAY_DIGITS else None


def judge_words(transcript: str) -> WordsVerdict:
    """Return what the transcript of the turn so far says about its end; `UNCLEAR` without words."""
    if SHORT_ANSWER.search(transcript):
        return WordsVerdict.FINISHED
    if CONTINUATION_END.search(transcript) or CONDITION_ALONE.search(transcript):
        return WordsVerdict.UNFINISHED
    number = _number_under_way(transcript)
    if number is not None and number[0][0] in "0零〇":  # no quantity begins with it
        return WordsVerdict.UNFINISHED
    if (possible := POSSIBLE_CONTINUATION_END.search(transcript) or number) is not None:
        return WordsVerdict.UNCLEAR if possible[1] else WordsVerdict.UNFINISHED
    return WordsVerdict.FINISHED if SENTENCE_END.search(transcript) else WordsVerdict.UNCLEAR


@dataclass(frozen=True, slots=True)
class SilencePolicy:
    """Milliseconds of silence that end a turn, by the words alone."""

    finished_ms: int
    unclear_ms: int
    """Also while neither the words nor the voice are judged."""
    unfinished_ms: int


@dataclass(frozen=True, slots=True)
class VoicedSilencePolicy:
    """Milliseconds of silence that end a turn, by the words and by Smart Turn's probability. The defaults are those of
    `eagerness: "auto"`."""

    complete_ms: int = 250
    """For a finished sentence in a voice that has finished. Shorter than 250, an in-breath would end the turn; longer,
    the reply that is prepared from 128 ms on would wait for it."""
    unclear_ms: int = 450
    """For a voice that has finished and words without a clear end: many answers have none."""
    incomplete_ms: int = 1000
    """For a voice that goes on. It is wrong for one finished turn in four, which then waits a second; most pauses
    inside a sentence are shorter."""
    unfinished_ms: int = 1500
    """For words that call for more, however they were said: a read-aloud comma sounds like an end."""


SILENCE_POLICIES = {
    "low": SilencePolicy(800, 1600, 8000),
    "medium": SilencePolicy(400, 800, 4000),
    "auto": SilencePolicy(400, 800, 4000),
    "high": SilencePolicy(250, 450, 2000),
}
"""Policy without Smart Turn by the `eagerness` of `semantic_vad`."""

VOICED_SILENCE_POLICIES = {
    "low": VoicedSilencePolicy(600, 1000, 2000, 3000),
    "medium": VoicedSilencePolicy(),
    "auto": VoicedSilencePolicy(),
    "high": VoicedSilencePolicy(200, 350, 700, 1200),
}
"""Policy with Smart Turn by the `eagerness` of `semantic_vad`."""

COMPLETE_PROBABILITY = 0.5
"""Probability from which on Smart Turn calls a turn over. The model was trained for it; a higher one holds back more
finished turns than it saves unfinished ones."""
HARD_END_MS = 4000
"""Milliseconds after which a turn that Smart Turn has judged ends, whatever the words. A listener would have spoken by
then."""


def adaptive_silence_ms(silence_ms: int, transcript: str | None, turn_end_probability: float | None) -> int:
    """Return the milliseconds of silence that end a turn with `server_vad` and `adaptive_silence`.

    `transcript` None: the pause is not judged yet, which takes about a third of a second. `silence_ms` is the fixed
    silence. It holds for sounds without words, and where Smart Turn did not judge.
    """
    if transcript is None:
        return max(silence_ms, VOICED_SILENCE_POLICIES["auto"].unclear_ms)
    if not transcript or turn_end_probability is None:
        return silence_ms
    return semantic_silence_ms("auto", transcript, turn_end_probability)


def semantic_silence_ms(eagerness: str, transcript: str, turn_end_probability: float | None = None) -> int:
    """Return the milliseconds of silence that end a turn with this transcript so far.

    `turn_end_probability` is Smart Turn's for the same pause. None: it is not known, and the words alone decide.
    """
    words = judge_words(transcript)
    if turn_end_probability is None:
        alone = SILENCE_POLICIES[eagerness]
        match words:
            case WordsVerdict.FINISHED:
                return alone.finished_ms
            case WordsVerdict.UNCLEAR:
                return alone.unclear_ms
            case WordsVerdict.UNFINISHED:
                return alone.unfinished_ms
    policy = VOICED_SILENCE_POLICIES[eagerness]
    if words is WordsVerdict.UNFINISHED:
        wait_ms = policy.unfinished_ms
    elif turn_end_probability < COMPLETE_PROBABILITY:
        wait_ms = policy.incomplete_ms
    else:
        wait_ms = policy.complete_ms if words is WordsVerdict.FINISHED else policy.unclear_ms
    return min(wait_ms, HARD_END_MS)
