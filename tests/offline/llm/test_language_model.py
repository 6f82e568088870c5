"""Language model wrapper, with a fake llama.cpp server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import xllamacpp

from offline.llm.errors import ContextLengthError, LlmError, LlmUsage
from offline.llm.language_model import BATCH_TOKENS, LanguageModel
from offline.llm.prompt import Prompt

PROMPT = Prompt(({"role": "user", "content": "Hi"},), {"max_tokens": 5})


class FakeLlamaServer:
    """Streams `events` until `on_chunk` returns True."""

    events: Iterable[Any] = ()

    def __init__(self, params: Any) -> None:
        self.params = params
        self.body: dict[str, Any] = {}
        self.streamed_count = 0

    def handle_chat_completions(self, body: dict[str, Any], on_chunk: Callable[[Any], bool]) -> Any:
        self.body = body
        for event in self.events:
            self.streamed_count += 1
            if on_chunk(event):
                break
        return None


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> LanguageModel:
    monkeypatch.setattr(xllamacpp, "Server", FakeLlamaServer)
    return LanguageModel(Path("some.gguf"), slots=2, threads=1, context_tokens=512)


def batch_read(processed: int) -> dict[str, Any]:
    return {
        "choices": [{"delta": {"role": "assistant", "content": None}, "finish_reason": None}],
        "prompt_progress": {"total": 900, "cache": 0, "processed": processed},
    }


def test_generate_stopped_during_prompt_processing_ends_after_the_batch(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, stop = model._server, threading.Event()
    assert (server.params.n_batch, server.params.n_ubatch) == (BATCH_TOKENS, BATCH_TOKENS)
    usages: list[LlmUsage] = []

    def batches() -> Any:
        yield batch_read(BATCH_TOKENS)
        stop.set()
        yield batch_read(2 * BATCH_TOKENS)
        yield batch_read(3 * BATCH_TOKENS)

    monkeypatch.setattr(FakeLlamaServer, "events", batches())
    usages.append(model.generate(PROMPT, 1, lambda *_: pytest.fail("no words yet"), stop))
    assert usages[0].finish_reason == "stopped"
    assert server.streamed_count == 2
    assert server.body["return_progress"] is True
    assert server.body["id_slot"] == 1


def test_generate_passes_text_and_token_counts(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        batch_read(9),
        {"choices": [{"delta": {"content": "Hello"}}], "timings": {"cache_n": 4, "prompt_n": 5, "predicted_n": 1}},
        [{"choices": [{"delta": {}, "finish_reason": "length"}]}],
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}},
    ]
    monkeypatch.setattr(FakeLlamaServer, "events", events)
    found: list[tuple[str, LlmUsage]] = []
    usage = model.generate(PROMPT, 0, lambda text, usage: found.append((text, usage)), threading.Event())
    assert found == [("Hello", LlmUsage(9, 4, 1))]
    assert usage == LlmUsage(9, 0, 2, "length")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "exceed_context_size_error", "message": "secret"}, ContextLengthError),
        ({"message": "secret"}, LlmError),
    ],
)
def test_generate_with_a_llama_error_raises_without_its_message(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, error: dict[str, str], kind: type[Exception]
) -> None:
    monkeypatch.setattr(FakeLlamaServer, "events", [{"error": error}])
    with pytest.raises(LlmError) as raised:
        model.generate(PROMPT, 0, lambda *_: None, threading.Event())
    assert type(raised.value) is kind
    assert "secret" not in str(raised.value)
