"""Settings of the embedded server: who thinks, listens and speaks for it. Its process reads the same variables."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from network.base_urls import parse_base_url
from network.hosts import is_loopback_host, is_private_host
from voicechat.config.env_values import IgnoreCase, Key, LlmChoice, SettingsError, setting, variable_of
from voicechat.config.settings_base import SettingsBase
from voicechat.protocol.endpoint import to_realtime_url

MAX_OFFLINE_SERVERS = 16
"""Addresses in OFFLINE_URL. Each of them is asked for its state every second."""
OFFLINE_PATH = "/v1/realtime"


def _offline_server_url(text: str) -> str:
    """Return the WebSocket address of an embedded server. Raises `ValueError`.

    Without TLS it needs a port: an embedded server never listens at port 80. With TLS a proxy in front has port 443.
    """
    parts = urlsplit(text)
    has_port = parts.port is not None or parts.scheme.lower() == "wss"
    is_plain = text.isprintable() and " " not in text and not ("@" in parts.netloc or parts.query or parts.fragment)
    url = to_realtime_url(text)
    is_websocket = parts.scheme.lower() in ("ws", "wss")
    if not (is_plain and is_websocket and has_port) or not urlsplit(url).path.endswith(OFFLINE_PATH):
        raise ValueError("not the address of an embedded server")
    return url


def _parse_offline_urls(value: object, info: ValidationInfo) -> object:
    """Return the addresses between commas, each once. The error does not repeat them: one may hold a key."""
    if not isinstance(value, str):
        return value
    texts = [text.strip() for text in value.split(",") if text.strip()]
    try:
        urls = tuple(dict.fromkeys(map(_offline_server_url, texts)))
    except ValueError:
        urls = ()
    if not 0 < len(urls) <= MAX_OFFLINE_SERVERS:
        raise SettingsError(
            f"{variable_of(info)} must be up to {MAX_OFFLINE_SERVERS} addresses between commas: ws:// with host and "
            "port like ws://host:8765, or wss:// with host; a key belongs in OFFLINE_KEY."
        )
    return urls


def _validate_base_url(text: str, info: ValidationInfo) -> str:
    try:
        return parse_base_url(text, variable_of(info)) if text else ""
    except ValueError as error:
        raise SettingsError(str(error)) from None


BaseUrl = Annotated[str, AfterValidator(_validate_base_url)]
"""Base URL of an OpenAI-compatible endpoint."""


class MandarinRecognition(StrEnum):
    """Size of the Whisper model with which the embedded server recognises Mandarin."""

    AUTO = "auto"
    BASE = "base"
    SMALL = "small"
    TURBO = "turbo"


class EndpointScope(Enum):
    """Where the endpoint of one part of the embedded server is."""

    NONE = "none"
    """The embedded server does it itself."""
    PRIVATE = "private"
    """This computer or a private network, where requests cost no money."""
    PUBLIC = "public"


class ServiceUse(StrEnum):
    """What of a conversation leaves the server for the operator's endpoints and embedded servers elsewhere."""

    NONE = ""
    NETWORK = "network"
    """Nothing goes farther than to addresses in the operator's own network."""
    TEXT = "text"
    """Text goes to a public address."""
    VOICE = "voice"
    """The sound of the visitor's voice goes to a public address; or text does, and the sound to a private one."""


def _is_elsewhere(url: str) -> bool:
    """Return whether an address is set, and is not this computer's."""
    return bool(url) and not is_loopback_host((urlsplit(url).hostname or "").rstrip("."))


def _endpoint_scope(url: str) -> EndpointScope:
    if not url:
        return EndpointScope.NONE
    return EndpointScope.PRIVATE if is_private_host(urlsplit(url).hostname or "") else EndpointScope.PUBLIC


