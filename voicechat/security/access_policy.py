"""Access policy: decides about each request, and holds the state that outlives a request. Contains no ASGI."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers

from voicechat.config.groups.security_settings import SecuritySettings
from voicechat.security.auth.api_tokens import extract_tokens, has_valid_token
from voicechat.security.auth.password_attempts import LocalPasswordAttempts, PasswordAttempts
from voicechat.security.auth.password_login import PasswordLogin
from voicechat.security.gradio.candidate_counter import CandidateCounter
from voicechat.security.gradio.pending_offers import PendingOffers
from voicechat.security.gradio.queue_requests import ComponentCall, QueueJoin
from voicechat.security.gradio.session_ownership import OwnershipRegistry

from . import denials
from .client_identity import ClientIdentity
from .denials import Denial
from .origin_check import is_known_host, origin_allowed, own_origins
from .route_access import RouteAccess, RouteTable
from .security_headers import common_headers

COOKIE_REUSE_WINDOW_S = 2.0
"""Seconds in which two first requests of one browser get the same visitor id: two tabs that are opened at once."""
MAX_RECENT_VISITORS = 1000
"""Visitor ids kept for that window; the oldest are dropped first."""
PASSWORD_EXEMPT = frozenset({RouteAccess.PUBLIC, RouteAccess.LOOPBACK_ONLY, RouteAccess.UNLISTED})
"""Routes that need no password."""


class AccessPolicy:
    """Decides about requests. One instance per process, shared by all its ASGI apps."""

    def __init__(
        self,
        settings: SecuritySettings,
        *,
        component_id: int,
        webrtc_input_indexes: Mapping[int, tuple[int, ...]],
        routes: RouteTable,
        script_hashes: tuple[str, ...],
        pending_offers: PendingOffers,
        early_script: str = "",
        get_public_origins: Callable[[], tuple[str, ...]] = tuple,
        loopback_only: bool = False,
        may_use_camera: bool = False,
        password_attempts: PasswordAttempts | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the policy of one page.

        `component_id`, `webrtc_input_indexes`: see gradio/queue_requests.py.
        `routes`: access rules of all paths.
        `script_hashes`: hashes of the scripts that Gradio adds to the page after it has loaded.
        `early_script`: script that the page's document runs before Gradio's; "" for none.
        `get_public_origins`: returns further origins of the app itself; called for every request.
        `loopback_only`: the app listens on loopback only. Without a password, unknown host names are then refused: they
        are a sign of DNS rebinding.
        `may_use_camera`: the page may ask for the camera.
        `password_attempts`: wrong passwords at all replicas; None: at this process alone.
        """
        self.settings = settings
        self.component_id = component_id
        self.webrtc_input_indexes = webrtc_input_indexes
        self.routes = routes
        self.script_hashes = script_hashes
        self.early_script = early_script
        self.pending_offers = pending_offers
        self.response_headers = common_headers(may_use_camera=may_use_camera)
        attempts = password_attempts or LocalPasswordAttempts(clock)
        self.password_login = PasswordLogin(settings.app_password, attempts) if settings.app_password else None
        self._get_public_origins = get_public_origins
        self._loopback_only = loopback_only and self.password_login is None
        self._session_owners = OwnershipRegistry()
        self._connection_owners = OwnershipRegistry()
        self._candidates = CandidateCounter()
        self._clock = clock
        self._recent_visitors: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()

    # ---------------------------------------------------------------- route, host, origin, token, login

    def check(
        self, access: RouteAccess, client: ClientIdentity, headers: Headers, subprotocols: list[str]
    ) -> Denial | None:
        """Return the reason to refuse the request, or None. The page's login is separate: `requires_login`."""
        if access is RouteAccess.UNLISTED or (access is RouteAccess.LOOPBACK_ONLY and not client.is_loopback):
            return denials.NOT_FOUND
        if access in (RouteAccess.PUBLIC, RouteAccess.LOOPBACK_ONLY):
            return None
        if access is RouteAccess.API and has_valid_token(
            extract_tokens(headers, subprotocols), self.settings.api_tokens
        ):
            return None
        allowed = (*self.settings.allowed_origins, *self._get_public_origins())
        return (
            self._check_host(client, allowed)
            or self._check_origin(client, headers, allowed)
            or (self._check_login_cookie(client) if access is RouteAccess.API else None)
        )

    def _check_host(self, client: ClientIdentity, allowed: tuple[str, ...]) -> Denial | None:
        if self._loopback_only and not all(is_known_host(host, allowed) for host in client.hosts[:1]):
            return denials.UNKNOWN_HOST
        return None

    def _check_origin(self, client: ClientIdentity, headers: Headers, allowed: tuple[str, ...]) -> Denial | None:
        # Only the browser's Sec-Fetch-Site is proof of the page's site. Another page could imitate a proxy that changed
        # the host name (X-Forwarded-Host).
        is_other_site = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        ours = frozenset() if is_other_site else own_origins("https" if client.is_https else "http", client.hosts)
        return None if origin_allowed(client.origin, ours, allowed) else denials.ORIGIN_NOT_ALLOWED

    def _check_login_cookie(self, client: ClientIdentity) -> Denial | None:
        """Check a program without a valid token: a browser's login cookie is accepted instead."""
        if self.password_login is not None and self.password_login.is_valid_cookie(client.login_cookie):
            return None
        if self.settings.api_tokens:
            return denials.TOKEN_REQUIRED
        return denials.TOKENS_NOT_CONFIGURED if self.password_login is not None else None

    def requires_login(self, access: RouteAccess, client: ClientIdentity) -> bool:
        """Return whether the client has to enter the password first."""
        if self.password_login is None or access in PASSWORD_EXEMPT or access in (RouteAccess.API, RouteAccess.LOGIN):
            return False
        return not self.password_login.is_valid_cookie(client.login_cookie)

    # ---------------------------------------------------------------- ownership of sessions and connections

    def issue_visitor_id(self, client: ClientIdentity, user_agent: str) -> str:
        """Return the visitor id for a browser without a visitor cookie."""
        now = self._clock()
        while self._recent_visitors and (
            len(self._recent_visitors) > MAX_RECENT_VISITORS or self._oldest_issued_at() + COOKIE_REUSE_WINDOW_S <= now
        ):
            self._recent_visitors.popitem(last=False)
        new_id = secrets.token_urlsafe(24)
        _, visitor_id = self._recent_visitors.setdefault((client.address, user_agent), (now, new_id))
        return visitor_id

    def _oldest_issued_at(self) -> float:
        return next(iter(self._recent_visitors.values()))[0]

    def check_session(self, session_hash: str, client: ClientIdentity) -> Denial | None:
        """Check that the browser owns this Gradio session. The first browser to use a session owns it."""
        return None if self._session_owners.claim(session_hash, client.session_owner) else denials.NOT_OWNER

    def check_queue_join(self, join: QueueJoin, client: ClientIdentity) -> Denial | None:
        """Check the session and the WebRTC connections of a queue request."""
        denial = self.check_session(join.session_hash, client)
        if denial is None and not all(
            self._connection_owners.is_owned_by(each, join.session_hash) for each in join.connection_ids
        ):
            return denials.NOT_OWNER
        return denial

    def check_component_call(self, component_call: ComponentCall, client: ClientIdentity) -> Denial | None:
        """Check a call of fastrtc's component. An accepted offer is reserved in `pending_offers`."""
        denial = self.check_session(component_call.session_hash, client)
        if denial is not None or not component_call.connection_id:
            return denial
        if not self._connection_owners.claim(component_call.connection_id, component_call.session_hash):
            return denials.NOT_OWNER
        if component_call.is_candidate and not self._candidates.add(
            component_call.connection_id, is_mdns=component_call.is_mdns_candidate
        ):
            return denials.TOO_MANY_CANDIDATES
        if component_call.is_offer and not self.pending_offers.reserve(
            component_call.connection_id, client.visitor_key
        ):
            return denials.TOO_MANY_OFFERS
        return None
