"""Session limit of `OFFLINE_SESSIONS=auto`: how many conversations this computer holds at a time. Pure.

The voice has one thread: the clauses of all sessions are made one after the other. What a second of a reply costs is
the pace of the speech, language model included, which replies measure and `speed.json` keeps for later starts. So the
voice is busy for

    sessions * SPEECH_SHARE * pace

of the time. That may be `TARGET_LOAD`; the rest is for recognition, captions, and for replies that come together:

    sessions = TARGET_LOAD / (SPEECH_SHARE * pace)

at most one for each processor, each `BYTES_PER_SESSION` of memory, and `MAX_AUTO_SESSIONS`. At the pace that is assumed
before anything is measured (0.75 on two processors), this is 2, as many as without `auto`.
"""

from __future__ import annotations

SPEECH_SHARE = 0.5
"""Part of a conversation in which the server speaks: with a person who never pauses, it is half."""
TARGET_LOAD = 0.75
"""Part of the time for which the voice may be busy."""
MAX_AUTO_SESSIONS = 8
"""Sessions at most. More were never measured; a number in OFFLINE_SESSIONS allows them."""
BYTES_PER_SESSION = 2 * 2**30
"""Bytes of the computer's memory for each session: the context window of the largest tier takes 0.6 GB."""


def most_sessions(processors: int, memory_bytes: int) -> int:
    """Return the sessions that processors and memory allow at any pace. `memory_bytes` is 0 where it is unknown."""
    by_memory = memory_bytes // BYTES_PER_SESSION if memory_bytes else MAX_AUTO_SESSIONS
    return max(1, min(processors, by_memory, MAX_AUTO_SESSIONS))


def sessions_at_pace(factor: float, most: int) -> int:
    """Return the sessions at a pace of `factor` seconds of work per second of speech: from 1 to `most`."""
    return max(1, min(most, int(TARGET_LOAD / (SPEECH_SHARE * factor))))
