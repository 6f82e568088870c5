"""Static labels of the page. Gradio translates them in the browser (`I18N`)."""

from __future__ import annotations

import gradio as gr

LABELS: dict[str, dict[str, str]] = {
    "en": {
        "group_voice": "Voice and model",
        "group_listening": "Listening",
        "group_persona": "Persona and instructions",
        "group_devices": "Microphone and loudspeaker",
        "group_key": "Key and costs",
        "group_tools": "Tools",
        "group_display": "Reading and display",
        "wish_tools": "The model may use",
        "wish_persona": "Who you talk to",
        "wish_words_placeholder": "As the operator set them. For example: You are a patient piano teacher…",
        "forget_me": "Forget me",
        "voice_chat": "Conversation",
        "voice_input": "Or type: it is answered aloud",
        "message": "Message",
        "voice_send": "Send",
        "voice_clear": "Clear",
        "voice_export_md": "Text",
        "voice_export_json": "Data",
        "voice_export_srt": "Subtitles",
        "voice_export_wav": "Recording",
        "voice_export_note": "The recording is kept for this page only, you on the left and the model on the right. "
        "Clear deletes it at once. After the page is closed, it is deleted once the page can no longer be continued.",
        "voice_export_note_text": "Calls are not recorded here.",
        "voice_tab": "Voice",
        "text_tab": "Text",
        "text_chat": "Text chat",
        "text_input": "Message",
        "text_stop": "Stop",
        "text_connect": "Connect",
        "wish_model": "Model",
        "wish_voice": "Voice",
        "wish_language": "You speak",
        "wish_pace": "When you pause",
        "wish_noise": "Noise filter",
        "wish_speed": "Speed",
        "wish_cost": "One call may cost, US$ (0: default)",
        "wish_words": "Instructions to the model",
        "key_title": "Your own API key",
        "key_placeholder": "OpenAI API key",
        "key_use": "Use",
        "key_forget": "Forget",
        "key_note": "Kept in the memory of this page's session only. Used for calls and chats started from then on.",
    },
    "zh-TW": {
        "group_voice": "聲音與模型",
        "group_listening": "聆聽方式",
        "group_persona": "角色與指示",
        "group_devices": "麥克風與喇叭",
        "group_key": "金鑰與費用",
        "group_tools": "工具",
        "group_display": "閱讀與顯示",
        "wish_tools": "模型可以使用",
        "wish_persona": "和誰說話",
        "wish_words_placeholder": "沿用管理員的設定。例如：你是一位很有耐心的鋼琴老師…",
        "forget_me": "清除我的資料",
        "voice_chat": "對話內容",
        "voice_input": "也可以打字，會用語音回答",
        "message": "訊息",
        "voice_send": "送出",
        "voice_clear": "清除",
        "voice_export_md": "文字",
        "voice_export_json": "資料",
        "voice_export_srt": "字幕",
        "voice_export_wav": "錄音",
        "voice_export_note": "錄音只供這個網頁使用，左聲道是你，右聲道是模型。"
        "按「清除」會立刻刪除；關閉網頁後，超過可以接著聊的時間也會自動刪除。",
        "voice_export_note_text": "這裡不會錄下通話。",
        "voice_tab": "語音",
        "text_tab": "文字",
        "text_chat": "文字對話",
        "text_input": "輸入訊息",
        "text_stop": "停止",
        "text_connect": "連線",
        "wish_model": "模型",
        "wish_voice": "聲音",
        "wish_language": "你說的語言",
        "wish_pace": "停頓多久算說完",
        "wish_noise": "噪音過濾",
        "wish_speed": "語速",
        "wish_cost": "每通費用上限（美元，0：預設）",
        "wish_words": "給模型的指示",
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
