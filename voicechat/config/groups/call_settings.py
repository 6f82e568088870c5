"""Settings of speech and replies, and of calls and text chats."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from voicechat.config.env_values import IgnoreCase, name_list, setting
from voicechat.config.settings_base import SettingsBase


class Language(StrEnum):
    """Spoken language. A hint makes the transcription of short Chinese turns much more reliable."""

    AUTO = "auto"
    """No hint."""
    ENGLISH = "en"
    CHINESE = "zh"


DEFAULT_VAD_SILENCE_MS = 350
"""Default of `vad_silence_ms`."""


class TurnDetection(StrEnum):
    """Method that finds the end of the user's turn."""

    SERVER = "server_vad"
    """Silence of a given length."""
    SEMANTIC = "semantic_vad"
    """Model that judges whether the sentence is complete."""


class Eagerness(StrEnum):
    """Speed of `semantic_vad`: it answers at most 8, 4 or 2 s after the last word. AUTO equals MEDIUM."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    AUTO = "auto"


class DuckingMode(StrEnum):
    """Reaction to the user's first sound during a reply: lower the reply first, and stop it for an interruption."""

    AUTO = "auto"
    """On for every server that confirms that the client decides."""
    ON = "on"
    """The same as `AUTO`, for settings of earlier versions."""
    OFF = "off"


class NoiseReduction(StrEnum):
    """Position of the microphone, for the server's own filter. NONE: no filter."""

    NONE = "none"
    NEAR_FIELD = "near_field"
    FAR_FIELD = "far_field"


class TranscriptionDelay(StrEnum):
    """Context that the transcription waits for before it writes a word."""

    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"


DEFAULT_INSTRUCTIONS = (
    "You are a friendly voice assistant. Your words are spoken aloud: answer in one to three short sentences, without "
    "lists, markup or emoji. Answer in the language you are spoken to. "
    "說中文時，一律使用台灣的繁體中文與台灣口音。"
)
DEFAULT_TEXT_INSTRUCTIONS = (
    "You are a friendly assistant in a text chat. Be clear and brief. Use Markdown where it helps: lists, tables, and "
    "code blocks with their language. Answer in the language you are written to. "
    "使用中文時，一律使用台灣的繁體中文與台灣用語。"
)
MAX_INSTRUCTIONS_CHARS = 16_000
"""Characters of the instructions of a call or chat."""


