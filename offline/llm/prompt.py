"""Prompt builder: pure functions from a reply request to llama.cpp's chat completion request.

The beginning of the prompt stays the same from turn to turn: processed tokens are reused (10 ms per token on
two cores). The rules are therefore the same for all languages, and the history is trimmed rarely but deeply.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import takewhile
from typing import Any

from offline.chinese_text import contains_han, to_simplified
from offline.protocol.session_config import FALLBACK_INSTRUCTIONS
from offline.protocol.worker_messages import LlmMessage, ReplyRequest

from .chat_messages import OMITTED_TURN, merge_messages
from .message_images import render_content
from .token_estimate import estimate_tokens
from .tool_calls import parse_tool_declarations, tool_call_schema

SPOKEN_REPLY_RULE = (
    "Your replies are spoken aloud: answer in one or two short, complete sentences, without lists or markdown."
)
TRADITIONAL_NAME, SIMPLIFIED_NAME = "Traditional Chinese (Taiwan)", "Simplified Chinese"
REPLY_LANGUAGE_RULE = f"Always answer in the language of the last message: English, or {TRADITIONAL_NAME}."
ENGLISH_ONLY_RULE = "Always answer in English."
MANDARIN_ONLY_RULE = f"Always answer in {TRADITIONAL_NAME}."
CHINESE_REPLY_RULE, ENGLISH_REPLY_RULE = f"Answer in {TRADITIONAL_NAME}.", "Answer in English."
"""Rules for written replies, whose last message is known in advance. With `REPLY_LANGUAGE_RULE` the default model
answered 4 of 8 English questions in Chinese, with these 1 of 12."""

FEW_SHOT_EXAMPLES = (
    LlmMessage("user", "你好！"),
    LlmMessage("assistant", "你好！很高興認識你，想聊什麼呢？"),
    LlmMessage("user", "Today I went for a long walk."),
    LlmMessage("assistant", "That sounds lovely! Where did you go?"),
)
"""Example conversation for a very small model, which otherwise repeats the user's words.

