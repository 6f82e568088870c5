"""Limits of admission, of visitors and of WebSocket messages, and the time for a graceful shutdown."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, ValidationInfo

from voicechat.config.env_values import SettingsError, setting, variable_of
from voicechat.config.settings_base import SettingsBase

BURST_S = 5.0
"""Seconds' worth of messages that a WebSocket may send at once: the network held them back, or they are a recording."""

AUTO_SESSIONS = 0
"""Value of `LimitSettings.offline_sessions` where the embedded server decides."""
MAX_OFFLINE_SESSIONS = 1000


def _parse_sessions(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    if value.lower() == "auto":
        return AUTO_SESSIONS
    sessions = int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0
    if not 1 <= sessions <= MAX_OFFLINE_SESSIONS:
        raise SettingsError(f"{variable_of(info)} must be auto or a whole number from 1 to {MAX_OFFLINE_SESSIONS}.")
    return sessions


class LimitSettings(SettingsBase):
    """Limits beside MAX_CALLS, MAX_CHATS and MAX_SOCKETS."""

    TITLES: ClassVar = ("Visitors, queue and messages", "訪客、排隊與訊息")

    offline_sessions: Annotated[int, BeforeValidator(_parse_sessions)] = setting(
        2,
        "內建伺服器同時能進行幾段對話，通話、文字聊天和程式共用。越多就越慢，兩顆處理器大約能撐兩段。"
        "`auto` 由內建伺服器依處理器、記憶體和量到的語音速度決定。"
        "設了 `OFFLINE_URL` 就看那些伺服器各自的設定，這裡的不算。",
        values="`auto`, 1–1000",
    )
    """Simultaneous sessions of the embedded server, shared by calls, chats and programs. Each further session slows
    down all of them; two fit on two processors. With `auto` the embedded server decides by processors, memory and the
    measured speed of its speech. With OFFLINE_URL the setting of each of those servers counts, and this one does
    not."""
    max_waiting: int = setting(
        8,
        "名額滿了以後，最多幾位訪客可以排隊，再來的就請他晚點再試。排隊等通話和通話一樣占處理器；0 不排隊。",
        ge=0,
        le=1000,
    )
    """Visitors in the waiting queue while all slots are taken. Further visitors are turned away. Waiting for a call
    takes as much processor time as a call. 0: no queue."""
    max_calls_per_visitor: int = setting(
        2,
        "同一位訪客同時最多幾通，排隊的也算，排隊的文字聊天也以此為限；0 不限。分不出是誰的訪客不計算。",
        ge=0,
        le=10_000,
    )
    """Simultaneous calls of one visitor, waiting ones included; also the limit of their waiting chats. Visitors who
    cannot be told apart are not counted. 0: no limit."""
    max_visitor_seconds_per_day: int = setting(
        0,
        "一位訪客一天（UTC）最多通話幾秒，他的程式在語音端點的時間也算；0 不限。"
        "用公開連結（SHARE）時預設 3600。設定 `REDIS_URL` 時，在所有執行個體的時間加起來算；"
        "沒設定就只記在記憶體，重新啟動就歸零。",
        ge=0,
        le=86_400,
    )
    """Seconds that one visitor may spend in calls in a day (UTC), voice sessions of their programs included. 0: no
    limit; with a public link (SHARE) the default is 3600. With REDIS_URL it holds over all replicas. Without it, a
    restart resets the sum."""
    max_messages_per_second: float = setting(
        200.0,
        "每條 WebSocket 每秒讀幾則訊息，一開始可以一次來五秒的量。10 毫秒一段的聲音是每秒 100 則；"
        "多的不會丟掉，只是晚點才讀。",
        ge=1,
        le=100_000,
    )
    """Messages read from one WebSocket in a second, after a burst of five seconds' worth. Audio in chunks of 10 ms
    makes 100. Further messages are read later, and none is lost."""
    max_message_bytes: int = setting(
        24 * 2**20,
        "一則 WebSocket 訊息最大幾位元組，超過就以 1009 斷線。預設放得下協定上限 15 MiB 的聲音（base64）。",
        ge=2**16,
        le=2**28,
    )
    """Bytes of one WebSocket message. A larger one closes the connection with code 1009. The default holds the
    protocol's limit of 15 MiB of audio in base64."""
    drain_seconds: float = setting(10.0, "程式要結束時，進行中的通話最多還能講幾秒，時間到就掛斷。", ge=0, le=3600)
    """Seconds that calls may go on after the app was asked to stop. Then they are ended."""
