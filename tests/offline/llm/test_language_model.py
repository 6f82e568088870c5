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
from offline.llm.thoughts import NO_THOUGHTS

PROMPT = Prompt(({"role": "user", "content": "Hi"},), {"max_tokens": 5})
END = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}


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


def test_generate_sums_the_log_probabilities(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def event(text: str, *values: float) -> dict[str, Any]:
        tokens = [{"token": text, "logprob": value} for value in values]
        return {"choices": [{"delta": {"content": text}, "logprobs": {"content": tokens}}]}

    events = [event("a", -0.5), event("b", -0.25, -0.125), {"choices": [{"delta": {"content": "c"}}]}, END]
    monkeypatch.setattr(FakeLlamaServer, "events", events)
    sums = list[float | None]()
    usage = model.generate(PROMPT, 0, lambda _, usage: sums.append(usage.log_probability), threading.Event())
    assert sums == [-0.5, -0.875, -0.875] and usage.log_probability == -0.875


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


def deltas(*pieces: str, finish: str = "stop", field: str = "content") -> list[dict[str, Any]]:
    """Return the events of a reply in pieces."""
    events: list[dict[str, Any]] = [{"choices": [{"delta": {field: piece}}]} for piece in pieces]
    return [*events, {"choices": [{"delta": {}, "finish_reason": finish}]}, END]


def generated(model: LanguageModel, monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]]) -> str:
    monkeypatch.setattr(FakeLlamaServer, "events", events)
    found: list[str] = []
    model.generate(PROMPT, 0, lambda text, _: found.append(text), threading.Event())
    return "".join(found)


def test_thoughts_are_switched_off_in_the_template(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLlamaServer, "events", deltas("Hello."))
    model.generate(PROMPT, 0, lambda *_: None, threading.Event())
    assert model._server.body["chat_template_kwargs"] == NO_THOUGHTS
    model._server.body = {}
    model.prefill(PROMPT, 0, threading.Event())
    assert model._server.body["chat_template_kwargs"] == NO_THOUGHTS


@pytest.mark.parametrize(
    "events",
    [
        deltas("<thi", "nk>secret</think>", "Hello."),
        deltas("<think>secret</think>\n\nHello."),
        [*deltas("secret", field="reasoning_content")[:1], *deltas("Hello.")],
    ],
)
def test_thoughts_are_left_out(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]]
) -> None:
    assert generated(model, monkeypatch, events) == "Hello."


@pytest.mark.parametrize(
    "events",
    [
        deltas("<think>secret"),
        deltas("<think>secret", finish="length"),
        deltas("secret", field="reasoning_content", finish="length"),
    ],
)
def test_reply_of_nothing_but_thoughts_is_an_error(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]]
) -> None:
    with pytest.raises(LlmError) as raised:
        generated(model, monkeypatch, events)
    assert "secret" not in str(raised.value)
    assert generated(model, monkeypatch, deltas("")) == "", "silence does not count as thoughts"


def test_thoughts_opened_in_the_prompt_are_known_by_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xllamacpp, "Server", FakeLlamaServer)
    model = LanguageModel(Path("QwQ-32B-Q4.gguf"), slots=1, threads=1, context_tokens=512)
    assert generated(model, monkeypatch, deltas("secret", "</think>", "Hello.")) == "Hello."
    assert generated(model, monkeypatch, deltas("secret", "</think>", "Hello.")) == "Hello."


def test_thoughts_opened_in_the_prompt_are_known_from_the_second_reply_on(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated(model, monkeypatch, deltas("secret", "</think>", "Hello."))
    assert generated(model, monkeypatch, deltas("secret", "</think>", "Hello.")) == "Hello."
    assert generated(model, monkeypatch, deltas("Hello.")) == "Hello.", "a whole reply without the tag does not count"
    monkeypatch.setattr(FakeLlamaServer, "events", deltas("Hello", " there.")[:2])
    found: list[str] = []
    model.generate(PROMPT, 0, lambda text, _: found.append(text), threading.Event())
    assert found == ["Hello", " there."], "nothing is held back any more"