The English pair is last: in the other order the model answers short English remarks in Chinese. Omitted when tools are
declared, because the model would then answer everything with text.
"""

HISTORY_LOW_WATER_RATIO = 0.3
"""Share of the token budget that a full history is trimmed to. The rest is processed again, which takes seconds."""
MAX_MESSAGE_RATIO = 0.5
"""Share of the token budget that one message may take."""
MIN_MESSAGE_TOKENS = 16
"""Tokens that a shortened message keeps in any case."""
MIN_HISTORY_TOKENS = 128
"""Tokens of history kept beside long instructions. The model reports a prompt that is then too long."""
PROMPT_OVERHEAD_TOKENS = 64
"""Tokens reserved for the chat template."""
OMISSION_MARK = " … "
"""Replaces omitted text."""
MAX_SPOKEN_REPLY_TOKENS = 120
MAX_WRITTEN_REPLY_TOKENS = 512

ToolsByName = dict[str, dict[str, Any]]
"""Declared functions by name."""

TEXT_ONLY_GRAMMAR = r"root ::= [^{<`] [^\x00]*"
"""Any text that does not begin like a tool call. Earlier calls of the conversation are an example to a small model."""


def estimate_message_tokens(message: LlmMessage) -> int:
    """Return the estimated tokens of a message with its template marks."""
    calls = sum(16 + estimate_tokens(call.name + call.arguments) for call in message.tool_calls)
    return 8 + estimate_tokens(message.text) + calls


def shorten_message(message: LlmMessage, max_tokens: int) -> LlmMessage:
    """Return `message` without the middle of its text if it costs more than `max_tokens`."""
    text, excess = message.text, estimate_message_tokens(message) - max_tokens
    if excess <= 0:
        return message
    budget = max(MIN_MESSAGE_TOKENS, estimate_tokens(text) - excess - estimate_tokens(OMISSION_MARK))
    keep = len(text)
    while keep and estimate_tokens(text[: keep // 2] + text[len(text) - keep // 2 :]) > budget:
        keep = keep * 7 // 8
    if keep == len(text):
        return message
    return replace(message, text=text[: keep // 2] + OMISSION_MARK + text[len(text) - keep // 2 :])


def trim_history(messages: Sequence[LlmMessage], budget_tokens: int) -> tuple[LlmMessage, ...]:
    """Return the newest messages (without instructions) that fit into the budget, long ones shortened.

    An exceeded budget is trimmed down to `HISTORY_LOW_WATER_RATIO`, so that the kept part rarely changes. The cut
    depends only on the messages, not on earlier calls. The last message stays; a tool output stays with its call and
    with the message before that call.
    """
    messages = [shorten_message(m, int(budget_tokens * MAX_MESSAGE_RATIO)) for m in messages]
    costs = [estimate_message_tokens(m) for m in messages]
    start = older = 0
    for i, newest in enumerate(costs):
        if older + newest > budget_tokens:
            target = min(budget_tokens * HISTORY_LOW_WATER_RATIO, budget_tokens - newest)
            while start < i and older > target:
                older -= costs[start]
                start += 1
        older += newest
    if messages and messages[start].role == "tool":
        while start > 0 and messages[start].role == "tool":
            start -= 1
        start = max(0, start - 1)
    kept = messages[start:]
    if sum(costs[start:]) > budget_tokens:
        kept = [shorten_message(m, budget_tokens // len(kept)) for m in kept]
    return tuple(kept)


class ReplyMode(Enum):
    """Kinds of reply that the model may generate."""

    TEXT = "text"
    TEXT_OR_TOOL_CALL = "text_or_tool_call"
    """Text or a tool call, as the model chooses."""
    TOOL_CALL = "tool_call"


@dataclass(frozen=True, slots=True)
class Prompt:
    """Chat completion request for llama.cpp. `body` contains only JSON values."""

    messages: tuple[dict[str, Any], ...]
    body: dict[str, Any]
    reply_mode: ReplyMode = ReplyMode.TEXT


def _render_message(message: LlmMessage, *, shows_images: bool = False) -> dict[str, Any]:
    rendered: dict[str, Any] = {"role": message.role, "content": render_content(message, shows_images=shows_images)}
    if message.tool_calls:
        rendered["tool_calls"] = [
            {"id": c.call_id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
    if message.role == "tool":
        rendered["tool_call_id"] = message.call_id or ""
    return rendered


def build_system_prompt(request: ReplyRequest, languages: Sequence[str]) -> str:
    """Return the first message: the session's instructions, then the rules for the reply."""
    instructions = " ".join(m.text.strip() for m in _leading_system_messages(request) if m.text.strip())
    rules = [instructions or FALLBACK_INSTRUCTIONS]
    if request.speak:
        rules.append(SPOKEN_REPLY_RULE)
    if "zh" not in languages:
        rules.append(ENGLISH_ONLY_RULE)
    else:
        rule = _language_rule(request) if "en" in languages else MANDARIN_ONLY_RULE
        rules.append(rule if request.script == "traditional" else rule.replace(TRADITIONAL_NAME, SIMPLIFIED_NAME))
    return " ".join(rules)


def _language_rule(request: ReplyRequest) -> str:
    """Return the rule for the reply's language. That of a spoken turn is unknown during prefill."""
    last = next((m.text for m in reversed(request.messages) if m.role == "user"), None)
    if request.speak or last is None:
        return REPLY_LANGUAGE_RULE
    return CHINESE_REPLY_RULE if contains_han(last) else ENGLISH_REPLY_RULE


def _leading_system_messages(request: ReplyRequest) -> tuple[LlmMessage, ...]:
    return tuple(takewhile(lambda message: message.role == "system", request.messages))


