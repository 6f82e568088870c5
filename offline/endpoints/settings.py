"""Settings of the endpoints: `LLM_*`, `STT_*` and `TTS_*` of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from network.base_urls import parse_base_url
from network.hosts import is_private_host


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Address of one endpoint."""

    url: str
    """Base URL without a slash at its end, such as http://127.0.0.1:11434/v1."""
    model: str = ""
    """Model to ask for; "" for the only one that the endpoint offers."""
    key: str = field(default="", repr=False)
    """Bearer token; "" without one."""
    voice: str = ""
    """Voice of a speech endpoint; "" for its default."""

    @property
    def host(self) -> str:
        """Host and port, which are safe to show."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def is_private(self) -> bool:
        """Return whether the endpoint belongs to this computer or a private network, where requests cost no money."""
        return is_private_host(urlsplit(self.url).hostname or "")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Endpoints of the process; None for what this computer does itself."""

    llm: EndpointSettings | None = None
    stt: EndpointSettings | None = None
    tts: EndpointSettings | None = None


def read_endpoints(environ: Mapping[str, str] = os.environ) -> Endpoints:
    """Return the endpoints that `environ` names. Raises `ValueError` with one sentence that holds no value of a key."""
    return Endpoints(*(_read_endpoint(environ, prefix) for prefix in ("LLM", "STT", "TTS")))


def _read_endpoint(environ: Mapping[str, str], prefix: str) -> EndpointSettings | None:
    url = environ.get(f"{prefix}_URL", "").strip()
    if not url:
        return None
    key = environ.get(f"{prefix}_API_KEY", "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"{prefix}_API_KEY must be ASCII without spaces.")
    return EndpointSettings(
        parse_base_url(url, f"{prefix}_URL"),
        environ.get(f"{prefix}_MODEL", "").strip(),
        key,
        environ.get("TTS_VOICE", "").strip() if prefix == "TTS" else "",
    )
