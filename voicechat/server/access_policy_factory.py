"""Who may come in, from where, and what of Gradio they reach. `Guard` is the ASGI shell; the rules beside it are pure.

doors.py       which paths there are, and what each asks for
origins.py     which web pages may use this one
caller.py      who a request comes from
password.py    the operator's password, and the cookie that stands for it
tokens.py      the tokens of programs
bindings.py    a Gradio session and a WebRTC connection belong to the browser that began them
offers.py      offers of WebRTC connections: checked, counted, and dropped when nothing comes of them
headers.py     security headers, and a policy for scripts that the page truly runs under
words.py       the one sentence for whoever is not let in
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import gradio as gr

from voicechat.config.settings import Settings
from voicechat.protocol.endpoint import is_loopback_host
from voicechat.security.access_policy import AccessPolicy
from voicechat.security.gradio.pending_offers import PendingOffers
from voicechat.security.guard import Guard
from voicechat.security.security_headers import hash_inline_scripts
from voicechat.transport.gradio_component import RtcConnection, component_input_indexes, find_webrtc_component
from voicechat.ui.widgets.chatbox import avatar_paths

__all__ = ["AccessPolicy", "Guard", "create_access_policy"]


def create_access_policy(settings: Settings, page: gr.Blocks, get_share_url: Callable[[], str | None]) -> AccessPolicy:
    """The porter of this page. `get_share_url` gives the address of its share link, while there is one."""
    rtc = find_webrtc_component(page)
    space = os.environ.get("SPACE_HOST", "").strip().lower()  # Hugging Face says under which name it shows the page

    def public_origins() -> tuple[str, ...]:
        shared = (get_share_url() or "").strip().lower().rstrip("/")
        return tuple(name for name in (f"https://{space}" if space else "", shared) if name)

    return AccessPolicy(
        settings.security,
        component_id=rtc._id,
        webrtc_input_indexes=component_input_indexes(page, rtc),
        file_paths=avatar_paths(page),
        script_hashes=tuple(hash_inline_scripts(str(page.head).encode())),
        pending_offers=PendingOffers(partial(RtcConnection.find, rtc)),
        get_public_origins=public_origins,
        loopback_only=is_loopback_host(settings.host) and not settings.share,
    )
