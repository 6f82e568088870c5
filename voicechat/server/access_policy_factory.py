"""Access policy of one page: what it needs to know of the page, of fastrtc's component and of the host."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial

import gradio as gr

from network.hosts import is_loopback_host
from voicechat.config.settings import Settings
from voicechat.security.access_policy import AccessPolicy
from voicechat.security.auth.password_attempts import PasswordAttempts
from voicechat.security.gradio.pending_offers import PendingOffers
from voicechat.security.route_access import FOUNDATION_RULES, RouteRule, RouteTable
from voicechat.security.security_headers import hash_inline_scripts
from voicechat.transport.gradio_component import RtcConnection, component_input_indexes, find_webrtc_component
from voicechat.ui.page import early_script
from voicechat.ui.widgets.chatbox import avatar_paths


def create_access_policy(
    settings: Settings,
    page: gr.Blocks,
    route_rules: Iterable[RouteRule],
    get_share_url: Callable[[], str | None],
    password_attempts: PasswordAttempts | None = None,
) -> AccessPolicy:
    """Return the policy of this page. `route_rules`: rules of our own routes. `get_share_url`: current share link.

    `password_attempts`: wrong passwords at all replicas; None: at this process alone.
    """
    rtc = find_webrtc_component(page)
    space = os.environ.get("SPACE_HOST", "").strip().lower()  # the host name of a Hugging Face Space

    def public_origins() -> tuple[str, ...]:
        share_link = (get_share_url() or "").strip().lower().rstrip("/")
        return tuple(origin for origin in (f"https://{space}" if space else "", share_link) if origin)

    return AccessPolicy(
        settings.security,
        component_id=rtc._id,
        webrtc_input_indexes=component_input_indexes(page, rtc),
        routes=RouteTable((*FOUNDATION_RULES, *route_rules), avatar_paths(page)),
        script_hashes=tuple(hash_inline_scripts(str(page.head).encode())),
        early_script=early_script(),
        pending_offers=PendingOffers(partial(RtcConnection.find, rtc)),
        get_public_origins=public_origins,
        may_use_camera=settings.may_show_pictures,
        password_attempts=password_attempts,
        loopback_only=is_loopback_host(settings.scale.frontend_host or settings.host) and not settings.share,
    )
