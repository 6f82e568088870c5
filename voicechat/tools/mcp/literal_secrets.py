"""Secrets that are written in the arguments and addresses of the MCP file itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus, urlsplit

from voicechat.tools.mcp.variables import with_and_without_scheme

_SECRET_NAME = re.compile(
    r"(?:^|[-_.])(?:api-?key|key|token|secret|pass(?:word|wd|phrase)?|pwd|credentials?|auth(?:orization)?|bearer|pat)s?$"
    r"|(?:apikey|(?:access|auth|api)token|clientsecret|password)$",
    re.IGNORECASE,
)
"""Name of an option, a header or a part of a query whose value is a secret, such as `--api-key`."""
_OPTION = re.compile(r"-{1,2}(?P<name>[A-Za-z][\w.-]*)(?:=(?P<value>.*))?", re.DOTALL)
_PAIR = re.compile(r"(?P<name>[A-Za-z][\w.-]*)(?:=|:\s*)(?P<value>.+)", re.DOTALL)
"""A variable or a header as one argument, such as `API_KEY=value` or `Authorization: Bearer value`."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def secrets_in_arguments(arguments: Iterable[str]) -> Iterator[str]:
    """Yield what the arguments of a program give as secrets: by the option's name, or within an address."""
    names_next = False
    for argument in arguments:
        yield from secrets_in_url(argument)
        option = _OPTION.fullmatch(argument)
        if option is None and names_next:
            yield from with_and_without_scheme(argument)
        found = option or _PAIR.fullmatch(argument)
        is_secret = found is not None and _SECRET_NAME.search(found["name"]) is not None
        if found is not None and is_secret and found["value"]:
            yield from with_and_without_scheme(found["value"])
        names_next = option is not None and is_secret and option["value"] is None


def secrets_in_url(url: str) -> Iterator[str]:
    """Yield the password of an address, and the values of its query that are secrets by their names."""
    address = _ADDRESS.search(url)
    if address is None:
        return
    try:
        parts = urlsplit(address[0])
        password = parts.password
    except ValueError:  # not an address
        return
    if password:
        yield from {password, unquote(password)}
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if value and _SECRET_NAME.search(name):
            yield from {value, unquote_plus(value)}
