"""What the language model is given to read: pure functions of a request.

The beginning of the prompt must stay the same from turn to turn, because what was read before is not read again (on two
cores a token costs about 10 ms to read). So the rules are the same for all languages, and history is cut rarely, but
then deeply.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from offline.protocol.worker_messages import LlmMessage, ReplyRequest
from offline.tts.chinese_text import HAN_CHARACTER

from .tool_calls import parse_tool_declarations, tool_call_schema

FALLBACK_INSTRUCTIONS = "You are a friendly voice assistant."
SPOKEN_REPLY_RULE = (
    "Your replies are spoken aloud: answer in one or two short, complete sentences, without lists or markdown."
)
REPLY_LANGUAGE_RULE = "Always answer in the language of the last message: English, or Traditional Chinese (Taiwan)."
ENGLISH_ONLY_RULE = "Always answer in English."
CHINESE_REPLY_RULE, ENGLISH_REPLY_RULE = "Answer in Traditional Chinese (Taiwan).", "Answer in English."
"""For written replies, where the last message is known before anything is read: told to choose by itself, the model
answered 4 of 8 English questions in Chinese, told which, 1 of 12."""

FEW_SHOT_EXAMPLES = (
    LlmMessage("user", "你好！"),
    LlmMessage("assistant", "你好！很高興認識你，想聊什麼呢？"),
    LlmMessage("user", "Today I went for a long walk."),
    LlmMessage("assistant", "That sounds lovely! Where did you go?"),
)
"""What conversation is like, for a model so small that it otherwise says after what it is told.

The English pair stands last: the other way round the model answers short English remarks in Chinese. Not shown where
tools are declared, because it would then answer everything in words.
"""

HISTORY_LOW_WATER_RATIO = 0.3
"""Share of the room that history is cut down to when it is full: what is left is read again, some seconds' work."""
MAX_MESSAGE_RATIO = 0.5
"""Share of the room that one message may take."""
MIN_MESSAGE_TOKENS = 16
"""Tokens of a message that are left to it however little room there is."""
MIN_HISTORY_TOKENS = 128
"""Tokens left to the conversation by long instructions; whether that is too much is for the model to say."""
OMISSION_MARK = " … "
"""Stands for what was left out."""
MAX_SPOKEN_REPLY_TOKENS = 120
MAX_WRITTEN_REPLY_TOKENS = 512

_LETTER_OR_SPACE = re.compile(r"[A-Za-z ]")
"""About three of them are a token."""
_DIGIT_OR_SYMBOL = re.compile(r"[!-@\[-`{-~\t\r\n]")

ToolsByName = dict[str, dict[str, Any]]
"""Declared functions by name."""

# Any text that does not begin like a call: earlier calls of the conversation are an example to a small model.
TEXT_ONLY_GRAMMAR = r"root ::= [^{<`] [^\x00]*"


def estimate_tokens(text: str) -> int:
    """A careful estimate of the tokens in `text`, from above for ordinary text: digits and signs are one token each."""
    han = len(HAN_CHARACTER.findall(text))
    cheap = len(_LETTER_OR_SPACE.findall(text))
    signs = len(_DIGIT_OR_SYMBOL.findall(text))
    return math.ceil(han * 1.2 + cheap / 3 + signs + (len(text) - han - cheap - signs) * 2)


def estimate_message_tokens(message: LlmMessage) -> int:
    """Tokens of a message with the marks around it, estimated."""
    return (
        8 + estimate_tokens(message.text) + sum(16 + estimate_tokens(c.name + c.arguments) for c in message.tool_calls)
    )


