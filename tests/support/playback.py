"""State of a playback buffer that the app itself does not read."""

from __future__ import annotations

from voicechat.audio.format import RATE
from voicechat.audio.playback_buffer import PlaybackBuffer


def queued_ms(playback: PlaybackBuffer) -> int:
    """Return the milliseconds of audio that wait to be played."""
    return playback._queued_samples * 1000 // RATE
