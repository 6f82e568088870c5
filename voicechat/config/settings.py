"""All settings of the app, from the environment and `.env`.

Each setting is declared once, as a field of the class of its group: type, bounds, default, and its meaning in both
languages. Its environment variable is the field's name in capitals. `python -m scripts.settings_docs` writes the
documentation from it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from dotenv import load_dotenv
from pydantic import Field

from voicechat.protocol.endpoint import (
    OPENAI_URL,
    Endpoint,
    ServerKind,
    auth_headers,
    with_model,
    without_credentials,
    without_userinfo,
)
from voicechat.protocol.unsupported_fields import UnsupportedFields

from .deployment_defaults import with_deployment_defaults
from .env_values import SettingsError, check_key
from .groups.app_settings import PageSettings, UpstreamSettings
from .groups.call_settings import (
    CallSettings,
    DuckingMode,
    Eagerness,
    Language,
    NoiseReduction,
    SpeechSettings,
    TranscriptionDelay,
    TurnDetection,
)
from .groups.embedded_settings import EmbeddedServerSettings, ServiceUse
from .groups.ice_settings import IceSettings
from .groups.image_settings import ImageMode, ImageSettings
from .groups.limit_settings import AUTO_SESSIONS, LimitSettings
from .groups.scale_settings import ScaleSettings
from .groups.security_settings import SecuritySettings
from .groups.tools_settings import ToolsSettings

__all__ = [
    "DuckingMode",
    "Eagerness",
    "Endpoint",
    "Language",
    "NoiseReduction",
    "ServerKind",
    "Settings",
    "SettingsError",
    "TranscriptionDelay",
    "TurnDetection",
    "check_key",
]

OPENAI_MODEL = "gpt-realtime-2.1-mini"
"""Default model on OpenAI: the cheaper of the recommended ones. Older models have a shutdown date."""
ENV_FILE = Path(".env")
"""File of settings in the working directory."""


class Settings(CallSettings, SpeechSettings, PageSettings, UpstreamSettings):
    """All settings, those of the last base first. They are frozen, so a call keeps the settings it started with."""

    embedded: EmbeddedServerSettings = Field(default_factory=EmbeddedServerSettings)
    """Models and endpoints of the embedded server."""
    limits: LimitSettings = Field(default_factory=LimitSettings)
    """Limits of admission, visitors and messages."""
    pictures: ImageSettings = Field(default_factory=ImageSettings)
    """Pictures in messages."""
    ice: IceSettings = Field(default_factory=IceSettings)
    """STUN and TURN servers."""
    scale: ScaleSettings = Field(default_factory=ScaleSettings)
    """State that several replicas share."""
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    """Access to the page and the WebSockets."""
    tools: ToolsSettings = Field(default_factory=ToolsSettings)
    """Tools that a model may call, and their limits."""

    @classmethod
    def load(cls) -> Self:
        """Return the settings in the environment and `.env`; the environment takes precedence. Raise SettingsError.

        `.env` is copied into the environment, so that child processes have the same settings.
        """
        try:
            if ENV_FILE.exists():
                with ENV_FILE.open(encoding="utf-8-sig") as file:  # Notepad writes a byte order mark
                    load_dotenv(stream=file, override=False, interpolate=False)
        except OSError as error:
            raise SettingsError(f"The file .env cannot be read: {error.strerror or type(error).__name__}.") from None
        except ValueError:  # also for a zero byte, which no variable can hold
            raise SettingsError("The file .env cannot be read: it must be a text file in UTF-8.") from None
        return cls.from_env(os.environ)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings in a mapping of variables, with the defaults of the deployment. Raise SettingsError."""
        return super().from_env(with_deployment_defaults(environ))

    @cached_property
    def _unsupported_fields(self) -> UnsupportedFields:
        """What the operator's server refused, shared by its endpoints."""
        refused = UnsupportedFields()
        refused.takes_pictures = not self.embedded_server_is_blind
        return refused

    @property
    def embedded_server_is_blind(self) -> bool:
        """Return whether the embedded server answers with its built-in language model, which only reads."""
        return self.server_kind is ServerKind.OFFLINE and not self.embedded.llm_url

    @property
    def may_show_pictures(self) -> bool:
        """Return whether a message may have a picture: a server that can see may answer it."""
        if self.pictures.images is not ImageMode.AUTO:
            return self.pictures.images is ImageMode.ON
        return self.server_kind is not ServerKind.OFFLINE or bool(self.embedded.llm_url) or self.allow_own_key

    @property
    def server_kind(self) -> ServerKind:
        """Kind of the operator's server."""
        if self.realtime_url:
            return ServerKind.CUSTOM
        is_named = bool(self.embedded.offline_url) or self.embedded.service_use is not ServiceUse.NONE
        is_embedded = is_named or not self.openai_api_key
        return ServerKind.OFFLINE if is_embedded else ServerKind.OPENAI

    @property
    def counts_offline_sessions_later(self) -> bool:
        """Return whether only the embedded server, or servers, can tell how many sessions there are."""
        return bool(self.embedded.offline_url) or self.limits.offline_sessions == AUTO_SESSIONS

    @property
    def server_hosts(self) -> tuple[str, ...]:
        """Hosts of the Realtime servers that the operator named."""
        hosts = [self.endpoint().host, *(urlsplit(url).hostname or "" for url in self.embedded.offline_url)]
        return tuple(dict.fromkeys(filter(None, hosts)))

    @property
    def model(self) -> str:
        """Model of the operator's server, for display; "" when the server chooses."""
        return self.model_for(self.server_kind)

    def model_for(self, kind: ServerKind) -> str:
        """Return the model to request from a server of this kind; "" when the server chooses."""
        return self.realtime_model or (OPENAI_MODEL if kind is ServerKind.OPENAI else "")

    def endpoint(self, offline_url: str = "", own_key: str = "", *, offline_key: str = "") -> Endpoint:
        """Return the endpoint for a new connection. `offline_url` and `offline_key` are those of the embedded server.

        A visitor's `own_key` replaces the operator's credentials, those within REALTIME_URL included. It goes to
        REALTIME_URL where that is set, else to OpenAI, and to no other host. ALLOW_OWN_KEY=false ignores it.
        """
        own_key = own_key.strip() if self.allow_own_key else ""
        kind = ServerKind.OPENAI if own_key and self.server_kind is ServerKind.OFFLINE else self.server_kind
        if kind is ServerKind.OFFLINE:
            headers = auth_headers(offline_url, offline_key)
            return Endpoint(
                kind,
                offline_url,
                headers,
                services=self.embedded.service_use,
                unsupported_fields=self._unsupported_fields,
            )
        url = self.realtime_url or OPENAI_URL
        key = self.realtime_api_key if self.realtime_url else self.openai_api_key
        if own_key:
            url, key = without_credentials(url), own_key
        elif key:
            url = without_userinfo(url)
        model = self.model_for(kind)
        # A visitor's account may lack features that others have. Its refusals must not count for them.
        refused = UnsupportedFields() if own_key else self._unsupported_fields
        headers = auth_headers(url, key)
        return Endpoint(
            kind, with_model(url, model), headers, model, has_own_key=bool(own_key), unsupported_fields=refused
        )
