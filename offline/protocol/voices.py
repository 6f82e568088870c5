"""Voices of the embedded server: their ids, and the pair of speakers behind each id. Pure.

A reply may change its language, so a voice is a pair: one speaker of English and one of Mandarin. The id of a speaker
chooses that speaker, and the nearest speaker of the other language. OpenAI's names choose the nearest pair.

The speakers other than hibari are styles of Kokoro 82M v1.0: all Mandarin ones, and four women and four men of the
English ones with a grade of C or better. The best one, af_heart, is left out: hibari's model was made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .worker_messages import LanguageCode

HIBARI = "hibari"
"""English speaker with a model of its own, which needs a hundredth of the time of Kokoro."""
DEFAULT_STYLE = "zf_xiaoxiao"
"""Mandarin speaker whose style is part of this package."""
DEFAULT_VOICE = "alloy"
"""Voice of a new session, as on OpenAI's server."""

SPEAKERS: dict[str, LanguageCode] = {
    HIBARI: "en",
    "af_bella": "en",
    "af_kore": "en",
    "af_sarah": "en",
    "bf_emma": "en",
    "am_fenrir": "en",
    "am_michael": "en",
    "am_puck": "en",
    "bm_george": "en",
    DEFAULT_STYLE: "zh",
    "zf_xiaobei": "zh",
    "zf_xiaoni": "zh",
    "zf_xiaoyi": "zh",
    "zm_yunjian": "zh",
    "zm_yunxi": "zh",
    "zm_yunxia": "zh",
    "zm_yunyang": "zh",
}
"""Language of each speaker. The second letter of a style is "f" for a woman and "m" for a man. The first one is "a" for
American English, "b" for British English, "z" for Mandarin."""


@dataclass(frozen=True, slots=True)
class VoicePair:
    """Speakers of one voice, by their ids."""

    english: str
    mandarin: str


VOICE_PAIRS: dict[str, VoicePair] = {
    # Chosen by the English speaker.
    HIBARI: VoicePair(HIBARI, DEFAULT_STYLE),
    "af_bella": VoicePair("af_bella", "zf_xiaoyi"),
    "af_kore": VoicePair("af_kore", "zf_xiaobei"),
    "af_sarah": VoicePair("af_sarah", "zf_xiaobei"),
    "bf_emma": VoicePair("bf_emma", DEFAULT_STYLE),
    "am_fenrir": VoicePair("am_fenrir", "zm_yunjian"),
    "am_michael": VoicePair("am_michael", "zm_yunxi"),
    "am_puck": VoicePair("am_puck", "zm_yunxia"),
    "bm_george": VoicePair("bm_george", "zm_yunyang"),
    # Chosen by the Mandarin speaker. hibari is a woman's voice, so the men have an English style.
    DEFAULT_STYLE: VoicePair(HIBARI, DEFAULT_STYLE),
    "zf_xiaobei": VoicePair(HIBARI, "zf_xiaobei"),
    "zf_xiaoni": VoicePair(HIBARI, "zf_xiaoni"),
    "zf_xiaoyi": VoicePair(HIBARI, "zf_xiaoyi"),
    "zm_yunjian": VoicePair("am_fenrir", "zm_yunjian"),
    "zm_yunxi": VoicePair("am_michael", "zm_yunxi"),
    "zm_yunxia": VoicePair("am_puck", "zm_yunxia"),
    "zm_yunyang": VoicePair("bm_george", "zm_yunyang"),
}
"""Pair of each speaker's id. zf_xiaoni is in no other pair than its own: Whisper recognises it least well."""

OPENAI_VOICES: dict[str, str] = {
    DEFAULT_VOICE: HIBARI,
    "ash": "am_michael",
    "ballad": "bm_george",
    "cedar": "am_fenrir",
    "coral": "zf_xiaoyi",
    "echo": "am_michael",
    "marin": HIBARI,
    "sage": "zf_xiaobei",
    "shimmer": "zf_xiaoyi",
    "verse": "am_puck",
}
"""Nearest voice of each of OpenAI's (2026-11). The women speak English with hibari, which answers sooner."""

VOICE_IDS: tuple[str, ...] = (*VOICE_PAIRS, *OPENAI_VOICES)
"""Names that a session may choose."""


def voice_pair(voice: str) -> VoicePair:
    """Return the speakers of a voice. A name that is not in `VOICE_IDS` has those of the default."""
    return VOICE_PAIRS[OPENAI_VOICES.get(voice, voice if voice in VOICE_PAIRS else HIBARI)]
