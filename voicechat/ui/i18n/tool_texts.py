"""Texts of tool calls: outcomes, chips and the approval bar."""

from __future__ import annotations

from .locale import TranslationTable

TOOL_OUTCOMES: TranslationTable = {
    "requested": ("about to run", "準備執行"),
    "running": ("running", "執行中"),
    "awaiting_approval": ("waiting for your yes", "等你同意"),
    "done": ("done", "完成"),
    "failed": ("failed", "失敗"),
    "refused": ("refused", "你沒有同意"),
    "cancelled": ("cancelled", "已取消"),
    "timed_out": ("timed out", "逾時"),
}
"""Words of a chip, by `ToolCallState`."""

TOOL_CHIP_TEXTS: TranslationTable = {
    "asked": ("Asked", "查詢"),
    "result": ("Result", "結果"),
    "nothing_asked": ("nothing", "沒有參數"),
    "no_result": ("no result", "沒有結果"),
    "seconds": ("{seconds} s", "{seconds} 秒"),
    "heard": ("answer heard to {percent} %", "回答聽到 {percent}%"),
    "cancel": ("Cancel", "取消"),
    "cut": ("… {count} more characters", "…還有 {count} 個字"),
}

APPROVAL_TEXTS: TranslationTable = {
    "title": ("Allow “{tool}”?", "要讓模型執行「{tool}」嗎？"),
    "by_voice": (
        "Nothing is done without your yes: press a button, or say “yes” or “no”.",
        "你同意之前什麼都不會做。請按按鈕，或直接說「好」或「不要」。",
    ),
    "by_text": (
        "Nothing is done without your yes: press a button, or write “yes” or “no”.",
        "你同意之前什麼都不會做。請按按鈕，或直接輸入「好」或「不要」。",
    ),
    "by_button": (
        "Nothing is done without your yes: press a button. A yes in words does not count here.",
        "你同意之前什麼都不會做。這個動作要按按鈕，用說的或打字都不算數。",
    ),
    "arguments": ("What the model wants to do", "模型要執行的內容"),
    "nothing": ("Without further details", "沒有其他內容"),
    "more": ("{count} more wait behind this one.", "後面還有 {count} 個在等。"),
    "allow": ("Allow", "允許"),
    "refuse": ("Don't allow", "不允許"),
}
"""Texts of the approval bar."""

TOOL_SETTINGS_TEXTS: TranslationTable = {
    "asks": ("asks you first", "會先問你"),
}
"""Texts of the group "Tools" in the settings panel."""