def shorten_message(message: LlmMessage, max_tokens: int) -> LlmMessage:
    """`message` with the middle of its text left out where it costs more than `most` tokens."""
    text, excess = message.text, estimate_message_tokens(message) - max_tokens
    if excess <= 0:
        return message
    room = max(MIN_MESSAGE_TOKENS, estimate_tokens(text) - excess - estimate_tokens(OMISSION_MARK))
    keep = len(text)
    while keep and estimate_tokens(text[: keep // 2] + text[len(text) - keep // 2 :]) > room:
        keep = keep * 7 // 8
    if keep == len(text):
        return message
    return replace(message, text=text[: keep // 2] + OMISSION_MARK + text[len(text) - keep // 2 :])


def trim_history(messages: Sequence[LlmMessage], budget_tokens: int) -> tuple[LlmMessage, ...]:
    """The newest of `messages` (without instructions) that fit into `budget` tokens, the over-long ones shortened.

    What is read must rarely change while a conversation grows. So where the budget is exceeded, more is dropped than
    need be, down to `HISTORY_LOW_WATER_RATIO` of it; and where the cut falls depends only on the messages, not on earlier calls.
    The last message always stays, and a function's answer is kept with its call and what that call answers.
    """
    messages = [shorten_message(m, int(budget_tokens * MAX_MESSAGE_RATIO)) for m in messages]
    costs = [estimate_message_tokens(m) for m in messages]
    start = older = 0
    for i, newest in enumerate(costs):
        if older + newest > budget_tokens:
            most = min(budget_tokens * HISTORY_LOW_WATER_RATIO, budget_tokens - newest)
            while start < i and older > most:
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
    """What a reply may be."""

    TEXT = "words"
    TEXT_OR_TOOL_CALL = "either"
    """Words or a function call, as the model chooses."""
    TOOL_CALL = "call"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request in the form of llama.cpp's chat completions. `body` holds only JSON values."""

    messages: tuple[dict[str, Any], ...]
    body: dict[str, Any]
    reply_mode: ReplyMode = ReplyMode.TEXT


def _render_message(message: LlmMessage) -> dict[str, Any]:
    rendered: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        rendered["tool_calls"] = [
            {"id": c.call_id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
    if message.role == "tool":
        rendered["tool_call_id"] = message.call_id or ""
    return rendered


def build_system_prompt(request: ReplyRequest, languages: Sequence[str]) -> str:
    """The first message: the session's instructions and the rules for speaking."""
    given = " ".join(m.text.strip() for m in _system_messages(request) if m.text.strip())
    rules = [given or FALLBACK_INSTRUCTIONS]
    if request.speak:
        rules.append(SPOKEN_REPLY_RULE)
    rules.append(_language_rule(request) if "zh" in languages else ENGLISH_ONLY_RULE)
    return " ".join(rules)


def _language_rule(request: ReplyRequest) -> str:
    """The rule which language to answer in. A spoken turn's is not known while its prompt is read ahead."""
    last = next((m.text for m in reversed(request.messages) if m.role == "user"), None)
    if request.speak or last is None:
        return REPLY_LANGUAGE_RULE
    return CHINESE_REPLY_RULE if HAN_CHARACTER.search(last) else ENGLISH_REPLY_RULE


def _system_messages(request: ReplyRequest) -> tuple[LlmMessage, ...]:
    head = []
    for message in request.messages:
        if message.role != "system":
            break
        head.append(message)
    return tuple(head)


def build_prompt(
    request: ReplyRequest,
    languages: Sequence[str],
    context_tokens: int,
    *,
    few_shot: bool = True,
    text_only: bool = False,
    fill_ratio: float = 1.0,
) -> Prompt:
    """The prompt for `request` in a window of `context` tokens, of which its messages take at most the share `fill_ratio`.

    `few_shot`: show the model what conversation is like (`EXAMPLES`).
    `words_only`: no call, whatever the request says (after a call that turned out not to be one).
    """
    tools = parse_tool_declarations(request.tools)
    talk = request.messages[len(_system_messages(request)) :]
    wanted, callable_tools = _choose_reply_mode(request, tools, text_only=text_only)
    spoken = request.speak and wanted is not ReplyMode.TOOL_CALL
    limit = request.max_tokens or (MAX_SPOKEN_REPLY_TOKENS if spoken else MAX_WRITTEN_REPLY_TOKENS)
    limit = max(1, min(limit, context_tokens // 2))
    head = [LlmMessage("system", build_system_prompt(request, languages))]
    if few_shot and not tools:
        head += FEW_SHOT_EXAMPLES if "zh" in languages else FEW_SHOT_EXAMPLES[2:]
    # The same for every kind of reply, so that the cut of the history is.
    room = (
        context_tokens
        - max(limit, MAX_WRITTEN_REPLY_TOKENS)
        - 64
        - sum(estimate_tokens(text) + 16 for text in request.tools)
    )
    room = max(MIN_HISTORY_TOKENS, int(room * fill_ratio) - sum(map(estimate_message_tokens, head)))
    body: dict[str, Any] = {"max_tokens": limit}
    if wanted is not ReplyMode.TEXT:
        body["tools"] = [{"type": "function", "function": tool} for tool in tools.values()]
        # The choice is kept by grammar: this way the beginning of the prompt is the same for every choice.
        body["tool_choice"] = "none"
    elif tools:
        body["grammar"] = TEXT_ONLY_GRAMMAR
    if wanted is ReplyMode.TOOL_CALL:
        body["json_schema"] = tool_call_schema(callable_tools)
    messages = tuple(_render_message(m) for m in (*head, *trim_history(talk, room)))
    return Prompt(messages, json.loads(json.dumps(body)), wanted)


def _choose_reply_mode(request: ReplyRequest, tools: ToolsByName, *, text_only: bool) -> tuple[ReplyMode, ToolsByName]:
    """What the reply may be, and the functions it may call.

    A small model that is shown functions recites calls even where only words are allowed, and one that was just given a
    function's answer repeats the call instead of telling the answer. So where words are wanted, none are shown.
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
