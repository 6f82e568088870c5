"""Tool `search_notes`: passages from the operator's folder of documents, with the place where they stand."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from voicechat.tools.definition import ToolContext, ToolResult
from voicechat.tools.examples.notes.answer import passages_text, spoken_answer
from voicechat.tools.examples.notes.library import NotesLibrary
from voicechat.tools.python import PythonTool, tool

MAX_QUESTION_CHARS = 300
"""Characters of a question."""
MAX_PASSAGES_GIVEN = 3
"""Passages that the model gets."""


def search_notes_tool(folder: Path) -> PythonTool[Any, ToolResult]:
    """Return the tool that searches a folder. The folder is first read in the background."""
    library = NotesLibrary(folder)
    threading.Thread(target=library.refresh, name="notes", daemon=True).start()
    return search_tool_of(library)


def search_tool_of(library: NotesLibrary) -> PythonTool[Any, ToolResult]:
    """Return the tool that searches a library."""

    @tool(
        titles={"en": "Notes", "zh": "筆記"},
        read_only=True,
        timeout_s=20.0,
        hints=(
            *("notes", "my notes", "the document", "documents", "the manual", "the handbook", "look up", "search"),
            *("according to", "the file", "the pdf"),
            *("筆記", "文件", "手冊", "說明書", "資料裡", "檔案", "查一下", "找一下", "搜尋"),
        ),
    )
    def search_notes(
        question: Annotated[
            str,
            Field(
                description="What to look for, in the words of the visitor and in the language of the notes",
                max_length=MAX_QUESTION_CHARS,
            ),
        ],
        context: ToolContext,
    ) -> ToolResult:
        """Search the visitor's own notes and documents. Use it for questions about their things, plans and papers."""
        return answer_from(library, question, context.language)

    return search_notes


def answer_from(library: NotesLibrary, question: str, language: str) -> ToolResult:
    """Return the passages of a library that fit a question, or that nothing fits."""
    is_chinese = language == "zh"
    found = library.find(question, MAX_PASSAGES_GIVEN)
    if found is None:
        english = "The notes are still being read. Ask again in a moment."
        return ToolResult(english, "筆記還在讀取，請等一下再問。" if is_chinese else english, is_error=True)
    if found:
        return ToolResult(
            passages_text(found), spoken_answer(question, found[0].passage, language, library.term_weight)
        )
    if library.is_empty:
        english = "There are no notes to search."
        return ToolResult(english, "目前沒有可以查的筆記。" if is_chinese else english)
    english = "Nothing in the notes fits that question."
    return ToolResult(f"{english} Say so; do not guess.", "筆記裡找不到相關的內容。" if is_chinese else english)