class SpeechSettings(SettingsBase):
    """Speech and replies: voice, instructions, transcription, turn detection and interruptions."""

    TITLES: ClassVar = ("Speech and replies", "說話與回覆")

    voice: str = setting(
        "",
        "聲音。OpenAI 和內建伺服器預設 alloy，其他由伺服器決定。內建伺服器的聲音列在 offline_protocol.md。",
        max_length=200,
        example="cedar",
    )
    """Voice of the replies. Default: alloy on OpenAI and the embedded server, elsewhere the server's own. The embedded
    server's voices are listed in offline_protocol.md."""
    speed: float = setting(1.0, "說話速度。", ge=0.25, le=1.5)
    """Speaking speed as a factor."""
    instructions: str = setting(
        DEFAULT_INSTRUCTIONS,
        "通話時給模型的指示（系統提示）；越短，第一句話來得越快。",
        max_length=MAX_INSTRUCTIONS_CHARS,
        secret=True,
    )
    """System prompt of calls. Short instructions shorten the wait for the first word."""
    text_instructions: str = setting(
        DEFAULT_TEXT_INSTRUCTIONS,
        "文字聊天的指示；文字聊天會顯示 Markdown。",
        max_length=MAX_INSTRUCTIONS_CHARS,
        secret=True,
    )
    """System prompt of text chats, which show Markdown."""
    language: Annotated[Language, IgnoreCase] = setting(
        Language.AUTO, "說哪種語言。給語音辨識的提示，auto 以外才會送出。"
    )
    """Spoken language: a hint for the transcription. `auto` sends none."""
    transcription_model: str = setting(
        "",
        "逐字稿的模型。OpenAI 預設 gpt-realtime-whisper，其他由伺服器決定（沒有就用 whisper-1）；"
        "Azure 要填你的部署名稱。",
        max_length=200,
        example="gpt-4o-transcribe",
    )
    """Model of the transcription. Default: gpt-realtime-whisper on OpenAI, elsewhere the server's own, or whisper-1
    where it has none. Azure requires the name of your deployment."""
    transcription_delay: Annotated[TranscriptionDelay | None, IgnoreCase] = setting(
        None,
        "只用於 gpt-realtime-whisper：越晚寫出來越準，沒設定就不送。字幕只給人看，模型直接聽聲音。",
        example="minimal",
    )
    """Delay of the captions of gpt-realtime-whisper: later words are more accurate. Captions are for people; the model
    hears the audio itself."""
    keywords: Annotated[tuple[str, ...], name_list(50, 60)] = setting(
        (),
        "會提到的人名、產品名，用逗號分開，最多 50 個、每個 60 字以內，提示給支援的辨識模型。",
        example="Node.js,Acme Cloud",
    )
    """Names and products, separated by commas, at most 50 of 60 characters each. They are hints for transcription
    models that support them."""
    turn_detection: Annotated[TurnDetection, IgnoreCase] = setting(
        TurnDetection.SERVER,
        "怎麼判斷你說完了：server_vad 看停頓，每家伺服器都有，回得也快；semantic_vad 由模型判斷句子是否完整。",
    )
    """Method that finds the end of a turn. `server_vad` waits for silence, exists on every server and answers sooner;
    `semantic_vad` judges whether the sentence is complete."""
    eagerness: Annotated[Eagerness, IgnoreCase] = setting(Eagerness.AUTO, "semantic_vad 接話的積極程度。")
    """Eagerness of `semantic_vad` to answer."""
    noise_reduction: Annotated[NoiseReduction, IgnoreCase] = setting(
        NoiseReduction.NONE,
        "伺服器的降噪：none、near_field（耳麥）或 far_field（桌上的筆電）。瀏覽器已經降噪過，再一次通常更糟。",
    )
    """Noise filter of the server: `near_field` for headsets, `far_field` for a laptop on a table. The browser already
    filters noise, and a second filter makes speech worse."""
    vad_threshold: float = setting(0.5, "多大聲才算說話；環境吵就調高。", ge=0, le=1)
    """Threshold of `server_vad` for speech. Raise it in noise."""
    vad_prefix_padding_ms: int = setting(300, "偵測到說話之前多留幾毫秒的聲音，才不會吃掉第一個子音。", ge=0, le=5000)
    """Milliseconds of audio kept from before speech was detected. They hold the first consonant."""
    vad_silence_ms: int = setting(
        DEFAULT_VAD_SILENCE_MS,
        "停頓幾毫秒算說完。200 會打斷邊想邊說的人，500 讓人覺得慢；句中停頓多半短於 350。"
        "內建伺服器遇到 350 會再聽語氣和字句，等 250 到 1500 毫秒；其他值照用。",
        ge=50,
        le=10_000,
    )
    """Milliseconds of silence that end a turn. 200 interrupts people who think while they talk, and 500 feels slow.
    Most pauses within a sentence are shorter than 350. With 350 the embedded server listens to the words and the voice
    of each pause and waits 250 to 1500; it keeps any other value."""
    ducking: Annotated[DuckingMode, IgnoreCase] = setting(
        DuckingMode.AUTO,
        "你一出聲，回覆先變小聲，確定是插話才停，咳嗽或「嗯」不會打斷它。auto 和 on：伺服器確認由我們決定時才用；"
        "off：任何聲音都會打斷。代價是真的插話時，要多聽 0.3 秒的小聲。",
    )
    """Lowering of a reply at the user's first sound: a cough or "mm" does not end it. `auto`, `on`: on every server
    that confirms that the client decides; `off`: any sound interrupts. After a real interruption, the reply stays
    audible for 0.3 s."""
    echo_guard_threshold: float = setting(
        0.8,
        "一通電話第一個回覆開頭幾秒的 server_vad 門檻，讓瀏覽器先學會消除回音；靠近麥克風說話可達 0.9。0 不用。",
        ge=0,
        le=1,
    )
    """Threshold of `server_vad` in the first seconds of a call's first reply, until the browser's echo canceller has
    adapted. A voice near the microphone reaches 0.9. 0: no change."""
    max_output_tokens: int = setting(
        1024, "一次語音回覆的 token 上限；1024 大約是 50 秒，也限制了一次回覆的費用。", ge=1, le=4096
    )
    """Tokens of a spoken reply. 1024 are about 50 s of speech; they also limit the price of a reply."""
    max_text_tokens: int = setting(2048, "一次文字回覆的 token 上限，足夠寫一張表格或一頁程式。", ge=1, le=4096)
    """Tokens of a written reply: enough for a table or a page of code."""
    output_latency_ms: int = setting(100, "從送出聲音到進入耳朵的毫秒數（本機實測約 90）。", ge=0, le=5000)
    """Milliseconds from sending a sample to the visitor's ear (about 90 measured on one computer)."""


