"""Settings of who may come in, and from where; `web/guard` goes by them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from .env_values import SettingsError, check_key

T = TypeVar("T")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MIN_PASSWORD_CHARS = 8
MIN_API_TOKEN_CHARS = 16
"""Characters: a token is not typed by anyone, and guesses at it are not counted."""
MAX_API_TOKENS = 100
ANY_ORIGIN = "*"
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.*_-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")


def _split_list(value: str) -> list[str]:
    return list(dict.fromkeys(word for word in re.split(r"[\s,，、]+", value) if word))


def _parse_password(name: str, value: str) -> str:
    """Reads a password. The message does not repeat it."""
    if not MIN_PASSWORD_CHARS <= len(value) <= 200:
        raise SettingsError(f"{name} must have from {MIN_PASSWORD_CHARS} to 200 characters.")
    return value


def _parse_api_tokens(name: str, value: str) -> tuple[str, ...]:
    """Reads tokens between commas. The message repeats none."""
    tokens = tuple(check_key(word, f"A token in {name}") for word in _split_list(value))
    if len(tokens) > MAX_API_TOKENS or any(len(token) < MIN_API_TOKEN_CHARS for token in tokens):
        raise SettingsError(
            f"{name} must be at most {MAX_API_TOKENS} tokens of at least {MIN_API_TOKEN_CHARS} characters, between commas."
        )
    return tokens


def normalize_origin(text: str) -> str:
    """An origin as browsers write it: scheme, host and, where it is not the scheme's own, port, in small letters.

    Raises ValueError for anything else.
    """
    text = text.strip().lower().rstrip("/")
    if not _ORIGIN.fullmatch(text):
        raise ValueError("not an origin")
    parts = urlsplit(text)
    own = {"http": 80, "https": 443}[parts.scheme]
    return text if parts.port != own else text.rpartition(":")[0]


def _parse_origins(name: str, value: str) -> tuple[str, ...]:
    try:
        return tuple(
            dict.fromkeys(word if word == ANY_ORIGIN else normalize_origin(word) for word in _split_list(value))
        )
    except ValueError:
        raise SettingsError(f"{name} must be origins like https://example.com, between commas.") from None


def _parse_networks(name: str, value: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(word, strict=False) for word in _split_list(value))
    except ValueError:
        raise SettingsError(f"{name} must be addresses or networks like 10.0.0.0/8, between commas.") from None


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """Nothing set: whoever reaches the address may use the page and the sockets, but no other web page may."""

    app_password: str = field(default="", repr=False)
    """APP_PASSWORD, at least 8 characters: the page asks for it, and nothing but /health answers without it. Programs
    need API_TOKENS then."""
    api_tokens: tuple[str, ...] = field(default=(), repr=False)
    """API_TOKENS, separated by commas, at least 16 characters each: programs must bring one (as a bearer token, where
    an API key of OpenAI's goes) for the sockets and /metrics. Not set: whoever may use the page may use these."""
    allowed_origins: tuple[str, ...] = ()
    """ALLOWED_ORIGINS, separated by commas, like `https://example.com`: where the app is reached under another name
    than its own server is told, and other web pages that may use it. `*`: all of them."""
    frame_ancestors: tuple[str, ...] = ()
    """FRAME_ANCESTORS, separated by commas: other web pages that may show this one in a frame."""
    trusted_proxies: tuple[Network, ...] = tuple(ipaddress.ip_network(net) for net in ("127.0.0.0/8", "::1/128"))
    """TRUSTED_PROXIES, addresses or networks: what they say of where a visitor comes from (X-Forwarded-For) is
    believed. For the limits that count by visitor."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> SecuritySettings:
        """From any mapping. Raises SettingsError."""

        def read(name: str, convert: Callable[[str, str], T], otherwise: T) -> T:
            value = environ.get(name, "").strip()
            return convert(name, value) if value else otherwise

        default = cls()
        return cls(
            app_password=read("APP_PASSWORD", _parse_password, ""),
            api_tokens=read("API_TOKENS", _parse_api_tokens, ()),
            allowed_origins=read("ALLOWED_ORIGINS", _parse_origins, ()),
            frame_ancestors=read("FRAME_ANCESTORS", _parse_origins, ()),
            trusted_proxies=read("TRUSTED_PROXIES", _parse_networks, default.trusted_proxies),
        )
