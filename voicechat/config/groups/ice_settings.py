"""STUN and TURN servers for calls through NATs and firewalls. `voicechat/transport/ice_servers.py` uses them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, model_validator

from voicechat.config.env_values import Key, SettingsError, setting, variable_of
from voicechat.config.settings_base import SettingsBase

IceServer = dict[str, Any]
"""ICE server as a browser's RTCPeerConnection takes it: `urls`, and `username` and `credential` where required."""

MAX_ICE_SERVERS = 10
"""ICE servers at most. Browsers contact each of them for every call, and warn from five on."""
MAX_TURN_URL_CHARS = 500
"""Characters of TURN_URL."""
_PAIRS = (
    ("turn_username", "turn_credential"),
    ("cloudflare_turn_key_id", "cloudflare_turn_key_api_token"),
    ("twilio_account_sid", "twilio_auth_token"),
)
"""Fields that are useless without each other."""


def extract_ice_servers(answer: object) -> tuple[IceServer, ...]:
    """Return the ICE servers in the JSON of a provider or operator. Leave out other values; never raise.

    The JSON is a list or one object, or holds either of them as `iceServers` or `ice_servers`.
    """
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


def _parse_ice_servers(value: object, info: ValidationInfo) -> object:
    """Return the servers in a JSON list. The error does not repeat it: it holds a password."""
    if not isinstance(value, str):
        return value
    try:
        servers = extract_ice_servers(json.loads(value))
    except (ValueError, RecursionError):
        servers = ()
    if not servers:
        raise SettingsError(f'{variable_of(info)} must be a JSON list like [{{"urls": "turn:host:3478"}}].')
    return servers


def _validate_turn_url(value: str, info: ValidationInfo) -> str:
    if value and (not value.startswith(("turn:", "turns:")) or len(value) > MAX_TURN_URL_CHARS):
        raise SettingsError(f"{variable_of(info)} must be an address like turn:host:3478.")
    return value


class IceSettings(SettingsBase):
    """ICE servers. The first provider that is set is used; without any, calls connect directly."""

    TITLES: ClassVar = ("STUN and TURN servers", "STUN 與 TURN 伺服器")

    ice_servers: Annotated[tuple[IceServer, ...], BeforeValidator(_parse_ice_servers)] = setting(
        (),
        "ICE 伺服器，瀏覽器格式的 JSON 清單。",
        secret=True,
        example='[{"urls": "turn:host:3478", "username": "voice", "credential": "secret"}]',
    )
    """ICE servers as a JSON list in the form of browsers."""
    turn_url: Annotated[str, AfterValidator(_validate_turn_url)] = setting(
        "", "自架的 TURN 伺服器（coturn），UDP 不通時由它轉送通話。", example="turn:host:3478"
    )
    """Address of your own TURN server (coturn). It carries calls through networks that block UDP."""
    turn_username: str = setting("", "`TURN_URL` 的帳號。", max_length=500, secret=True)
    """User name for TURN_URL."""
    turn_credential: str = setting(
        "", "`TURN_URL` 的密碼。固定密碼的 TURN 伺服器都一樣，每位訪客的瀏覽器都會拿到。", max_length=500, secret=True
    )
    """Password for TURN_URL. Every visitor's browser receives it, as with all fixed passwords of TURN servers."""
    turn_secret: str = setting(
        "",
        "`TURN_URL` 的共用密鑰（coturn 的 `use-auth-secret` 與 `static-auth-secret`）。"
        "每通電話都用它算出會自動過期的帳密，密鑰本身不會離開這個程式。"
        "和 `TURN_USERNAME`、`TURN_CREDENTIAL` 只能擇一。",
        max_length=500,
        secret=True,
    )
    """Secret that the app shares with TURN_URL (coturn's `use-auth-secret` and `static-auth-secret`). Each call gets
    credentials from it that expire; the secret itself stays in the app. It replaces TURN_USERNAME and
    TURN_CREDENTIAL."""
    cloudflare_turn_key_id: Key = setting("", "Cloudflare TURN 服務的金鑰 ID，帳密會自動過期。", secret=True)
    """Key ID of Cloudflare's TURN service, whose credentials expire."""
    cloudflare_turn_key_api_token: Key = setting("", "與 `CLOUDFLARE_TURN_KEY_ID` 成對的 API token。", secret=True)
    """API token for CLOUDFLARE_TURN_KEY_ID."""
    twilio_account_sid: Key = setting("", "Twilio TURN 服務的帳號 SID，帳密會自動過期。", secret=True)
    """Account SID for Twilio's TURN service, whose credentials expire."""
    twilio_auth_token: Key = setting("", "與 `TWILIO_ACCOUNT_SID` 成對的 auth token。", secret=True)
    """Auth token for TWILIO_ACCOUNT_SID."""
    turn_hf_token: Key = setting(
        "", "Hugging Face 的 token：通話時送到 turn.fastrtc.org，換取 TURN 伺服器的帳密。不是 `HF_TOKEN`。", secret=True
    )
    """Hugging Face token, sent to turn.fastrtc.org at a call in exchange for TURN credentials. HF_TOKEN is not used:
    it is often set for other purposes."""

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        """Raise SettingsError for credentials with only one half, or of two kinds."""
        incomplete = [pair for pair in _PAIRS if bool(getattr(self, pair[0])) != bool(getattr(self, pair[1]))]
        if incomplete:
            raise SettingsError(
                *(f"{one.upper()} and {other.upper()} must be set together." for one, other in incomplete)
            )
        if self.turn_secret and (self.turn_username or self.turn_credential):
            raise SettingsError(
                "TURN_SECRET replaces TURN_USERNAME and TURN_CREDENTIAL: set one of the two kinds only."
            )
        if self.turn_secret and not self.turn_url:
            raise SettingsError("TURN_SECRET needs TURN_URL, the address of the TURN server that shares it.")
        return self
