"""Settings of the relay (TURN) that carries calls where UDP cannot pass; `voicechat/transport/ice_servers.py` makes use of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .env_values import SettingsError
from .env_values import key as _key
from .env_values import text as _text

T = TypeVar("T")
IceServer = dict[str, Any]
"""As a browser's RTCPeerConnection takes it: `urls`, and `username` and `credential` where it wants them."""

MAX_ICE_SERVERS = 10
"""Browsers warn from five on: each is asked at every call."""


def extract_ice_servers(answer: object) -> tuple[IceServer, ...]:
    """The ICE servers in what a provider or an operator wrote: a list, one object, or either of them under `iceServers`
    or `ice_servers`. What is no ICE server is left out; never raises."""
    if isinstance(answer, Mapping) and "urls" not in answer:
        answer = answer.get("iceServers") or answer.get("ice_servers")
    entries = answer if isinstance(answer, list) else [answer]
    servers = []
    for entry in entries[:MAX_ICE_SERVERS]:
        if not isinstance(entry, Mapping):
            continue
        named = entry.get("urls")
        named = named if isinstance(named, list) else [named]
        urls = [url for url in named if isinstance(url, str) and url.startswith(("stun:", "turn:", "turns:"))]
        if urls:
            secrets = {key: entry[key] for key in ("username", "credential") if isinstance(entry.get(key), str)}
            servers.append({"urls": urls, **secrets})
    return tuple(servers)


def _parse_ice_servers(name: str, value: str) -> tuple[IceServer, ...]:
    """Reads a JSON list. The message does not repeat it: it holds a password."""
    try:
        servers = extract_ice_servers(json.loads(value))
    except (ValueError, RecursionError):
        servers = ()
    if not servers:
        raise SettingsError(f'{name} must be a JSON list like [{{"urls": "turn:host:3478"}}].')
    return servers


def _parse_turn_url(name: str, value: str) -> str:
    if not value.startswith(("turn:", "turns:")) or len(value) > 500:
        raise SettingsError(f"{name} must be an address like turn:host:3478.")
    return value


@dataclass(frozen=True, slots=True)
class IceSettings:
    """The first that is set is used; with none set no one is asked, and calls go the direct way."""

    ice_servers: tuple[IceServer, ...] = field(default=(), repr=False, hash=False)
    """ICE_SERVERS, a JSON list as browsers take it: `[{"urls": "turn:…", "username": "…", "credential": "…"}]`."""
    turn_url: str = ""
    """TURN_URL of a relay of your own (coturn), like `turn:host:3478`. It carries calls where UDP cannot pass."""
    turn_username: str = field(default="", repr=False)
    """TURN_USERNAME for TURN_URL."""
    turn_credential: str = field(default="", repr=False)
    """TURN_CREDENTIAL for TURN_URL. Every visitor's browser is told it, as with any fixed password of a relay."""
    cloudflare_turn_key_id: str = field(default="", repr=False)
    """CLOUDFLARE_TURN_KEY_ID of Cloudflare's relay, for credentials that end by themselves."""
    cloudflare_turn_key_api_token: str = field(default="", repr=False)
    """CLOUDFLARE_TURN_KEY_API_TOKEN that belongs to it."""
    twilio_account_sid: str = field(default="", repr=False)
    """TWILIO_ACCOUNT_SID, for Twilio's relay."""
    twilio_auth_token: str = field(default="", repr=False)
    """TWILIO_AUTH_TOKEN that belongs to it."""
    turn_hf_token: str = field(default="", repr=False)
    """TURN_HF_TOKEN, a token of Hugging Face: sent to turn.fastrtc.org at a call, for credentials of a relay. Not
    HF_TOKEN, which stands in many an environment for other purposes."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> IceSettings:
        """From any mapping. Raises SettingsError."""

        def read(name: str, convert: Callable[[str, str], T], otherwise: T) -> T:
            value = environ.get(name, "").strip()
            return convert(name, value) if value else otherwise

        settings = cls(
            ice_servers=read("ICE_SERVERS", _parse_ice_servers, ()),
            turn_url=read("TURN_URL", _parse_turn_url, ""),
            turn_username=read("TURN_USERNAME", _text(500), ""),
            turn_credential=read("TURN_CREDENTIAL", _text(500), ""),
            cloudflare_turn_key_id=read("CLOUDFLARE_TURN_KEY_ID", _key, ""),
            cloudflare_turn_key_api_token=read("CLOUDFLARE_TURN_KEY_API_TOKEN", _key, ""),
            twilio_account_sid=read("TWILIO_ACCOUNT_SID", _key, ""),
            twilio_auth_token=read("TWILIO_AUTH_TOKEN", _key, ""),
            turn_hf_token=read("TURN_HF_TOKEN", _key, ""),
        )
        pairs = (
            ("TURN_USERNAME", "TURN_CREDENTIAL"),
            ("CLOUDFLARE_TURN_KEY_ID", "CLOUDFLARE_TURN_KEY_API_TOKEN"),
            ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"),
        )
        for one, other in pairs:
            if bool(getattr(settings, one.lower())) != bool(getattr(settings, other.lower())):
                raise SettingsError(f"{one} and {other} must be set together.")
        return settings
