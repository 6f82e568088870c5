"""Texts of the page: every code has a sentence in both languages."""

from __future__ import annotations

import re

import pytest

from realtime_handler import CallStage, Notice
from voicechat.config.personas import BUILT_IN
from voicechat.config.settings import Settings
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.limits.pricing import SpendStatus
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.failures import OWN_KEY_VARIANTS
from voicechat.ui import i18n
from voicechat.ui.i18n import (
    CALL_NOTICE_TEXTS,
    CALL_STAGE_TEXTS,
    CHAT_NOTICE_TEXTS,
    CHAT_STAGE_TEXTS,
    INCOMPLETE_MARKS,
    KEY_MESSAGES,
    LABELS,
    MODEL_KINDS,
    MODEL_NEWS_TEXTS,
    MODEL_TEXTS,
    NOT_USED_REASONS,
    SCRIPT_TEXTS,
    SERVER_NAMES,
    USAGE_PANEL_TEXTS,
    get_message,
    negotiate_locale,
    parse_timezone,
    script_texts_by_locale,
)
from voicechat.ui.widgets.chatbox import STATIC_DIR
from voicechat.ui.widgets.welcome import TEXT_SUGGESTIONS, VOICE_SUGGESTIONS
from voicechat.upstream.connection import Failure
from voicechat.upstream.model_news import ModelKind, ModelNewsStage, NotUsedReason


def test_every_stage_and_failure_has_a_sentence() -> None:
    assert not set(CallStage) - set(CALL_STAGE_TEXTS)
    assert not (set(Failure) | set(Notice) | {budget for budget in SpendStatus if budget.is_exceeded}) - set(
        CALL_NOTICE_TEXTS
    )
    assert not {budget for budget in SpendStatus if budget is not SpendStatus.OK} - set(USAGE_PANEL_TEXTS)
    assert set(INCOMPLETE_MARKS) == set(IncompleteReason)
    assert {Endpoint(kind, "", has_own_key=own).name for kind in ServerKind for own in (False, True)} - set(
        SERVER_NAMES
    ) == {
        "offline_own_key"  # impossible combination
    }
    assert set(MODEL_NEWS_TEXTS) == {*ModelNewsStage, "not_used_unknown"}
    assert (set(MODEL_KINDS), set(NOT_USED_REASONS)) == (set(ModelKind), set(NotUsedReason))
    assert CHAT_STAGE_TEXTS.keys() == CALL_STAGE_TEXTS.keys()
    assert CHAT_NOTICE_TEXTS.keys() == CALL_NOTICE_TEXTS.keys()


@pytest.mark.parametrize(
    "table",
    [
        CALL_STAGE_TEXTS,
        CALL_NOTICE_TEXTS,
        CHAT_STAGE_TEXTS,
        CHAT_NOTICE_TEXTS,
        KEY_MESSAGES,
        MODEL_TEXTS,
        MODEL_NEWS_TEXTS,
    ],
    ids=["stages", "notices", "chat_stages", "chat_notices", "key_states", "models", "model_news"],
)
def test_sentences_end_with_punctuation(table: dict[str, tuple[str, str]]) -> None:
    for code, (english, chinese) in table.items():
        assert english.endswith((".", "…")), code
        assert chinese.endswith(("。", "…")), code
        assert english.isascii() or "…" in english, code


def read_scripts() -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in (STATIC_DIR / "scripts").glob("*.js")}


def codes_named_by_scripts(scripts: dict[str, str]) -> set[str]:
    """Return the codes that the scripts put together from a prefix and a state."""
    everything, check = "".join(scripts.values()), scripts["sound_check.js"]
    hints = set(re.findall(r"(?:showHint|endUnexpectedly)\(\"(\w+)\"", everything))
    hints |= set(re.findall(r'Error: "(\w+)"', everything)) | {"busy"}
    rows = set(re.findall(r"renderRow\(\"\w+\", \"\w+\", \"(\w+)\"", check))
    rows |= {f"title_{name}" for name in ("microphone", "level", "echo", "network")}
    rows |= {"denied", "missing", "busy", "silent", "quiet", "loud", "asked", "asked_only", "no_echo", "loudspeaker"}
    buttons = {f"{prefix}_{state}" for prefix in ("word", "name") for state in ("start", "wait", "queue", "stop")}
    overlays = {f"overlay_{stage}{part}" for stage in ("connecting", "waiting") for part in ("", "_note")}
    return {f"hint_{code}" for code in hints} | {f"check_{code}" for code in rows} | buttons | overlays


