"""Sight of a server: whether it takes pictures, by its kind and by what it has refused. Pure."""

from __future__ import annotations

import re
from enum import Enum

from voicechat.protocol.endpoint import Endpoint, ServerKind, is_azure
from voicechat.protocol.event_fields import Event, get_string

BLIND_MODELS = re.compile(r"\bgpt-4o(-mini)?-realtime|\bgpt-live|\btranscribe|\btranslate", re.IGNORECASE)
"""Models of OpenAI that take no pictures. All later Realtime models do."""
SEEING_HOSTS = ("openai.com", "x.ai")
"""Hosts whose Realtime servers take pictures in messages; Azure's too."""
PICTURE_EVENT_PREFIX = "look_"
"""Prefix of the ids of events that carry a picture."""
_ABOUT_PICTURES = re.compile(r"input_image|image_url|\bimages?\b|\bpictures?\b|\bvision\b", re.IGNORECASE)


class Sight(Enum):
    """Whether a server takes pictures, as far as is known."""

    SEES = "sees"
    BLIND = "blind"
    UNKNOWN = "unknown"
    """It is tried; a refusal is remembered."""


def sight_of(endpoint: Endpoint) -> Sight:
    """Return whether a server takes pictures."""
    if not endpoint.unsupported_fields.takes_pictures:
        return Sight.BLIND
    if endpoint.kind is ServerKind.OFFLINE:
        return Sight.UNKNOWN if endpoint.services else Sight.BLIND  # the built-in models only read
    host = endpoint.host.lower()
    if any(host == known or host.endswith(f".{known}") for known in SEEING_HOSTS) or is_azure(host):
        return Sight.BLIND if BLIND_MODELS.search(endpoint.model) else Sight.SEES
    return Sight.UNKNOWN


class PictureSupport:
    """Sight of the server of one connection; what it refuses is remembered for the next ones."""

    def __init__(self, endpoint: Endpoint | None = None) -> None:
        """`endpoint`: None before the first connection."""
        self._endpoint = endpoint

    @property
    def takes_pictures(self) -> bool:
        """Whether a picture may be sent."""
        return self._endpoint is None or sight_of(self._endpoint) is not Sight.BLIND

    def note_refusal(self) -> None:
        """Remember that the server refused a picture."""
        if self._endpoint is not None:
            self._endpoint.unsupported_fields.takes_pictures = False


def is_picture_error(event_id: str, error: Event) -> bool:
    """Return whether an error is about a picture of ours.

    Servers that do not name our event name the field, or say the word.
    """
    if event_id:
        return event_id.startswith(PICTURE_EVENT_PREFIX)
    words = " ".join(get_string(error, key) for key in ("code", "param", "message"))[:2000]
    return _ABOUT_PICTURES.search(words) is not None


def is_refusal_of_all_pictures(error: Event) -> bool:
    """Return whether the server takes no pictures at all; False where this one was too large or unfit."""
    words = " ".join(get_string(error, key) for key in ("code", "message"))[:2000]
    return re.search(r"too (large|big|long)|size|moderation|safety|policy|decode|corrupt", words, re.IGNORECASE) is None
