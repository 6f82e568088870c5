"""Answer of a chat endpoint: reader without I/O, from JSON payloads to text, tool calls and token counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

from offline.llm.errors import LlmUsage
from offline.llm.thoughts import ThoughtFilter
from offline.llm.token_estimate import estimate_tokens

from .dialect import ThoughtEvidence
from .errors import EndpointError, EndpointFault, is_context_length_error, status_error

MAX_ANSWER_CHARS = 1 << 20
"""Characters of one answer, thoughts and arguments of tool calls included."""
MIN_HIDDEN_THOUGHT_TOKENS = 8
"""Tokens of an answer without a word, from which on they count as thoughts that the server hides."""

_THOUGHT_FIELDS = ("reasoning", "reasoning_content", "reasoning_details")

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
_FINISH_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
"""Reasons that matter; every other one is a stop. Several servers say "stop" after tool calls."""


@dataclass(frozen=True, slots=True)
class ChatText:
    """Text to deliver, without thoughts."""

    text: str


@dataclass(frozen=True, slots=True)
class ChatThinking:
    """Thoughts arrived. They are not kept."""


@dataclass(frozen=True, slots=True)
class ChatToolCall:
    """Call of a function. `arguments` is the model's text: validate it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatEnd:
    """End of an answer."""

    usage: LlmUsage
    """Counts of the server, else estimates."""
    finish_reason: FinishReason
    tool_calls: tuple[ChatToolCall, ...] = ()


ChatEvent = ChatText | ChatThinking | ChatEnd


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class ToolCallCollector:
    """Collects the tool calls of an answer from their pieces, which may interleave."""

    def __init__(self) -> None:
        self._calls: list[_PartialCall] = []
        self._by_index: dict[int, _PartialCall] = {}

    def push(self, piece: Mapping[str, Any]) -> int:
        """Add one piece of a call; return its characters."""
        function = piece.get("function")
        function = function if isinstance(function, Mapping) else {}
        call_id, name = (str(value or "") for value in (piece.get("id"), function.get("name")))
        call = self._find_call(piece.get("index"), call_id, name)
        call.id = call.id or call_id
        call.name = call.name or name
        arguments = function.get("arguments")
        if arguments is None:
            return len(name)
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        call.arguments.append(text)
        return len(name) + len(text)

    def _find_call(self, index: Any, call_id: str, name: str) -> _PartialCall:
        """Return the call that a piece belongs to: by index, else by id, else the last one until another name."""
        if isinstance(index, int):
            call = self._by_index.get(index)
            # Some versions of Ollama number every call 0.
            is_new = call is None or bool(name and call_id and call.id and call_id != call.id)
        else:
            index = len(self._calls)
            call = next((each for each in self._calls if call_id and each.id == call_id), None)
            if call is None and self._calls and not call_id and not name:
                call = self._calls[-1]
            is_new = call is None
        if is_new or call is None:
            call = _PartialCall()
            self._calls.append(call)
            self._by_index[index] = call
        return call

    def finish(self) -> tuple[ChatToolCall, ...]:
        """Return the calls in their order. Missing ids are made up; a call without a name is left out."""
        return tuple(
            ChatToolCall(call.id or f"call_{uuid4().hex}", call.name, "".join(call.arguments).strip() or "{}")
            for call in self._calls
            if call.name
        )


