"""Transcription endpoint: `audio/transcriptions` of an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import json

from offline.audio import STT_SAMPLE_RATE, resample_to_16k, to_pcm16
from offline.protocol.worker_messages import LanguageCode
from offline.wav import wav_file

from .audio_client import AudioClient, AudioReply, Field, RequestLimits, error_in
from .errors import EndpointError, EndpointFault
from .settings import EndpointSettings

TRANSCRIPTION_TIMEOUT_S = 10.0
"""Seconds until the transcript is complete, the upload of the turn included."""
MAX_TRANSCRIPT_BYTES = 1 << 20
"""Bytes of the longest answer. Some servers add the times of all words."""


def parse_transcript(reply: AudioReply, host: str) -> str:
    """Return the words of an answer: the "text" of JSON, or plain text. Raises `EndpointError`."""
    if (error := error_in(reply.body, reply.content_type, host)) is not None:
        raise error
    try:
        body = reply.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise EndpointError(EndpointFault.MALFORMED, f"The transcript of {host} cannot be read.") from None
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        if "json" in reply.content_type or body.lstrip().startswith("{"):
            raise EndpointError(EndpointFault.MALFORMED, f"The transcript of {host} cannot be read.") from None
        return body.strip()
    text = parsed.get("text") if isinstance(parsed, dict) else parsed
    if isinstance(text, str):
        return text.strip()
    if isinstance(parsed, dict | list) or "json" in reply.content_type:
        raise EndpointError(EndpointFault.MALFORMED, f"The answer of {host} has no transcript.")
    return body.strip()  # plain text that is a number


class TranscriptionEndpoint(AudioClient):
    """Speech recognition by address. Belongs to one event loop."""

    def __init__(self, settings: EndpointSettings) -> None:
        """Raises `EndpointError` for an unusable proxy setting."""
        super().__init__(settings, "audio/transcriptions", "STT_MODEL", ("prompt", "language", "response_format"))

    async def transcribe(self, pcm: bytes, language: LanguageCode | None, prompt: str = "") -> str:
        """Return the words in `pcm` (PCM16 mono at 24 kHz); "" without any.

        Without `language` the endpoint detects it. `prompt` holds names that may occur. Cancellation closes the
        connection. Raises `EndpointError`.
        """
        wav = await asyncio.to_thread(lambda: wav_file(to_pcm16(resample_to_16k(pcm)), STT_SAMPLE_RATE))
        fields: dict[str, Field] = {"response_format": "json"}
        if language is not None:
            fields["language"] = language
        if prompt:
            fields["prompt"] = prompt
        limits = RequestLimits(TRANSCRIPTION_TIMEOUT_S, TRANSCRIPTION_TIMEOUT_S, MAX_TRANSCRIPT_BYTES)
        reply = await self.post(
            fields, lambda sent: {"data": sent, "files": {"file": ("turn.wav", wav, "audio/wav")}}, limits
        )
        return parse_transcript(reply, self.host)