def build_prompt(
    request: ReplyRequest,
    languages: Sequence[str],
    context_tokens: int,
    *,
    few_shot: bool = True,
    text_only: bool = False,
    fill_ratio: float = 1.0,
    any_template: bool = False,
    shows_images: bool = False,
) -> Prompt:
    """Return the prompt for `request`, trimmed to a window of `context_tokens`.

    `few_shot` adds `FEW_SHOT_EXAMPLES`. `text_only` forbids a tool call, for the retry after an invalid one.
    `fill_ratio` is the share of the available tokens that messages may take. `any_template` is for a model whose chat
    template is unknown; see `chat_messages.merge_messages`. The known ones take the messages as they are.
    `shows_images` is for a model that sees pictures; another one reads words in their place.
    """
    tools = parse_tool_declarations(request.tools)
    history = request.messages[len(_leading_system_messages(request)) :]
    mode, callable_tools = _choose_reply_mode(request, tools, text_only=text_only)
    is_spoken = request.speak and mode is not ReplyMode.TOOL_CALL
    limit = request.max_tokens or (MAX_SPOKEN_REPLY_TOKENS if is_spoken else MAX_WRITTEN_REPLY_TOKENS)
    limit = max(1, min(limit, context_tokens // 2))
    head = [LlmMessage("system", build_system_prompt(request, languages))]
    if few_shot and not tools:
        examples = FEW_SHOT_EXAMPLES[0 if "zh" in languages else 2 : 4 if "en" in languages else 2]
        is_simplified = request.script == "simplified"  # a small model writes the script of the examples
        head += [replace(each, text=to_simplified(each.text)) for each in examples] if is_simplified else examples
    # The budget is independent of the kind of reply, so that the history is cut at the same message.
    tool_tokens = sum(estimate_tokens(text) + 16 for text in request.tools)
    available = context_tokens - max(limit, MAX_WRITTEN_REPLY_TOKENS) - PROMPT_OVERHEAD_TOKENS - tool_tokens
    budget = max(MIN_HISTORY_TOKENS, int(available * fill_ratio) - sum(map(estimate_message_tokens, head)))
    body: dict[str, Any] = {"max_tokens": limit}
    if mode is not ReplyMode.TEXT:
        body["tools"] = [{"type": "function", "function": tool} for tool in tools.values()]
        # The grammar enforces the choice. The beginning of the prompt is then the same for every choice.
        body["tool_choice"] = "none"
    elif tools or text_only:
        body["grammar"] = TEXT_ONLY_GRAMMAR
    if mode is ReplyMode.TOOL_CALL:
        body["json_schema"] = tool_call_schema(callable_tools)
    kept = trim_history(history, budget)
    if any_template and len(head) > 1 and kept and kept[0].role == "assistant":
        head.append(LlmMessage("user", OMITTED_TURN))  # else it would become one with the last example
    messages = [_render_message(m, shows_images=shows_images) for m in (*head, *kept)]
    return Prompt(tuple(merge_messages(messages) if any_template else messages), json.loads(json.dumps(body)), mode)


def _choose_reply_mode(request: ReplyRequest, tools: ToolsByName, *, text_only: bool) -> tuple[ReplyMode, ToolsByName]:
    """Return the kind of reply and the functions that it may call.

    A small model that sees functions recites calls even where only text is allowed. After a tool output it repeats
    the call instead of using the output. Where text is required, the prompt therefore contains no functions.
    """
    choice = request.tool_choice
    if text_only or not tools or choice == "none":
        return ReplyMode.TEXT, {}
    if choice == "required":
        return ReplyMode.TOOL_CALL, tools
    named = choice.removeprefix("function:")
    if named != choice and named in tools:
        return ReplyMode.TOOL_CALL, {named: tools[named]}
    return (ReplyMode.TEXT, {}) if request.messages[-1].role == "tool" else (ReplyMode.TEXT_OR_TOOL_CALL, tools)
