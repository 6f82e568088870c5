"""Static labels of the page. Gradio translates them in the browser (`I18N`)."""

from __future__ import annotations

import gradio as gr

LABELS: dict[str, dict[str, str]] = {
    "en": {
        "app_title": "# Realtime Voice Chat",
        "other_language": "中文",
        "voice_chat": "Conversation",
        "voice_placeholder": "Press the green button and talk. Your browser asks for the microphone first. "
        "It listens only while the button is red. You can interrupt at any time.",
        "message": "Message",
        "voice_input": "Type during the call (Shift+Enter: new line)",
        "voice_send": "Send",
        "voice_clear": "Clear",
        "voice_volume": "Volume (%)",
        "voice_export": "Save this conversation",
        "voice_export_md": "Text (Markdown)",
        "voice_export_json": "Data (JSON)",
        "voice_export_srt": "Subtitles (SRT)",
        "voice_export_wav": "Recording (WAV)",
        "voice_export_note": "The recording is kept for this page only, you on the left and the model on the right. "
        "Clear deletes it, and so does closing the page.",
        "voice_export_note_text": "Calls are not recorded here.",
        "voice_tab": "Voice",
        "text_tab": "Text",
        "text_chat": "Text chat",
        "text_placeholder": "Press Connect, or just type a message.",
        "text_input": "Message (Enter: send, Shift+Enter: new line)",
        "text_stop": "Stop",
        "text_connect": "Connect",
        "wishes_title": "Call settings",
        "wishes_note": "For your own calls only. Each change shows when it takes effect.",
        "wish_model": "Model",
        "wish_voice": "Voice",
        "wish_language": "You speak",
        "wish_pace": "End of your turn",
        "wish_noise": "Noise filter",
        "wish_speed": "Speed",
        "wish_cost": "Spending limit per call (US$, 0: default)",
        "wish_preset": "Role",
        "wish_words": "Instructions to the model",
        "devices_title": "Microphone and loudspeaker",
        "key_title": "Your own API key",
        "key_placeholder": "OpenAI API key",
        "key_use": "Use",
        "key_forget": "Forget",
        "key_note": "Kept in the memory of this page's session only. Used for calls and chats started from then on.",
    },
    "zh-TW": {
        "app_title": "# 即時語音對話",
        "other_language": "English",
        "voice_chat": "對話內容",
        "voice_placeholder": "按下綠色按鈕就能開始說話，瀏覽器會先詢問麥克風權限。"
        "只有按鈕變成紅色時才會收音，隨時可以打斷。",
        "message": "訊息",
        "voice_input": "通話中也能打字（Shift+Enter 換行）",
        "voice_send": "送出",
        "voice_clear": "清除",
        "voice_volume": "音量（%）",
        "voice_export": "儲存這段對話",
        "voice_export_md": "文字（Markdown）",
        "voice_export_json": "資料（JSON）",
        "voice_export_srt": "字幕（SRT）",
        "voice_export_wav": "錄音（WAV）",
        "voice_export_note": "錄音只會暫存在這個網頁，左聲道是你，右聲道是模型。按「清除」或關閉網頁就會刪除。",
        "voice_export_note_text": "這裡不會錄下通話。",
        "voice_tab": "語音",
        "text_tab": "文字",
        "text_chat": "文字對話",
        "text_placeholder": "按「連線」，或直接輸入訊息。",
        "text_input": "輸入訊息（Enter 送出，Shift+Enter 換行）",
        "text_stop": "停止",
        "text_connect": "連線",
        "wishes_title": "通話設定",
        "wishes_note": "只影響你自己的通話，每項變更都會說明何時生效。",
        "wish_model": "模型",
        "wish_voice": "聲音",
        "wish_language": "你說的語言",
        "wish_pace": "多久算說完",
        "wish_noise": "噪音過濾",
        "wish_speed": "語速",
        "wish_cost": "每通費用上限（美元，0：預設）",
        "wish_preset": "角色",
        "wish_words": "給模型的指示",
        "devices_title": "麥克風與喇叭",
        "key_title": "使用自己的 API 金鑰",
        "key_placeholder": "OpenAI API 金鑰",
        "key_use": "使用",
        "key_forget": "移除",
        "key_note": "金鑰只留在這個網頁的工作階段裡，之後開始的通話與對話才會使用。",
    },
}

I18N = gr.I18n(**LABELS)


def label(key: str) -> gr.i18n.I18nData:
    """Return a static label, which the browser translates."""
    if key not in LABELS["en"]:
        raise KeyError(key)
    return I18N(key)
