"""Speech endpoint: `audio/speech` of an OpenAI-compatible server, as PCM16 mono at 24 kHz."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from email.message import Message

from offline.wav import SampleFormat, parse_wav, to_session_pcm

from .audio_client import AudioClient, AudioReply, Field, Refusal, RequestLimits, error_in
from .errors import EndpointError, EndpointFault
from .settings import EndpointSettings

FIRST_BYTE_TIMEOUT_S = 5.0
"""Seconds until the audio begins. A server that does not stream has synthesised all of it by then."""
CLAUSE_TIMEOUT_S = 15.0
"""Seconds until the audio of one request is complete."""
MAX_SPEECH_BYTES = 32 << 20
"""Bytes of the longest answer: five minutes at 48 kHz in 16 bit, for a text of the most characters."""
MAX_INPUT_CHARS = 4096
"""Characters that OpenAI accepts in one request."""
DEFAULT_VOICE = "alloy"
"""Voice of OpenAI that compatible servers know too, or map to their own."""
NORMAL_SPEED = 1.0

_ALTERNATIVES: dict[Refusal, Field] = {("response_format", "pcm"): "wav"}
"""Without the field most servers answer with MP3, which is not read."""
_MAGIC = (
    (0, b"ID3", "MP3"),
    (0, b"OggS", "Ogg"),
    (0, b"fLaC", "FLAC"),
    (4, b"ftyp", "MP4"),
    (0, b"\x1aE\xdf\xa3", "WebM"),
)
"""Offset, bytes and name of forms that are not read."""


def split_input(text: str, limit: int = MAX_INPUT_CHARS) -> Iterator[str]:
    """Yield `text` in pieces of at most `limit` characters, split at the last white space if there is one."""
    text = text.strip()
    while len(text) > limit:
        end = next((i for i in range(limit, 0, -1) if text[i].isspace()), limit)
        yield text[:end].rstrip()
        text = text[end:].lstrip()
    if text:
        yield text


def compressed_format(body: bytes) -> str | None:
    """Return the name of the compressed form in which `body` is; None for WAV and raw samples."""
    for offset, magic, name in _MAGIC:
        if body[offset:].startswith(magic):
            return name
    return "MP3" if _is_mp3_frame(body) else None


def _is_mp3_frame(body: bytes) -> bool:
    """Return whether `body` begins with a header of MPEG layer III with a possible bit rate and sample rate.

    Raw samples begin so only with an exact value of about -1000 or -3000: not in the silence before speech.
    """
    return (
        len(body) > 3
        and body[0] == 0xFF
        and body[1] & 0xE6 == 0xE2
        and body[1] & 0x18 != 0x08
        and body[2] >> 4 not in (0, 15)
        and body[2] & 0x0C != 0x0C
    )


def decode_speech(reply: AudioReply, host: str) -> bytes:
    """Return PCM16 mono at 24 kHz of an answer. Its content counts for more than its Content-Type.

    Samples without a header are little-endian at 24 kHz, or at the rate that the Content-Type names (`audio/pcm`, and
    `audio/L16`, which is big-endian in RFC 2586 but little-endian from the known servers). Raises `EndpointError`.
    """
    body = reply.body
    if (error := error_in(body, reply.content_type, host)) is not None:
        raise error
    if (name := compressed_format(body)) is not None:
        raise EndpointError(EndpointFault.MALFORMED, f"{host} answers with {name}: set a server that gives PCM or WAV.")
    if body.startswith((b"RIFF", b"RF64")):
        try:
            sample_format, body = parse_wav(body)
        except ValueError as error:
            raise EndpointError(EndpointFault.MALFORMED, f"The WAV of {host} cannot be read: {error}.") from None
    elif reply.content_type.startswith(("text/", "application/json")):
        raise EndpointError(EndpointFault.MALFORMED, f"{host} answers with text in place of audio.")
    else:
        sample_format = _format_of(reply.content_type, host)
    pcm = to_session_pcm(sample_format, body)
    if not pcm:
        raise EndpointError(EndpointFault.EMPTY, f"{host} answers without audio.")
    return pcm


def _format_of(content_type: str, host: str) -> SampleFormat:
    header = Message()
    header["Content-Type"] = content_type or "application/octet-stream"
    if header.get_content_type() not in ("audio/l16", "audio/pcm", "audio/x-pcm"):
        return SampleFormat()
    rate, channels = (header.get_param(name) for name in ("rate", "channels"))
    try:
        return SampleFormat(int(str(rate)) if rate else SampleFormat().rate, int(str(channels)) if channels else 1)
    except ValueError:
        raise EndpointError(EndpointFault.MALFORMED, f"The audio of {host} has an impossible format.") from None


class SpeechEndpoint(AudioClient):
    """Speech synthesis by address. Belongs to one event loop."""

    def __init__(self, settings: EndpointSettings) -> None:
        """Raises `EndpointError` for an unusable proxy setting."""
        super().__init__(settings, "audio/speech", "TTS_MODEL", ("speed", "response_format"), _ALTERNATIVES)

    async def synthesize(self, text: str, speed: float = NORMAL_SPEED) -> bytes:
        """Return PCM16 mono at 24 kHz of `text`; b"" without speakable text. `speed` 1.0 is normal.

        Cancellation closes the connection. Raises `EndpointError`.
        """
        pieces = [piece for piece in split_input(text) if any(char.isalnum() for char in piece)]
        return b"".join([await self._synthesize_piece(piece, speed) for piece in pieces])

    async def _synthesize_piece(self, text: str, speed: float) -> bytes:
        fields: dict[str, Field] = {
            "input": text,
            "voice": self._settings.voice or DEFAULT_VOICE,
            "response_format": "pcm",
        }
        if speed != NORMAL_SPEED:
            fields["speed"] = speed
        limits = RequestLimits(FIRST_BYTE_TIMEOUT_S, CLAUSE_TIMEOUT_S, MAX_SPEECH_BYTES)
        reply = await self.post(fields, lambda sent: {"json": sent}, limits)
        return await asyncio.to_thread(decode_speech, reply, self.host)