def test_every_text_of_the_scripts_is_in_the_table_and_is_used() -> None:
    scripts = read_scripts()
    widgets = "".join(path.read_text("utf-8") for path in STATIC_DIR.parent.glob("[!i]*/*.py"))
    used = codes_named_by_scripts(scripts)
    used |= {f"suggest_{code}" for code in (*VOICE_SUGGESTIONS, *TEXT_SUGGESTIONS)}
    used |= set(re.findall(r'data-(?:text|name)="(\w+)"', widgets))  # filled in by page_texts.js
    used |= set(re.findall(r"\bvoiceTexts\.(\w+)", "".join(scripts.values())))
    for script in scripts.values():
        if re.search(r"\btext = window\.voiceTexts;", script):
            used |= set(re.findall(r"(?<![.\w])text\.(\w+)(?![\w(])", script))
    assert used <= SCRIPT_TEXTS.keys()
    words = set(re.findall(r"\w+", widgets + "".join(scripts.values())))
    assert SCRIPT_TEXTS.keys() - used <= words, "texts that nothing shows"


def test_every_text_of_the_scripts_is_in_both_languages() -> None:
    for language, table in script_texts_by_locale().items():
        assert table.keys() == SCRIPT_TEXTS.keys() and all(table.values()), language


def test_scripts_and_styles_contain_no_text() -> None:
    styles = [path.read_text("utf-8") for path in (STATIC_DIR / "styles").glob("*.css")]
    assert styles
    for source in (*read_scripts().values(), *styles):
        assert not re.search(r"[\u4e00-\u9fff]", source), "text outside the table"


def test_labels_have_the_same_keys_in_both_languages() -> None:
    assert LABELS["en"].keys() == LABELS["zh-TW"].keys()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh-TW"),
        ("zh", "zh-TW"),
        ("zh-Hant-HK", "zh-TW"),
        ("en-US,en;q=0.9,zh-TW;q=0.8", "en"),
        ("fr", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_locale_is_negotiated(header: str | None, expected: str) -> None:
    assert negotiate_locale(header) == expected


def test_timezone_of_a_browser_is_a_known_name() -> None:
    assert parse_timezone("Asia/Taipei") == "Asia/Taipei"
    for hostile in (None, "", "../etc/passwd", "/etc/localtime", "Mars/Base", "x" * 65, 8, "Asia"):
        assert parse_timezone(hostile) == "", hostile


def test_message_is_in_the_requested_language() -> None:
    assert get_message(CALL_STAGE_TEXTS, "idle", "en").startswith("Ready")
    assert get_message(CALL_STAGE_TEXTS, "idle", "zh-TW").startswith("準備好")


def test_failures_of_a_visitors_own_key_do_not_name_the_administrator() -> None:
    for failure in OWN_KEY_VARIANTS.values():
        for table in (CALL_NOTICE_TEXTS, CHAT_NOTICE_TEXTS):
            english, chinese = table[failure]
            assert "administrator" not in english and "管理員" not in chinese
            assert "key" in english and "金鑰" in chinese


AMBIGUOUS_CHINESE = {
    "國語": "華語；「台灣國語」是口音的名稱",
    "……": "…",
    "忘記我": "清除我的資料",
    "過去的對話": "對話紀錄",
    "線路": "通話名額",
    "滿線": "通話名額已滿",
    "空的連線": "空位",
    "關閉維護": "停機維護",
    "本機": "這台伺服器：讀者的「本機」是自己的電腦",
}
"""Wordings that Taiwanese readers misread or that have a second name on the page, with the one to use."""


def test_chinese_texts_have_one_clear_wording_for_a_thing() -> None:
    tables = [value for value in vars(i18n).values() if isinstance(value, dict)]
    texts = [text for table in tables for pair in table.values() if isinstance(pair, tuple) for text in pair]
    texts += LABELS["zh-TW"].values()
    texts += [part for each in BUILT_IN for part in (*each.name, *each.note, each.instructions)]
    texts.append(Settings().instructions)
    assert len(texts) > 300
    assert not [(text, word) for text in texts for word in AMBIGUOUS_CHINESE if word in text]
