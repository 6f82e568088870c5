"""Chat prompt: a reply request as the request to a chat endpoint. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from offline.endpoints.dialect import ChatRequest
from offline.llm.message_images import with_newest_images
from offline.llm.prompt import build_prompt
from offline.llm.tool_calls import parse_tool_declarations
from offline.protocol.worker_messages import LlmMessage, ReplyRequest

from .openers import without_openers

CONTEXT_TOKENS = 8192
"""Tokens of the prompt and the reply together. Ollama cuts what exceeds its window without a word; 8,192 leave room for
an hour of conversation."""
MIN_CONTEXT_TOKENS = 1024
"""Smallest window that is tried after refusals: the instructions and a few turns."""
MAX_SPOKEN_TOKENS = 400
"""Tokens of a spoken reply without a limit of the client, about a minute. Larger models keep to the rule of two
sentences, so this only bounds a runaway."""
MAX_WRITTEN_TOKENS = 2048
TEMPERATURE = 0.6


def build_chat_request(
    request: ReplyRequest, languages: Sequence[str], context_tokens: int = CONTEXT_TOKENS
) -> ChatRequest:
    """Return the request to the endpoint, whose window has `context_tokens`: the same instructions and rules as here,
    without the examples that only a very small model needs, and with the functions in the endpoint's own form."""
    default = MAX_SPOKEN_TOKENS if request.speak else MAX_WRITTEN_TOKENS
    limit = min(request.max_tokens or default, context_tokens // 2)
    read = without_unanswered_calls(without_openers(request))
    read = replace(read, max_tokens=limit, messages=with_newest_images(read.messages))
    prompt = build_prompt(read, languages, context_tokens, few_shot=False, shows_images=True)
    tools: tuple[dict[str, Any], ...] = ()
    choice: str | dict[str, Any] | None = None
    if request.tools and request.tool_choice != "none":
        tools = tuple(
            {"type": "function", "function": tool} for tool in parse_tool_declarations(request.tools).values()
        )
        named = request.tool_choice.removeprefix("function:")
        is_named = named != request.tool_choice
        choice = {"type": "function", "function": {"name": named}} if is_named else request.tool_choice
    return ChatRequest(prompt.messages, limit, tools, choice if tools else None, TEMPERATURE)


def without_unanswered_calls(request: ReplyRequest) -> ReplyRequest:
    """Return the request without function calls that have no output, and outputs that have no call.

    Strict servers refuse such a conversation in every later turn.
    """
    called = {call.call_id for message in request.messages for call in message.tool_calls}
    answered = {message.call_id for message in request.messages if message.role == "tool"} & called
    messages: list[LlmMessage] = []
    for message in request.messages:
        calls = tuple(call for call in message.tool_calls if call.call_id in answered)
        is_empty = bool(message.tool_calls) and not calls and not message.text
        is_orphan = message.role == "tool" and message.call_id not in answered
        if not is_empty and not is_orphan:
            messages.append(replace(message, tool_calls=calls))
    return replace(request, messages=tuple(messages))
