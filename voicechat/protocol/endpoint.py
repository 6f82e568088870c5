"""Where to connect and with which key. Pure; nothing here shows a key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from .unsupported_fields import UnsupportedFields

OPENAI_URL = "wss://api.openai.com/v1/realtime"

_AZURE_SUFFIXES = (".azure.com", ".azure.us", ".azure.cn")
_AZURE_VM_INFIX = ".cloudapp."
"""In the name of a virtual machine that someone rents from Azure: what runs there is not Azure's own service."""
_CREDENTIAL_PARAMS = frozenset({"api_key", "api-key", "apikey", "key", "token", "access_token"})
"""Names under which servers take a key in their address."""


class ServerKind(StrEnum):
    """Which Realtime server a call talks to."""

    OFFLINE = "offline"
    """The embedded server: no key, no network."""
    OPENAI = "openai"
    CUSTOM = "custom"
    """Any other server that speaks the protocol, by `REALTIME_URL`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect. The `repr` shows the host only: headers and query may hold a key."""

    kind: ServerKind
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    model: str = ""
    """For people: what the status bar and /health show. "" when the server chooses."""
    has_visitor_key: bool = False
    """The key is a visitor's own, not the operator's."""
    unsupported_fields: UnsupportedFields = field(default_factory=UnsupportedFields, repr=False, compare=False)
    """What the server refused before; shared by all endpoints that come from the same settings."""

    def with_visitor_model(self, model: str, allowed_models: Collection[str]) -> Endpoint:
        """The same with the model that a visitor wants: one that the operator has `offered`, or with the visitor's own
        key any. Else nothing changes: a dearer model is not the visitor's to choose."""
        if not model or self.kind is ServerKind.OFFLINE or not (self.has_visitor_key or model in allowed_models):
            return self
        parts = urlsplit(self.url)
        query = [(name, value) for name, value in parse_qsl(parts.query, True) if name != "model"]
        url = with_model(urlunsplit(parts._replace(query=urlencode(query, quote_via=quote))), model)
        return replace(self, url=url, model=model)

    @property
    def name(self) -> str:
        """A code for people to be told which server and whose key: "openai", "custom_own_key"."""
        return f"{self.kind.value}_own_key" if self.has_visitor_key else self.kind.value

    @property
    def host(self) -> str:
        """Host name of the server; safe to log."""
        return urlsplit(self.url).hostname or ""

    @property
    def credentials(self) -> tuple[str, ...]:
        """What must never be told to anybody but the server: the credentials in the headers and in the address."""
        parts = urlsplit(self.url)
        found = [value.removeprefix("Bearer ") for value in self.headers.values()]
        found += [value for name, value in parse_qsl(parts.query) if name.lower() in _CREDENTIAL_PARAMS]
        return tuple(key for key in [*found, unquote(parts.password or "")] if key)

    @property
    def is_local(self) -> bool:
        """On this computer: no proxy must be asked."""
        return self.host in ("127.0.0.1", "::1", "localhost")

    def __repr__(self) -> str:
        return f"Endpoint({self.kind.value}, {self.host}, {self.model or 'default model'})"


def is_azure(host: str) -> bool:
    """A service of Azure's own (Azure OpenAI, Voice Live, AI Foundry)."""
    return host.lower().endswith(_AZURE_SUFFIXES) and _AZURE_VM_INFIX not in host.lower()


def is_valid_header_value(text: str) -> bool:
    """Whether it may stand in a header as it is: visible ASCII, so no line of its own can be smuggled in."""
    return all("!" <= letter <= "~" for letter in text)


def auth_headers(url: str, key: str) -> dict[str, str]:
    """The header that carries a key to this server.

    Azure takes its keys as `api-key`, and only tokens of Entra, which are JWTs, as a bearer token like everyone else.
    """
    if not key:
        return {}
    if is_azure(urlsplit(url).hostname or "") and not key.startswith("eyJ"):
        return {"api-key": key}
    return {"Authorization": f"Bearer {key}"}


def to_realtime_url(url: str) -> str:
    """An address as people give it (a host, or the base URL of an OpenAI client) -> that of the Realtime endpoint.

    http(s) becomes ws(s). Raises ValueError, which does not repeat the address: it may hold a key.
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
    """The address with `?model=`, unless it names a model itself or none is wanted."""
    parts = urlsplit(url)
    if not model or "model" in parse_qs(parts.query):
        return url
    query = f"{parts.query}&model={quote(model)}" if parts.query else f"model={quote(model)}"
    return urlunsplit(parts._replace(query=query))


def without_userinfo(url: str) -> str:
    """The address without a user and a password. With a key beside them there would be two Authorization headers."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def without_credentials(url: str) -> str:
    """The address without a user, a password, or a key in its query."""
    parts = urlsplit(without_userinfo(url))
    kept = [(name, value) for name, value in parse_qsl(parts.query, True) if name.lower() not in _CREDENTIAL_PARAMS]
    return urlunsplit(parts._replace(query=urlencode(kept, quote_via=quote)))
