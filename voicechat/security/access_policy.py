"""What decides about a request: the rules put together, and what is remembered between requests. No ASGI in here."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers

from voicechat.config.security_settings import SecuritySettings
from voicechat.security.auth.api_tokens import extract_tokens, has_valid_token
from voicechat.security.auth.password_login import PasswordLogin
from voicechat.security.gradio.pending_offers import PendingOffers
from voicechat.security.gradio.queue_requests import ComponentCall, QueueJoin
from voicechat.security.gradio.session_ownership import OwnershipRegistry

from . import denials
from .client_identity import ClientIdentity
from .denials import Denial
from .origin_check import is_known_host, origin_allowed, own_origins
from .route_access import RouteAccess, RouteTable

COOKIE_REUSE_WINDOW_S = 2.0
"""Two tabs that are opened at once both come without a cookie: they are given the same."""
MAX_RECENT_VISITORS = 1000
PASSWORD_EXEMPT = frozenset({RouteAccess.PUBLIC, RouteAccess.LOOPBACK_ONLY, RouteAccess.UNLISTED})
"""What needs no password."""


class AccessPolicy:
    """One for a process, however many ASGI apps there are in it."""

    def __init__(
        self,
        settings: SecuritySettings,
        *,
        component_id: int,
        webrtc_input_indexes: Mapping[int, tuple[int, ...]],
        routes: RouteTable,
        script_hashes: tuple[str, ...],
        pending_offers: PendingOffers,
        get_public_origins: Callable[[], tuple[str, ...]] = tuple,
        loopback_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`component`, `places`: see `requests.py`. `routes`: the access rules of all paths.
        `scripts`: hashes of those that Gradio puts into the page once it has begun. `names`: further
        origins of our own, asked every time. `loopback_only`: the app listens to this computer alone and has no password,
        so that a name it does not know is another page's trick."""
        self.settings = settings
        self.component_id, self.webrtc_input_indexes, self.script_hashes = (
            component_id,
            webrtc_input_indexes,
            script_hashes,
        )
        self.routes = routes
        self.pending_offers = pending_offers
        self.password_login = PasswordLogin(settings.app_password, clock) if settings.app_password else None
        self._get_public_origins = get_public_origins
        self._loopback_only = loopback_only and self.password_login is None
        self._session_owners = OwnershipRegistry()
        self._connection_owners = OwnershipRegistry()
        self._clock = clock
        self._recent_visitors: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()

    # ---------------------------------------------------------------- who may come

    def check(
        self, access: RouteAccess, client: ClientIdentity, headers: Headers, subprotocols: list[str]
    ) -> Denial | None:
        """Why this request is not served, or None. The password is a matter of its own: `requires_login`."""
        if access is RouteAccess.UNLISTED or (access is RouteAccess.LOOPBACK_ONLY and not client.is_loopback):
            return denials.NOT_FOUND
        if access in (RouteAccess.PUBLIC, RouteAccess.LOOPBACK_ONLY):
            return None
        tokens = extract_tokens(headers, subprotocols) if access is RouteAccess.API else []
        trusted = has_valid_token(tokens, self.settings.api_tokens)
        names = (*self.settings.allowed_origins, *self._get_public_origins())
        if not trusted:
            if self._loopback_only and not all(is_known_host(host, names) for host in client.hosts[:1]):
                return denials.UNKNOWN_HOST
            # A browser knows which page asks. Without its word another page could pass for a proxy that changed our
            # name (X-Forwarded-Host): under launch() Gradio's CORS lets those on this computer set any header.
            other = headers.get("sec-fetch-site") in ("cross-site", "same-site")
            ours = frozenset() if other else own_origins("https" if client.is_https else "http", client.hosts)
            if not origin_allowed(client.origin, ours, names):
                return denials.ORIGIN_NOT_ALLOWED
        if access is RouteAccess.API and not trusted:
            passed = self.password_login is not None and self.password_login.is_valid_cookie(client.login_cookie)
            if self.settings.api_tokens and not passed:
                return denials.TOKEN_REQUIRED
            if self.password_login is not None and not passed:
                return denials.TOKENS_NOT_CONFIGURED
        return None

    def requires_login(self, access: RouteAccess, client: ClientIdentity) -> bool:
        """Whether whoever asks for this has first to give the password."""
        if self.password_login is None or access in PASSWORD_EXEMPT or access in (RouteAccess.API, RouteAccess.LOGIN):
            return False
        return not self.password_login.is_valid_cookie(client.login_cookie)

    # ---------------------------------------------------------------- whose is it

    def issue_visitor_id(self, client: ClientIdentity, user_agent: str) -> str:
        """The cookie for a browser that comes without one."""
        now = self._clock()
        while self._recent_visitors and (
            len(self._recent_visitors) > MAX_RECENT_VISITORS or self._oldest_issued_at() + COOKIE_REUSE_WINDOW_S <= now
        ):
            self._recent_visitors.popitem(last=False)
        _, known = self._recent_visitors.setdefault((client.address, user_agent), (now, secrets.token_urlsafe(24)))
        return known

    def _oldest_issued_at(self) -> float:
        return next(iter(self._recent_visitors.values()))[0]

    def check_session(self, session_hash: str, client: ClientIdentity) -> Denial | None:
        """A Gradio session is used: by the browser that began it, or not at all."""
        return None if self._session_owners.claim(session_hash, client.session_owner) else denials.NOT_OWNER

    def check_queue_join(self, join: QueueJoin, client: ClientIdentity) -> Denial | None:
        """A button of the page, maybe about a WebRTC connection."""
        refusal = self.check_session(join.session_hash, client)
        if refusal is None and not all(
            self._connection_owners.is_owned_by(each, join.session_hash) for each in join.connection_ids
        ):
            return denials.NOT_OWNER
        return refusal

    def check_component_call(self, component_call: ComponentCall, client: ClientIdentity) -> Denial | None:
        """fastrtc's component asks; an offer that is let through holds a place in `offers`."""
        refusal = self.check_session(component_call.session_hash, client)
        if refusal is not None or not component_call.connection_id:
            return refusal
        if not self._connection_owners.claim(component_call.connection_id, component_call.session_hash):
            return denials.NOT_OWNER
        if component_call.is_offer and not self.pending_offers.reserve(
            component_call.connection_id, client.visitor_key
        ):
            return denials.TOO_MANY_OFFERS
        return None
