"""Reading settings: one sentence for each mistake, several mistakes at once, no secret repeated."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from voicechat.config.groups.ice_settings import IceSettings
from voicechat.config.groups.limit_settings import LimitSettings
from voicechat.config.settings import Settings, SettingsError

SECRET = "sk-secret two"


def sentences(**environ: str) -> tuple[str, ...]:
    """Return what SettingsError says about these variables."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    assert str(caught.value) == "\n".join(caught.value.sentences)
    assert caught.value.__cause__ is None and caught.value.__context__ is None, "a traceback would show the values"
    return caught.value.sentences


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "seventy", "PORT must be a whole number from 0 to 65535."),
        ("PORT", "7.5", "PORT must be a whole number from 0 to 65535."),
        ("PORT", "9" * 5000, "PORT must be a whole number from 0 to 65535."),
        ("PORT", "70000", "PORT must be from 0 to 65535, and is 70000."),
        ("MAX_WAITING", "-1", "MAX_WAITING must be from 0 to 1000, and is -1."),
        ("SPEED", "fast", "SPEED must be a number from 0.25 to 1.5."),
        ("VAD_THRESHOLD", "nan", "VAD_THRESHOLD must be from 0 to 1, and is nan."),
        ("MAX_DAY_COST", "-inf", "MAX_DAY_COST must be from 0 to 100000, and is -inf."),
        ("DEBUG", "maybe", "DEBUG must be true or false."),
        ("LANGUAGE", "zh-TW", "LANGUAGE must be auto, en or zh."),
        ("TRANSCRIPTION_DELAY", "none", "TRANSCRIPTION_DELAY must be minimal, low, medium, high or xhigh."),
        ("INSTRUCTIONS", "x" * 16_001, "INSTRUCTIONS is longer than 16000 characters."),
        ("MODELS", "x" * 201, "MODELS must be at most 20 names of at most 200 characters, between commas."),
        ("REALTIME_URL", SECRET, "REALTIME_URL must be an address that starts with ws:// or wss://."),
        (
            "OPENAI_API_KEY",
            SECRET,
            "OPENAI_API_KEY holds a space or a character that no key has: it may have been pasted wrongly.",
        ),
        ("APP_PASSWORD", "secret", "APP_PASSWORD must have from 8 to 200 characters."),
        (
            "API_TOKENS",
            "a-token-of-many-characters,\u9470-a-token-of-many",
            "A token in API_TOKENS holds a space or a character that no key has: it may have been pasted wrongly.",
        ),
        ("ICE_SERVERS", SECRET, 'ICE_SERVERS must be a JSON list like [{"urls": "turn:host:3478"}].'),
        ("TURN_URL", SECRET, "TURN_URL must be an address like turn:host:3478."),
        ("ALLOWED_ORIGINS", SECRET, "ALLOWED_ORIGINS must be origins like https://example.com, between commas."),
        ("TRUSTED_PROXIES", SECRET, "TRUSTED_PROXIES must be addresses or networks like 10.0.0.0/8, between commas."),
    ],
)
def test_from_env_mistake_is_one_sentence(name: str, value: str, sentence: str) -> None:
    assert sentences(**{name: value}) == (sentence,)


def test_from_env_several_mistakes_are_reported_at_once() -> None:
    found = sentences(
        PORT="seventy",
        OPENAI_API_KEY=SECRET,
        REALTIME_URL=SECRET,
        MAX_WAITING="5000",
        APP_PASSWORD="secret",
        TURN_CREDENTIAL="secret",
        TWILIO_AUTH_TOKEN="secret",
        VOICE="cedar",
    )
    assert {sentence.split()[0] for sentence in found} == {
        *("PORT", "OPENAI_API_KEY", "REALTIME_URL", "MAX_WAITING", "APP_PASSWORD"),
        *("TURN_USERNAME", "TWILIO_ACCOUNT_SID"),
    }
    assert len(found) == 7
    assert "secret" not in "".join(found)


def test_from_env_mistake_in_a_fallback_names_the_fallback() -> None:
    assert sentences(GRADIO_SERVER_PORT="x", PORT=" ") == (
        "GRADIO_SERVER_PORT must be a whole number from 0 to 65535.",
    )
    assert sentences(GRADIO_SHARE="maybe") == ("GRADIO_SHARE must be true or false.",)
    assert Settings.from_env({"PORT": "1", "GRADIO_SERVER_PORT": "x"}).port == 1


def test_from_env_of_a_group_reads_its_variables_alone() -> None:
    assert LimitSettings.from_env({"MAX_WAITING": " 3 ", "PORT": "x"}) == LimitSettings(max_waiting=3)
    assert Settings.from_env({"LIMITS": '{"max_waiting": 3}', "ICE": "x", "SECURITY": "x"}) == Settings()


def test_constructor_does_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "VOICE", "MAX_WAITING", "TURN_URL"):
        monkeypatch.setenv(name, "unusable")
    assert Settings(max_calls=3).port == 7860
    assert Settings(max_calls=3) == Settings().with_changes(max_calls=3)
    assert (IceSettings().turn_url, LimitSettings().max_waiting) == ("", 8)


def test_constructor_refuses_unknown_names_and_hides_values() -> None:
    with pytest.raises(ValidationError) as unknown:
        Settings(max_cals=3)  # type: ignore[call-arg]
    assert "max_cals" in str(unknown.value)
    with pytest.raises(ValidationError) as refused:
        Settings(openai_api_key=SECRET, realtime_url=SECRET)
    assert SECRET not in str(refused.value) and SECRET not in repr(refused.value)


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.limits.max_waiting = 1  # type: ignore[misc]


def test_with_changes_returns_a_copy_and_refuses_unknown_names() -> None:
    settings = Settings(voice="cedar")
    changed = settings.with_changes(port=1, max_call_seconds=10**9)
    assert (changed.port, changed.max_call_seconds, changed.voice) == (1, 10**9, "cedar")
    assert settings == Settings(voice="cedar")
    with pytest.raises(TypeError, match="Settings has no field colour, prot"):
        settings.with_changes(prot=1, colour="red")
