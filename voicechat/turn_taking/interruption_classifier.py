"""Duck, then decide: is a sound that the visitor makes over a reply an interruption, or a cough? Pure, times handed in.

At the first sound the voice is lowered, not stopped. What comes next decides: a voice that goes on, or words, interrupt
the reply; a sound in which nothing was said, or an "mm" that only shows that one listens, lets it go on.

    IDLE ── begin() ──▶ SPEAKING ── stopped() ──▶ STOPPED ── the reply ran out, its answer was refused ──▶ LEFT
"""

from __future__ import annotations

import re
from enum import Enum

MIN_INTERRUPTION_S = 0.4
"""Seconds of voice that are an interruption. A cough or an "mm" takes 0.2-0.35 s, two syllables of a sentence 0.4;
agents in the field wait for 0.3-0.5 s, and meanwhile talk on aloud, which ours does not."""
VAD_ONSET_S = 0.15
"""How long a voice has lasted when `speech_started` comes: detectors want 0.1 s of it, the rest is the way."""
SPEECH_STOPPED_SLACK_S = 0.05
"""For a `speech_stopped` that is a little late."""
MAX_CLASSIFICATION_S = 1.5
"""At most so long is a sound judged that does not end, however long a silence the server waits for."""
TRANSCRIPT_TIMEOUT_S = 2.0
"""So long after the end of a sound its words are waited for. Then it counts as an interruption: stopping for nothing is
better than ignoring a person."""
MAX_UTTERANCES = 8
"""Sounds judged together: somebody who makes more of them wants to be heard."""


class ClassifierState(Enum):
    """What is being judged."""

    IDLE = "idle"
    """Nothing."""
    SPEECH_ACTIVE = "speaking"
    """A sound has begun over the reply, and lasts."""
    SPEECH_ENDED = "stopped"
    """It was short. What was said in it is awaited."""
    AWAITING_TRANSCRIPT = "left"
    """The same, but the reply has run out meanwhile: it is the visitor's turn, if anything was said."""


class InterruptionVerdict(Enum):
    """What a sound turned out to be."""

    INTERRUPT = "interrupt"
    FALSE_INTERRUPTION = "resume"
    PENDING = "wait"
    """The reply has run out, and whether there is anything to answer is not known yet."""


class TranscriptKind(Enum):
    """What a transcript is."""

    EMPTY = "nothing"
    BACKCHANNEL = "backchannel"
    """A word that shows that one listens, and wants no answer."""
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
"""The whole of a transcript without its marks, at most six times: 嗯嗯, 對對對, "okay, yeah"."""


MAX_BACKCHANNEL_CHARS = 60
"""Characters of a transcript that can be nothing but that."""


def _normalize(text: str) -> str:
    """In small letters, without marks."""
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def classify_transcript(text: str) -> TranscriptKind:
    """What a whole transcript is."""
    plain = _normalize(text)
    if not plain:
        return TranscriptKind.EMPTY
    return TranscriptKind.BACKCHANNEL if BACKCHANNEL_PATTERN.fullmatch(plain) else TranscriptKind.SPEECH


def may_be_backchannel(text: str) -> bool:
    """Whether the beginning of a transcript may still become nothing but a backchannel: "m", "uh", "I s"."""
    plain = _normalize(text)
    if classify_transcript(plain) is not TranscriptKind.SPEECH:
        return True
    places = [
        place for place in range(min(len(plain), MAX_BACKCHANNEL_CHARS)) if not place or not plain[place - 1].isascii()
    ]
    places += [found.end() for found in re.finditer(" ", plain[:MAX_BACKCHANNEL_CHARS])]
    return any(
        classify_transcript(plain[:place]) is not TranscriptKind.SPEECH
        and any(word.startswith(plain[place:]) for word in _ENGLISH_BACKCHANNELS)
        for place in places
    )


