"""Every code a visitor can meet has its sentence, in both languages."""

from __future__ import annotations

import re

import pytest

from realtime.connection import Failure
from realtime.endpoint import Endpoint, ServerKind
from realtime.usage import Budget
from realtime_handler import Notice, Stage
from web.chatbox import STATIC
from web.texts import (
    CHAT_NOTICES,
    CHAT_STAGES,
    FIGURES,
    KEY_STATES,
    LABELS,
    NOTICES,
    PAGE,
    SERVERS,
    STAGES,
    locale_of,
    page_tables,
    sentence,
)


def test_every_stage_and_failure_has_a_sentence() -> None:
    assert not set(Stage) - set(STAGES)
    assert not (set(Failure) | set(Notice) | {budget for budget in Budget if budget.spent}) - set(NOTICES)
    assert not {budget for budget in Budget if budget is not Budget.FINE} - set(FIGURES)
    assert {Endpoint(kind, "", own_key=own).name for kind in ServerKind for own in (False, True)} - set(SERVERS) == {
        "offline_own_key"  # which cannot be
    }
    assert CHAT_STAGES.keys() == STAGES.keys()
    assert CHAT_NOTICES.keys() == NOTICES.keys()


@pytest.mark.parametrize(
    "table",
    [STAGES, NOTICES, CHAT_STAGES, CHAT_NOTICES, KEY_STATES],
    ids=["stages", "notices", "chat_stages", "chat_notices", "key_states"],
)
def test_sentences_end_as_sentences_do(table: dict[str, tuple[str, str]]) -> None:
    for code, (english, chinese) in table.items():
        assert english.endswith((".", "…")), code
        assert chinese.endswith(("。", "…")), code
        assert english.isascii() or "…" in english, code


def test_every_word_of_the_pages_scripts_is_in_the_table() -> None:
    scripts = "".join(path.read_text("utf-8") for path in STATIC.glob("*.js"))
    used = set(re.findall(r"(?:hint|endUnasked)\(\"(\w+)\"", scripts))
    used |= set(re.findall(r'Error: "(\w+)"', scripts)) | {"busy"}
    assert {f"hint_{code}" for code in used} == {code for code in PAGE if code.startswith("hint_")}
    for prefix in ("word", "name"):
        assert {f"{prefix}_{state}" for state in ("start", "wait", "line", "stop")} <= PAGE.keys()
    for code in re.findall(r"voiceTexts\.(\w+)", scripts):
        assert code in PAGE
    check = (STATIC / "check.js").read_text("utf-8")
    used = set(re.findall(r"text\.(check_\w+)", check)) | {"check_start", "check_privacy", "check_later", "check_close"}
    used |= {f"check_{code}" for code in re.findall(r"row\(\"\w+\", \"\w+\", \"(\w+)\"", check)}
    used |= {f"check_title_{name}" for name in ("microphone", "level", "echo", "network")}
    used |= {f"check_{code}" for code in ("denied", "missing", "busy", "silent", "quiet", "loud")}
    used |= {f"check_{code}" for code in ("asked", "asked_only", "no_echo", "loudspeaker")}
    assert used == {code for code in PAGE if code.startswith("check_")}
    for language, table in page_tables().items():
        assert table.keys() == PAGE.keys() and all(table.values()), language
    style = (STATIC / "page.css").read_text("utf-8")
    assert not re.search(r"[\u4e00-\u9fff]", scripts + style), "words outside the table"


def test_labels_are_the_same_in_both_languages() -> None:
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
def test_locale_of(header: str | None, expected: str) -> None:
    assert locale_of(header) == expected


def test_sentence_speaks_the_language_asked_for() -> None:
    assert sentence(STAGES, "idle", "en").startswith("Ready")
    assert sentence(STAGES, "idle", "zh-TW").startswith("準備好")
