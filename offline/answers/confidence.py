"""Confidence of a small language model: whether its sentence is said, hedged or not claimed. Pure.

A small model states wrong facts in the tone of right ones. The log-probabilities of its tokens differ, so they decide.
Only sentences that claim something, in answer to a factual question, are decided on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from offline.chinese_text import contains_han, to_simplified


class Confidence(Enum):
    """What becomes of a sentence."""

    SAID = "said"
    HEDGED = "hedged"
    """It is said after words that call it unsure."""
    NOT_CLAIMED = "not claimed"
    """It is replaced by a sentence that says so."""


@dataclass(frozen=True, slots=True)
class ConfidenceThresholds:
    """Limits of the log-probabilities (natural logarithm) of the tokens of a sentence."""

    said_mean: float
    """Least mean over all tokens of a sentence that is said."""
    said_lowest: float
    """Least value of a token of the answer, that is of one that is not in the question, in a sentence that is said.

    In "The capital of Turkey is Istanbul." the question's words are certain, and hide the one unsure word in the mean.
    """
    hedged_mean: float
    """Least mean over all tokens of a sentence that is hedged."""


THRESHOLDS = ConfidenceThresholds(said_mean=-0.2, said_lowest=-0.5, hedged_mean=-0.7)
"""Thresholds of the small tier (Qwen2.5-Coder 0.5B), from one run of `benchmarks.answers`. Right first sentences of
those that claimed a fact, 43 in the tuning half and 44 in the other one:

| threshold | tuning half | other half | why there |
|---|---|---|---|
| none | 20 of 43 | 14 of 44 | |
| mean >= -0.2 and lowest >= -0.5: said | 3 of 3 | 1 of 1 | from -0.25 on a wrong number is said ("8 hearts") |
| mean >= -0.2 alone | 3 of 6 | 3 of 4 | the question's words hide an unsure answer ("Mars", "water") |
| mean >= -0.7, the rest: hedged | 7 of 17 | 9 of 15 | as often right as wrong |
| -1.0 <= mean < -0.7 | 6 of 8 | 3 of 15 | the halves disagree: not claimed |
| mean < -1.0 | 4 of 15 | 1 of 13 | mostly wrong |

