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

import ipaddress
import os
from collections.abc import Callable
from functools import partial

import gradio as gr

from realtime.settings import Settings

from ..chatbox import pictures_in
from ..rtc_page import Connection, component_in, places_of
from .headers import inline_hashes
from .middleware import Guard
from .offers import Offers
from .porter import Porter

__all__ = ["Guard", "Porter", "porter_for"]


def porter_for(settings: Settings, page: gr.Blocks, public: Callable[[], str | None]) -> Porter:
    """The porter of this page. `public` gives the address of its share link, while there is one."""
    rtc = component_in(page)
    space = os.environ.get("SPACE_HOST", "").strip().lower()  # Hugging Face says under which name it shows the page

    def names() -> tuple[str, ...]:
        shared = (public() or "").strip().lower().rstrip("/")
        return tuple(name for name in (f"https://{space}" if space else "", shared) if name)

    return Porter(
        settings.guard,
        component=rtc._id,
        places=places_of(page, rtc),
        files=pictures_in(page),
        scripts=tuple(inline_hashes(str(page.head).encode())),
        offers=Offers(partial(Connection.find, rtc)),
        names=names,
        only_here=_is_loopback(settings.host) and not settings.share,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
