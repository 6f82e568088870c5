"""Endpoint: where to connect and with which key, and which of its values are secret. Pure; no `repr` shows a key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from .unsupported_fields import UnsupportedFields

OPENAI_URL = "wss://api.openai.com/v1/realtime"

_AZURE_SUFFIXES = (".azure.com", ".azure.us", ".azure.cn")
_AZURE_VM_INFIX = ".cloudapp."
"""Part of the host name of a rented Azure virtual machine, which does not run Azure's own service."""
_CREDENTIAL_PARAMS = frozenset({"api_key", "api-key", "apikey", "key", "token", "access_token"})
"""Query parameters in which servers take a key."""
MIN_SECRET_CHARS = 8
"""Characters. Shorter values are not keys, and would be found in ordinary words."""


class ServerKind(StrEnum):
    """Kind of Realtime server."""

    OFFLINE = "offline"
    """The embedded server: no network, and a key that only this app has."""
    OPENAI = "openai"
    CUSTOM = "custom"
    """Any other server that speaks the protocol, by `REALTIME_URL`."""


class ObservedConnection(Protocol):
    """Open connection, as its observer uses it."""

    async def abort_if_silent(self) -> None:
        """Cut the connection unless its server answers soon. Never raises, also when the connection has ended."""


class ConnectionObserver(Protocol):
    """Watches the connections to one of several servers, among which it helps to choose."""

    def on_connecting(self) -> None:
        """Note that a connection to the server begins."""

    def on_connected(self, connection: ObservedConnection) -> None:
        """Note that the server accepted a connection. Keep it by a weak reference, because its end is not reported."""

    def on_unreachable(self) -> None:
        """Note that the server did not accept a connection."""


@dataclass(frozen=True, slots=True)
class EndpointSecrets:
    """Secrets in a server's address and headers, which only that server may receive. Defined here only."""

    credentials: tuple[str, ...] = field(repr=False)
    """Keys, tokens and passwords. They must not stand in anything that a client is sent."""
    private_values: tuple[str, ...] = field(repr=False)
    """Other values of the address, such as a deployment or an account. They must not stand in an error's text.

    Elsewhere they may: a session tells its model, which can be the name of a deployment.
    """

    @property
    def all(self) -> tuple[str, ...]:
        """Return both."""
        return self.credentials + self.private_values


def _distinct_secrets(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values as they are and percent-decoded, each once, without those too short to be a secret."""
    both = (form for value in values for form in (value, unquote(value)))
    return tuple(dict.fromkeys(form for form in both if len(form) >= MIN_SECRET_CHARS))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's address and key. The `repr` shows the host only: headers and query may hold a key."""

    kind: ServerKind
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    model: str = ""
    """Name of the model for the status bar and /health. "" when the server chooses."""
    services: str = ""
    """What of a conversation the embedded server sends to endpoints of the operator: the value of a `ServiceUse`."""
    has_own_key: bool = False
    """The key is the visitor's own, not the operator's."""
    unsupported_fields: UnsupportedFields = field(default_factory=UnsupportedFields, repr=False, compare=False)
    """Fields that the server rejected before; shared by all endpoints made from the same settings."""
    observer: ConnectionObserver | None = field(default=None, repr=False, compare=False)
    """Watches the connections to this server; None where it is the only one."""

    def with_visitor_model(self, model: str, allowed_models: Collection[str]) -> Endpoint:
        """Return the endpoint with the model that a visitor chose.

        The model must be in `allowed_models`, unless the visitor's own key pays for it. Otherwise nothing changes.
        """
        if not model or self.kind is ServerKind.OFFLINE or not (self.has_own_key or model in allowed_models):
            return self
        parts = urlsplit(self.url)
        query = [(name, value) for name, value in parse_qsl(parts.query, True) if name != "model"]
        url = with_model(urlunsplit(parts._replace(query=urlencode(query, quote_via=quote))), model)
        return replace(self, url=url, model=model)

    @property
    def name(self) -> str:
        """Return a code for the server and the owner of the key, such as "openai" or "custom_own_key"."""
        if self.services:
            return f"{self.kind.value}_{self.services}"
        return f"{self.kind.value}_own_key" if self.has_own_key else self.kind.value

    @property
    def host(self) -> str:
        """Return the server's host name, which is safe to log."""
        return urlsplit(self.url).hostname or ""

    @property
    def secrets(self) -> EndpointSecrets:
        """Return the values in headers and address that are for the server alone."""
        parts = urlsplit(self.url)
        query = parse_qsl(parts.query)
        user, password = parts.username or "", parts.password or ""
        credentials = [value.removeprefix("Bearer ") for value in self.headers.values()]
        credentials += [value for name, value in query if name.lower() in _CREDENTIAL_PARAMS]
        credentials += [password or user]  # a user without a password is a token
        others = [value for name, value in query if name.lower() not in _CREDENTIAL_PARAMS]
        others = [value for value in [*others, user] if value != self.model]
        return EndpointSecrets(_distinct_secrets(credentials), _distinct_secrets(others))

    def __repr__(self) -> str:
        return f"Endpoint({self.kind.value}, {self.host}, {self.model or 'default model'})"


def is_azure(host: str) -> bool:
    """Return whether the host is one of Azure's own services (Azure OpenAI, Voice Live, AI Foundry)."""
    return host.lower().endswith(_AZURE_SUFFIXES) and _AZURE_VM_INFIX not in host.lower()


def is_valid_header_value(text: str) -> bool:
    """Return whether the text is visible ASCII, so that it cannot add a header of its own."""
    return all("!" <= letter <= "~" for letter in text)


def auth_headers(url: str, key: str) -> dict[str, str]:
    """Return the header that carries a key to this server.

    Azure takes its keys as `api-key`. Only Entra tokens, which are JWTs, are bearer tokens there as elsewhere.
    """
    if not key:
        return {}
    if is_azure(urlsplit(url).hostname or "") and not key.startswith("eyJ"):
        return {"api-key": key}
    return {"Authorization": f"Bearer {key}"}


def to_realtime_url(url: str) -> str:
    """Return the URL of the Realtime endpoint for an address as operators write it (host, or an OpenAI base URL).

    http(s) becomes ws(s). Raises `ValueError` without the address, which may hold a key.
    """
    schemes = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
    parts = urlsplit(url)
    if parts.scheme.lower() not in schemes or not parts.hostname or parts.port == 0:
        raise ValueError("no WebSocket address")
    path = parts.path.rstrip("/")
    if not path:
        path = "/openai/v1/realtime" if is_azure(parts.hostname) else "/v1/realtime"
    elif path.endswith("/v1"):
        path += "/realtime"
    else:
        path = parts.path
    return urlunsplit((schemes[parts.scheme.lower()], parts.netloc, path, parts.query, ""))


def with_model(url: str, model: str) -> str:
    """Return the address with `?model=`, unless it names a model already or `model` is ""."""
    parts = urlsplit(url)
    if not model or "model" in parse_qs(parts.query):
        return url
    query = f"{parts.query}&model={quote(model)}" if parts.query else f"model={quote(model)}"
    return urlunsplit(parts._replace(query=query))


def without_userinfo(url: str) -> str:
    """Return the address without user and password. Beside a key they would make two Authorization headers."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def without_credentials(url: str) -> str:
    """Return the address without user, password and keys in its query."""
    parts = urlsplit(without_userinfo(url))
    kept = [(name, value) for name, value in parse_qsl(parts.query, True) if name.lower() not in _CREDENTIAL_PARAMS]
    return urlunsplit(parts._replace(query=urlencode(kept, quote_via=quote)))
