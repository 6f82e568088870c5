"""Settings from the environment: values, server and credentials of an endpoint, the example file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import ROOT
from voicechat.config.settings import (
    DuckingMode,
    Eagerness,
    Endpoint,
    Language,
    NoiseReduction,
    ServerKind,
    Settings,
    SettingsError,
    TranscriptionDelay,
    TurnDetection,
    check_key,
)

KEY = "sk-test-0123456789"


def test_endpoint_without_settings_is_the_embedded_server() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.server_kind is ServerKind.OFFLINE
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    endpoint = settings.endpoint("ws://127.0.0.1:8765/v1/realtime")
    assert endpoint == Endpoint(ServerKind.OFFLINE, "ws://127.0.0.1:8765/v1/realtime")
    assert not endpoint.headers


def test_endpoint_with_openai_key_is_openai() -> None:
    settings = Settings.from_env({"OPENAI_API_KEY": KEY})
    assert settings.server_kind is ServerKind.OPENAI
    endpoint = settings.endpoint("ws://127.0.0.1:1/unused")
    assert endpoint.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1-mini"
    assert endpoint.headers == {"Authorization": f"Bearer {KEY}"}


def test_endpoint_with_realtime_url_ignores_the_openai_key() -> None:
    settings = Settings.from_env({"OPENAI_API_KEY": KEY, "REALTIME_URL": "http://example.test:9000?x=1"})
    assert settings.server_kind is ServerKind.CUSTOM
    endpoint = settings.endpoint()
    assert endpoint.url == "ws://example.test:9000/v1/realtime?x=1"
    assert not endpoint.headers
    with_key = Settings.from_env(
        {"REALTIME_URL": "wss://example.test/rt?model=a", "REALTIME_API_KEY": KEY, "REALTIME_MODEL": "b"}
    ).endpoint()
    assert with_key.url == "wss://example.test/rt?model=a", "a model in the address is the visitor's own choice"
    assert with_key.headers == {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("given", "connects_to"),
    [
        ("ws://h", "ws://h/v1/realtime"),
        ("https://h:8443/", "wss://h:8443/v1/realtime"),
        ("http://localhost:8080/v1", "ws://localhost:8080/v1/realtime"),
        ("http://localhost:8080/v1/", "ws://localhost:8080/v1/realtime"),
        ("wss://h/api/v1/realtime/session?protocol=realtime", "wss://h/api/v1/realtime/session?protocol=realtime"),
        ("WSS://res.openai.azure.com", "wss://res.openai.azure.com/openai/v1/realtime"),
        ("https://res.openai.azure.com/openai/v1", "wss://res.openai.azure.com/openai/v1/realtime"),
        (
            "wss://res.services.ai.azure.com/voice-live/realtime?api-version=1",
            "wss://res.services.ai.azure.com/voice-live/realtime?api-version=1",
        ),
    ],
)
def test_realtime_url_is_completed(given: str, connects_to: str) -> None:
    assert Settings.from_env({"REALTIME_URL": given}).endpoint().url == connects_to


@pytest.mark.parametrize(
    ("host", "header"),
    [
        ("res.openai.azure.com", "api-key"),
        ("res.cognitiveservices.azure.com", "api-key"),
        ("RES.OPENAI.AZURE.US", "api-key"),
        ("res.openai.azure.cn", "api-key"),
        ("vm.westeurope.cloudapp.azure.com", "Authorization"),
        ("azure.com.example.test", "Authorization"),
        ("notazure.com", "Authorization"),
        ("api.x.ai", "Authorization"),
        ("127.0.0.1", "Authorization"),
    ],
)
def test_key_header_depends_on_the_host(host: str, header: str) -> None:
    settings = Settings.from_env({"REALTIME_URL": f"wss://{host}/rt", "REALTIME_API_KEY": KEY})
    assert settings.endpoint().headers == {header: KEY if header == "api-key" else f"Bearer {KEY}"}


def test_key_header_for_an_entra_token_on_azure_is_bearer() -> None:
    token = "eyJhbGciOi.eyJhdWQi.c2ln"
    settings = Settings.from_env({"REALTIME_URL": "wss://res.openai.azure.com", "REALTIME_API_KEY": token})
    assert settings.endpoint().headers == {"Authorization": f"Bearer {token}"}


OWN = "sk-own-987654321"


def test_visitor_key_without_realtime_url_goes_to_openai() -> None:
    for environ in ({}, {"OPENAI_API_KEY": KEY}):
        endpoint = Settings.from_env(environ).endpoint("ws://127.0.0.1:1/unused", own_key=f" {OWN}\n")
        assert endpoint.kind is ServerKind.OPENAI
        assert endpoint.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1-mini"
        assert endpoint.headers == {"Authorization": f"Bearer {OWN}"}
        assert endpoint.has_own_key
        assert OWN not in repr(endpoint)


def test_visitor_key_replaces_all_credentials_of_realtime_url() -> None:
    environ = {
        "OPENAI_API_KEY": "sk-openai",
        "REALTIME_URL": f"wss://me:{KEY}@res.openai.azure.com/rt?api_key={KEY}&API-Key={KEY}&x=a%20b&y=",
        "REALTIME_API_KEY": KEY,
    }
    endpoint = Settings.from_env(environ).endpoint(own_key=OWN)
    assert endpoint.kind is ServerKind.CUSTOM
    assert endpoint.url == "wss://res.openai.azure.com/rt?x=a%20b&y="
    assert endpoint.headers == {"api-key": OWN}
    assert KEY not in endpoint.url
    assert OWN not in repr(endpoint)


def test_key_replaces_user_and_password_in_the_url() -> None:
    environ = {"REALTIME_URL": "wss://user:password@h:1/rt?a=b"}
    assert Settings.from_env(environ).endpoint().url == "wss://user:password@h:1/rt?a=b", "then it is sent as it is"
    assert Settings.from_env({**environ, "REALTIME_API_KEY": KEY}).endpoint().url == "wss://h:1/rt?a=b"


def test_visitor_key_is_ignored_without_allow_own_key() -> None:
    settings = Settings.from_env({"ALLOW_OWN_KEY": "no", "OPENAI_API_KEY": KEY})
    assert settings.endpoint(own_key=OWN) == settings.endpoint()
    assert not settings.endpoint(own_key=OWN).has_own_key
    offline = Settings.from_env({"ALLOW_OWN_KEY": "no"}).endpoint("ws://127.0.0.1:1/rt", own_key=OWN)
    assert (offline.url, dict(offline.headers)) == ("ws://127.0.0.1:1/rt", {})


@given(st.text(max_size=20))
def test_any_visitor_key_makes_an_endpoint(typed: str) -> None:
    endpoint = Settings(openai_api_key=KEY).endpoint(own_key=typed)
    assert endpoint.headers["Authorization"] == f"Bearer {typed.strip() or KEY}"


def test_unsupported_fields_are_shared_by_all_endpoints_except_those_of_visitor_keys() -> None:
    settings = Settings(openai_api_key=KEY)
    assert settings.endpoint().unsupported_fields is settings.endpoint().unsupported_fields
    own = settings.endpoint(own_key=OWN).unsupported_fields
    assert own is not settings.endpoint().unsupported_fields
    assert own is not settings.endpoint(own_key=OWN).unsupported_fields
    assert Settings(openai_api_key=KEY).endpoint().unsupported_fields is not settings.endpoint().unsupported_fields


@pytest.mark.parametrize("typed", ["sk two", "sk\u200b", "sk\r\nX: y", "鑰", "x" * 5000])
def test_check_key_refuses_impossible_keys(typed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_key(typed)
    assert typed not in str(caught.value)
    assert check_key(f"  {KEY}\n") == KEY
    assert check_key(" ") == ""


def test_model_is_added_to_the_url() -> None:
    settings = Settings.from_env({"REALTIME_URL": "ws://h/v1/realtime", "REALTIME_MODEL": "org/model v2"})
    assert settings.endpoint().url == "ws://h/v1/realtime?model=org/model%20v2"


def test_repr_holds_no_key() -> None:
    settings = Settings.from_env(
        {"OPENAI_API_KEY": KEY, "REALTIME_API_KEY": KEY, "REALTIME_URL": f"ws://user:{KEY}@host/?api_key={KEY}"}
    )
    assert KEY not in repr(settings)
    assert KEY not in repr(settings.endpoint())
    assert "host" in repr(settings.endpoint())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "seventy"),
        ("PORT", "70000"),
        ("DEBUG", "maybe"),
        ("VAD_THRESHOLD", "1.5"),
        ("VAD_THRESHOLD", "nan"),
        ("VAD_SILENCE_MS", "-1"),
        ("LANGUAGE", "zh-TW"),
        ("MAX_CALLS", "0"),
        ("MAX_CHATS", "0"),
        ("MAX_SOCKETS", "many"),
        ("CHAT_IDLE_SECONDS", "1"),
        ("MAX_TEXT_TOKENS", "4097"),
        ("ALLOW_OWN_KEY", "perhaps"),
        ("TURN_DETECTION", "vad"),
        ("EAGERNESS", "very"),
        ("NOISE_REDUCTION", "yes"),
        ("DUCKING", "sometimes"),
        ("ECHO_GUARD_THRESHOLD", "2"),
        ("TRANSCRIPTION_DELAY", "none"),
        ("SPEED", "fast"),
        ("REALTIME_URL", "example.test"),
        ("REALTIME_URL", "ftp://example.test"),
        ("REALTIME_URL", "ws://example.test:port/"),
        ("REALTIME_URL", "ws://[::1/"),
        ("OPENAI_API_KEY", "sk-two words"),
        ("OPENAI_API_KEY", "sk-line\nbreak"),
        ("INSTRUCTIONS", "x" * 20_000),
    ],
)
def test_from_env_bad_value_is_named_in_one_sentence(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({name: value})
    message = str(caught.value)
    assert message.startswith(name)
    assert message.endswith(".")
    assert "\n" not in message
    if name in ("OPENAI_API_KEY", "REALTIME_URL", "INSTRUCTIONS"):
        assert value not in message


def test_from_env_empty_values_count_as_not_set() -> None:
    assert Settings.from_env({"PORT": " ", "OPENAI_API_KEY": "", "LANGUAGE": ""}) == Settings()


def test_from_env_reads_gradio_names_as_fallback() -> None:
    environ = {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "8000"}
    settings = Settings.from_env(environ)
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    settings = Settings.from_env({**environ, "HOST": "127.0.0.1", "PORT": "9000"})
    assert (settings.host, settings.port) == ("127.0.0.1", 9000)


def test_from_env_converts_values() -> None:
    settings = Settings.from_env(
        {
            "DEBUG": "Yes",
            "LANGUAGE": "ZH",
            "VAD_THRESHOLD": "0.7",
            "VAD_SILENCE_MS": "500",
            "TURN_DETECTION": "Semantic_VAD",
            "EAGERNESS": "low",
            "NOISE_REDUCTION": "near_field",
            "DUCKING": "Off",
            "ECHO_GUARD_THRESHOLD": "0",
            "TRANSCRIPTION_DELAY": "minimal",
            "ALLOW_OWN_KEY": "off",
            "MAX_CHATS": "3",
            "MAX_SOCKETS": "4",
            "CHAT_IDLE_SECONDS": "60",
        }
    )
    assert settings.turn_detection is TurnDetection.SEMANTIC
    assert settings.eagerness is Eagerness.LOW
    assert settings.noise_reduction is NoiseReduction.NEAR_FIELD
    assert (settings.ducking, settings.echo_guard_threshold) == (DuckingMode.OFF, 0.0)
    assert settings.transcription_delay is TranscriptionDelay.MINIMAL
    assert settings.allow_own_key is False
    assert (settings.max_chats, settings.max_sockets, settings.chat_idle_seconds) == (3, 4, 60)
    assert settings.debug is True
    assert settings.language is Language.CHINESE
    assert (settings.vad_threshold, settings.vad_silence_ms) == (0.7, 500)


def test_load_reads_dotenv_and_prefers_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=9001\nVOICE=cedar\nINSTRUCTIONS='costs $5 ${PORT}'\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "9002")
    for name in ("VOICE", "INSTRUCTIONS"):
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    settings = Settings.load()
    assert (settings.port, settings.voice, settings.instructions) == (9002, "cedar", "costs $5 ${PORT}")


class RecordingEnvironment(dict[str, str]):
    """Environment that records the requested names."""

    def __init__(self) -> None:
        super().__init__()
        self.requested_names: set[str] = set()

    def get(self, name: str, otherwise: Any = None) -> Any:
        self.requested_names.add(name)
        return otherwise


GRADIOS_OWN = {"GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_SHARE", "GRADIO_ROOT_PATH"}


def test_example_file_has_every_setting_with_its_default() -> None:
    asked = RecordingEnvironment()
    Settings.from_env(asked)
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    example = dict(
        line[1:].split("=", 1) for line in lines if line.startswith("#") and line[1:2].isupper() and "=" in line
    )
    assert set(example) == asked.requested_names - GRADIOS_OWN
    assert Settings.from_env(example) == Settings()


NAMES = ["PORT", "DEBUG", "LANGUAGE", "REALTIME_URL", "VAD_THRESHOLD", "SPEED", "OPENAI_API_KEY", "VOICE", "HOST"]
NAMES += ["REALTIME_API_KEY", "TURN_DETECTION", "ALLOW_OWN_KEY"]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30)))
def test_from_env_any_text_is_a_setting_or_a_settings_error(environ: dict[str, str]) -> None:
    try:
        settings = Settings.from_env(environ)
    except SettingsError as error:
        assert str(error).split()[0] in environ
    else:
        assert settings.endpoint("ws://127.0.0.1:1/").url