class ChatStreamReader:
    """Reader of one answer, streamed or whole. Errors are `EndpointError`."""

    def __init__(self, host: str, *, opened_in_prompt: bool | None = False, prompt_tokens: int = 0) -> None:
        """Start an answer. `opened_in_prompt` is as in `ThoughtFilter`.

        `prompt_tokens` is the estimate to use where the server counts none.
        """
        self._host = host
        self._filter = ThoughtFilter(opened_in_prompt=opened_in_prompt)
        self._prompt_tokens = prompt_tokens
        self._calls = ToolCallCollector()
        self._usage: Mapping[str, Any] = {}
        self._received_chars = 0
        self._received_tokens = 0
        self._finish_reason: str | None = None
        self._separates_thoughts = False
        self._has_payloads = False
        self._has_words = False
        self._is_spent = False
        self.has_begun = False
        """Text or a tool call has arrived, thoughts not counted. It may not be delivered yet."""

    @property
    def is_finished(self) -> bool:
        """Return whether the server has said why the answer ended. Token counts may still follow."""
        return self._finish_reason is not None

    @property
    def has_usage(self) -> bool:
        """Return whether the server has sent token counts."""
        return bool(self._usage)

    @property
    def holds_text(self) -> bool:
        """Return whether text is held back that is thought if a closing tag follows."""
        return self._filter.holds_text

    @property
    def evidence(self) -> ThoughtEvidence:
        """What the answer has shown of thoughts until now."""
        has_thoughts = self._separates_thoughts or self._filter.has_thoughts or self._is_spent
        details = self._usage.get("completion_tokens_details")
        has_thoughts = has_thoughts or _count(details, "reasoning_tokens") > 0
        return ThoughtEvidence(has_thoughts, self._filter.opened_in_prompt, self._has_words)

    def read(self, payload: Any) -> list[ChatEvent]:
        """Return the events of one payload: a chunk, or a whole answer."""
        if not isinstance(payload, Mapping):
            raise EndpointError(EndpointFault.MALFORMED, f"{self._host} sent an answer that cannot be read.")
        self._has_payloads = True
        self._raise_error(payload)
        if isinstance(payload.get("usage"), Mapping):
            self._usage = payload["usage"]
        choices = payload.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, Mapping):
            return []
        delta = choice.get("delta") or choice.get("message")
        events = list(self._read_delta(delta)) if isinstance(delta, Mapping) else []
        if choice.get("finish_reason"):
            self._finish_reason = str(choice["finish_reason"])
        if self._received_chars > MAX_ANSWER_CHARS:
            raise EndpointError(EndpointFault.MALFORMED, f"{self._host} sent an answer that is too long.")
        return events

    def finish(self, *, is_done: bool = False) -> list[ChatEvent]:
        """Return the last events at the end of the response. `is_done` means that the server marked the end.

        Raises `EndpointError` for an answer that broke off, that cannot be read, or that is empty.
        """
        if not self.is_finished and not is_done:
            raise EndpointError(EndpointFault.BROKEN_OFF, f"{self._host} broke off its answer.")
        if not self._has_payloads:
            raise EndpointError(EndpointFault.MALFORMED, f"{self._host} sent an answer that cannot be read.")
        if self._finish_reason == "error":
            raise EndpointError(EndpointFault.SERVER_ERROR, f"{self._host} has an error of its own.")
        reason = _FINISH_REASONS.get(self._finish_reason or "", "stop")
        events = self._deliver(self._filter.flush(is_whole=reason != "length"))
        tool_calls = self._calls.finish()
        if not self._has_words and not tool_calls:
            spent = max(self._received_tokens, _count(self._usage, "completion_tokens"))
            self._is_spent = reason == "length" and spent >= MIN_HIDDEN_THOUGHT_TOKENS
            words = "only thoughts" if self.evidence.has_thoughts else "no words"
            raise EndpointError(EndpointFault.EMPTY, f"{self._host} answered with {words}.")
        if tool_calls and reason == "stop":
            reason = "tool_calls"
        return [*events, ChatEnd(self._count_tokens(reason), reason, tool_calls)]

    def _read_delta(self, delta: Mapping[str, Any]) -> Iterator[ChatEvent]:
        was_thinking = False
        for text in _thoughts_of(delta):
            self._count_received(text)
            if not self._separates_thoughts:
                self._separates_thoughts = True
                yield from self._deliver(self._filter.release_hold())
            was_thinking = True
        for text in _texts_of(delta.get("content")):
            self._count_received(text)
            delivered = self._deliver(self._filter.feed(text))
            was_thinking = was_thinking or (bool(text) and not delivered and self._filter.is_thinking)
            may_be_words = self._filter.holds_text and not self._filter.is_thinking
            self.has_begun = self.has_begun or bool(delivered) or may_be_words
            yield from delivered
        if was_thinking:
            yield ChatThinking()
        self._read_tool_calls(delta)

    def _read_tool_calls(self, delta: Mapping[str, Any]) -> None:
        pieces = delta.get("tool_calls")
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, Mapping):
                self._received_chars += self._calls.push(piece)
                self._received_tokens += 1
                self.has_begun = True
        legacy = delta.get("function_call")
        if isinstance(legacy, Mapping):
            self._received_chars += self._calls.push({"index": -1, "function": legacy})
            self._received_tokens += 1
            self.has_begun = True

    def _deliver(self, text: str) -> list[ChatEvent]:
        self._has_words = self._has_words or bool(text.strip())
        return [ChatText(text)] if text else []

    def _count_received(self, text: str) -> None:
        self._received_chars += len(text)
        self._received_tokens += estimate_tokens(text)

    def _raise_error(self, payload: Mapping[str, Any]) -> None:
        """Raise the error that a server sends with status 200, in the stream or instead of it."""
        error = payload.get("error")
        if not error and payload.get("object") == "error":
            error = payload
        if not error:
            return
        error = error if isinstance(error, Mapping) else {}
        code = str(error.get("code", error.get("status", "")))
        if code.isdecimal() and 400 <= int(code) < 600:
            raise status_error(self._host, int(code), {}, error)
        if is_context_length_error(error):
            raise status_error(self._host, 400, {}, error)
        raise EndpointError(EndpointFault.SERVER_ERROR, f"{self._host} has an error of its own.")

    def _count_tokens(self, reason: FinishReason) -> LlmUsage:
        cached = _count(self._usage.get("prompt_tokens_details"), "cached_tokens")
        cached = cached or _count(self._usage, "prompt_cache_hit_tokens")  # DeepSeek
        prompt_tokens = _count(self._usage, "prompt_tokens") or self._prompt_tokens
        return LlmUsage(
            input_tokens=prompt_tokens,
            cached_tokens=min(cached, prompt_tokens),
            output_tokens=_count(self._usage, "completion_tokens") or self._received_tokens,
            finish_reason="length" if reason == "length" else "stop",
        )


def _count(counts: Any, name: str) -> int:
    """Return a token count; 0 for a missing or an unusable one."""
    value = counts.get(name) if isinstance(counts, Mapping) else None
    return int(value) if isinstance(value, int | float) and 0 < value < 1 << 40 else 0


def _texts_of(content: Any) -> Iterator[str]:
    """Yield the texts of a message's content, which Mistral sends in parts."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, Mapping) and isinstance(part.get("text"), str):
                yield part["text"]


def _thoughts_of(delta: Mapping[str, Any]) -> Iterable[str]:
    """Yield the thoughts that a server separates, of each chunk once: some send them in two fields."""
    for name in _THOUGHT_FIELDS:
        if thought := delta.get(name):
            return [thought if isinstance(thought, str) else ""]
    content = delta.get("content")
    parts = content if isinstance(content, list) else ()
    return ["" for part in parts if isinstance(part, Mapping) and part.get("type") == "thinking"]
