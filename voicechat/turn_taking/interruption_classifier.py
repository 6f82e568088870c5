"""Interruption classifier: decides whether a sound over a reply is an interruption or a cough. Pure: times go in.

The first sound ducks the reply and does not stop it. Then a voice that lasts, or words, interrupt the reply; a sound
without words, or a backchannel such as "mm", resumes it.

    IDLE ── start_speech() ──▶ SPEECH_ACTIVE ── end_speech() ──▶ SPEECH_ENDED ── reply ran out ──▶ AWAITING_TRANSCRIPT
"""

from __future__ import annotations

import re
from enum import Enum

MIN_INTERRUPTION_S = 0.4
"""Seconds of voice that are an interruption. A cough or an "mm" takes 0.2-0.35 s, two syllables of a sentence 0.4 s.
Other voice agents wait for 0.3-0.5 s at full loudness."""
VAD_ONSET_S = 0.15
"""Seconds that a voice has lasted when `speech_started` comes: detectors need 0.1 s, the rest is the network."""
SPEECH_STOPPED_SLACK_S = 0.05
"""Seconds of tolerance for a late `speech_stopped`."""
MAX_CLASSIFICATION_S = 1.5
"""Seconds after which a sound that does not end is an interruption, even if the server waits for a longer silence."""
TRANSCRIPT_TIMEOUT_S = 2.0
"""Seconds that the transcript of a sound is awaited. Then it counts as an interruption: stopping for nothing is better
than ignoring the visitor."""
MAX_UTTERANCES = 8
"""Sounds classified together; one more is an interruption."""


class ClassifierState(Enum):
    """Progress of a classification."""

    IDLE = "idle"
    SPEECH_ACTIVE = "speaking"
    """A sound over the reply lasts."""
    SPEECH_ENDED = "stopped"
    """The sound was short. Its transcript is awaited."""
    AWAITING_TRANSCRIPT = "left"
    """The same, after the reply has run out: the turn is the visitor's if it has words."""


class InterruptionVerdict(Enum):
    """Result of a classification."""

    INTERRUPT = "interrupt"
    FALSE_INTERRUPTION = "resume"
    PENDING = "wait"
    """The reply has run out, and the transcript that decides is still awaited."""


class TranscriptKind(Enum):
    """Kind of a transcript."""

    EMPTY = "nothing"
    BACKCHANNEL = "backchannel"
    """A word of a listener that wants no reply."""
    SPEECH = "words"


_CHINESE_BACKCHANNEL_CHARS = "嗯恩唔哦喔噢啊阿呃欸诶誒哼呵哈對对是好"
_ENGLISH_BACKCHANNELS = (
    *("mm", "mmm", "mhm", "mmhm", "mmhmm", "mm hm", "mm hmm", "hm", "hmm", "hmmm", "uh", "uhh", "um", "umm"),
    *("uh huh", "uhhuh", "huh", "ah", "ahh", "aha", "oh", "ooh", "eh", "er", "ha", "haha", "hahaha"),
    *("yeah", "yea", "yep", "yup", "yes", "ok", "okay", "right", "sure", "i see", "got it"),
)
_ENGLISH_PATTERN = "|".join(sorted(map(re.escape, _ENGLISH_BACKCHANNELS), key=len, reverse=True))
BACKCHANNEL_PATTERN = re.compile(
    rf"(?:(?:[{_CHINESE_BACKCHANNEL_CHARS}]的?|(?:{_ENGLISH_PATTERN})(?![a-z]))\s*){{1,6}}"
)
"""A whole transcript without punctuation: one to six backchannels (嗯嗯, 對對對, "okay, yeah")."""


MAX_BACKCHANNEL_CHARS = 60
"""Characters of the longest backchannel."""


def _normalize(text: str) -> str:
    """Return the text in lower case, without punctuation."""
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def classify_transcript(text: str) -> TranscriptKind:
    """Return the kind of a whole transcript."""
    plain = _normalize(text)
    if not plain:
        return TranscriptKind.EMPTY
    return TranscriptKind.BACKCHANNEL if BACKCHANNEL_PATTERN.fullmatch(plain) else TranscriptKind.SPEECH


def may_be_backchannel(text: str) -> bool:
    """Return whether the start of a transcript may still become a backchannel: "m", "uh", "I s"."""
    plain = _normalize(text)
    if classify_transcript(plain) is not TranscriptKind.SPEECH:
        return True
    word_starts = [
        index for index in range(min(len(plain), MAX_BACKCHANNEL_CHARS)) if not index or not plain[index - 1].isascii()
    ]
    word_starts += [found.end() for found in re.finditer(" ", plain[:MAX_BACKCHANNEL_CHARS])]
    return any(
        classify_transcript(plain[:start]) is not TranscriptKind.SPEECH
        and any(word.startswith(plain[start:]) for word in _ENGLISH_BACKCHANNELS)
        for start in word_starts
    )


