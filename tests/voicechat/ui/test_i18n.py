"""Texts of the page: every code has a sentence in both languages."""

from __future__ import annotations

import re

import pytest

from realtime_handler import CallStage, Notice
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.limits.pricing import SpendStatus
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.failures import OWN_KEY_VARIANTS
from voicechat.ui.i18n import (
    CALL_NOTICE_TEXTS,
    CALL_STAGE_TEXTS,
    CHAT_NOTICE_TEXTS,
    CHAT_STAGE_TEXTS,
    INCOMPLETE_MARKS,
    KEY_MESSAGES,
    LABELS,
    SCRIPT_TEXTS,
    SERVER_NAMES,
    USAGE_PANEL_TEXTS,
    get_message,
    negotiate_locale,
    script_texts_by_locale,
)
from voicechat.ui.widgets.chatbox import STATIC_DIR
from voicechat.upstream.connection import Failure


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
    assert CHAT_STAGE_TEXTS.keys() == CALL_STAGE_TEXTS.keys()
    assert CHAT_NOTICE_TEXTS.keys() == CALL_NOTICE_TEXTS.keys()


@pytest.mark.parametrize(
    "table",
    [CALL_STAGE_TEXTS, CALL_NOTICE_TEXTS, CHAT_STAGE_TEXTS, CHAT_NOTICE_TEXTS, KEY_MESSAGES],
    ids=["stages", "notices", "chat_stages", "chat_notices", "key_states"],
)
def test_sentences_end_with_punctuation(table: dict[str, tuple[str, str]]) -> None:
    for code, (english, chinese) in table.items():
        assert english.endswith((".", "…")), code
        assert chinese.endswith(("。", "…")), code
        assert english.isascii() or "…" in english, code


def test_every_text_of_the_scripts_is_in_the_table() -> None:
    scripts = "".join(path.read_text("utf-8") for path in STATIC_DIR.glob("*.js"))
    used = set(re.findall(r"(?:showHint|endUnexpectedly)\(\"(\w+)\"", scripts))
    used |= set(re.findall(r'Error: "(\w+)"', scripts)) | {"busy"}
    assert {f"hint_{code}" for code in used} == {code for code in SCRIPT_TEXTS if code.startswith("hint_")}
    for prefix in ("word", "name"):
        assert {f"{prefix}_{state}" for state in ("start", "wait", "queue", "stop")} <= SCRIPT_TEXTS.keys()
    for code in re.findall(r"voiceTexts\.(\w+)", scripts):
        assert code in SCRIPT_TEXTS
    check = (STATIC_DIR / "sound_check.js").read_text("utf-8")
    used = set(re.findall(r"text\.(check_\w+)", check)) | {"check_start", "check_privacy", "check_later", "check_close"}
    used |= {f"check_{code}" for code in re.findall(r"renderRow\(\"\w+\", \"\w+\", \"(\w+)\"", check)}
    used |= {f"check_title_{name}" for name in ("microphone", "level", "echo", "network")}
    used |= {f"check_{code}" for code in ("denied", "missing", "busy", "silent", "quiet", "loud")}
    used |= {f"check_{code}" for code in ("asked", "asked_only", "no_echo", "loudspeaker")}
    assert used == {code for code in SCRIPT_TEXTS if code.startswith("check_")}
    for language, table in script_texts_by_locale().items():
        assert table.keys() == SCRIPT_TEXTS.keys() and all(table.values()), language
    style = (STATIC_DIR / "page.css").read_text("utf-8")
    assert not re.search(r"[\u4e00-\u9fff]", scripts + style), "text outside the table"


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


def test_message_is_in_the_requested_language() -> None:
    assert get_message(CALL_STAGE_TEXTS, "idle", "en").startswith("Ready")
    assert get_message(CALL_STAGE_TEXTS, "idle", "zh-TW").startswith("準備好")


def test_failures_of_a_visitors_own_key_do_not_name_the_administrator() -> None:
    for failure in OWN_KEY_VARIANTS.values():
        for table in (CALL_NOTICE_TEXTS, CHAT_NOTICE_TEXTS):
            english, chinese = table[failure]
            assert "administrator" not in english and "管理員" not in chinese
            assert "key" in english and "金鑰" in chinese
