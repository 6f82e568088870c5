"""What decides about a request: the rules put together, and what is remembered between requests. No ASGI in here."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers

from realtime.guard_settings import GuardSettings

from . import words
from .bindings import Bindings
from .caller import Caller
from .doors import Door
from .offers import Offers
from .origins import known_host, may_come, own_origins
from .password import Password
from .requests import Asked, Join
from .tokens import brought, is_known
from .words import Refusal

SAME_MOMENT_S = 2.0
"""Two tabs that are opened at once both come without a cookie: they are given the same."""
MOST_MOMENTS = 1000
FREE = frozenset({Door.OPEN, Door.LOCAL, Door.CLOSED})
"""What needs no password."""


class Porter:
    """One for a process, however many ASGI apps there are in it."""

    def __init__(
        self,
        settings: GuardSettings,
        *,
        component: int,
        places: Mapping[int, tuple[int, ...]],
        files: frozenset[str],
        scripts: tuple[str, ...],
        offers: Offers,
        names: Callable[[], tuple[str, ...]] = tuple,
        only_here: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`component`, `places`: see `requests.py`. `files`: paths of files that the page shows.
        `scripts`: hashes of those that Gradio puts into the page once it has begun. `names`: further
        origins of our own, asked every time. `only_here`: the app listens to this computer alone and has no password,
        so that a name it does not know is another page's trick."""
        self.settings = settings
        self.component, self.places, self.files, self.scripts = component, places, files, scripts
        self.offers = offers
        self.password = Password(settings.app_password, clock) if settings.app_password else None
        self._names = names
        self._only_here = only_here and self.password is None
        self._sessions = Bindings()
        self._connections = Bindings()
        self._clock = clock
        self._moments: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()

    # ---------------------------------------------------------------- who may come

    def refuses(self, door: Door, caller: Caller, headers: Headers, subprotocols: list[str]) -> Refusal | None:
        """Why this request is not served, or None. The password is a matter of its own: `wants_password`."""
        if door is Door.CLOSED or (door is Door.LOCAL and not caller.here):
            return words.NOT_HERE
        if door in (Door.OPEN, Door.LOCAL):
            return None
        tokens = brought(headers, subprotocols) if door is Door.PROGRAM else []
        trusted = is_known(tokens, self.settings.api_tokens)
        names = (*self.settings.allowed_origins, *self._names())
        if not trusted:
            if self._only_here and not all(known_host(host, names) for host in caller.hosts[:1]):
                return words.OTHER_NAME
            # A browser knows which page asks. Without its word another page could pass for a proxy that changed our
            # name (X-Forwarded-Host): under launch() Gradio's CORS lets those on this computer set any header.
            other = headers.get("sec-fetch-site") in ("cross-site", "same-site")
            ours = frozenset() if other else own_origins("https" if caller.https else "http", caller.hosts)
            if not may_come(caller.origin, ours, names):
                return words.OTHER_PAGE
        if door is Door.PROGRAM and not trusted:
            passed = self.password is not None and self.password.passes(caller.passed)
            if self.settings.api_tokens and not passed:
                return words.TOKEN
            if self.password is not None and not passed:
                return words.NO_TOKENS
        return None

    def wants_password(self, door: Door, caller: Caller) -> bool:
        """Whether whoever asks for this has first to give the password."""
        if self.password is None or door in FREE or door in (Door.PROGRAM, Door.LOGIN):
            return False
        return not self.password.passes(caller.passed)

    # ---------------------------------------------------------------- whose is it

    def visitor_for(self, caller: Caller, agent: str) -> str:
        """The cookie for a browser that comes without one."""
        now = self._clock()
        while self._moments and (len(self._moments) > MOST_MOMENTS or self._oldest() + SAME_MOMENT_S <= now):
            self._moments.popitem(last=False)
        _, known = self._moments.setdefault((caller.address, agent), (now, secrets.token_urlsafe(24)))
        return known

    def _oldest(self) -> float:
        return next(iter(self._moments.values()))[0]

    def session(self, session: str, caller: Caller) -> Refusal | None:
        """A Gradio session is used: by the browser that began it, or not at all."""
        return None if self._sessions.claim(session, caller.owner) else words.OTHERS

    def join(self, join: Join, caller: Caller) -> Refusal | None:
        """A button of the page, maybe about a WebRTC connection."""
        refusal = self.session(join.session, caller)
        if refusal is None and not all(self._connections.owns(each, join.session) for each in join.connections):
            return words.OTHERS
        return refusal

    def asked(self, asked: Asked, caller: Caller) -> Refusal | None:
        """fastrtc's component asks; an offer that is let through holds a place in `offers`."""
        refusal = self.session(asked.session, caller)
        if refusal is not None or not asked.connection:
            return refusal
        if not self._connections.claim(asked.connection, asked.session):
            return words.OTHERS
        if asked.offers and not self.offers.begin(asked.connection, caller.key):
            return words.FULL
        return None
