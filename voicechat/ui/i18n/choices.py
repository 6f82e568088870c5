"""Choices of the call settings drawer, and its messages."""

from __future__ import annotations

from .locale import TranslationTable

LANGUAGES: TranslationTable = {
    "en": ("English", "英語"),
    "zh": ("Chinese", "中文"),
}
ENDPOINTING_SPEEDS: TranslationTable = {
    "quick": ("Quick: answers as soon as you pause", "快：一停頓就回答"),
    "balanced": ("Balanced", "適中"),
    "patient": ("Patient: lets you think", "慢：讓你慢慢想"),
}
NOISE_REDUCTIONS: TranslationTable = {
    "none": ("None", "不處理"),
    "near_field": ("Headset", "耳機麥克風"),
    "far_field": ("Laptop or loudspeaker", "筆電或桌上型麥克風"),
}

PRESETS: dict[str, tuple[str, str, str]] = {
    "english": (
        "English tutor",
        "英文老師",
        "You are a patient English tutor on a phone call. Speak simple English, one or two short sentences at a time. "
        "Correct one mistake at a time, kindly, and ask a question to keep the learner talking.",
    ),
    "mandarin": (
        "Mandarin tutor (Taiwan)",
        "華語老師（台灣）",
        "You are a patient teacher of Taiwanese Mandarin on a phone call. Speak slowly, in short sentences, and "
        "explain in the learner's language when they are lost. 一律使用台灣國語與繁體中文。",
    ),
    "interview": (
        "Job interviewer",
        "模擬面試官",
        "You are a friendly but demanding job interviewer. Ask one question at a time, listen, and follow up on what "
        "was said. Answer in the language you are spoken to.",
    ),
    "story": (
        "Storyteller",
        "說故事的人",
        "You are a storyteller for children. Tell the story in small pieces, and let the listener decide what happens "
        "next. Answer in the language you are spoken to. 說中文時使用台灣國語。",
    ),
}
"""Presets by name: (English, Traditional Chinese, instructions to the model)."""

PREFERENCE_MESSAGES: TranslationTable = {
    "as_set": ("Default", "預設"),
    "own_words": ("Custom", "自訂"),
    "now": ("Takes effect now.", "現在開始生效。"),
    "next_turn": ("Takes effect with the next answer.", "從下一次回答開始生效。"),
    "next_call": ("Takes effect with the next call.", "從下一通電話開始生效。"),
    "nothing": ("No changes.", "沒有變更。"),
    "model_needs_key": (
        "This model needs your own API key; without it, calls use the default model.",
        "這個模型需要你自己的 API 金鑰；沒有金鑰時會使用預設的模型。",
    ),
}
