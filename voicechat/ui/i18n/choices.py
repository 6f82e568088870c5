"""Choices of the settings panel, and its messages."""

from __future__ import annotations

from .locale import TranslationTable

LANGUAGES: TranslationTable = {
    "en": ("English", "英語"),
    "zh": ("Mandarin", "中文"),
}
ENDPOINTING_SPEEDS: TranslationTable = {
    "quick": ("Quick", "短"),
    "balanced": ("Balanced", "適中"),
    "patient": ("Patient", "長"),
}
NOISE_REDUCTIONS: TranslationTable = {
    "none": ("None", "不處理"),
    "near_field": ("Headset", "耳機"),
    "far_field": ("Loudspeaker", "喇叭"),
}

PREFERENCE_MESSAGES: TranslationTable = {
    "as_set": ("Default", "預設"),
    "any_language": ("Any", "都可以"),
    "now": ("from now on", "現在開始生效"),
    "next_turn": ("from the next answer on", "下一次回答開始生效"),
    "next_call": ("from the next call on", "下一通電話開始生效"),
    "nothing": ("no change", "沒有變更"),
    "model_needs_key": (
        "This model needs your own API key; without it, calls use the default model.",
        "這個模型需要你自己的 API 金鑰；沒有金鑰時會使用預設的模型。",
    ),
}