class EmbeddedServerSettings(SettingsBase):
    """Embedded server: its language model, recognition and voice, here or at an address."""

    TITLES: ClassVar = ("Embedded server: models and endpoints", "內建伺服器：模型與端點")

    offline_url: Annotated[tuple[str, ...], BeforeValidator(_parse_offline_urls)] = setting(
        (),
        "在別處執行的內建伺服器（`python -m offline`）的位址，可以有好幾個。設了就不在這裡啟動，"
        "對話分給空位最多的那一個；有一個停了，它的通話會接到其他的。`LLM_URL` 等設定要和那些伺服器的一樣。",
        example="ws://10.0.0.5:8765,ws://10.0.0.6:8765",
    )
    """Addresses of embedded servers that run elsewhere (`python -m offline`). None is started here then. A session goes
    to the one with the most free sessions, and calls of one that fails reconnect to another. LLM_URL and the other
    endpoints below have to be set as on those servers. Ignored with REALTIME_URL."""
    offline_key: Key = setting("", "`OFFLINE_URL` 的金鑰；單獨執行的內建伺服器也讀這個變數。", secret=True)
    """Key for OFFLINE_URL. An embedded server that runs on its own reads the same variable."""
    offline_llm: LlmChoice = setting(
        "auto",
        "內建伺服器的語言模型：`small`（0.5B，0.5 GB）、`medium`（1.5B，1.1 GB）、`large`（4B，2.5 GB），"
        "或 GGUF 檔案的路徑。`auto` 先用小模型回答，電腦跑得動的話，就在背景下載更好的，等沒人通話時換上。"
        "指定的大小由 start.sh、`python -m offline.models fetch` 或 `FETCH_MODELS` 下載，還沒下載好就先用小模型。",
    )
    """Language model of the embedded server: `small` (0.5B, 0.5 GB), `medium` (1.5B, 1.1 GB), `large` (4B, 2.5 GB), or
    the path of a GGUF file. `auto` answers with a small one at once, and fetches a better one in the background where
    memory and speed suffice; it takes over between calls. A chosen size is downloaded by start.sh,
    `python -m offline.models fetch` or FETCH_MODELS; until then a small one answers."""
    offline_stt: Annotated[MandarinRecognition, IgnoreCase] = setting(
        MandarinRecognition.AUTO,
        "內建伺服器用哪個 Whisper 辨識中文：`base`、`small`（0.5 GB）或 `turbo`（1.6 GB，處理器要非常快）。"
        "`auto` 在有五個以上處理器的電腦用 `small`，其他用 `base`。下載方式和 `OFFLINE_LLM` 一樣。",
    )
    """Whisper model with which the embedded server recognises Mandarin: `base`, `small` (0.5 GB) or `turbo` (1.6 GB,
    for very fast processors). `auto` is small with five processors or more, else base. Downloads as with
    OFFLINE_LLM."""
    offline_upgrade: bool = setting(
        True,
        "設成 `auto` 時，可以在背景下載並試用更好的模型（合計最多約 3 GB）。網路按流量計費的話，請設 false；"
        "這樣也不會試用磁碟上已有的模型，要用就以名稱指定。",
    )
    """Permission for `auto` to download (up to about 3 GB in all) and try better models in the background. Set false
    on a metered line. Models that are on the disk already are not tried then either: choose them by name."""
    llm_url: BaseUrl = setting(
        "",
        "由哪個 OpenAI 相容的聊天端點來思考，例如 Ollama、llama.cpp、LM Studio、vLLM、Groq 或 OpenRouter。"
        "聽和說仍在這台電腦上；連不上時由本機模型回答。設定後一律用內建伺服器，除非也設了 `REALTIME_URL`。",
        example="http://127.0.0.1:11434/v1",
    )
    """OpenAI-compatible chat endpoint that thinks for the embedded server: Ollama, llama.cpp, LM Studio, vLLM, Groq,
    OpenRouter and others. Listening and speaking stay on this computer, and the local model answers while the endpoint
    cannot. With it the embedded server is used, unless REALTIME_URL is set too."""
    llm_model: str = setting(
        "", "該端點的模型名稱；端點只有一個模型時可以不填。", max_length=200, example="qwen3:4b-instruct"
    )
    """Model at LLM_URL. Not needed where the endpoint offers only one."""
    llm_api_key: Key = setting("", "`LLM_URL` 的金鑰。", secret=True)
    """Key for LLM_URL."""
    stt_url: BaseUrl = setting(
        "",
        "由哪個 OpenAI 相容的端點（`/audio/transcriptions`）辨識說完的話；即時字幕仍由本機產生，連不上時也用本機。"
        "和 `LLM_URL` 一樣，設定後一律用內建伺服器。",
        example="http://127.0.0.1:8000/v1",
    )
    """OpenAI-compatible endpoint (`/audio/transcriptions`) for the final words of a turn. Live captions stay local, and
    the local recognition takes over while the endpoint cannot. It selects the embedded server, as LLM_URL does."""
    stt_model: str = setting("", "該端點的辨識模型名稱。", max_length=200, example="whisper-large-v3-turbo")
    """Model at STT_URL."""
    stt_api_key: Key = setting("", "`STT_URL` 的金鑰。", secret=True)
    """Key for STT_URL."""
    tts_url: BaseUrl = setting(
        "",
        "由哪個 OpenAI 相容的端點（`/audio/speech`，PCM 或 WAV）把回答說出來；連不上時用本機的聲音。"
        "和 `LLM_URL` 一樣，設定後一律用內建伺服器。",
        example="http://127.0.0.1:8880/v1",
    )
    """OpenAI-compatible endpoint (`/audio/speech`, PCM or WAV) that speaks the replies. The local voice takes over
    while the endpoint cannot. It selects the embedded server, as LLM_URL does."""
    tts_model: str = setting("", "該端點的語音模型名稱。", max_length=200, example="kokoro")
    """Model at TTS_URL."""
    tts_voice: str = setting("", "該端點的聲音名稱，預設 `alloy`。", max_length=200, example="af_heart")
    """Voice at TTS_URL. Default: `alloy`."""
    tts_api_key: Key = setting("", "`TTS_URL` 的金鑰。", secret=True)
    """Key for TTS_URL."""

    @property
    def llm_scope(self) -> EndpointScope:
        """Where the language model's endpoint is."""
        return _endpoint_scope(self.llm_url)

    @property
    def stt_scope(self) -> EndpointScope:
        """Where the recognition's endpoint is."""
        return _endpoint_scope(self.stt_url)

    @property
    def tts_scope(self) -> EndpointScope:
        """Where the voice's endpoint is."""
        return _endpoint_scope(self.tts_url)

    @property
    def is_free(self) -> bool:
        """Return whether no endpoint can cost money: all that are set belong to this computer or a private network."""
        return EndpointScope.PUBLIC not in (self.llm_scope, self.stt_scope, self.tts_scope)

    @property
    def service_use(self) -> ServiceUse:
        """What of a conversation goes to the endpoints, and to embedded servers on other computers."""
        servers = [url for url in self.offline_url if _is_elsewhere(url)]
        sound = {self.stt_scope, *map(_endpoint_scope, servers)}
        text = {self.llm_scope, self.tts_scope}
        if EndpointScope.PUBLIC in sound:
            return ServiceUse.VOICE
        if EndpointScope.PUBLIC in text:
            # A page that says TEXT promises that the voice stays on this server.
            return ServiceUse.VOICE if servers or _is_elsewhere(self.stt_url) else ServiceUse.TEXT
        return ServiceUse.NONE if sound | text == {EndpointScope.NONE} else ServiceUse.NETWORK
