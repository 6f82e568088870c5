"""Search in notes of a household: spoken questions of both languages, answered with their place or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tools.sample_notes import write_notes
from voicechat.tools.definition import ToolContext
from voicechat.tools.examples.notes.answer import MAX_SAID_CHARS
from voicechat.tools.examples.notes.library import NotesLibrary
from voicechat.tools.examples.search_notes import answer_from, search_notes_tool

NOTHING_EN = "Nothing in the notes fits that question."
NOTHING_ZH = "筆記裡找不到相關的內容。"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> NotesLibrary:
    return NotesLibrary(write_notes(tmp_path_factory.mktemp("notes")))


@pytest.mark.parametrize(
    ("question", "place", "answer"),
    [
        ("What should the boiler pressure be?", "boiler manual", "between 1.0 and 1.5 bar"),
        ("When is the warranty of the boiler over?", "boiler manual", "March 2029"),
        ("What does error E133 mean?", '"Error codes"', "Gas supply interrupted"),
        ("How often do I water the tomatoes?", '"Tomatoes"', "every morning"),
        ("Tell me when to plant potatoes", '"Potatoes"', "mid-April"),
        ("What is the guest wifi password?", "wifi", "inside the kitchen drawer"),
        ("When does the router restart?", "wifi", "every Sunday at 4 a.m."),
        ("Who services the boiler?", "boiler manual", "Hartley Heating"),
    ],
)
def test_english_question_is_answered_with_its_place(
    library: NotesLibrary, question: str, place: str, answer: str
) -> None:
    said = answer_from(library, question, "en").speech
    assert said.startswith("According to ")
    assert place in said
    assert answer in said


@pytest.mark.parametrize(
    ("question", "place", "answer"),
    [
        ("鍋爐的壓力應該是多少？", "《鍋爐》的「壓力」", "1.0 到 1.5 bar"),
        ("鍋爐壓力太低怎麼辦", "《鍋爐》的「壓力」", "補水閥"),
        ("鍋爐什麼時候保養？", "《鍋爐》的「保養」", "每年十月"),
        ("水電行的電話是幾號", "《鍋爐》", "02-2345-6789"),
        ("保固到什麼時候？", "《鍋爐》", "2029 年 3 月"),
        ("京都的飯店在哪裡？", "《旅行》的「住宿」", "四條河原町"),
        ("什麼時候退房", "《旅行》", "四月七日退房"),
        ("從關西機場怎麼到京都", "《旅行》的「交通」", "Haruka"),
        ("資源回收是星期幾", "《管委會》", "每週二和週五"),
        ("管理費一坪多少錢", "《管委會》", "七十五元"),
        ("會議室要怎麼登記", "《管委會》", "向櫃檯登記"),
    ],
)
def test_chinese_question_is_answered_with_its_place(
    library: NotesLibrary, question: str, place: str, answer: str
) -> None:
    said = answer_from(library, question, "zh").speech
    assert said.startswith("根據《")
    assert place in said
    assert answer in said


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "Who won the world cup?",
        "How do I bake bread?",
        "dishwasher warranty",
        "",
        "?",
    ],
)
def test_english_question_that_nothing_fits_says_so(library: NotesLibrary, question: str) -> None:
    result = answer_from(library, question, "en")
    assert result.speech == NOTHING_EN
    assert result.text.startswith(NOTHING_EN)


@pytest.mark.parametrize(
    "question", ["法國的首都是哪裡", "冰箱的溫度要設幾度", "洗碗機的保固多久", "怎麼烤麵包", "關於貓的內容", "嗎"]
)
def test_chinese_question_that_nothing_fits_says_so(library: NotesLibrary, question: str) -> None:
    assert answer_from(library, question, "zh").speech == NOTHING_ZH


def test_result_for_the_model_gives_passages_with_file_and_heading(library: NotesLibrary) -> None:
    text = answer_from(library, "boiler warranty", "en").text
    assert "[boiler_manual.md, Boiler manual › Service]" in text
    assert "name the file" in text
    assert len(text) < 4000


async def test_search_notes_as_a_tool_reads_the_folder_by_itself(tmp_path: Path) -> None:
    tool = search_notes_tool(write_notes(tmp_path))
    result = await tool.run({"question": "早餐幾點開始"}, ToolContext(language="zh"))
    assert result.speech == "根據《旅行》的「住宿」：早餐七點開始。"
    assert tool.definition.read_only
    assert not tool.definition.open_world


def test_search_in_an_empty_folder_says_that_there_are_no_notes(tmp_path: Path) -> None:
    assert answer_from(NotesLibrary(tmp_path), "boiler", "en").speech == "There are no notes to search."
    assert answer_from(NotesLibrary(tmp_path / "missing"), "boiler", "zh").speech == "目前沒有可以查的筆記。"


def test_quotation_of_a_long_sentence_is_cut_for_speech(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("boiler " + "word " * 200, encoding="utf-8")
    (tmp_path / "b.txt").write_text("鍋爐" + "很重要的事情，" * 60, encoding="utf-8")
    library = NotesLibrary(tmp_path)
    english = answer_from(library, "boiler", "en").speech
    chinese = answer_from(library, "鍋爐", "zh").speech
    assert english.endswith("word…")
    assert chinese.endswith("…")
    assert len(english) < MAX_SAID_CHARS + 60
    assert len(chinese) < MAX_SAID_CHARS / 3 + 30
