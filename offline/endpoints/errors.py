"""Errors of an endpoint: the kind decides what follows, the sentence is for people. Pure; needs no HTTP library."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import Enum
from time import time
from typing import Any

_CONTEXT_LENGTH = re.compile(
    r"context_length|exceed_context_size|context (length|window|size)|prompt is too long", re.IGNORECASE
)
_CONTEXT_TOKENS = re.compile(
    r"context (?:length|size|window)(?: of| is|:)?(?: only)? ?\(?(\d[\d,]*)|> ?(\d[\d,]*) maximum", re.IGNORECASE
)
"""Size of the window in the sentences of OpenAI, vLLM, SGLang, llama.cpp and LM Studio, and of Anthropic."""
_LIMIT_SPENT = re.compile(r"output limit was reached", re.IGNORECASE)
_LOCATION = re.compile(r"""['"]loc['"]: ?[(\[]['"]body['"], ?([^)\]]*)""")
"""Place of the first fault in a list of pydantic, as JSON or as Python writes it: vLLM and SGLang send it as text."""
_MAX_TOKEN_DIGITS = 9
"""Digits of a window's size that is believed."""
_DETAIL_FIELDS = ("type", "loc", "msg")
"""What is kept of an entry of pydantic's list. The others repeat what the request held, in `input` and `ctx`."""


class EndpointFault(Enum):
    """Kind of a failure."""

    UNREACHABLE = "unreachable"
    """No connection: refused, no route, an unknown name, a TLS failure."""
    UNAUTHORIZED = "unauthorized"
    """The key is missing or wrong (401, 403)."""
    NO_CREDIT = "no_credit"
    """The account has no credit (402)."""
    NOT_FOUND = "not_found"
    """The model or the path does not exist there (404)."""
    RATE_LIMITED = "rate_limited"
    """Too many requests (429)."""
    REJECTED = "rejected"
    """The request was refused for another reason (other 4xx)."""
    CONTEXT_LENGTH = "context_length"
    """The prompt exceeds the model's context window."""
    SERVER_ERROR = "server_error"
    """The endpoint failed (5xx, or an error in the stream)."""
    TIMEOUT = "timeout"
    """Nothing was received in time."""
    BROKEN_OFF = "broken_off"
    """The connection ended within the answer."""
    MALFORMED = "malformed"
    """The answer cannot be read."""
    EMPTY = "empty"
    """The answer has no words, for example only thoughts."""
    LOADING = "loading"
    """The endpoint is still loading its model."""
    NOT_CHOSEN = "not_chosen"
    """The endpoint offers several models and none is set, or none at all."""


FAULTS_OF_THE_REQUEST = frozenset({EndpointFault.REJECTED, EndpointFault.CONTEXT_LENGTH, EndpointFault.EMPTY})
"""Faults after which the next request may succeed: the circuit breaker does not count them."""


class EndpointError(Exception):
    """An endpoint failed. The message is one sentence without anything of the conversation, the key or a path."""

    def __init__(
        self,
        fault: EndpointFault,
        sentence: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        context_tokens: int | None = None,
    ) -> None:
        super().__init__(sentence)
        self.fault = fault
        self.status = status
        """HTTP status; None without a response."""
        self.retry_after_s = retry_after_s
        """Seconds after which the endpoint asks to be called again; None when it did not say."""
        self.context_tokens = context_tokens
        """Tokens of the context window, with `EndpointFault.CONTEXT_LENGTH`; None when the endpoint did not say."""


_FAULTS = {
    401: (EndpointFault.UNAUTHORIZED, "refuses the key"),
    402: (EndpointFault.NO_CREDIT, "has no credit left for this key"),
    403: (EndpointFault.UNAUTHORIZED, "refuses the key"),
    404: (EndpointFault.NOT_FOUND, "does not know the model or the path"),
    408: (EndpointFault.TIMEOUT, "took too long"),
    429: (EndpointFault.RATE_LIMITED, "has too many requests"),
}


def parse_error_body(body: bytes) -> dict[str, Any]:
    """Return the `error` object of a body in any of the usual forms; empty for other bodies."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return {}
    error = parsed.get("error", parsed.get("detail", parsed))
    if isinstance(error, list):
        entries = [entry for entry in error if isinstance(entry, dict)]
        error = [{name: entry[name] for name in _DETAIL_FIELDS if name in entry} for entry in entries]
    return error if isinstance(error, dict) else {"message": str(error)}


def refused_path(error: Mapping[str, Any]) -> str:
    """Return the path of the field that a refusal names apart from its sentence, such as "tools[0].function"; or ""."""
    if (param := error.get("param")) and param != "None":  # LiteLLM's form of null
        return str(param)
    location = _LOCATION.search(str(error.get("message", "")))
    return ".".join(re.findall(r"\w+", location[1])) if location else ""


def status_error(host: str, status: int, headers: Mapping[str, str], error: Mapping[str, Any]) -> EndpointError:
    """Return the error for a response that is not 2xx. Its sentence has nothing of the body."""
    if is_limit_spent_on_thoughts(error):
        return EndpointError(EndpointFault.EMPTY, f"{host} answered with only thoughts.", status=status)
    if is_context_length_error(error):
        return EndpointError(
            EndpointFault.CONTEXT_LENGTH,
            f"The conversation is too long for {host}.",
            status=status,
            context_tokens=find_context_tokens(error),
        )
    if "insufficient_quota" in f"{error.get('type')} {error.get('code')}":  # OpenAI's 429 for an account without credit
        fault, words = _FAULTS[402]
    elif status in _FAULTS:
        fault, words = _FAULTS[status]
    elif 300 <= status < 400:
        # Followed, a redirect could send the conversation and the key elsewhere.
        fault, words = EndpointFault.NOT_FOUND, "sends requests to another address"
    elif status >= 500:
        fault, words = EndpointFault.SERVER_ERROR, "has an error of its own"
    else:
        fault, words = EndpointFault.REJECTED, "refuses the request"
    return EndpointError(
        fault, f"{host} {words} ({status}).", status=status, retry_after_s=parse_retry_after(headers.get("retry-after"))
    )


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3); None for none or an unreadable one."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds == seconds else None


def is_context_length_error(error: Mapping[str, Any]) -> bool:
    """Return whether a refusal means a prompt beyond the context window. vLLM says it in the message only."""
    words = " ".join(str(error.get(name, "")) for name in ("type", "code", "message"))
    return _CONTEXT_LENGTH.search(words) is not None


def find_context_tokens(error: Mapping[str, Any]) -> int | None:
    """Return the tokens of the context window that a refusal names: llama.cpp as a number, others in the message."""
    if isinstance(size := error.get("n_ctx"), int) and size > 0:
        return size
    match = _CONTEXT_TOKENS.search(str(error.get("message", "")))
    digits = (match[1] or match[2]).replace(",", "") if match else ""
    return int(digits) or None if 0 < len(digits) <= _MAX_TOKEN_DIGITS else None


def is_limit_spent_on_thoughts(error: Mapping[str, Any]) -> bool:
    """Return whether a refusal means that the limit was used up before the first word, which OpenAI reports as 400."""
    return _LIMIT_SPENT.search(str(error.get("message", ""))) is not None