class InterruptionClassifier:
    """Judges the sounds that are made over one reply, one after the other or several together."""

    def __init__(self, silence_s: float) -> None:
        """`silence_s`: the silence after which the server says that speech has stopped."""
        self.state = ClassifierState.IDLE
        self.speech_stopped_at = 0.0
        """When the last sound ended."""
        self.set_silence_duration(silence_s)
        self._speech_started_at = 0.0
        self._current_item_id = ""
        self._transcript_kinds: dict[str, TranscriptKind | None] = {}
        """Item of each sound -> what was said in it; None as long as that is not known."""

    def set_silence_duration(self, silence_s: float) -> None:
        """The server says that speech has stopped after so long a silence."""
        self._max_speech_s = min(
            MAX_CLASSIFICATION_S, MIN_INTERRUPTION_S - VAD_ONSET_S + silence_s + SPEECH_STOPPED_SLACK_S
        )

    @property
    def classifying(self) -> bool:
        """A sound is being judged while the reply goes on."""
        return self.state in (ClassifierState.SPEECH_ACTIVE, ClassifierState.SPEECH_ENDED)

    @property
    def speech_started_at(self) -> float:
        """When the server noticed the sound that lasts."""
        return self._speech_started_at

    def start_speech(self, item_id: str, now: float) -> InterruptionVerdict | None:
        """A sound begins over the reply."""
        if self.state is ClassifierState.SPEECH_ACTIVE:
            self._transcript_kinds.pop(self._current_item_id, None)  # it never ended: the server has thrown it away
        self.state, self._current_item_id, self._speech_started_at = ClassifierState.SPEECH_ACTIVE, item_id, now
        self._transcript_kinds[item_id] = None
        return InterruptionVerdict.INTERRUPT if len(self._transcript_kinds) > MAX_UTTERANCES else None

    def end_speech(self, item_id: str, now: float) -> InterruptionVerdict | None:
        """The sound has ended, so the server says."""
        if self.state is not ClassifierState.SPEECH_ACTIVE or item_id not in ("", self._current_item_id):
            return None
        self.state, self.speech_stopped_at = ClassifierState.SPEECH_ENDED, now
        return self._judge_transcripts()

    def apply_transcript(self, item_id: str, text: str, *, is_final: bool) -> InterruptionVerdict | None:
        """`text` was said in a sound; `whole`: and nothing else. "" also when it could not be transcribed."""
        if self.state is ClassifierState.IDLE or item_id not in self._transcript_kinds:
            return None
        if not is_final:
            return None if may_be_backchannel(text) else InterruptionVerdict.INTERRUPT
        self._transcript_kinds[item_id] = found = classify_transcript(text)
        return InterruptionVerdict.INTERRUPT if found is TranscriptKind.SPEECH else self._judge_transcripts()

    def _judge_transcripts(self) -> InterruptionVerdict | None:
        if self.state is ClassifierState.SPEECH_ACTIVE or None in self._transcript_kinds.values():
            return None
        listens = TranscriptKind.BACKCHANNEL in self._transcript_kinds.values()
        # Nobody is spoken to any more: an "mm" is an answer then.
        return (
            InterruptionVerdict.INTERRUPT
            if self.state is ClassifierState.AWAITING_TRANSCRIPT and listens
            else InterruptionVerdict.FALSE_INTERRUPTION
        )

    def tick_20ms(
        self, now: float, voice_s: float, reply_in_progress: bool, server_responds: bool
    ) -> InterruptionVerdict | None:
        """Time has passed; ask every 20 ms.

        `voice_s`: how long a voice has been in the microphone without a pause. `audible`: the reply still goes on.
        `answered`: the server will answer the visitor's turn by itself.
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
        """It is decided. Returns the items in which nothing was said."""
        nothing = [item_id for item_id, found in self._transcript_kinds.items() if found is TranscriptKind.EMPTY]
        self.state, self._current_item_id = ClassifierState.IDLE, ""
        self._transcript_kinds.clear()
        return nothing
