"""Settings of the endpoints: base URLs, keys, and which hosts are private."""

from __future__ import annotations

import pytest

from network.base_urls import parse_base_url
from network.hosts import is_private_host
from offline.endpoints.settings import EndpointSettings, read_endpoints


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        ("http://127.0.0.1:11434/", "http://127.0.0.1:11434/v1"),
        ("127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        ("ollama.lan", "http://ollama.lan/v1"),
        ("http://[::1]:8080/v1/", "http://[::1]:8080/v1"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("https://api.groq.com/openai/v1/chat/completions", "https://api.groq.com/openai/v1"),
        ("https://api.example/v1/models/", "https://api.example/v1"),
        ("https://api.example/v1/audio/speech", "https://api.example/v1"),
        ("https://api.example/v1/audio/transcriptions", "https://api.example/v1"),
        ("https://api.example/v1beta/openai/", "https://api.example/v1beta/openai"),
    ],
)
def test_base_url_has_one_form(text: str, expected: str) -> None:
    assert parse_base_url(text, "LLM_URL") == expected


@pytest.mark.parametrize(
    "text",
    [
        "ftp://a.example",
        "http://",
        "http://user:secret@a.example",
        "http://a.example?key=secret",
        "http://a.example#secret",
        "http://a.example:secret",
        "http://a.example:0",
        "http://a.example:70000",
        "http://se cret.example",
        "http://a.example/\nsecret",
    ],
)
def test_unusable_address_is_refused_without_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="LLM_URL must be") as caught:
        parse_base_url(text, "LLM_URL")
    assert "secret" not in str(caught.value)


def test_endpoints_are_read_by_their_prefixes() -> None:
    endpoints = read_endpoints(
        {
            "LLM_URL": " http://a.lan ",
            "LLM_MODEL": "m",
            "LLM_API_KEY": "k",
            "TTS_URL": "b.lan:1/v1",
            "TTS_VOICE": "v",
            "STT_MODEL": "x",
        }
    )
    assert endpoints.llm == EndpointSettings("http://a.lan/v1", "m", "k")
    assert endpoints.stt is None
    assert endpoints.tts == EndpointSettings("http://b.lan:1/v1", voice="v")


@pytest.mark.parametrize("key", ["sécret", "se cret", "se\ncret", "secret\x01", "secret\x7f"])
def test_unusable_key_is_refused_without_its_text(key: str) -> None:
    with pytest.raises(ValueError, match="LLM_API_KEY") as caught:
        read_endpoints({"LLM_URL": "http://a.lan", "LLM_API_KEY": key})
    assert "cret" not in str(caught.value)


def test_key_is_not_in_the_representation() -> None:
    assert "secret" not in repr(EndpointSettings("http://a.lan/v1", key="secret"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("192.168.1.5", True),
        ("10.0.0.1", True),
        ("172.16.3.4", True),
        ("169.254.1.1", True),
        ("100.100.1.2", True),
        ("fd00::1", True),
        ("fe80::1", True),
        ("::ffff:192.168.1.5", True),
        ("my-server", True),
        ("nas.local", True),
        ("NAS.LAN.", True),
        ("host.docker.internal", True),
        ("gpu.tail1234.ts.net", True),
        ("8.8.8.8", False),
        ("::ffff:8.8.8.8", False),
        ("100.128.0.1", False),
        ("172.32.0.1", False),
        ("2001:4860:4860::8888", False),
        ("134744072", False),
        ("0x08080808", False),
        ("api.openai.com", False),
        ("local.example.com", False),
    ],
)
def test_private_hosts_are_known(host: str, expected: bool) -> None:
    assert is_private_host(host) is expected


def test_host_is_shown_with_its_port() -> None:
    settings = EndpointSettings("http://192.168.1.5:8000/v1")
    assert (settings.host, settings.is_private) == ("192.168.1.5:8000", True)