class InterruptionClassifier:
    """Classifies the sounds over one reply, one by one or several together."""

    def __init__(self, silence_s: float) -> None:
        """`silence_s`: seconds of silence before the server sends `speech_stopped`."""
        self.state = ClassifierState.IDLE
        self.speech_stopped_at = 0.0
        """Time at which the last sound ended."""
        self.set_silence_duration(silence_s)
        self._speech_started_at = 0.0
        self._current_item_id = ""
        self._transcript_kinds: dict[str, TranscriptKind | None] = {}
        """Kind of transcript by item of each sound; None while it is awaited."""

    def set_silence_duration(self, silence_s: float) -> None:
        """Set the seconds of silence before the server sends `speech_stopped`."""
        self._max_speech_s = min(
            MAX_CLASSIFICATION_S, MIN_INTERRUPTION_S - VAD_ONSET_S + silence_s + SPEECH_STOPPED_SLACK_S
        )

    @property
    def classifying(self) -> bool:
        """A sound is being classified while the reply goes on."""
        return self.state in (ClassifierState.SPEECH_ACTIVE, ClassifierState.SPEECH_ENDED)

    @property
    def speech_started_at(self) -> float:
        """Time at which the server noticed the sound that lasts."""
        return self._speech_started_at

    def start_speech(self, item_id: str, now: float) -> InterruptionVerdict | None:
        """Start to classify a sound over the reply."""
        if self.state is ClassifierState.SPEECH_ACTIVE:
            self._transcript_kinds.pop(self._current_item_id, None)  # it has no end: the server dropped it
        self.state, self._current_item_id, self._speech_started_at = ClassifierState.SPEECH_ACTIVE, item_id, now
        self._transcript_kinds[item_id] = None
        return InterruptionVerdict.INTERRUPT if len(self._transcript_kinds) > MAX_UTTERANCES else None

    def end_speech(self, item_id: str, now: float) -> InterruptionVerdict | None:
        """Note the end of the sound."""
        if self.state is not ClassifierState.SPEECH_ACTIVE or item_id not in ("", self._current_item_id):
            return None
        self.state, self.speech_stopped_at = ClassifierState.SPEECH_ENDED, now
        return self._judge_transcripts()

    def apply_transcript(self, item_id: str, text: str, *, is_final: bool) -> InterruptionVerdict | None:
        """Classify a sound by its transcript, "" also after a failure. `is_final`: no more of it comes."""
        if self.state is ClassifierState.IDLE or item_id not in self._transcript_kinds:
            return None
        if not is_final:
            return None if may_be_backchannel(text) else InterruptionVerdict.INTERRUPT
        self._transcript_kinds[item_id] = found = classify_transcript(text)
        return InterruptionVerdict.INTERRUPT if found is TranscriptKind.SPEECH else self._judge_transcripts()

    def _judge_transcripts(self) -> InterruptionVerdict | None:
        if self.state is ClassifierState.SPEECH_ACTIVE or None in self._transcript_kinds.values():
            return None
        has_backchannel = TranscriptKind.BACKCHANNEL in self._transcript_kinds.values()
        # After the end of the reply, an "mm" is an answer.
        return (
            InterruptionVerdict.INTERRUPT
            if self.state is ClassifierState.AWAITING_TRANSCRIPT and has_backchannel
            else InterruptionVerdict.FALSE_INTERRUPTION
        )

    def tick_20ms(
        self, now: float, voice_s: float, reply_in_progress: bool, server_responds: bool
    ) -> InterruptionVerdict | None:
        """Classify a sound by its duration, every 20 ms.

        `voice_s`: seconds of voice in the microphone without a pause. `reply_in_progress`: the reply still goes on.
        `server_responds`: the server will answer the visitor's turn by itself.
        """
        match self.state:
            case ClassifierState.IDLE:
                return None
            case ClassifierState.SPEECH_ACTIVE:
                lasts = voice_s >= MIN_INTERRUPTION_S or now - self._speech_started_at >= self._max_speech_s
                return InterruptionVerdict.INTERRUPT if lasts or not reply_in_progress else None
            case ClassifierState.SPEECH_ENDED if not reply_in_progress:
                self.state = ClassifierState.AWAITING_TRANSCRIPT
                return InterruptionVerdict.INTERRUPT if server_responds else InterruptionVerdict.PENDING
        return InterruptionVerdict.INTERRUPT if now - self.speech_stopped_at >= TRANSCRIPT_TIMEOUT_S else None

    def reset(self) -> list[str]:
        """End the classification. Return the items without words."""
        empty = [item_id for item_id, found in self._transcript_kinds.items() if found is TranscriptKind.EMPTY]
        self.state, self._current_item_id = ClassifierState.IDLE, ""
        self._transcript_kinds.clear()
        return empty
