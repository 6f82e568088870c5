"""Hallucinations of the recognisers: text that music, applause or silence made up. Pure.

Whisper was trained on subtitles and writes their credits where it hears no words. A text is judged as a whole: the same
words within a sentence are speech. Two things decide, what kind of text it is and how likely there was speech at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from offline.chinese_text import HAN_CHARACTER

CREDIT_LINE = re.compile(
    r"^\W*(?:.*字幕\s*(?:by|由|[:：]|志[願愿]者|[組组]|[製制]作|提供|校[對对]|翻[譯译]).*"
    r"|.*(?:支持|打[賞赏])明[鏡镜].*|.*明[鏡镜](?:[與与]點點|与点点|需要[您你]的支持).*"
    r"|優優獨播劇場.*|优优独播剧场.*|yoyo television.*"
    r"|(?:[詞词]曲|作[詞词]|作曲|[編编]曲)(?:\W*[:：、]|\W*(?:作[詞词]|作曲|[編编]曲)|\s+\w{2,4}\W*$).*"
    r"|.*(?:訂閱|订阅).*(?:點[贊讚]|点赞|轉發|转发).*|.*(?:點[贊讚]|点赞).*(?:訂閱|订阅).*|[請请]不吝.*"
    r"|.*amara\.?org.*|(?:subtitle[sd]?|captions?|captioned|transcribed|transcription|translated|translation) by .*"
    r"|(?:please )?(?:like and )?subscribe to (?:my|our|the) channel.*)\W*$",
    re.IGNORECASE | re.DOTALL,
)
"""Credits of subtitles and songs, which people do not say to an assistant."""
COURTESY_LINE = re.compile(
    r"^\W*(?:you|bye(?: bye)?|thank you(?: (?:so|very) much)?(?: for watching)?|thanks for watching.*"
    r"|[謝谢][謝谢](?:大家)?(?:的)?(?:[觀观]看|收看|[觀观][賞赏])|感[謝谢](?:大家)?(?:的)?(?:[觀观]看|收看)|[請请](?:大家)?[訂订][閱阅].*"
    r"|[謝谢][謝谢]大家|我[們们]下[期次集]再[見见])\W*$",
    re.IGNORECASE,
)
"""Closing words of videos, some of which are common speech."""
COURTESY_MAX_LETTERS_PER_S = 14.0
"""Letters per second (a Chinese character counts three) up to which such words are plausible speech."""

MAX_NO_SPEECH_PROBABILITY = 0.6
"""Whisper's "no speech" probability above which any text is made up."""
DOUBTFUL_NO_SPEECH_PROBABILITY = 0.35
"""That above which a text needs a confident decoder. The recordings of the tests stay below 0.3; music, noise and
animals lie between 0.39 and 0.87."""
MIN_MEAN_LOG_PROBABILITY = -1.0
"""Mean log probability of a token below which the decoder guesses. The recordings of the tests stay above -0.8."""
COURTESY_NO_SPEECH_PROBABILITY = 0.2
COURTESY_MIN_LOG_PROBABILITY = -0.8
"""The same limits for closing words, of which the decoder is always fairly sure."""

MIN_ECHO_LETTERS = 4
"""Letters of an echo of the decoder's context. Short answers such as 是 and 可以 occur in it too."""
MIN_REPEATED_WORDS = 3
"""Words of a phrase that people do not say three times without anything else. "No, no, no" is speech."""
MIN_REPEATED_HAN = 4
_REPEATED_PHRASE = re.compile(r"^\W*(.+?)(?:\W+\1){2,}\W*(.*)$", re.IGNORECASE | re.DOTALL)
_REPEATED_HAN = re.compile(rf"^\W*([\u3400-\u9fff]{{{MIN_REPEATED_HAN},}}?)(?:\W*\1){{2,}}")


@dataclass(frozen=True, slots=True)
class SpeechEvidence:
    """Whisper's own doubt about a window."""

    no_speech_probability: float
    mean_log_probability: float
    """Natural logarithm, the mean of the text's tokens."""


NO_DOUBT = SpeechEvidence(0.0, 0.0)
"""Evidence of a recogniser that tells none."""


def _echoes(text: str, context: str) -> bool:
    """Return whether `text` consists of parts of `context`, and is long enough not to be a word of its own."""
    letters, before = (re.sub(r"\W", "", each) for each in (text, context))
    return len(letters) >= MIN_ECHO_LETTERS and all(clause in before for clause in re.findall(r"\w+", text))


def is_made_up(text: str, audio_s: float, evidence: SpeechEvidence = NO_DOUBT, context: str = "") -> bool:
    """Return whether a recogniser that was trained on subtitles made up `text` for `audio_s` seconds of audio.

    `context` is the text that preceded it for the decoder, which repeats it where it hears no words.
    """
    doubt, confidence = evidence.no_speech_probability, evidence.mean_log_probability
    if doubt > MAX_NO_SPEECH_PROBABILITY or CREDIT_LINE.match(text):
        return True
    if doubt > DOUBTFUL_NO_SPEECH_PROBABILITY and confidence < MIN_MEAN_LOG_PROBABILITY:
        return True
    if not (_echoes(text, context) or COURTESY_LINE.match(text)):
        return False
    letters = len(text) + 2 * len(HAN_CHARACTER.findall(text))
    is_too_fast = letters > COURTESY_MAX_LETTERS_PER_S * audio_s
    return is_too_fast or doubt > COURTESY_NO_SPEECH_PROBABILITY or confidence < COURTESY_MIN_LOG_PROBABILITY


def repeats_a_phrase(text: str) -> bool:
    """Return whether `text` begins with a phrase of several words three times in a row, as a recogniser in a loop."""
    if _REPEATED_HAN.match(text):
        return True
    match = _REPEATED_PHRASE.match(text)
    return match is not None and len(re.findall(r"[\w']+", match[1])) >= MIN_REPEATED_WORDS
