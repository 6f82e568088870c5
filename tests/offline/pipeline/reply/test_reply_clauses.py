"""Clauses of a reply as a voice is given them, and a voice that fails on one of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.reply.clauses import split_reply, voiced_clauses
from offline.pipeline.session_worker import LoadedModels, PipelineSessionWorker
from offline.protocol.worker_messages import (
    Generate,
    LanguageCode,
    LlmMessage,
    ReplyDone,
    ReplyRequest,
    ReplySpeech,
    WorkResult,
)
from offline.traditional_text import TraditionalConverter
from tests.support.offline.fake_models import FakeLanguageModel, FakeRecognizer, FakeSynthesizer, WorkerRig

REQUEST = ReplyRequest((LlmMessage("user", "Tell me a story, with a program."),), speak=True)
CODE = "Here it is:\n```python\nprint('软件')\n```\nIt prints a word."


async def stream(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


def voiced(*texts: str, language: LanguageCode = "en") -> list[tuple[str, str]]:
    async def collect() -> list[tuple[str, str]]:
        parts = split_reply(stream(*texts), lambda: True)
        return [clause async for clause in voiced_clauses(parts, language, TraditionalConverter())]

    return asyncio.run(collect())


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        (CODE, "zh", ["Here it is:", "The code is on the page.", "It prints a word."]),
        ("```\nx\n```", "zh", ["程式碼在畫面上。"]),
        ("```\nx\n```", "en", ["The code is on the page."]),
        ("程式如下：\n```\nx = 1\n```\n這樣就好了。", "en", ["程式如下：", "程式碼在畫面上。", "這樣就好了。"]),
        ("表格如下。\n| 甲 | 乙 |\n|---|---|\n| 1 | 2 |\n", "en", ["表格如下。", "表格在畫面上。"]),
        ("See:\n| a | b |\n|---|---|\n| 1 | 2 |\n\nDone.", "en", ["See:", "The table is on the page.", "Done."]),
        ("**See** https://example.com/a/b?c=1 now. Costs $5.", "en", ["See example.com now.", "Costs $5."]),
        ("请看 https://example.com/a/b 这里。", "en", ["請看 example.com 這裡。"]),
        ("# Title\n- one\n---\n", "en", ["Title", "one"]),
        ("Good 👍. 🎉🎉", "en", ["Good 👍."]),
    ],
)
def test_voiced_clauses_leave_out_marks_blocks_and_paths(text: str, language: LanguageCode, said: list[str]) -> None:
    assert [each.strip() for _, each in voiced(text, language=language) if each] == said


def test_voiced_clauses_keep_the_written_form_and_convert_prose_only() -> None:
    assert "".join(written for written, _ in voiced(CODE)) == CODE
    text = "这个软件：\n```\n# 软件\n```\n| 软件 |\n| 1 |\n"
    assert "".join(written for written, _ in voiced(text)) == "這個軟件：\n```\n# 软件\n```\n| 軟件 |\n| 1 |\n"


PIECES = st.lists(
    st.sampled_from(["```", "|", "\n", "|---|\n", "a b. ", "好。", "3.5 ", "www.example.com ", "**"]), max_size=20
)


@settings(max_examples=100)
@given(PIECES)
def test_voiced_clauses_do_not_depend_on_the_pieces(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert voiced(*pieces) == voiced(text) == voiced(*text)


@pytest.fixture
async def rig() -> AsyncIterator[WorkerRig]:
    llm, tts, results = FakeLanguageModel(), FakeSynthesizer(), asyncio.Queue[WorkResult]()
    executors = [PriorityExecutor(name) for name in ("llm", "tts", "stt")]
    runtime = ModelRuntime(llm, tts, executors[0], executors[1], ("en", "zh"), 4096)
    models = LoadedModels(FakeRecognizer(), executors[2], runtime)
    worker = PipelineSessionWorker(models, 0, results.put_nowait, lambda: None)
    yield WorkerRig(worker, models.recognizer, llm, tts, results, [], [])  # type: ignore[arg-type]
    await worker.close()
    for executor in executors:
        executor.close()


async def test_clause_on_which_the_voice_fails_is_skipped_and_the_rest_is_said(
    rig: WorkerRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.language_model.pieces = ["One thing. ", "A secret 000. ", "Another thing."]
    rig.synthesizer.fails_on = "secret"
    with caplog.at_level(logging.INFO):
        rig.worker.submit(Generate("r", REQUEST))
        *spoken, done = await rig.results_until_done()
    assert isinstance(done, ReplyDone) and done.reason == "stop"
    assert [(part.text, bool(part.audio)) for part in spoken if isinstance(part, ReplySpeech)] == [
        ("One thing.", True),
        (" A secret 000.", False),
        (" Another thing.", True),
    ]
    assert "speech: clause skipped error=IndexError" in caplog.messages
    assert "secret" not in caplog.text


async def test_reply_on_which_the_voice_fails_throughout_ends_as_failed(rig: WorkerRig) -> None:
    rig.synthesizer.fails_on = "o"
    rig.worker.submit(Generate("r", REQUEST))
    *_, done = await rig.results_until_done()
    assert isinstance(done, ReplyDone) and done.reason == "failed"


async def test_code_block_of_a_reply_is_shown_and_not_synthesized(rig: WorkerRig) -> None:
    rig.language_model.pieces = list(CODE)
    rig.worker.submit(Generate("r", REQUEST))
    *spoken, _ = await rig.results_until_done()
    assert "".join(part.text for part in spoken if isinstance(part, ReplySpeech)) == CODE
    assert [text.strip() for text in rig.synthesizer.spoken_texts] == [
        "Here it is:",
        "The code is on the page.",
        "It prints a word.",
    ]


async def test_code_counts_no_sentences_of_a_short_reply(rig: WorkerRig) -> None:
    rig.language_model.pieces = ["Thus. ", "\n```python\na = 1\nb = 2\n```\n", "It sets two names. ", "More of it."]
    rig.worker.submit(
        Generate("r", ReplyRequest((LlmMessage("user", "How do I set two names in Python?"),), speak=True))
    )
    *spoken, _ = await rig.results_until_done()
    written = "".join(part.text for part in spoken if isinstance(part, ReplySpeech))
    assert written.rstrip() == "Thus. \n```python\na = 1\nb = 2\n```\nIt sets two names."
