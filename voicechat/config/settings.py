"""Every setting of the app in one place: its environment variable, default, unit, and why the default is what it is.

`Settings.load()` reads `.env` and the environment; `Settings.from_env()` is pure and takes any mapping. A bad value
raises `SettingsError` with one sentence that names the variable. Keys never appear in a `repr`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from dotenv import load_dotenv

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
from .env_values import boolean as _boolean
from .env_values import integer as _integer
from .env_values import key as _key
from .env_values import names as _names
from .env_values import number as _number
from .env_values import one_of as _one_of
from .env_values import text as _text
from .env_values import url as _url
from .ice_settings import IceSettings
from .limit_settings import LimitSettings
from .security_settings import SecuritySettings

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
"""The cheap one of the models that OpenAI recommends; older ones have a shutdown date."""

T = TypeVar("T")


class Language(StrEnum):
    """What is spoken. AUTO leaves it to the server; a hint makes short Chinese turns much more reliable."""

    AUTO = "auto"
    ENGLISH = "en"
    CHINESE = "zh"


class TurnDetection(StrEnum):
    """What decides that the visitor has said all they wanted to say."""

    SERVER = "server_vad"
    """A silence."""
    SEMANTIC = "semantic_vad"
    """A model that judges whether the sentence is complete."""


class Eagerness(StrEnum):
    """How soon `semantic_vad` answers: at most 8 s, 4 s or 2 s after the last word; AUTO is MEDIUM."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    AUTO = "auto"


class DuckingMode(StrEnum):
    """Whether a reply is only lowered at the visitor's first sound, and stopped once it is an interruption."""

    AUTO = "auto"
    """Where the server is known to let the client decide: the embedded one and OpenAI."""
    ON = "on"
    """Every server is asked to, and it is done where that is confirmed."""
    OFF = "off"


class NoiseReduction(StrEnum):
    """Where the microphone is, for the server's own filter; NONE: no filter."""

    NONE = "none"
    NEAR_FIELD = "near_field"
    FAR_FIELD = "far_field"


class TranscriptionDelay(StrEnum):
    """How long the transcription waits for context before it writes a word."""

    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"


DEFAULT_INSTRUCTIONS = (
    "You are a friendly voice assistant. Your words are spoken aloud: answer in one to three short sentences, without "
    "lists, markup or emoji. Answer in the language you are spoken to. "
    "說中文時，一律使用台灣的繁體中文與台灣國語口音。"
)

