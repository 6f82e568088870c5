"""Duck, then decide: is a sound that the visitor makes over a reply an interruption, or a cough? Pure, times handed in.

At the first sound the voice is lowered, not stopped. What comes next decides: a voice that goes on, or words, interrupt
the reply; a sound in which nothing was said, or an "mm" that only shows that one listens, lets it go on.

    IDLE ── begin() ──▶ SPEAKING ── stopped() ──▶ STOPPED ── the reply ran out, its answer was refused ──▶ LEFT
"""

from __future__ import annotations

import re
from enum import Enum

SPEECH_S = 0.4
"""Seconds of voice that are an interruption. A cough or an "mm" takes 0.2-0.35 s, two syllables of a sentence 0.4;
agents in the field wait for 0.3-0.5 s, and meanwhile talk on aloud, which ours does not."""
NOTICED_S = 0.15
"""How long a voice has lasted when `speech_started` comes: detectors want 0.1 s of it, the rest is the way."""
SLACK_S = 0.05
"""For a `speech_stopped` that is a little late."""
LONGEST_S = 1.5
"""At most so long is a sound judged that does not end, however long a silence the server waits for."""
UNHEARD_S = 2.0
"""So long after the end of a sound its words are waited for. Then it counts as an interruption: stopping for nothing is
better than ignoring a person."""
MOST_SOUNDS = 8
"""Sounds judged together: somebody who makes more of them wants to be heard."""


class State(Enum):
    """What is being judged."""

    IDLE = "idle"
    """Nothing."""
    SPEAKING = "speaking"
    """A sound has begun over the reply, and lasts."""
    STOPPED = "stopped"
    """It was short. What was said in it is awaited."""
    LEFT = "left"
    """The same, but the reply has run out meanwhile: it is the visitor's turn, if anything was said."""


class Verdict(Enum):
    """What a sound turned out to be."""

    INTERRUPT = "interrupt"
    RESUME = "resume"
    WAIT = "wait"
    """The reply has run out, and whether there is anything to answer is not known yet."""


class Said(Enum):
    """What a transcript is."""

    NOTHING = "nothing"
    BACKCHANNEL = "backchannel"
    """A word that shows that one listens, and wants no answer."""
    WORDS = "words"


_CHINESE = "嗯恩唔哦喔噢啊阿呃欸诶誒哼呵哈對对是好"
_ENGLISH = (
    *("mm", "mmm", "mhm", "mmhm", "mmhmm", "mm hm", "mm hmm", "hm", "hmm", "hmmm", "uh", "uhh", "um", "umm"),
    *("uh huh", "uhhuh", "huh", "ah", "ahh", "aha", "oh", "ooh", "eh", "er", "ha", "haha", "hahaha"),
    *("yeah", "yea", "yep", "yup", "yes", "ok", "okay", "right", "sure", "i see", "got it"),
)
_WORD = "|".join(sorted(map(re.escape, _ENGLISH), key=len, reverse=True))
BACKCHANNEL = re.compile(rf"(?:(?:[{_CHINESE}]的?|(?:{_WORD})(?![a-z]))\s*){{1,6}}")
"""The whole of a transcript without its marks, at most six times: 嗯嗯, 對對對, "okay, yeah"."""


LONGEST = 60
"""Characters of a transcript that can be nothing but that."""


def _plain(text: str) -> str:
    """In small letters, without marks."""
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def said(text: str) -> Said:
    """What a whole transcript is."""
    plain = _plain(text)
    if not plain:
        return Said.NOTHING
    return Said.BACKCHANNEL if BACKCHANNEL.fullmatch(plain) else Said.WORDS


def may_be_backchannel(text: str) -> bool:
    """Whether the beginning of a transcript may still become nothing but a backchannel: "m", "uh", "I s"."""
    plain = _plain(text)
    if said(plain) is not Said.WORDS:
        return True
    places = [place for place in range(min(len(plain), LONGEST)) if not place or not plain[place - 1].isascii()]
    places += [found.end() for found in re.finditer(" ", plain[:LONGEST])]
    return any(
        said(plain[:place]) is not Said.WORDS and any(word.startswith(plain[place:]) for word in _ENGLISH)
        for place in places
    )


class Ducking:
    """Judges the sounds that are made over one reply, one after the other or several together."""

    def __init__(self, silence_s: float) -> None:
        """`silence_s`: the silence after which the server says that speech has stopped."""
        self.state = State.IDLE
        self.stopped_at = 0.0
        """When the last sound ended."""
        self.expect(silence_s)
        self._noticed_at = 0.0
        self._current = ""
        self._said: dict[str, Said | None] = {}
        """Item of each sound -> what was said in it; None as long as that is not known."""

    def expect(self, silence_s: float) -> None:
        """The server says that speech has stopped after so long a silence."""
        self._patience_s = min(LONGEST_S, SPEECH_S - NOTICED_S + silence_s + SLACK_S)

    @property
    def undecided(self) -> bool:
        """A sound is being judged while the reply goes on."""
        return self.state in (State.SPEAKING, State.STOPPED)

    @property
    def noticed_at(self) -> float:
        """When the server noticed the sound that lasts."""
        return self._noticed_at

    def begin(self, item_id: str, now: float) -> Verdict | None:
        """A sound begins over the reply."""
        if self.state is State.SPEAKING:
            self._said.pop(self._current, None)  # it never ended: the server has thrown it away
        self.state, self._current, self._noticed_at = State.SPEAKING, item_id, now
        self._said[item_id] = None
        return Verdict.INTERRUPT if len(self._said) > MOST_SOUNDS else None

    def stopped(self, item_id: str, now: float) -> Verdict | None:
        """The sound has ended, so the server says."""
        if self.state is not State.SPEAKING or item_id not in ("", self._current):
            return None
        self.state, self.stopped_at = State.STOPPED, now
        return self._resume()

    def heard(self, item_id: str, text: str, *, whole: bool) -> Verdict | None:
        """`text` was said in a sound; `whole`: and nothing else. "" also when it could not be transcribed."""
        if self.state is State.IDLE or item_id not in self._said:
            return None
        if not whole:
            return None if may_be_backchannel(text) else Verdict.INTERRUPT
        self._said[item_id] = found = said(text)
        return Verdict.INTERRUPT if found is Said.WORDS else self._resume()

    def _resume(self) -> Verdict | None:
        if self.state is State.SPEAKING or None in self._said.values():
            return None
        listens = Said.BACKCHANNEL in self._said.values()
        # Nobody is spoken to any more: an "mm" is an answer then.
        return Verdict.INTERRUPT if self.state is State.LEFT and listens else Verdict.RESUME

    def beat(self, now: float, voice_s: float, audible: bool, answered: bool) -> Verdict | None:
        """Time has passed; ask every 20 ms.

        `voice_s`: how long a voice has been in the microphone without a pause. `audible`: the reply still goes on.
        `answered`: the server will answer the visitor's turn by itself.
        """
        match self.state:
            case State.IDLE:
                return None
            case State.SPEAKING:
                lasts = voice_s >= SPEECH_S or now - self._noticed_at >= self._patience_s
                return Verdict.INTERRUPT if lasts or not audible else None
            case State.STOPPED if not audible:
                self.state = State.LEFT
                return Verdict.INTERRUPT if answered else Verdict.WAIT
        return Verdict.INTERRUPT if now - self.stopped_at >= UNHEARD_S else None

    def over(self) -> list[str]:
        """It is decided. Returns the items in which nothing was said."""
        nothing = [item_id for item_id, found in self._said.items() if found is Said.NOTHING]
        self.state, self._current = State.IDLE, ""
        self._said.clear()
        return nothing
