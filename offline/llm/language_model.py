"""Language model: llama.cpp in this process, through xllamacpp."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import xllamacpp

from offline.models.ascii_path import ascii_path

from .errors import ContextLengthError, LlmError, LlmUsage
from .llama_server import start_llama_server
from .prompt import Prompt, ReplyMode
from .thoughts import NO_THOUGHTS, ThoughtFilter, opens_thoughts_in_prompt

TEMPERATURE = 0.3
TOP_P = 0.9
REPEAT_PENALTY = 1.15
"""Factor against repetition, of the user's words too: a small model echoes them. Not applied to tool calls."""
REPEAT_WINDOW_TOKENS = 128
"""Tokens that the repeat penalty covers."""
BATCH_TOKENS = 64
"""Prompt tokens per batch. Between batches (0.5 s on two cores) processing can stop and other slots get their turn.
Larger batches are hardly faster."""


class LanguageModel:
    """A GGUF model with `slots` contexts. Each slot keeps its last prompt, so that a common beginning is not repeated.

    `generate` blocks. It may run in several threads at once, one per slot.
    """

    def __init__(self, path: Path, *, slots: int, threads: int, context_tokens: int) -> None:
        """Load the model. `context_tokens` is the window of one slot. Raises `LlmError` for an unusable file."""
        params = xllamacpp.CommonParams()
        params.n_ctx = context_tokens * slots
        params.n_parallel = slots
        params.cpuparams.n_threads = threads
        params.cpuparams_batch.n_threads = threads
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.verbosity = 0
        params.warmup = True
        params.cache_ram_mib = 0  # the slots keep the prompts; copies in memory would only grow
        params.endpoint_slots = False
        try:
            with ascii_path(path) as found:
                params.model.path = str(found or path)  # llama.cpp itself converts UTF-8 for Windows
                self._server = start_llama_server(params)
        except Exception as error:
            raise LlmError(f"the language model {path.name} cannot be loaded") from error
        self.name = path.stem
        self._opens_thoughts = opens_thoughts_in_prompt(self.name)
        """The template opens the tag of thoughts in the prompt, as far as the replies have shown it."""

    def generate(
        self, prompt: Prompt, slot: int, on_text: Callable[[str, LlmUsage], None], stop: threading.Event
    ) -> LlmUsage:
        """Generate the reply to `prompt`. `on_text` receives each piece with the token counts up to it.

        Returns soon after `stop` is set, also during prompt processing. The slot keeps the processed part.

        Thoughts of the model are left out. Raises `LlmError`, also for a reply of nothing but thoughts, and
        `ContextLengthError` when the prompt exceeds the window.
        """
        if stop.is_set():
            return LlmUsage(finish_reason="stopped")
        reader = _ReplyReader(on_text, stop, opens_thoughts=self._opens_thoughts)
        self._run(prompt, slot, reader)
        try:
            return reader.finish()
        finally:
            if reader.opens_thoughts is not None:
                self._opens_thoughts = reader.opens_thoughts

    def prefill(self, prompt: Prompt, slot: int, stop: threading.Event) -> None:
        """Process `prompt` into the slot. A reply whose prompt begins alike then starts sooner."""
        if not stop.is_set():
            reader = _ReplyReader(lambda *_: None, stop, opens_thoughts=False)
            self._run(replace(prompt, body={**prompt.body, "max_tokens": 1}), slot, reader)
            reader.raise_failure()

    def _run(self, prompt: Prompt, slot: int, reader: _ReplyReader) -> None:
        """Let `reader` read the reply to `prompt`. Raises `LlmError`."""
        body = {
            **prompt.body,
            "messages": list(prompt.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "timings_per_token": True,
            "return_progress": True,  # one event per batch, at which `stop` is checked
            "cache_prompt": True,
            "id_slot": slot,
            "temperature": TEMPERATURE,
            "top_p": TOP_P,
            "repeat_penalty": REPEAT_PENALTY if prompt.reply_mode is ReplyMode.TEXT else 1.0,
            "repeat_last_n": REPEAT_WINDOW_TOKENS,
            "chat_template_kwargs": NO_THOUGHTS,
        }
        try:
            result = self._server.handle_chat_completions(body, reader.read)
        except Exception as error:
            raise LlmError("the language model failed") from error
        if isinstance(result, dict) and "error" in result:
            reader.read(result)


class _ReplyReader:
    """Reader of one streamed reply: text without thoughts, and token counts."""

    def __init__(
        self, on_text: Callable[[str, LlmUsage], None], stop: threading.Event, *, opens_thoughts: bool
    ) -> None:
        self._on_text = on_text
        self._stop = stop
        self._filter = ThoughtFilter(opened_in_prompt=opens_thoughts)
        self._usage = LlmUsage()
        self._failure: LlmError | None = None
        self._has_words = self._has_thoughts = False

    @property
    def opens_thoughts(self) -> bool | None:
        """The template opens the tag of thoughts in the prompt; None when this reply does not show it."""
        return self._filter.opened_in_prompt

    def read(self, raw: Any) -> bool:
        """Read what llama.cpp sends. Return whether it has to stop."""
        for chunk in raw if isinstance(raw, list) else [raw]:
            event = json.loads(chunk) if isinstance(chunk, (str, bytes)) else chunk
            if "error" in event:
                self._failure = self._failure or _to_llm_error(event["error"])
            self._usage = _update_usage(self._usage, event)
            for choice in event.get("choices") or ():
                self._usage = _add_log_probability(self._usage, choice)
                self._read_delta(choice.get("delta") or {})
        return self._stop.is_set()

    def finish(self) -> LlmUsage:
        """Deliver the rest of the text. Raises `LlmError`."""
        self.raise_failure()
        if self._stop.is_set():
            return replace(self._usage, finish_reason="stopped")
        self._deliver(self._filter.flush(is_whole=self._usage.finish_reason != "length"))
        if not self._has_words and (self._has_thoughts or self._filter.has_thoughts):
            raise LlmError("the language model only thought")
        return self._usage

    def raise_failure(self) -> None:
        """Raise the error that llama.cpp sent, if any."""
        if self._failure is not None:
            raise self._failure

    def _read_delta(self, delta: dict[str, Any]) -> None:
        if delta.get("reasoning_content"):  # llama.cpp knows the template, and separates the thoughts itself
            self._has_thoughts = True
            self._deliver(self._filter.release_hold())
        if text := delta.get("content"):
            self._deliver(self._filter.feed(text))

    def _deliver(self, text: str) -> None:
        self._has_words = self._has_words or bool(text.strip())
        if text and not self._stop.is_set():
            self._on_text(text, self._usage)


def _to_llm_error(error: Any) -> LlmError:
    """Return an error without llama.cpp's own message, which may quote the conversation."""
    if isinstance(error, dict) and error.get("type") == "exceed_context_size_error":
        return ContextLengthError("the conversation, with its instructions, is too long for the language model")
    return LlmError("the language model refused the conversation")


def _add_log_probability(usage: LlmUsage, choice: dict[str, Any]) -> LlmUsage:
    tokens = (choice.get("logprobs") or {}).get("content")
    if not tokens:
        return usage
    return replace(usage, log_probability=(usage.log_probability or 0.0) + sum(t["logprob"] for t in tokens))


def _update_usage(usage: LlmUsage, event: dict[str, Any]) -> LlmUsage:
    """Return `usage` updated by one streamed event. The last event contains the final counts."""
    if timings := event.get("timings"):
        cached = int(timings.get("cache_n") or 0)
        usage = replace(
            usage,
            input_tokens=cached + int(timings.get("prompt_n") or 0),
            cached_tokens=cached,
            output_tokens=int(timings.get("predicted_n") or 0),
        )
    if total := event.get("usage"):
        details = total.get("prompt_tokens_details") or {}
        usage = replace(
            usage,
            input_tokens=int(total["prompt_tokens"]),
            cached_tokens=int(details.get("cached_tokens") or 0),
            output_tokens=int(total["completion_tokens"]),
        )
    for choice in event.get("choices") or ():
        if choice.get("finish_reason") == "length":
            usage = replace(usage, finish_reason="length")
    return usage
