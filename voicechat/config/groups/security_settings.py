"""Access to the page and the WebSockets: password, tokens, origins and trusted proxies."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from voicechat.config.env_values import SettingsError, check_key, setting, variable_of
from voicechat.config.settings_base import SettingsBase

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MIN_PASSWORD_CHARS, MAX_PASSWORD_CHARS = 8, 200
"""Characters of the page's password."""
MIN_API_TOKEN_CHARS = 16
"""Characters of a token, at least: no person types it, and wrong ones are not counted."""
MAX_API_TOKENS = 100
"""Tokens at most: each request is compared with all of them."""
ANY_ORIGIN = "*"
"""Entry of ALLOWED_ORIGINS that allows every origin."""
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.*_-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
_LOOPBACK_NETWORKS: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def normalize_origin(text: str) -> str:
    """Return an origin as browsers write it: lower case, without the scheme's default port. Raise ValueError."""
    text = text.strip().lower().rstrip("/")
    if not _ORIGIN.fullmatch(text):
        raise ValueError("not an origin")
    parts = urlsplit(text)
    default_port = {"http": 80, "https": 443}[parts.scheme]
    return text if parts.port != default_port else text.rpartition(":")[0]


def _split_list(value: str) -> list[str]:
    return list(dict.fromkeys(word for word in re.split(r"[\s,，、]+", value) if word))


def _validate_password(value: str, info: ValidationInfo) -> str:
    """Return the password. The error does not repeat it."""
    if value and not MIN_PASSWORD_CHARS <= len(value) <= MAX_PASSWORD_CHARS:
        raise SettingsError(
            f"{variable_of(info)} must have from {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters."
        )
    return value


def _parse_api_tokens(value: object, info: ValidationInfo) -> object:
    """Return the tokens between commas. The error repeats none of them."""
    if not isinstance(value, str):
        return value
    name = variable_of(info)
    tokens = tuple(check_key(word, f"A token in {name}") for word in _split_list(value))
    if len(tokens) > MAX_API_TOKENS or any(len(token) < MIN_API_TOKEN_CHARS for token in tokens):
        raise SettingsError(
            f"{name} must be at most {MAX_API_TOKENS} tokens of at least {MIN_API_TOKEN_CHARS} characters, "
            "between commas."
        )
    return tokens


def _parse_origins(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    try:
        origins = [word if word == ANY_ORIGIN else normalize_origin(word) for word in _split_list(value)]
    except ValueError:
        raise SettingsError(f"{variable_of(info)} must be origins like https://example.com, between commas.") from None
    return tuple(dict.fromkeys(origins))


def _parse_networks(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    try:
        return tuple(ipaddress.ip_network(word, strict=False) for word in _split_list(value))
    except ValueError:
        raise SettingsError(
            f"{variable_of(info)} must be addresses or networks like 10.0.0.0/8, between commas."
        ) from None


Origins = Annotated[tuple[str, ...], BeforeValidator(_parse_origins)]


class SecuritySettings(SettingsBase):
    """Access rules. By default every client that reaches the address may use the page, but no foreign origin may."""

    TITLES: ClassVar = ("Access", "存取控制")

    app_password: Annotated[str, AfterValidator(_validate_password)] = setting(
        "",
        "網頁的密碼，8 到 200 個字元。設定以後，除了 /health 以外都要密碼才會回應；程式要改用 `API_TOKENS`。",
        secret=True,
    )
    """Password of the page, 8-200 characters. Once set, only /health answers without it. Programs need API_TOKENS."""
    api_tokens: Annotated[tuple[str, ...], BeforeValidator(_parse_api_tokens)] = setting(
        (),
        "程式的權杖，用逗號分開，最多 100 個，每個至少 16 個字元。"
        "程式要連端點或讀 /metrics，必須在 API 金鑰的位置帶上其中一個。沒設的話，能用網頁的人就能用這些。",
        secret=True,
    )
    """Tokens for programs, separated by commas: at most 100, of at least 16 characters each. The WebSockets and
    /metrics require one as bearer token. Without this setting, they are as open as the page."""
    allowed_origins: Origins = setting(
        (),
        "這個程式對外的其他網址，以及可以使用它的其他網頁，用逗號分開。`*` 是全部。",
        example="https://voice.example",
    )
    """Origins, separated by commas: public names of this app, and other pages that may use it. `*` allows all."""
    frame_ancestors: Origins = setting(
        (), "可以把這個網頁放進框架的其他網頁，用逗號分開。", example="https://www.example"
    )
    """Origins of pages that may show this one in a frame, separated by commas."""
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_parse_networks)] = setting(
        _LOOPBACK_NETWORKS,
        "反向代理的位址或網段，用逗號分開。相信它們說的訪客來源（X-Forwarded-For），用來計算每位訪客的限制。",
    )
    """Addresses or networks of reverse proxies, separated by commas. Their X-Forwarded-For is trusted. It identifies
    the visitor for limits."""
