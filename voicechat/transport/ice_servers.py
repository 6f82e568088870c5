"""ICE servers for a browser's call: the operator's own TURN server, or credentials of a TURN provider.

The page requests them before every call. With TURN_SECRET they are computed here, for each request. Those of a provider
are cached while a call that starts now can use them to its end. After a failure the provider is not asked for a while,
and calls continue without TURN. No request or response of a provider reaches a log.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from network.proxies import proxy_for
from voicechat.config.groups.ice_settings import IceServer, IceSettings, extract_ice_servers

log = logging.getLogger(__name__)

RtcConfigurationProvider = Callable[[], Awaitable[dict[str, Any]]]

REQUEST_TIMEOUT_S = 2.0
"""Seconds for the whole request: the visitor has pressed the button and waits."""
RETRY_DELAY_S = 60.0
"""Seconds before a failed provider is asked again."""
TIMED_MARGIN_S = 3600
"""Seconds that credentials of TURN_SECRET outlast the longest call: for the waiting queue, and clocks that differ."""
MAX_TTL_S = 48 * 3600
"""Seconds, the longest lifetime that Cloudflare grants."""


@dataclass(frozen=True, slots=True)
class CredentialRequest:
    """HTTP request for credentials. Its repr names the provider only."""

    provider: str
    method: str = field(repr=False)
    url: str = field(repr=False)
    options: dict[str, Any] = field(repr=False)
    """Arguments of `httpx.AsyncClient.request`."""


@dataclass(frozen=True, slots=True)
class ProviderBaseUrls:
    """Base addresses of the providers. Tests use their own."""

    cloudflare: str = "https://rtc.live.cloudflare.com"
    twilio: str = "https://api.twilio.com"
    hugging_face: str = "https://turn.fastrtc.org"


def static_servers(settings: IceSettings) -> tuple[IceServer, ...]:
    """Return the servers that the operator configured; empty without any."""
    if settings.ice_servers or not settings.turn_url:
        return settings.ice_servers
    server: IceServer = {"urls": [settings.turn_url]}
    if settings.turn_username:
        server |= {"username": settings.turn_username, "credential": settings.turn_credential}
    return (server,)


def timed_server(url: str, secret: str, expires_at_s: int, label: str) -> IceServer:
    """Return a TURN server with credentials that end at `expires_at_s`, in seconds since 1970.

    The scheme is that of coturn's `use-auth-secret`: the name holds the time, and its HMAC is the password. The secret
    is in neither. `label` tells calls of the same second apart, because coturn's quotas count by name.
    """
    username = f"{expires_at_s}:{label}"
    digest = hmac.digest(secret.encode("utf-8", "surrogateescape"), username.encode(), "sha1")
    return {"urls": [url], "username": username, "credential": base64.b64encode(digest).decode()}


def credential_request(settings: IceSettings, ttl_s: int, base_urls: ProviderBaseUrls) -> CredentialRequest | None:
    """Return the request for credentials that last `ttl_s` seconds; None without a provider."""
    if settings.cloudflare_turn_key_id:
        url = f"{base_urls.cloudflare}/v1/turn/keys/{settings.cloudflare_turn_key_id}/credentials/generate-ice-servers"
        bearer = {"Authorization": f"Bearer {settings.cloudflare_turn_key_api_token}"}
        return CredentialRequest("Cloudflare", "POST", url, {"headers": bearer, "json": {"ttl": ttl_s}})
    if settings.twilio_account_sid:
        url = f"{base_urls.twilio}/2010-04-01/Accounts/{settings.twilio_account_sid}/Tokens.json"
        login = (settings.twilio_account_sid, settings.twilio_auth_token)
        return CredentialRequest("Twilio", "POST", url, {"auth": login, "data": {"Ttl": str(ttl_s)}})
    if settings.turn_hf_token:
        bearer = {"Authorization": f"Bearer {settings.turn_hf_token}"}
        url = f"{base_urls.hugging_face}/credentials"
        return CredentialRequest("Hugging Face", "GET", url, {"headers": bearer, "params": {"ttl": ttl_s}})
    return None


class IceServerProvider:
    """Cache of the credentials. `max_call_s`: longest time that a call needs them."""

    def __init__(
        self,
        settings: IceSettings,
        max_call_s: int,
        *,
        base_urls: ProviderBaseUrls | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        """`wall_clock`: seconds since 1970, as the TURN server counts them."""
        self._settings = settings
        self._is_timed = bool(settings.turn_secret) and not settings.ice_servers
        self._timed_ttl_s = max_call_s + TIMED_MARGIN_S
        self._wall_clock = wall_clock
        self._static_servers = static_servers(settings)
        self._ttl_s = min(2 * max_call_s, MAX_TTL_S)
        self._cache_s = max(0, self._ttl_s - max_call_s)
        self._request = (
            None if self._static_servers else credential_request(settings, self._ttl_s, base_urls or ProviderBaseUrls())
        )
        self._clock = clock
        self._timeout_s = timeout_s
        self._servers: tuple[IceServer, ...] = ()
        self._refresh_at = clock()
        self._lock = asyncio.Lock()

    @property
    def rtc_configuration(self) -> RtcConfigurationProvider | None:
        """Function for `WebRTC(rtc_configuration=...)`, which accepts no method; None without ICE servers."""
        if not self._static_servers and self._request is None:
            return None

        async def configuration() -> dict[str, Any]:
            return {"iceServers": list(await self.get_servers())}

        return configuration

    async def get_servers(self) -> tuple[IceServer, ...]:
        """Return the ICE servers for a call that starts now, within `timeout_s` seconds. Never raises."""
        if self._is_timed:
            expires_at_s = int(self._wall_clock()) + self._timed_ttl_s
            url, secret = self._settings.turn_url, self._settings.turn_secret
            return (timed_server(url, secret, expires_at_s, secrets.token_hex(8)),)
        if self._request is None:
            return self._static_servers
        try:
            async with asyncio.timeout(self._timeout_s), self._lock:
                if self._clock() >= self._refresh_at:
                    await self._fetch(self._request)
        except TimeoutError:
            self._on_failure(self._request, "no answer in time")
        return self._servers

    async def _fetch(self, request: CredentialRequest) -> None:
        try:
            transport = httpx.AsyncHTTPTransport(proxy=proxy_for(request.url))
            async with httpx.AsyncClient(timeout=self._timeout_s, transport=transport) as client:
                response = await client.request(request.method, request.url, **request.options)
            servers = extract_ice_servers(response.json()) if response.is_success else ()
            reason = "no ICE servers in its answer" if response.is_success else f"HTTP {response.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            servers, reason = (), type(error).__name__
        if not servers:
            self._on_failure(request, reason)
            return
        self._servers, self._refresh_at = servers, self._clock() + self._cache_s

    def _on_failure(self, request: CredentialRequest, reason: str) -> None:
        if self._clock() < self._refresh_at:
            return  # logged by another call that waited for the same response
        self._servers, self._refresh_at = (), self._clock() + RETRY_DELAY_S
        log.warning("ice: no TURN credentials, continuing without TURN provider=%s reason=%s", request.provider, reason)
