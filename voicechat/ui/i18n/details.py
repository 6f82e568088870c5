"""Texts of downloads, server names, connect button, usage panel and API key."""

from __future__ import annotations

from .locale import TranslationTable

EXPORT_TEXTS: TranslationTable = {
    "title": ("Conversation", "對話紀錄"),
    "user": ("You", "你"),
    "assistant": ("Model", "模型"),
    "nothing": ("There is nothing to save yet.", "目前還沒有可以儲存的內容。"),
}

INCOMPLETE_MARKS: TranslationTable = {
    "max_output_tokens": ("cut off: length limit", "已截斷：達到長度上限"),
    "content_filter": ("stopped by the content filter", "被內容過濾機制中止"),
    "failed": ("broken off: the server had an error", "伺服器發生錯誤，回答中斷"),
    "connection_lost": ("broken off: the connection was lost", "連線中斷，回答不完整"),
    "transcription_failed": ("speech not transcribed", "這段話沒有轉成文字"),
    "other": ("broken off by the server", "伺服器中途停止"),
}
"""Mark behind a message whose rest is missing, by `IncompleteReason`."""

MESSAGE_NOTES: TranslationTable = {
    "picture": ("Picture", "圖片"),
    "interrupted": (
        "Interrupted. The struck-out part was not heard, and is forgotten.",
        "在這裡被打斷，後面的你沒聽到，模型也不會記得。",
    ),
}
"""Note below a message."""

SERVER_NAMES: TranslationTable = {
    "offline": ("Offline", "離線"),
    "offline_network": ("Own network", "自有網路"),
    "offline_text": ("Operator's services", "管理員的服務"),
    "offline_voice": ("Operator's services", "管理員的服務"),
    "openai": ("OpenAI", "OpenAI"),
    "openai_own_key": ("OpenAI (own key)", "OpenAI（自己的金鑰）"),
    "custom": ("Custom", "自訂伺服器"),
    "custom_own_key": ("Custom (own key)", "自訂伺服器（自己的金鑰）"),
}

SERVER_TITLES: TranslationTable = {
    "offline": (
        "A model on this server listens, thinks and speaks. Your voice goes nowhere else.",
        "聽、想、說都由這台伺服器上的模型完成，聲音不會傳到別處。",
    ),
    "offline_network": (
        "Models at addresses in the operator's own network listen, think and speak.",
        "聽、想、說都由管理員自己網路裡的模型完成。",
    ),
    "offline_text": (
        "Your voice stays on this server. Text of the conversation goes to services that its operator has chosen.",
        "聲音只留在這台伺服器，對話的文字會傳到管理員選用的服務。",
    ),
    "offline_voice": (
        "Your voice goes to this page's server, and from there to services that its operator has chosen.",
        "聲音會傳到這個網頁的伺服器，再傳到管理員選用的服務。",
    ),
    "other": (
        "Your voice goes to this page's server and to this model service.",
        "聲音會傳到這個網頁的伺服器和這個模型服務。",
    ),
}

CONNECT_BUTTON_LABELS: TranslationTable = {
    "connect": ("Connect", "連線"),
    "disconnect": ("Disconnect", "中斷連線"),
}

# ------------------------------------------------------------------ usage panel

USAGE_PANEL_TEXTS: TranslationTable = {
    "endpointing": ("waited for you to finish", "等你說完"),
    "model": ("model", "模型"),
    "playout": ("network and playback", "網路與播放"),
    "p50": ("half of the answers came within", "一半的回答不超過"),
    "p95": ("95 of 100 answers came within", "95% 的回答不超過"),
    "answered": ("Answered in", "回應時間"),
    "seconds": ("s", "秒"),
    "details": ("Latency and cost", "延遲與費用"),
    "last_answer": ("The last answer", "最近一次回答"),
    "speech_to_ear": ("from the end of your speech to your ear", "從你說完到你聽到"),
    "typed_to_ear": ("from your message to your ear", "從送出訊息到你聽到"),
    "unknown_short": ("Cost unknown", "費用不明"),
    "latest_answers": ("Latest answers, in seconds", "最近幾次回答（秒）"),
    "span_spoke": ("you spoke", "你說話"),
    "span_waited": ("waiting for silence", "等待靜音"),
    "span_transcribing": ("transcribing", "語音轉文字"),
    "span_thinking": ("thinking", "思考"),
    "span_tool": ("tool", "工具"),
    "span_speaking": ("speaking", "生成語音"),
    "span_heard": ("heard", "聽到"),
    "free": ("the models run on computers of the operator", "模型在管理員的電腦上執行，不收費"),
    "unknown": ("this model is not in the price table", "價目表沒有這個模型"),
    "audio": ("audio", "語音"),
    "text": ("text", "文字"),
    "image": ("image", "影像"),
    "in": ("in", "輸入"),
    "cached": ("cached", "快取"),
    "out": ("out", "輸出"),
    "transcription": ("transcription", "語音轉文字"),
    "prices": ("list prices of", "定價日期"),
    "call_near": ("80 % of the spending limit of this call is used.", "這通電話的費用額度已用掉 80%。"),
    "day_near": ("80 % of today's spending limit is used.", "今天的費用額度已用掉 80%。"),
    "call_spent": ("The spending limit of this call is reached: it ends now.", "這通電話的費用額度已用完，即將結束。"),
    "day_spent": ("Today's spending limit is reached: the call ends now.", "今天的費用額度已用完，通話即將結束。"),
}

KEY_MESSAGES: TranslationTable = {
    "used": (
        "Your key is used for calls and chats that you start from now on.",
        "之後開始的通話與對話會使用你的金鑰。",
    ),
    "none": ("Your own key is not in use.", "目前沒有使用你的金鑰。"),
    "bad": (
        "This is not an API key: it contains a space or an invalid character.",
        "這不是 API 金鑰：其中有空格或無效的字元。",
    ),
}
