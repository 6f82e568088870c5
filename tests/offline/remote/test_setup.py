"""Opening the endpoints of the settings: each by itself."""

from __future__ import annotations

import logging

import pytest

from offline.endpoints.settings import Endpoints, EndpointSettings
from offline.remote.endpoint_faults import EndpointFaults
from offline.remote.setup import open_chat_endpoint, open_speech_endpoints

KEY = "sk-canary-0123456789"


async def test_endpoints_that_are_set_are_opened(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert open_speech_endpoints(Endpoints(), EndpointFaults()) == (None, None)
    assert open_chat_endpoint(Endpoints(), ("en",), EndpointFaults()) is None
    speech, transcription = open_speech_endpoints(
        Endpoints(
            stt=EndpointSettings("http://a.local/v1", key=KEY), tts=EndpointSettings("http://b.local/v1", key=KEY)
        ),
        EndpointFaults(),
    )
    assert speech is not None and transcription is not None
    assert (speech.client.host, transcription.client.host) == ("b.local", "a.local")
    assert KEY not in caplog.text
    await speech.client.close()
    await transcription.client.close()


async def test_unusable_proxy_of_one_endpoint_leaves_only_that_one_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("http_proxy", "gopher://nowhere")
    endpoints = Endpoints(
        llm=EndpointSettings("http://chat.example/v1", key=KEY),
        stt=EndpointSettings("https://words.example/v1"),
        tts=EndpointSettings("http://speech.example/v1"),
    )
    assert open_chat_endpoint(endpoints, ("en",), EndpointFaults()) is None
    speech, transcription = open_speech_endpoints(endpoints, EndpointFaults())
    assert speech is None and transcription is not None
    for name, host in (("chat", "chat.example"), ("speech", "speech.example")):
        assert f"{name}: endpoint not used host={host} reason=" in caplog.text
    assert KEY not in caplog.text
    await transcription.client.close()
