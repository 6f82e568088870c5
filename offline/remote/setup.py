"""Endpoints of the settings, opened for the process. HTTP libraries are imported only where one is set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from offline.endpoints.errors import EndpointError
from offline.endpoints.settings import Endpoints, EndpointSettings

from .endpoint_faults import EndpointFaults
from .endpoint_model import EndpointModel
from .remote_speech import FallbackSpeech, FallbackTranscription

LOGGER = logging.getLogger(__name__)
T = TypeVar("T")


def open_speech_endpoints(
    endpoints: Endpoints, faults: EndpointFaults
) -> tuple[FallbackSpeech | None, FallbackTranscription | None]:
    """Return speech and recognition by `endpoints`; None for what this computer does itself."""

    def open_speech(settings: EndpointSettings) -> FallbackSpeech:
        from offline.endpoints.speech_client import SpeechEndpoint

        return FallbackSpeech(SpeechEndpoint(settings), on_fault=faults.noter("tts"))

    def open_transcription(settings: EndpointSettings) -> FallbackTranscription:
        from offline.endpoints.transcription_client import TranscriptionEndpoint

        return FallbackTranscription(TranscriptionEndpoint(settings), on_fault=faults.noter("stt"))

    speech = _open("speech", endpoints.tts, open_speech)
    return speech, _open("transcription", endpoints.stt, open_transcription)


def open_chat_endpoint(endpoints: Endpoints, languages: Sequence[str], faults: EndpointFaults) -> EndpointModel | None:
    """Return the chat endpoint of the settings; None without one. It connects with its first request."""

    def open_chat(settings: EndpointSettings) -> EndpointModel:
        from offline.endpoints.chat_client import ChatEndpoint

        return EndpointModel(ChatEndpoint(settings), languages, on_fault=faults.noter("llm"))

    return _open("chat", endpoints.llm, open_chat)


def _open(name: str, settings: EndpointSettings | None, open_endpoint: Callable[[EndpointSettings], T]) -> T | None:
    """Return the opened endpoint; None without one.

    One behind an unusable proxy setting is left out, with a line in the log: the others and this computer still work.
    """
    if settings is None:
        return None
    try:
        opened = open_endpoint(settings)
    except EndpointError as error:
        LOGGER.error("%s: endpoint not used host=%s reason=%s", name, settings.host, error)
        return None
    LOGGER.info("%s: endpoint host=%s private=%s", name, settings.host, settings.is_private)
    return opened
