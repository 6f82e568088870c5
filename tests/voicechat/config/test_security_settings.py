"""Security settings from the environment."""

from __future__ import annotations

import ipaddress

import pytest

from voicechat.config.env_values import SettingsError
from voicechat.config.groups.security_settings import SecuritySettings, normalize_origin


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_PASSWORD", "short"),
        ("APP_PASSWORD", "x" * 201),
        ("API_TOKENS", "only-fifteen-ch"),
        ("API_TOKENS", "a-token-of-many-characters-with-ümlaut"),
        ("API_TOKENS", ",".join(f"token-number-{n:05}" for n in range(101))),
        ("ALLOWED_ORIGINS", "my.example"),
        ("ALLOWED_ORIGINS", "https://example.com/path"),
        ("FRAME_ANCESTORS", "https://a.example; script-src *"),
        ("TRUSTED_PROXIES", "10.9.0.0/33"),
        ("TRUSTED_PROXIES", "my-proxy"),
    ],
)
def test_invalid_setting_is_named_without_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        SecuritySettings.from_env({name: value})
    assert name in str(raised.value)
    assert value not in str(raised.value)


def test_security_settings_are_parsed() -> None:
    settings = SecuritySettings.from_env(
        {
            "APP_PASSWORD": " correct horse ",
            "API_TOKENS": "first-token-of-16, second-token-of-16",
            "ALLOWED_ORIGINS": "HTTPS://Example.com:443/, *",
            "FRAME_ANCESTORS": "https://huggingface.co",
            "TRUSTED_PROXIES": "10.1.2.3/8 ::1",
        }
    )
    assert settings.app_password == "correct horse"
    assert settings.api_tokens == ("first-token-of-16", "second-token-of-16")
    assert settings.allowed_origins == ("https://example.com", "*")
    assert settings.trusted_proxies == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1"))
    assert "horse" not in repr(settings) and "token-of" not in repr(settings)


@pytest.mark.parametrize("text", ["http://a b", "https://a;b", "https://a'b", "ftp://a", "https://", "https://a:port"])
def test_normalize_origin_rejects_other_text(text: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        normalize_origin(text)
