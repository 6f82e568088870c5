"""The language model: llama.cpp in this process, through xllamacpp."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import xllamacpp

from offline.llm.errors import ContextLengthError, LlmError, LlmUsage

from .prompt import Prompt, ReplyMode

TEMPERATURE = 0.3
TOP_P = 0.9
REPEAT_PENALTY = 1.15
"""Counts the person's words too: without it a small model echoes them. Not used for calls."""
REPEAT_WINDOW_TOKENS = 128
BATCH_TOKENS = 64
"""Tokens read at once. Between batches (half a second on two cores) reading can be stopped and others get a turn;
larger ones read hardly faster."""


class LanguageModel:
    """One model with `slots` places for conversations, each keeping what was last read in it.

    `generate` blocks and may be called from several threads at once, one for each slot.
    """

    def __init__(self, path: Path, *, slots: int, threads: int, context_tokens: int) -> None:
        """`context`: tokens of each slot's window. Raises `LlmError` when the file is no usable model."""
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = context_tokens * slots
        params.n_parallel = slots
        params.cpuparams.n_threads = threads
        params.cpuparams_batch.n_threads = threads
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.verbosity = 0
        params.warmup = True
        # The only prompts worth keeping are those in the slots; copies in memory would grow without need.
        params.cache_ram_mib = 0
        params.endpoint_slots = False
        try:
            self._server = xllamacpp.Server(params)
        except Exception as error:
            raise LlmError(f"the language model {path.name} cannot be loaded") from error
        self.name = path.stem

    def generate(
        self, prompt: Prompt, slot: int, on_text: Callable[[str, LlmUsage], None], stop: threading.Event
    ) -> LlmUsage:
        """Writes the reply to `prompt` in the calling thread; `on_text` takes each piece and the tokens used so far.

        Ends soon after `stop` is set, also while the prompt is being read; what was read stays in the slot.

        Raises `LlmError`, `ContextLengthError` when the prompt exceeds the window.
        """
        usage = LlmUsage()
        failures: list[dict[str, Any]] = []

        def on_chunk(raw: Any) -> bool:
            nonlocal usage
            for chunk in raw if isinstance(raw, list) else [raw]:
                event = json.loads(chunk) if isinstance(chunk, (str, bytes)) else chunk
                if "error" in event:
                    failures.append(event)
                usage = _update_usage(usage, event)
                for choice in event.get("choices") or ():
                    text = (choice.get("delta") or {}).get("content")
                    if text and not stop.is_set():
                        on_text(text, usage)
            return stop.is_set()

        if stop.is_set():
            return replace(usage, finish_reason="stopped")
        body = {
            **prompt.body,
            "messages": list(prompt.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "timings_per_token": True,
            # An event for each batch read: without one `stop` would not be looked at before the first word.
            "return_progress": True,
            "cache_prompt": True,
            "id_slot": slot,
            "temperature": TEMPERATURE,
            "top_p": TOP_P,
            "repeat_penalty": REPEAT_PENALTY if prompt.reply_mode is ReplyMode.TEXT else 1.0,
            "repeat_last_n": REPEAT_WINDOW_TOKENS,
        }
        try:
            answer = self._server.handle_chat_completions(body, on_chunk)
        except Exception as error:
            raise LlmError("the language model failed") from error
        if isinstance(answer, dict) and "error" in answer:
            failures.append(answer)
        if failures:
            raise _to_llm_error(failures[0]["error"])
        return replace(usage, finish_reason="stopped") if stop.is_set() else usage

    def prefill(self, prompt: Prompt, slot: int, stop: threading.Event) -> None:
        """Reads `prompt` ahead: a reply that begins alike starts sooner."""
        self.generate(replace(prompt, body={**prompt.body, "max_tokens": 1}), slot, lambda *_: None, stop)


def _to_llm_error(error: Any) -> LlmError:
    """What llama.cpp's own words, which may quote the conversation, come to."""
    if isinstance(error, dict) and error.get("type") == "exceed_context_size_error":
        return ContextLengthError("the conversation, with its instructions, is too long for the language model")
    return LlmError("the language model refused the conversation")


def _update_usage(usage: LlmUsage, event: dict[str, Any]) -> LlmUsage:
    """`usage` with what one streamed event says about it; the last event has the final numbers."""
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
