"""Requests of both audio endpoints: bounded answers, and optional fields that a server refuses are left out."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx

from .errors import EndpointError, EndpointFault, parse_error_body, refused_path, status_error
from .http_client import HttpEndpoint, choose_model, endpoint_errors, error_body, send_request
from .settings import EndpointSettings

STATUSES_OF_A_REFUSED_FIELD = (400, 422)
"""HTTP statuses with which servers refuse a field: OpenAI's, and that of servers built on FastAPI."""

MAX_VALUE_CHARS = 16
"""Characters of a value by which a refusal may name it, such as a language, a speed or a format."""

Field = str | float
Refusal = tuple[str, Field | None]
"""Field that is refused: with one value, or altogether (None)."""


@dataclass(frozen=True, slots=True)
class AudioReply:
    """Body of a 2xx answer."""

    body: bytes
    content_type: str
    """Value of the Content-Type header in lower case; "" without one."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Bounds of one request."""

    first_byte_s: float
    """Seconds until the answer begins, connecting included."""
    total_s: float
    """Seconds until its end."""
    max_bytes: int
    """Bytes of the longest answer."""


def find_refused_field(error: Mapping[str, Any], fields: Collection[str]) -> str | None:
    """Return which of `fields` an `error` object names: by its path, else as a word of its message."""
    if path := refused_path(error):
        root = re.split(r"[.\[]", path)[0]
        return root if root in fields else None
    words = set(re.findall(r"\w+", str(error.get("message", ""))))
    return next((field for field in fields if field in words), None)


def is_value_named(error: Mapping[str, Any], value: Field) -> bool:
    """Return whether a refusal names `value`: another one may be accepted, as for a language."""
    named = re.escape(str(value))
    message = str(error.get("message", ""))
    return len(str(value)) <= MAX_VALUE_CHARS and re.search(rf"(?<![\w.]){named}(?![\w]|\.\w)", message) is not None


def error_in(body: bytes, content_type: str, host: str) -> EndpointError | None:
    """Return the error that a 2xx answer with JSON or a page holds in place of audio or text; None for another body."""
    is_page = "html" in content_type or body[:256].lstrip().lower().startswith((b"<!doctype", b"<html"))
    if is_page:
        return EndpointError(EndpointFault.MALFORMED, f"{host} answers with a web page.")
    if not body.lstrip().startswith(b"{"):
        return None
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict) or not (parsed.get("error") or parsed.get("detail")):
        return None
    error = parse_error_body(body)
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code <= 599 else 500
    return status_error(host, status, {}, error)


class AudioClient(HttpEndpoint):
    """One audio endpoint, with its connections. Belongs to one event loop."""

    def __init__(
        self,
        settings: EndpointSettings,
        path: str,
        model_setting: str,
        optional: tuple[str, ...],
        alternatives: Mapping[Refusal, Field] | None = None,
    ) -> None:
        """`optional` are the fields that may be left out. Raises `EndpointError` for an unusable proxy setting.

        `alternatives` are values to try before a field with a certain value is left out. `model_setting` is the
        variable that names the model, for the sentence about a missing choice.
        """
        super().__init__(settings)
        self._path = path
        self._model_setting = model_setting
        self._optional = optional
        self._alternatives = alternatives or {}
        self._refused: set[Refusal] = set()
        """What the endpoint refused of the optional fields, and without which it worked."""
        self._model = settings.model

    async def post(
        self,
        fields: Mapping[str, Field],
        build: Callable[[dict[str, Field]], dict[str, Any]],
        limits: RequestLimits,
    ) -> AudioReply:
        """Return the answer to a request with `fields` and the model.

        `build` makes httpx's arguments of the fields that are sent. Cancellation closes the connection.
        Raises `EndpointError`.
        """
        with endpoint_errors(self.host):
            async with asyncio.timeout(limits.total_s):
                model = await self._choose_model(limits.first_byte_s)
                refused: set[Refusal] = set()
                while True:
                    kept = self._choose_fields(fields, self._refused | refused)
                    reply = await self._send(build({"model": model, **kept}), limits)
                    if isinstance(reply, AudioReply):
                        self._refused |= refused
                        return reply
                    status, headers, error = reply
                    present = [name for name in self._optional if name in kept]
                    field = find_refused_field(error, present) if status in STATUSES_OF_A_REFUSED_FIELD else None
                    if field is None:
                        raise status_error(self.host, status, headers, error)
                    value = kept[field]
                    is_of_value = (field, value) in self._alternatives or is_value_named(error, value)
                    refused.add((field, value if is_of_value else None))

    def _choose_fields(self, fields: Mapping[str, Field], refused: Collection[Refusal]) -> dict[str, Field]:
        """Return `fields` without what is refused; a refused value is replaced where there is an alternative."""
        kept: dict[str, Field] = {}
        for name, wanted in fields.items():
            value: Field | None = wanted
            while value is not None and (name, value) in refused:
                value = self._alternatives.get((name, value))
            if value is not None and (name, None) not in refused:
                kept[name] = value
        return kept

    async def _send(
        self, arguments: dict[str, Any], limits: RequestLimits
    ) -> AudioReply | tuple[int, httpx.Headers, dict[str, Any]]:
        """Return the answer, or the status, the headers and the `error` object of a refusal."""
        received = bytearray()
        request = self._client.build_request("POST", self._path, **arguments)
        async with (
            asyncio.timeout(limits.first_byte_s) as first_byte,
            aclosing(await send_request(self._client, request)) as response,
        ):
            if not response.is_success:
                return response.status_code, response.headers, await error_body(response)
            async for block in response.aiter_bytes():
                first_byte.reschedule(None)  # from here on, the limit of the whole answer applies
                received += block
                if len(received) > limits.max_bytes:
                    raise EndpointError(EndpointFault.MALFORMED, f"The answer of {self.host} is too long.")
            return AudioReply(bytes(received), response.headers.get("content-type", "").lower())

    async def _choose_model(self, timeout_s: float) -> str:
        if not self._model:
            try:
                self._model = await choose_model(self._client, self._settings, timeout_s)
            except EndpointError as error:
                if error.fault not in (EndpointFault.NOT_FOUND, EndpointFault.MALFORMED):
                    raise
                sentence = f"{self.host} has no list of models: set {self._model_setting}."
                raise EndpointError(EndpointFault.NOT_CHOSEN, sentence, status=error.status) from None
        return self._model
