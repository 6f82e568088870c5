"""Settings of the Realtime server that answers, and of the page that this process serves."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from voicechat.config.env_values import Key, RealtimeUrl, name_list, setting
from voicechat.config.personas import BUILT_IN, Persona, load_personas
from voicechat.config.settings_base import SettingsBase


class UpstreamSettings(SettingsBase):
    """Realtime server: address, keys, models and connection."""

    TITLES: ClassVar = ("Realtime server", "Realtime 伺服器")

    openai_api_key: Key = setting("", "OpenAI 的金鑰。沒設定，也沒有 `REALTIME_URL`，就用內建伺服器。", secret=True)
    """Key for OpenAI. Without it and without REALTIME_URL, the embedded server answers."""
    realtime_url: RealtimeUrl = setting(
        "",
        "其他 Realtime 伺服器的網址（ws、wss、http 或 https），優先於 `OPENAI_API_KEY`。",
        secret=True,
        example="wss://my-resource.openai.azure.com",
    )
    """Address of another Realtime server (ws, wss, http or https). It takes precedence over OPENAI_API_KEY."""
    realtime_api_key: Key = setting(
        "",
        "`REALTIME_URL` 的金鑰：Azure 用 `api-key` 標頭，其他用 bearer token。`OPENAI_API_KEY` 絕不會送到別的主機。",
        secret=True,
    )
    """Key for REALTIME_URL: an `api-key` header for Azure, else a bearer token. OPENAI_API_KEY is never sent to another
    host."""
    realtime_model: str = setting(
        "",
        "通話和聊天的模型。OpenAI 預設 gpt-realtime-2.1-mini，其他由伺服器決定；在 Azure 上填部署名稱。",
        max_length=200,
        example="gpt-realtime-2.1-mini",
    )
    """Model of calls and chats. Default: gpt-realtime-2.1-mini on OpenAI, elsewhere the server's own. Azure requires
    the name of your deployment."""
    models: Annotated[tuple[str, ...], name_list(20, 200)] = setting(
        (), "訪客在網頁上還可以選哪些模型，用逗號分開。使用自己的金鑰時可以選任何模型。", example="gpt-realtime-2.1"
    )
    """Further models that visitors may choose, separated by commas. With their own key they may choose any model."""
    allow_own_key: bool = setting(True, "訪客可以在自己的工作階段用自己的金鑰；false 就只用營運者的。")
    """Permission for visitors to use their own API key in their own session."""
    connect_seconds: float = setting(10.0, "等待連線建立的秒數；要先載入模型的伺服器會比較慢。", ge=0.1, le=600)
    """Seconds to wait for the connection to open. Servers that load a model first need longer."""
    ready_seconds: float = setting(5.0, "等 `session.updated` 的秒數；一直不送的伺服器照樣能用。", ge=0.1, le=600)
    """Seconds to wait for `session.updated`. A server that never sends it is used all the same."""
    reconnect_attempts: int = setting(5, "斷線後重試幾次，間隔約 0.5、1、2、4、8 秒。", ge=0, le=100)
    """Attempts to restore a lost connection, with pauses of about 0.5, 1, 2, 4 and 8 s."""


class PageSettings(SettingsBase):
    """Page and process: address, public link, path behind a proxy, logs and metrics."""

    TITLES: ClassVar = ("Page and process", "網頁與程式")

    host: str = setting(
        "127.0.0.1",
        "在哪個位址提供網頁，也可用 `GRADIO_SERVER_NAME`。預設只有這台電腦連得到；`0.0.0.0` 開放給網路上的其他人。",
        max_length=255,
        fallback="GRADIO_SERVER_NAME",
    )
    """Listening address of the page, else GRADIO_SERVER_NAME. Default: this computer only. `0.0.0.0` opens it to the
    network."""
    port: int = setting(7860, "連接埠，也可用 `GRADIO_SERVER_PORT`。", ge=0, le=65_535, fallback="GRADIO_SERVER_PORT")
    """Port of the page, else GRADIO_SERVER_PORT."""
    share: bool = setting(
        False,
        "產生公開連結（經由 Gradio 的伺服器），給誰誰就能用，程式結束就失效；也可用 `GRADIO_SHARE`。",
        fallback="GRADIO_SHARE",
    )
    """Public link through Gradio's servers, else GRADIO_SHARE. It ends with the app."""
    root_path: str = setting(
        "",
        "網頁放在反向代理的子路徑下時填寫；也可用 `GRADIO_ROOT_PATH`。",
        max_length=200,
        example="/voice",
        fallback="GRADIO_ROOT_PATH",
    )
    """Path of the page behind a reverse proxy, else GRADIO_ROOT_PATH."""
    personas: Annotated[tuple[Persona, ...], BeforeValidator(load_personas)] = setting(
        BUILT_IN,
        "網頁上可以選的角色：JSON 清單，或存有清單的檔案路徑，預設是內建的六個。每個角色有 `name`、`note`、"
        '`instructions`、`icon` 和 `key`，前兩項可以寫成 `{"en": …, "zh-TW": …}`。第一個角色一開始就選好。',
        example='[{"name": {"en": "Tour guide", "zh-TW": "導遊"}, "instructions": "You are a tour guide in Tainan."}]',
    )
    """Personas that visitors can talk to: a JSON list, or the path of a file with one. A persona has `name`, `note`,
    `instructions`, `icon` and `key`; the first two may be `{"en": …, "zh-TW": …}`. The first persona is chosen at
    first. Default: six built-in ones."""
    resume_minutes: int = setting(
        30,
        "網頁重新載入或當掉後，對話和錄音保留幾分鐘，讓同一個分頁可以接著用；0 表示不保留，"
        "瀏覽器也不留目前對話的備份。",
        ge=0,
        le=1440,
    )
    """Minutes for which a page that was reloaded or has crashed can be resumed, with its conversations and its
    recording. 0: never; then the browser keeps no copy of the present conversation either."""
    fetch_models: bool = setting(
        False, "啟動時下載缺少的模型（0.8 GB，`OFFLINE_LLM` 指定的另計）。用 start.sh 啟動時，它會先下載好。"
    )
    """Download of missing models (0.8 GB, more with a size that OFFLINE_LLM names) when the app starts. start.sh
    downloads them before."""
    debug: bool = setting(False, "記錄多一點；一樣不會有金鑰、提示詞或逐字稿。")
    """More log lines. They hold no key, prompt or transcript either."""
    metrics: bool = setting(True, "在 /metrics 提供 Prometheus 數據，不含任何訪客的資料。公開的網頁請設 false。")
    """Prometheus metrics at /metrics, without data about single visitors. Set false on a public page."""