DEFAULT_TEXT_INSTRUCTIONS = (
    "You are a friendly assistant in a text chat. Be clear and brief. Use Markdown where it helps: lists, tables, and "
    "code blocks with their language. Answer in the language you are written to. "
    "使用中文時，一律使用台灣的繁體中文與台灣用語。"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; frozen, so a call that started keeps what it started with."""

    # -- which server
    openai_api_key: str = field(default="", repr=False)
    """OPENAI_API_KEY. Set: talk to OpenAI. Not set, and no REALTIME_URL: the embedded server."""
    realtime_url: str = field(default="", repr=False)
    """REALTIME_URL. Another Realtime server (ws, wss, http or https); goes before OPENAI_API_KEY."""
    realtime_api_key: str = field(default="", repr=False)
    """REALTIME_API_KEY. Sent to REALTIME_URL: to Azure as `api-key`, else as a bearer token. OPENAI_API_KEY never goes
    to another host."""
    realtime_model: str = ""
    """REALTIME_MODEL. Default: gpt-realtime-2.1-mini on OpenAI, elsewhere the server's own."""

    models: tuple[str, ...] = ()
    """MODELS, separated by commas: which others a visitor may choose for their calls. With their own key it is any."""

    # -- the page
    host: str = "127.0.0.1"
    """HOST, else Gradio's own GRADIO_SERVER_NAME. Only this computer, until someone decides otherwise."""
    port: int = 7860
    """PORT, else GRADIO_SERVER_PORT."""
    share: bool = False
    """SHARE, else GRADIO_SHARE. A public link, carried by Gradio's servers, to whom you give it; ends with the app."""
    root_path: str = ""
    """ROOT_PATH, else GRADIO_ROOT_PATH: the path under which a proxy shows the page, like `/voice`."""
    fetch_models: bool = False
    """FETCH_MODELS: whether files of models that are missing are fetched when the app starts (0.8 GB). start.sh fetches
    them itself, before the app."""
    debug: bool = False
    """DEBUG. More log lines; still no key, prompt or transcript in them."""

    # -- how it talks and listens
    voice: str = ""
    """VOICE. Default: alloy on OpenAI and the embedded server, elsewhere the server's own."""
    speed: float = 1.0
    """SPEED, 0.25-1.5."""
    instructions: str = field(default=DEFAULT_INSTRUCTIONS, repr=False)
    """INSTRUCTIONS, at most 16,000 characters. Short ones keep the first word near."""
    text_instructions: str = field(default=DEFAULT_TEXT_INSTRUCTIONS, repr=False)
    """TEXT_INSTRUCTIONS, at most 16,000 characters: the same for the text chat, where Markdown is shown."""
    language: Language = Language.AUTO
    """LANGUAGE, auto|en|zh: what is spoken. A hint for the transcription; sent only when set."""
    transcription_model: str = ""
    """TRANSCRIPTION_MODEL. Default: gpt-realtime-whisper on OpenAI (words while they are spoken; proven with server
    VAD), elsewhere the server's own, or whisper-1 where it has none. Azure wants the name of a deployment of yours."""
    transcription_delay: TranscriptionDelay | None = None
    """TRANSCRIPTION_DELAY, minimal|low|medium|high|xhigh, for gpt-realtime-whisper only: later words are better words.
    Not sent unless set; the captions are for the eye, the model hears the sound itself."""
    keywords: tuple[str, ...] = ()
    """KEYWORDS, names and products separated by commas, at most 50 of 60 characters each: told to transcription models
    that take such hints."""
    turn_detection: TurnDetection = TurnDetection.SERVER
    """TURN_DETECTION, server_vad|semantic_vad. The first is what every server has, and answers sooner."""
    eagerness: Eagerness = Eagerness.AUTO
    """EAGERNESS of semantic_vad, low|medium|high|auto."""
    noise_reduction: NoiseReduction = NoiseReduction.NONE
    """NOISE_REDUCTION, none|near_field|far_field. The browser has already taken away noise and echo, and a second
    filter makes speech worse; far_field helps where a laptop on a table hears a whole room."""
    vad_threshold: float = 0.5
    """VAD_THRESHOLD, 0-1. The protocol's default; higher in noise."""
    vad_prefix_padding_ms: int = 300
    """VAD_PREFIX_PADDING_MS, ms of sound kept from before speech was noticed: the first consonant."""
    vad_silence_ms: int = 350
    """VAD_SILENCE_MS, ms of silence that end a turn. The service's 200 cuts people off who think while they talk, its
    documented 500 is felt as slowness; most pauses inside a sentence are shorter than 350."""
    ducking: DuckingMode = DuckingMode.AUTO
    """DUCKING, auto|on|off: a cough or an "mm" does not end a reply. The price: a real interruption is heard softly for
    0.3 s longer before it is silent."""
    echo_guard_threshold: float = 0.8
    """ECHO_GUARD_THRESHOLD, 0-1, of server_vad in the first seconds of a call's first reply, until the browser's echo
    canceller has adapted; a voice near the microphone reaches 0.9. 0: no guard."""
    max_output_tokens: int = 1024
    """MAX_OUTPUT_TOKENS, 1-4096: about 50 s of speech, more than anyone listens to. Bounds the price of one reply."""
    max_text_tokens: int = 2048
    """MAX_TEXT_TOKENS, 1-4096, of a written reply: room for a table or a page of code."""

    # -- who may come in
    allow_own_key: bool = True
    """ALLOW_OWN_KEY. Visitors may use a key of their own for their own session; false: only the operator's."""
    max_calls: int = 8
    """MAX_CALLS, calls at the same time. One takes about 2 % of a core for the audio alone."""
    max_chats: int = 32
    """MAX_CHATS, text chats connected at the same time. They cost no audio: a socket to the server and a page each."""
    max_sockets: int = 64
    """MAX_SOCKETS, programs connected to our own endpoints at the same time. Each holds a second socket, to the server;
    about this many fit one core at 50 messages a second each way."""

    # -- bounds of a call
    chat_idle_seconds: int = 900
    """CHAT_IDLE_SECONDS without a message from either side, then a text chat's connection is closed. People read and
    think longer than they are silent in a call, and an idle chat holds no microphone."""
    max_call_seconds: int = 1800
    """MAX_CALL_SECONDS. A call that was forgotten must not run, and cost, for ever."""
    idle_seconds: int = 180
    """IDLE_SECONDS without a word from either side, then the call is ended and the microphone freed."""
    max_call_cost: float = 0.0
    """MAX_CALL_COST, US dollars of one call or chat, by list prices; 0: no cap. At 80 % the page warns, at 100 % the
    reply is heard to its end and the call ends. Counts the operator's money: not a visitor's own key."""
    max_day_cost: float = 0.0
    """MAX_DAY_COST, the same of all calls and chats of a day (UTC). Kept in memory: a restart forgets it."""
    metrics: bool = True
    """METRICS: figures for Prometheus at /metrics, none about one visitor. False: no such route, for a page that the
    whole world can reach."""
    record_calls: bool = True
    """RECORD_CALLS, so that a visitor can save a call as sound. The recording is the visitor's own: no one else can
    fetch it, and it is erased by Clear and when the page is closed. False: nothing is recorded."""
    max_recording_seconds: int = 1800
    """MAX_RECORDING_SECONDS of a conversation's calls, 10-21600: one call as long as MAX_CALL_SECONDS allows. A minute
    takes 5.8 MB of the temporary folder while the page is open."""
    vanished_seconds: float = 10.0
    """VANISHED_SECONDS without one packet from a browser, which sends silence too: its tab crashed or its network went,
    and the line is freed. WebRTC itself would notice after about 30 s."""
    max_message_chars: int = 4000
    """MAX_MESSAGE_CHARS of one typed message."""
    remember_items: int = 200
    """REMEMBER_ITEMS, messages of a conversation kept for the page; the oldest go first."""
    replay_items: int = 40
    """REPLAY_ITEMS, messages told again to a new connection. Long text histories make voice models sound written."""
    connect_seconds: float = 10.0
    """CONNECT_SECONDS for opening the connection. A server that loads a model first answers late."""
    ready_seconds: float = 5.0
    """READY_SECONDS to wait for `session.updated`; a server that never sends it is used all the same."""
    reconnect_attempts: int = 5
    """RECONNECT_ATTEMPTS after a lost connection, with pauses of 0.5, 1, 2, 4 and 8 s."""
    output_latency_ms: int = 100
    """OUTPUT_LATENCY_MS from our sending a sample to the visitor's ear (measured on loopback: about 90 ms)."""

    limits: LimitSettings = field(default_factory=LimitSettings)
    """Who gets a place, for how long."""
    ice: IceSettings = field(default_factory=IceSettings)
    """The relay for calls where UDP cannot pass."""
    security: SecuritySettings = field(default_factory=SecuritySettings)
    """Who may come in, and from where."""

    _unsupported_fields: UnsupportedFields = field(
        default_factory=UnsupportedFields, init=False, repr=False, compare=False
    )
    """What the operator's server refused; goes along with its endpoints."""

    # ---------------------------------------------------------------- reading

    @classmethod
    def load(cls) -> Settings:
        """From the environment and `.env` in the working directory (the environment goes first). Raises SettingsError.

        `.env` is put into the environment, so that processes started from here see the same settings.
        """
        path = Path(".env")
        try:
            if path.exists():
                with path.open(encoding="utf-8-sig") as file:  # some editors begin a file with a mark
                    load_dotenv(stream=file, override=False, interpolate=False)
        except OSError as error:
            raise SettingsError(f"The file .env cannot be read: {error.strerror or type(error).__name__}.") from None
        except ValueError:  # also a zero byte, which no variable can hold
            raise SettingsError("The file .env cannot be read: it must be a text file in UTF-8.") from None
        return cls.from_env(os.environ)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """From any mapping. Empty values count as not set. Raises SettingsError."""
        environ = with_deployment_defaults(environ)
        default = cls()

        def read(name: str, convert: Callable[[str, str], T], otherwise: T) -> T:
            value = environ.get(name, "").strip()
            return convert(name, value) if value else otherwise

        return cls(
            openai_api_key=read("OPENAI_API_KEY", _key, ""),
            realtime_url=read("REALTIME_URL", _url, ""),
            realtime_api_key=read("REALTIME_API_KEY", _key, ""),
            realtime_model=read("REALTIME_MODEL", _text(200), ""),
            models=read("MODELS", _names(20, 200), ()),
            host=read("HOST", _text(255), read("GRADIO_SERVER_NAME", _text(255), default.host)),
            port=read("PORT", _integer(0, 65535), read("GRADIO_SERVER_PORT", _integer(0, 65535), default.port)),
            share=read("SHARE", _boolean, read("GRADIO_SHARE", _boolean, default.share)),
            root_path=read("ROOT_PATH", _text(200), read("GRADIO_ROOT_PATH", _text(200), default.root_path)),
            fetch_models=read("FETCH_MODELS", _boolean, default.fetch_models),
            debug=read("DEBUG", _boolean, default.debug),
            voice=read("VOICE", _text(200), default.voice),
            speed=read("SPEED", _number(0.25, 1.5), default.speed),
            instructions=read("INSTRUCTIONS", _text(16_000), default.instructions),
            text_instructions=read("TEXT_INSTRUCTIONS", _text(16_000), default.text_instructions),
            language=read("LANGUAGE", _one_of(Language), default.language),
            transcription_model=read("TRANSCRIPTION_MODEL", _text(200), ""),
            transcription_delay=read("TRANSCRIPTION_DELAY", _one_of(TranscriptionDelay), None),
            keywords=read("KEYWORDS", _names(50, 60), ()),
            turn_detection=read("TURN_DETECTION", _one_of(TurnDetection), default.turn_detection),
            eagerness=read("EAGERNESS", _one_of(Eagerness), default.eagerness),
            noise_reduction=read("NOISE_REDUCTION", _one_of(NoiseReduction), default.noise_reduction),
            vad_threshold=read("VAD_THRESHOLD", _number(0, 1), default.vad_threshold),
            vad_prefix_padding_ms=read("VAD_PREFIX_PADDING_MS", _integer(0, 5000), default.vad_prefix_padding_ms),
            vad_silence_ms=read("VAD_SILENCE_MS", _integer(50, 10_000), default.vad_silence_ms),
            ducking=read("DUCKING", _one_of(DuckingMode), default.ducking),
            echo_guard_threshold=read("ECHO_GUARD_THRESHOLD", _number(0, 1), default.echo_guard_threshold),
            max_output_tokens=read("MAX_OUTPUT_TOKENS", _integer(1, 4096), default.max_output_tokens),
            max_text_tokens=read("MAX_TEXT_TOKENS", _integer(1, 4096), default.max_text_tokens),
            allow_own_key=read("ALLOW_OWN_KEY", _boolean, default.allow_own_key),
            max_chats=read("MAX_CHATS", _integer(1, 10_000), default.max_chats),
            max_sockets=read("MAX_SOCKETS", _integer(1, 10_000), default.max_sockets),
            chat_idle_seconds=read("CHAT_IDLE_SECONDS", _integer(5, 86_400), default.chat_idle_seconds),
            max_calls=read("MAX_CALLS", _integer(1, 10_000), default.max_calls),
            max_call_seconds=read("MAX_CALL_SECONDS", _integer(10, 86_400), default.max_call_seconds),
            idle_seconds=read("IDLE_SECONDS", _integer(5, 86_400), default.idle_seconds),
            max_call_cost=read("MAX_CALL_COST", _number(0, 100_000), default.max_call_cost),
            max_day_cost=read("MAX_DAY_COST", _number(0, 100_000), default.max_day_cost),
            metrics=read("METRICS", _boolean, default.metrics),
            record_calls=read("RECORD_CALLS", _boolean, default.record_calls),
            max_recording_seconds=read("MAX_RECORDING_SECONDS", _integer(10, 21_600), default.max_recording_seconds),
            vanished_seconds=read("VANISHED_SECONDS", _number(1, 600), default.vanished_seconds),
            max_message_chars=read("MAX_MESSAGE_CHARS", _integer(1, 100_000), default.max_message_chars),
            remember_items=read("REMEMBER_ITEMS", _integer(2, 10_000), default.remember_items),
            replay_items=read("REPLAY_ITEMS", _integer(0, 1000), default.replay_items),
            connect_seconds=read("CONNECT_SECONDS", _number(0.1, 600), default.connect_seconds),
            ready_seconds=read("READY_SECONDS", _number(0.1, 600), default.ready_seconds),
            reconnect_attempts=read("RECONNECT_ATTEMPTS", _integer(0, 100), default.reconnect_attempts),
            output_latency_ms=read("OUTPUT_LATENCY_MS", _integer(0, 5000), default.output_latency_ms),
            limits=LimitSettings.from_env(environ),
            ice=IceSettings.from_env(environ),
            security=SecuritySettings.from_env(environ),
        )

    # ---------------------------------------------------------------- which server

    @property
    def server_kind(self) -> ServerKind:
        """The operator's server."""
        if self.realtime_url:
            return ServerKind.CUSTOM
        return ServerKind.OPENAI if self.openai_api_key else ServerKind.OFFLINE

    @property
    def model(self) -> str:
        """The model of the operator's server by name, for people; "" when the server chooses."""
        return self.model_for(self.server_kind)

    def model_for(self, kind: ServerKind) -> str:
        """The model asked of a server of this kind; "" when the server chooses."""
        return self.realtime_model or (OPENAI_MODEL if kind is ServerKind.OPENAI else "")

    def endpoint(self, offline_url: str = "", own_key: str = "") -> Endpoint:
        """Where a call connects now. `offline_url` is the embedded server's address; only used when that is meant.

        A visitor's `own_key` takes the place of the operator's: it goes to REALTIME_URL where that is set, and then
        none of the operator's credentials do, not even those written into that address; else it goes to OpenAI, whether
        or not the operator has a key. It goes to no other host, and with `allow_own_key` off to none.
        """
        own_key = own_key.strip() if self.allow_own_key else ""
        kind = ServerKind.OPENAI if own_key and self.server_kind is ServerKind.OFFLINE else self.server_kind
        if kind is ServerKind.OFFLINE:
            return Endpoint(kind, offline_url, unsupported_fields=self._unsupported_fields)
        url = self.realtime_url or OPENAI_URL
        key = self.realtime_api_key if self.realtime_url else self.openai_api_key
        if own_key:
            url, key = without_credentials(url), own_key
        elif key:
            url = without_userinfo(url)
        model = self.model_for(kind)
        # One visitor's account may lack what others have: what it refuses is not remembered for them.
        refused = UnsupportedFields() if own_key else self._unsupported_fields
        return Endpoint(kind, with_model(url, model), auth_headers(url, key), model, bool(own_key), refused)
