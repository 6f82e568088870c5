"""ICE servers for a browser's call: the operator's own relay, or fresh credentials of a provider.

The page asks before every call. Credentials are kept as long as a call that starts now can use them to its end. A
provider that fails or is slow gives none, is left alone for a while, and costs one line in the log: the call then goes
the direct way. Nothing that a provider says or is told reaches a log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from realtime.turn_settings import IceServer, TurnSettings, known_servers

log = logging.getLogger(__name__)

RtcConfiguration = Callable[[], Awaitable[dict[str, Any]]]

ANSWER_S = 2.0
"""For the whole question: someone has pressed the button and waits."""
PAUSE_S = 60.0
"""Before a provider that failed is asked again."""
LONGEST_TTL_S = 48 * 3600
"""What Cloudflare gives at most."""


@dataclass(frozen=True, slots=True)
class Question:
    """One HTTP request for credentials; its repr names the provider only."""

    provider: str
    method: str = field(repr=False)
    url: str = field(repr=False)
    options: dict[str, Any] = field(repr=False)
    """Arguments of `httpx.AsyncClient.request`."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Base addresses of the providers; tests have their own."""

    cloudflare: str = "https://rtc.live.cloudflare.com"
    twilio: str = "https://api.twilio.com"
    hugging_face: str = "https://turn.fastrtc.org"


def fixed_servers(settings: TurnSettings) -> tuple[IceServer, ...]:
    """The servers for which nobody needs to be asked; empty when the operator named none."""
    if settings.ice_servers or not settings.turn_url:
        return settings.ice_servers
    server: IceServer = {"urls": [settings.turn_url]}
    if settings.turn_username:
        server |= {"username": settings.turn_username, "credential": settings.turn_credential}
    return (server,)


def question(settings: TurnSettings, ttl_s: int, hosts: Hosts) -> Question | None:
    """How the provider is asked for credentials that last `ttl_s` seconds; None when none is configured."""
    if settings.cloudflare_turn_key_id:
        url = f"{hosts.cloudflare}/v1/turn/keys/{settings.cloudflare_turn_key_id}/credentials/generate-ice-servers"
        bearer = {"Authorization": f"Bearer {settings.cloudflare_turn_key_api_token}"}
        return Question("Cloudflare", "POST", url, {"headers": bearer, "json": {"ttl": ttl_s}})
    if settings.twilio_account_sid:
        url = f"{hosts.twilio}/2010-04-01/Accounts/{settings.twilio_account_sid}/Tokens.json"
        login = (settings.twilio_account_sid, settings.twilio_auth_token)
        return Question("Twilio", "POST", url, {"auth": login, "data": {"Ttl": str(ttl_s)}})
    if settings.turn_hf_token:
        bearer = {"Authorization": f"Bearer {settings.turn_hf_token}"}
        url = f"{hosts.hugging_face}/credentials"
        return Question("Hugging Face", "GET", url, {"headers": bearer, "params": {"ttl": ttl_s}})
    return None


class Turn:
    """Owner of the credentials. `longest_call_s` is how long a call may need them."""

    def __init__(
        self,
        settings: TurnSettings,
        longest_call_s: int,
        *,
        hosts: Hosts | None = None,
        clock: Callable[[], float] = time.monotonic,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._fixed = fixed_servers(settings)
        self._ttl_s = min(2 * longest_call_s, LONGEST_TTL_S)
        self._keep_s = max(0, self._ttl_s - longest_call_s)
        self._question = None if self._fixed else question(settings, self._ttl_s, hosts or Hosts())
        self._clock = clock
        self._answer_s = answer_s
        self._servers: tuple[IceServer, ...] = ()
        self._ask_again = clock()
        self._asking = asyncio.Lock()

    @property
    def rtc_configuration(self) -> RtcConfiguration | None:
        """For fastrtc's WebRTC(rtc_configuration=...), which takes a plain function and no method; None: nothing is
        configured, and the page need not ask."""
        if not self._fixed and self._question is None:
            return None

        async def configuration() -> dict[str, Any]:
            return {"iceServers": list(await self.servers())}

        return configuration

    async def servers(self) -> tuple[IceServer, ...]:
        """The ICE servers for a call that starts now; empty when there are none. Never raises, and takes at most
        `answer_s` seconds."""
        if self._question is None:
            return self._fixed
        try:
            async with asyncio.timeout(self._answer_s), self._asking:
                if self._clock() >= self._ask_again:
                    await self._ask(self._question)
        except TimeoutError:
            self._failed(self._question, "no answer in time")
        return self._servers

    async def _ask(self, question: Question) -> None:
        try:
            async with httpx.AsyncClient(timeout=self._answer_s) as client:
                response = await client.request(question.method, question.url, **question.options)
            servers = known_servers(response.json()) if response.is_success else ()
            reason = "no ICE servers in its answer" if response.is_success else f"HTTP {response.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            servers, reason = (), type(error).__name__
        if not servers:
            self._failed(question, reason)
            return
        self._servers, self._ask_again = servers, self._clock() + self._keep_s

    def _failed(self, question: Question, reason: str) -> None:
        if self._clock() < self._ask_again:
            return  # another call that waited for the same answer has said so
        self._servers, self._ask_again = (), self._clock() + PAUSE_S
        log.warning("%s gives no TURN credentials (%s): calls go the direct way.", question.provider, reason)
