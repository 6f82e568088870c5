"""Settings: from the environment, with one clear sentence for a bad value, and never a key in sight."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.settings import Endpoint, Language, ServerKind, Settings, SettingsError

KEY = "sk-test-0123456789"


def test_nothing_set_means_the_embedded_server() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.kind is ServerKind.OFFLINE
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    endpoint = settings.endpoint("ws://127.0.0.1:8765/v1/realtime")
    assert endpoint == Endpoint(ServerKind.OFFLINE, "ws://127.0.0.1:8765/v1/realtime")
    assert endpoint.local
    assert not endpoint.headers


def test_a_key_means_openai() -> None:
    settings = Settings.from_env({"OPENAI_API_KEY": KEY})
    assert settings.kind is ServerKind.OPENAI
    endpoint = settings.endpoint("ws://127.0.0.1:1/unused")
    assert endpoint.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1-mini"
    assert endpoint.headers == {"Authorization": f"Bearer {KEY}"}
    assert not endpoint.local


def test_an_address_goes_before_the_openai_key_and_never_gets_it() -> None:
    settings = Settings.from_env({"OPENAI_API_KEY": KEY, "REALTIME_URL": "http://example.test:9000?x=1"})
    assert settings.kind is ServerKind.CUSTOM
    endpoint = settings.endpoint()
    assert endpoint.url == "ws://example.test:9000/v1/realtime?x=1"
    assert not endpoint.headers
    with_key = Settings.from_env(
        {"REALTIME_URL": "wss://example.test/rt?model=a", "REALTIME_API_KEY": KEY, "REALTIME_MODEL": "b"}
    ).endpoint()
    assert with_key.url == "wss://example.test/rt?model=a", "a model in the address is the visitor's own choice"
    assert with_key.headers == {"Authorization": f"Bearer {KEY}"}


def test_a_model_is_added_to_the_address() -> None:
    settings = Settings.from_env({"REALTIME_URL": "ws://h/v1/realtime", "REALTIME_MODEL": "org/model v2"})
    assert settings.endpoint().url == "ws://h/v1/realtime?model=org/model%20v2"


def test_no_key_in_any_repr() -> None:
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
def test_a_bad_value_is_named_in_one_sentence(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({name: value})
    message = str(caught.value)
    assert message.startswith(name)
    assert message.endswith(".")
    assert "\n" not in message
    if name in ("OPENAI_API_KEY", "REALTIME_URL", "INSTRUCTIONS"):
        assert value not in message


def test_empty_values_count_as_not_set() -> None:
    assert Settings.from_env({"PORT": " ", "OPENAI_API_KEY": "", "LANGUAGE": ""}) == Settings()


def test_gradios_own_names_are_respected() -> None:
    environ = {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "8000"}
    settings = Settings.from_env(environ)
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    settings = Settings.from_env({**environ, "HOST": "127.0.0.1", "PORT": "9000"})
    assert (settings.host, settings.port) == ("127.0.0.1", 9000)


def test_values_are_converted() -> None:
    settings = Settings.from_env({"DEBUG": "Yes", "LANGUAGE": "ZH", "VAD_THRESHOLD": "0.7", "VAD_SILENCE_MS": "500"})
    assert settings.debug is True
    assert settings.language is Language.CHINESE
    assert (settings.vad_threshold, settings.vad_silence_ms) == (0.7, 500)


def test_dotenv_is_read_and_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=9001\nVOICE=cedar\nINSTRUCTIONS='costs $5 ${PORT}'\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "9002")
    for name in ("VOICE", "INSTRUCTIONS"):
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    settings = Settings.load()
    assert (settings.port, settings.voice, settings.instructions) == (9002, "cedar", "costs $5 ${PORT}")


NAMES = ["PORT", "DEBUG", "LANGUAGE", "REALTIME_URL", "VAD_THRESHOLD", "SPEED", "OPENAI_API_KEY", "VOICE", "HOST"]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30)))
def test_any_text_is_a_setting_or_a_settings_error(environ: dict[str, str]) -> None:
    try:
        settings = Settings.from_env(environ)
    except SettingsError as error:
        assert str(error).split()[0] in environ
    else:
        assert settings.endpoint("ws://127.0.0.1:1/").url
