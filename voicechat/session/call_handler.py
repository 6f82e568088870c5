"""Interface of the call prototype, as the page and the audio socket use it.

`realtime_handler.RealtimeHandler` implements it. `app.py` hands the prototype in, so that nothing below imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from voicechat.config.settings import Endpoint, Settings
from voicechat.limits.admission import Admission
from voicechat.limits.billing import BillingService
from voicechat.protocol.failures import Failure
from voicechat.tools.runtime import ToolRuntime
from voicechat.transport.stream_handler import PacedStreamHandler

EndpointResolver = Callable[[str], Endpoint | Failure]
"""Return where a call that starts now connects. The argument is the visitor's own key, "" without one."""


class CallHandler(Protocol):
    """Prototype from which calls are copied. Holds what all sessions share."""

    settings: Settings
    resolve_endpoint: EndpointResolver
    admission: Admission
    billing: BillingService
    tools: ToolRuntime | None
    """Tools of the process; None for none."""

    def copy(self) -> PacedStreamHandler:
        """Return a handler for one connection. It sets `Visitor.call` when it starts."""
