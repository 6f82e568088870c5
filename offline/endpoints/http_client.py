"""HTTP of the endpoints: one client per endpoint for the life of the process, and errors as `EndpointError`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from network.proxies import ProxySettingError, proxy_for

from .errors import EndpointError, EndpointFault, parse_error_body, status_error
from .settings import EndpointSettings

CONNECT_TIMEOUT_S = 3.0
"""Seconds for name lookup and connection."""
KEEPALIVE_S = 120.0
"""Seconds that an unused connection is kept: longer than most pauses of a conversation. A TLS handshake takes 50 to
200 ms."""
MAX_ERROR_BYTES = 1 << 16
"""Bytes read of an error's body."""
MAX_MODELS_BYTES = 8 << 20
"""Bytes of the longest list of models. That of OpenRouter has about half a megabyte."""
MAX_MODEL_NAME_CHARS = 200
"""Characters of a model's name that are used."""
MAX_MODELS_NAMED = 5
"""Models named in the sentence about a missing choice."""


def create_client(settings: EndpointSettings) -> httpx.AsyncClient:
    """Return the client of one endpoint. Close it at the end. Raises `EndpointError` for an unusable proxy setting."""
    try:
        proxy = proxy_for(settings.url)
    except ProxySettingError as error:
        raise EndpointError(EndpointFault.UNREACHABLE, str(error)) from error
    # Some servers compare the token even where they need none.
    headers = {"Authorization": f"Bearer {settings.key or 'none'}", "User-Agent": "realtime-voice-chat"}
    try:
        return httpx.AsyncClient(
            base_url=settings.url,
            headers=headers,
            proxy=proxy,
            trust_env=False,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=KEEPALIVE_S),
        )
    except httpx.InvalidURL:
        raise EndpointError(EndpointFault.UNREACHABLE, "The address of the endpoint is not a host.") from None


class HttpEndpoint:
    """Base of all endpoints: its settings and its connections. Belongs to one event loop."""

    def __init__(self, settings: EndpointSettings) -> None:
        """Start without a request. Raises `EndpointError` for an unusable proxy setting."""
        self._settings = settings
        self._client = create_client(settings)

    @property
    def host(self) -> str:
        """Host and port, which are safe to show."""
        return self._settings.host

    @property
    def is_private(self) -> bool:
        """Return whether requests cost no money; see `EndpointSettings.is_private`."""
        return self._settings.is_private

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


@contextmanager
def endpoint_errors(host: str) -> Iterator[None]:
    """Raise httpx's errors and timeouts within the block as `EndpointError`."""
    try:
        yield
    except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout) as error:
        raise EndpointError(EndpointFault.TIMEOUT, f"{host} did not answer in time.") from error
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
        raise EndpointError(EndpointFault.UNREACHABLE, f"{host} cannot be reached.") from error
    except httpx.HTTPError as error:
        raise EndpointError(EndpointFault.BROKEN_OFF, f"{host} closed the connection.") from error


async def send_request(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send `request` and return the response; its body is not read yet, so close it. Raises httpx's errors.

    Servers close an unused connection after some time or number of requests (llama.cpp after 5 s or 100), possibly just
    when it is used again. A request without any answer on a kept connection is therefore sent once more. On a new
    connection the server may have begun, and a second request could be paid twice.
    """
    is_new = False

    async def note_connection(name: str, _: Any) -> None:
        # The steps of connecting, also through a proxy, are not those of "http11".
        nonlocal is_new
        is_new = is_new or not name.startswith("http11.")

    request.extensions = {**request.extensions, "trace": note_connection}
    try:
        return await client.send(request, stream=True)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        if is_new:
            raise
        return await client.send(request, stream=True)


async def error_body(response: httpx.Response) -> dict[str, Any]:
    """Return the `error` object of a refusal ("message", "type", "code", "param", as far as given). Reads the body."""
    received = bytearray()
    async for block in response.aiter_bytes():
        received += block
        if len(received) > MAX_ERROR_BYTES:
            break
    return parse_error_body(bytes(received[:MAX_ERROR_BYTES]))


@dataclass(frozen=True, slots=True)
class ListedModel:
    """Model that an endpoint offers."""

    name: str
    owned_by: str = ""
    """What the server puts in this field; several put their own name."""


async def list_models(client: httpx.AsyncClient, settings: EndpointSettings, timeout_s: float) -> list[ListedModel]:
    """Return the models that the endpoint offers, each once, within `timeout_s` seconds. Raises `EndpointError`."""
    received = bytearray()
    with endpoint_errors(settings.host):
        async with (
            asyncio.timeout(timeout_s),
            aclosing(await client.send(client.build_request("GET", "models"), stream=True)) as response,
        ):
            if not response.is_success:
                error = await error_body(response)
                raise status_error(settings.host, response.status_code, response.headers, error)
            async for block in response.aiter_bytes():
                received += block
                if len(received) > MAX_MODELS_BYTES:
                    raise EndpointError(EndpointFault.MALFORMED, f"The list of models of {settings.host} is too long.")
    try:
        models = _parse_models(json.loads(received))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise EndpointError(EndpointFault.MALFORMED, f"{settings.host} does not list its models.") from None
    return list({model.name: model for model in reversed(models)}.values())[::-1]


def _parse_models(listed: Any) -> list[ListedModel]:
    """Return the models of a list in JSON. Names are shown and logged: they get no control characters."""
    entries = listed.get("data", listed.get("models")) if isinstance(listed, dict) else listed
    if not isinstance(entries, list):
        raise TypeError
    names = ("".join(filter(str.isprintable, str(entry["id"])[:MAX_MODEL_NAME_CHARS])) for entry in entries)
    return [ListedModel(name, str(entry.get("owned_by") or "")) for name, entry in zip(names, entries, strict=True)]


async def choose_model(client: httpx.AsyncClient, settings: EndpointSettings, timeout_s: float) -> str:
    """Return the model of `settings`, else the only one that the endpoint offers. Raises `EndpointError`."""
    return settings.model or only_model(await list_models(client, settings, timeout_s), settings.host)


def only_model(models: Sequence[ListedModel], host: str) -> str:
    """Return the name of the only one of `models`. Raises `EndpointError` for several and for none."""
    if len(models) == 1:
        return models[0].name
    prefix = "No model is set, and"
    if not models:
        raise EndpointError(EndpointFault.NOT_CHOSEN, f"{prefix} {host} offers none.")
    named = ", ".join(model.name for model in models[:MAX_MODELS_NAMED])
    named += ", …" if len(models) > MAX_MODELS_NAMED else ""
    raise EndpointError(EndpointFault.NOT_CHOSEN, f"{prefix} {host} offers {len(models)}: {named}.")