class CallSettings(SettingsBase):
    """Calls and chats: how many, how long, at what cost, and what is kept."""

    TITLES: ClassVar = ("Calls and chats", "通話與聊天")

    max_calls: int = setting(8, "同時通話數。一通光是聲音就要占大約 2% 的一顆核心。", ge=1, le=10_000)
    """Simultaneous calls. The audio of one call takes about 2 % of a core."""
    max_chats: int = setting(32, "同時連線的文字聊天數；不用處理聲音，只占一條連線。", ge=1, le=10_000)
    """Simultaneous text chats. Each takes one connection to the server and no audio processing."""
    max_sockets: int = setting(
        64, "同時連到我們端點的程式數；每秒雙向各 50 則訊息時，一顆核心大約能撐這麼多。", ge=1, le=10_000
    )
    """Simultaneous connections of programs to the WebSocket endpoints. One core carries about 64 at 50 messages a
    second each way."""
    max_call_seconds: int = setting(1800, "一通最久幾秒：忘了掛斷的電話不該一直跑、一直花錢。", ge=10, le=86_400)
    """Seconds of a call. The limit ends forgotten calls, which would cost money."""
    idle_seconds: int = setting(180, "雙方多久沒說話就掛斷並放開麥克風。", ge=5, le=86_400)
    """Seconds without speech from either side before a call ends and the microphone is released."""
    chat_idle_seconds: int = setting(900, "文字聊天多久沒有訊息就斷線。", ge=5, le=86_400)
    """Seconds without a message from either side before a text chat is disconnected. It holds no microphone, and people
    take time to read."""
    vanished_seconds: float = setting(10.0, "瀏覽器幾秒沒送任何封包就當作不見了，把名額空出來。", ge=1, le=600)
    """Seconds without a packet before a browser counts as lost and its slot is freed. WebRTC alone would take about
    30 s."""
    max_call_cost: float = setting(
        0.0,
        "一通電話或一個聊天最多花幾美元（按牌價），0 不限。80% 時提醒，100% 時把回覆聽完就結束。訪客自己的金鑰不算。",
        ge=0,
        le=100_000,
    )
    """US dollars of one call or chat, by list prices; 0: no limit. The page warns at 80 %. At 100 % the call ends after
    the reply. Visitors' own keys are not counted."""
    max_day_cost: float = setting(
        0.0,
        "一天（UTC）全部加起來的上限（美元）；0 不限。設定 `REDIS_URL` 時，所有執行個體加起來算；"
        "Redis 沒有回應時，每個執行個體只能用剩下金額的一份。沒設定就只記在記憶體，重新啟動就歸零。",
        ge=0,
        le=100_000,
    )
    """US dollars of all calls and chats in a day (UTC); 0: no limit. With REDIS_URL it holds over all replicas. While
    Redis does not answer, each may spend its share of what was left. Without it, a restart resets the sum."""
    record_calls: bool = setting(
        True,
        "訪客可以把通話存成聲音檔：只有本人拿得到，按「清除」或「清除我的資料」就刪除，"
        "關掉網頁後最多再留 `RESUME_MINUTES` 分鐘。",
    )
    """Recording of calls, for download by their visitor alone. Clear and "Forget me" delete
    it, and it is kept for `RESUME_MINUTES` after the page closed."""
    max_recording_seconds: int = setting(
        1800, "一段對話最多錄幾秒；保留的時候，一分鐘占暫存資料夾 5.8 MB。", ge=10, le=21_600
    )
    """Seconds recorded of a conversation. A minute takes 5.8 MB of the temporary folder while it is kept."""
    max_message_chars: int = setting(4000, "一則打字訊息的字數上限。", ge=1, le=100_000)
    """Characters of one typed message."""
    remember_items: int = setting(200, "網頁上保留的訊息數，舊的先移除。", ge=2, le=10_000)
    """Messages of a conversation kept for the page. The oldest are removed first."""
    replay_items: int = setting(
        40, "重新連線時告訴模型的訊息數；太長的文字紀錄會讓語音模型講話像在念稿。", ge=0, le=1000
    )
    """Messages sent again to a new connection. Long text histories make voice models sound as if they read aloud."""
