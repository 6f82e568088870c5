"""Proxy login: user and password of a proxy, percent-decoded. websockets sends them as they stand in the address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

from websockets.asyncio import client
from websockets.uri import Proxy

from voicechat.dependency_checks import require_function

PARSE_PROXY = "websockets.asyncio.client:parse_proxy"


class DecodingProxyParser:
    """websockets' parser of a proxy's address, with the login decoded."""

    def __init__(self, parse: Callable[[str], Proxy]) -> None:
        self._parse = parse

    def __call__(self, proxy: str) -> Proxy:
        parsed = self._parse(proxy)
        if parsed.username is None or parsed.password is None:
            return parsed
        return replace(parsed, username=unquote(parsed.username), password=unquote(parsed.password))


def install() -> None:
    """Replace the parser that websockets' client uses. A second call does nothing. Raises DependencyChanged."""
    parse = require_function(PARSE_PROXY, ["proxy"])
    if not isinstance(parse, DecodingProxyParser):
        client.parse_proxy = DecodingProxyParser(parse)  # type: ignore[attr-defined]