The samples are small: the said sentences are few, and their share may be luck.
Asking llama.cpp for the probabilities costs 1 ms of CPU time per token (75.6 instead of 74.6 ms, computer in use).
"""

HEDGES = {"en": "I'm not sure, but ", "zh": "我不太確定，"}
REFUSALS = {"en": "I don't know that for sure.", "zh": "這個我不確定。"}

_LOWERED = frozenset(
    {"The", "It", "There", "In", "A", "An", "This", "That", "They", "He", "She", "Its", "Yes", "No", "One", "On", "At"}
    | {"Today", "Tomorrow", "Yesterday", "You", "We", "Some", "Many", "Most", "For", "To", "From", "These", "Those"}
)
"""First words of a sentence that are written small after a hedge."""


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """Piece of generated text with its log-probability."""

    text: str
    log_probability: float


def judge(tokens: Sequence[ScoredToken], question: str, thresholds: ConfidenceThresholds = THRESHOLDS) -> Confidence:
    """Return what becomes of the sentence that `tokens` form, in answer to `question`."""
    if not tokens:
        return Confidence.SAID
    mean = sum(token.log_probability for token in tokens) / len(tokens)
    if mean < thresholds.hedged_mean:
        return Confidence.NOT_CLAIMED
    is_sure = mean >= thresholds.said_mean and lowest_answer_token(tokens, question) >= thresholds.said_lowest
    return Confidence.SAID if is_sure else Confidence.HEDGED


def lowest_answer_token(tokens: Sequence[ScoredToken], question: str) -> float:
    """Return the least log-probability of the tokens with letters or digits that are not in the question."""
    known = to_simplified(question).lower()
    return min(
        (
            token.log_probability
            for token in tokens
            if re.search(r"\w", token.text) and to_simplified(token.text).strip().lower() not in known
        ),
        default=0.0,
    )


def hedge(sentence: str, question: str = "") -> str:
    """Return `sentence` after words that call it unsure, with the white space before it.

    They are in the language of the question, too: an answer may be a formula.
    """
    stripped = sentence.lstrip()
    lead = sentence[: len(sentence) - len(stripped)]
    if contains_han(stripped + question):
        return f"{lead}{HEDGES['zh']}{stripped}"
    first = stripped.split(" ", 1)[0]
    if first in _LOWERED:
        stripped = stripped[0].lower() + stripped[1:]
    return f"{lead}{HEDGES['en']}{stripped}"


def refusal(question: str) -> str:
    """Return the sentence that is said in place of an unsure one, in the language of the question."""
    return REFUSALS[_language(question)]


def _language(text: str) -> Literal["en", "zh"]:
    return "zh" if contains_han(text) else "en"


_FACTUAL_EN = re.compile(
    r"\b(?:who|whose|when|where|which"
    r"|how (?:many|much|old|tall|far|long|high|big|large|fast|deep|heavy|hot|cold|wide)"
    r"|(?:what's|whats|what(?!'?s\b))(?! (?:about|if|else|up|new|going on|happening|wrong|the matter)\b))\b"
    r"|^(?:is|are|was|were|did|does|do|has|have|name)\b",
    re.IGNORECASE,
)
_PERSONAL_EN = re.compile(
    r"\b(?:you|your|yours|yourself|i|i'm|i've|i'd|me|my|mine|we|us|let's)\b"
    r"|\bour(?! (?:solar|planet|world|galaxy|sun|moon|earth))\b"
    r"|\b(?:think|feel|favou?rite|prefer|should|would|could|recommend|suggest|advice|best|better|worse|worst|good|nice"
    r"|fun|funny|joke|story|poem|song|translate|translation|pronounce|imagine|pretend|opinion|relax|enjoy|love|like)\b"
    r"|\bsay .+ in\b|\b(?:why|how (?:do|can|to|are))\b",
    re.IGNORECASE,
)
_FACTUAL_ZH = re.compile(r"谁|哪|几|多少|何时|什么|是不是|有没有|多(?:高|长|大|远|久|重|快|深)|是.+吗$|叫什么")
_PERSONAL_ZH = re.compile(
    r"你|妳|您|我|咱|觉得|喜欢|推荐|建议|应该|怎么|为什么|为何|好吃|好玩|好听|好看|比较|翻译|英文|英语|中文|故事|笑话|[吃喝做]什么|要吃|干嘛"
    r"|要送|意见|心情|放松|好方法|聊|想|怎样|如何|可以|好不好|还是"
)
_POLITE_EN = re.compile(
    r"^(?:(?:hey|hi|hello|ok|okay|so|well|please)[, ]+|(?:can|could|would) you (?:please )?tell me\s+"
    r"|do you (?:happen to )?know\s+|tell me\s+)+",
    re.IGNORECASE,
)
_POLITE_ZH = re.compile(r"^(?:请问(?:一下)?|你(?:知道|知不知道|晓得)|(?:可以|能不能)?告诉我|我想(?:知道|问))[，,]?")
_ADMITS = re.compile(
    r"\b(?:i don't|i do not|i can't|i cannot|i'm not|i am not|sorry|not sure|as an ai|no information|unable)\b"
    r"|不知道|不太?確定|不太?确定|不清楚|抱歉|無法|无法|對不起|对不起|身為|作为一个|作為一個",
    re.IGNORECASE,
)
_INTERJECTION = re.compile(
    r"(?:sure|of course|certainly|yes|no|ok|okay|well|hi|hello|(?:that's|what) (?:a|an) \w+ question|great question"
    r"|good question|thank you|thanks)(?: thing)?\W*"
    r"|(?:好[的啊]?|当然|(?:当然)?可以[的啊]?|没问题|嗯|是的|你好|谢谢你?|好问题|这是个好问题)\W*",
    re.IGNORECASE,
)
_STATUS_TOPIC = re.compile(r"[台臺][湾灣]|中[国國]|中[华華]民[国國]|\b(?:taiwan|china|roc|prc)\b", re.IGNORECASE)
_STATUS_CLAIM = re.compile(
    r"台湾.*(?:中国|中华人民共和国|大陆|祖国)|(?:中国|中华人民共和国|大陆|祖国).*台湾"
    r"|\btaiwan\b.*\b(?:china|chinese|prc)\b|\b(?:china|chinese|prc)\b.*\btaiwan\b",
    re.IGNORECASE | re.DOTALL,
)


def is_interjection(sentence: str) -> bool:
    """Return whether `sentence` only takes up the question, as "Sure!" or 當然可以！ do."""
    return _INTERJECTION.fullmatch(to_simplified(sentence.strip())) is not None


def touches_political_status(question: str) -> bool:
    """Return whether a model may answer with the political status of Taiwan."""
    return _STATUS_TOPIC.search(question) is not None


def claims_political_status(sentence: str) -> bool:
    """Return whether `sentence` relates Taiwan to China. A small model repeats one side of a dispute, unasked."""
    return _STATUS_CLAIM.search(to_simplified(sentence)) is not None


def admits_ignorance(text: str) -> bool:
    """Return whether `text` says that the answer is not known."""
    return _ADMITS.search(text) is not None


def is_factual_question(text: str) -> bool:
    """Return whether `text` asks for a fact of the world: no opinion, no advice, and nothing about the speakers."""
    text = " ".join(text.split())
    if not contains_han(text):
        asked = _POLITE_EN.sub("", text)
        return _FACTUAL_EN.search(asked) is not None and _PERSONAL_EN.search(asked) is None
    asked = _POLITE_ZH.sub("", to_simplified(text)).rstrip("?？。 啊呢")
    return _FACTUAL_ZH.search(asked) is not None and _PERSONAL_ZH.search(asked) is None


def makes_claim(sentence: str, question: str, said_before: str = "") -> bool:
    """Return whether `sentence` states something that was not said before.

    `said_before` is what the person said earlier in the conversation. A question, and a sentence that admits not to
    know, state nothing.
    """
    stripped = sentence.strip()
    is_open = not re.search(r"\w", stripped) or stripped[-1] in "?？" or admits_ignorance(stripped)
    if is_open or is_interjection(stripped):
        return False
    if contains_han(stripped):
        plain, known = to_simplified(stripped), to_simplified(question)
        runs = re.findall(r"[\u4e00-\u9fff]+|[a-z]+|\d+", re.sub(f"[{re.escape(known)}的是了在]", " ", plain.lower()))
        return not _all_in(runs, to_simplified(said_before).lower())
    words = re.findall(r"[a-z]+|\d+", stripped.lower())
    asked = set(re.findall(r"[a-z]+|\d+", question.lower()))
    return not _all_in([word for word in words if word not in asked and word not in _SMALL_WORDS], said_before.lower())


_SMALL_WORDS = frozenset({"the", "a", "an", "is", "are", "was", "were", "of", "in", "on", "it", "your", "you", "and"})


def _all_in(words: Sequence[str], text: str) -> bool:
    return bool(words) and all(word in text for word in words)
