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

from offline.calls import call_schema, declared
from offline.chinese import HAN
from offline.work import Message, Request

DEFAULT_INSTRUCTIONS = "You are a friendly voice assistant."
SPOKEN = "Your replies are spoken aloud: answer in one or two short, complete sentences, without lists or markdown."
LANGUAGE = "Always answer in the language of the last message: English, or Traditional Chinese (Taiwan)."
ENGLISH_ONLY = "Always answer in English."
WRITTEN_CHINESE, WRITTEN_ENGLISH = "Answer in Traditional Chinese (Taiwan).", "Answer in English."
"""For written replies, where the last message is known before anything is read: told to choose by itself, the model
answered 4 of 8 English questions in Chinese, told which, 1 of 12."""

EXAMPLES = (
    Message("user", "你好！"),
    Message("assistant", "你好！很高興認識你，想聊什麼呢？"),
    Message("user", "Today I went for a long walk."),
    Message("assistant", "That sounds lovely! Where did you go?"),
)
"""What conversation is like, for a model so small that it otherwise says after what it is told.

The English pair stands last: the other way round the model answers short English remarks in Chinese. Not shown where
tools are declared, because it would then answer everything in words.
"""

LOW_WATER = 0.3
"""Share of the room that history is cut down to when it is full: what is left is read again, some seconds' work."""
LARGEST = 0.5
"""Share of the room that one message may take."""
LEAST_TEXT = 16
"""Tokens of a message that are left to it however little room there is."""
LEAST_ROOM = 128
"""Tokens left to the conversation by long instructions; whether that is too much is for the model to say."""
GAP = " … "
"""Stands for what was left out."""
MOST_TOKENS_SPOKEN = 120
MOST_TOKENS_WRITTEN = 512

_CHEAP = re.compile(r"[A-Za-z ]")
"""About three of them are a token."""
_SIGN = re.compile(r"[!-@\[-`{-~\t\r\n]")

Tools = dict[str, dict[str, Any]]
"""Declared functions by name."""

# Any text that does not begin like a call: earlier calls of the conversation are an example to a small model.
WORDS_GRAMMAR = r"root ::= [^{<`] [^\x00]*"


def tokens(text: str) -> int:
    """A careful estimate of the tokens in `text`, from above for ordinary text: digits and signs are one token each."""
    han = len(HAN.findall(text))
    cheap = len(_CHEAP.findall(text))
    signs = len(_SIGN.findall(text))
    return math.ceil(han * 1.2 + cheap / 3 + signs + (len(text) - han - cheap - signs) * 2)


def cost(message: Message) -> int:
    """Tokens of a message with the marks around it, estimated."""
    return 8 + tokens(message.text) + sum(16 + tokens(c.name + c.arguments) for c in message.tool_calls)


def shortened(message: Message, most: int) -> Message:
    """`message` with the middle of its text left out where it costs more than `most` tokens."""
    text, excess = message.text, cost(message) - most
    if excess <= 0:
        return message
    room = max(LEAST_TEXT, tokens(text) - excess - tokens(GAP))
    keep = len(text)
    while keep and tokens(text[: keep // 2] + text[len(text) - keep // 2 :]) > room:
        keep = keep * 7 // 8
    if keep == len(text):
        return message
    return replace(message, text=text[: keep // 2] + GAP + text[len(text) - keep // 2 :])


def trim(messages: Sequence[Message], budget: int) -> tuple[Message, ...]:
    """The newest of `messages` (without instructions) that fit into `budget` tokens, the over-long ones shortened.

    What is read must rarely change while a conversation grows. So where the budget is exceeded, more is dropped than
    need be, down to `LOW_WATER` of it; and where the cut falls depends only on the messages, not on earlier calls.
    The last message always stays, and a function's answer is kept with its call and what that call answers.
    """
    messages = [shortened(m, int(budget * LARGEST)) for m in messages]
    costs = [cost(m) for m in messages]
    start = older = 0
    for i, newest in enumerate(costs):
        if older + newest > budget:
            most = min(budget * LOW_WATER, budget - newest)
            while start < i and older > most:
                older -= costs[start]
                start += 1
        older += newest
    if messages and messages[start].role == "tool":
        while start > 0 and messages[start].role == "tool":
            start -= 1
        start = max(0, start - 1)
    kept = messages[start:]
    if sum(costs[start:]) > budget:
        kept = [shortened(m, budget // len(kept)) for m in kept]
    return tuple(kept)


class Wanted(Enum):
    """What a reply may be."""

    WORDS = "words"
    EITHER = "either"
    """Words or a function call, as the model chooses."""
    CALL = "call"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request in the form of llama.cpp's chat completions. `body` holds only JSON values."""

    messages: tuple[dict[str, Any], ...]
    body: dict[str, Any]
    wanted: Wanted = Wanted.WORDS


def _rendered(message: Message) -> dict[str, Any]:
    rendered: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        rendered["tool_calls"] = [
            {"id": c.call_id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
    if message.role == "tool":
        rendered["tool_call_id"] = message.call_id or ""
    return rendered


def system_text(request: Request, languages: Sequence[str]) -> str:
    """The first message: the session's instructions and the rules for speaking."""
    given = " ".join(m.text.strip() for m in _head(request) if m.text.strip())
    rules = [given or DEFAULT_INSTRUCTIONS]
    if request.speak:
        rules.append(SPOKEN)
    rules.append(_language(request) if "zh" in languages else ENGLISH_ONLY)
    return " ".join(rules)


def _language(request: Request) -> str:
    """The rule which language to answer in. A spoken turn's is not known while its prompt is read ahead."""
    last = next((m.text for m in reversed(request.messages) if m.role == "user"), None)
    if request.speak or last is None:
        return LANGUAGE
    return WRITTEN_CHINESE if HAN.search(last) else WRITTEN_ENGLISH


def _head(request: Request) -> tuple[Message, ...]:
    head = []
    for message in request.messages:
        if message.role != "system":
            break
        head.append(message)
    return tuple(head)


def compose(
    request: Request,
    languages: Sequence[str],
    context: int,
    *,
    examples: bool = True,
    words_only: bool = False,
    fill: float = 1.0,
) -> Prompt:
    """The prompt for `request` in a window of `context` tokens, of which its messages take at most the share `fill`.

    `examples`: show the model what conversation is like (`EXAMPLES`).
    `words_only`: no call, whatever the request says (after a call that turned out not to be one).
    """
    tools = declared(request.tools)
    talk = request.messages[len(_head(request)) :]
    wanted, callable_tools = _wanted(request, tools, words_only=words_only)
    spoken = request.speak and wanted is not Wanted.CALL
    limit = request.max_tokens or (MOST_TOKENS_SPOKEN if spoken else MOST_TOKENS_WRITTEN)
    limit = max(1, min(limit, context // 2))
    head = [Message("system", system_text(request, languages))]
    if examples and not tools:
        head += EXAMPLES if "zh" in languages else EXAMPLES[2:]
    # The same for every kind of reply, so that the cut of the history is.
    room = context - max(limit, MOST_TOKENS_WRITTEN) - 64 - sum(tokens(text) + 16 for text in request.tools)
    room = max(LEAST_ROOM, int(room * fill) - sum(map(cost, head)))
    body: dict[str, Any] = {"max_tokens": limit}
    if wanted is not Wanted.WORDS:
        body["tools"] = [{"type": "function", "function": tool} for tool in tools.values()]
        # The choice is kept by grammar: this way the beginning of the prompt is the same for every choice.
        body["tool_choice"] = "none"
    elif tools:
        body["grammar"] = WORDS_GRAMMAR
    if wanted is Wanted.CALL:
        body["json_schema"] = call_schema(callable_tools)
    messages = tuple(_rendered(m) for m in (*head, *trim(talk, room)))
    return Prompt(messages, json.loads(json.dumps(body)), wanted)


def _wanted(request: Request, tools: Tools, *, words_only: bool) -> tuple[Wanted, Tools]:
    """What the reply may be, and the functions it may call.

    A small model that is shown functions recites calls even where only words are allowed, and one that was just given a
    function's answer repeats the call instead of telling the answer. So where words are wanted, none are shown.
    """
    choice = request.tool_choice
    if words_only or not tools or choice == "none":
        return Wanted.WORDS, {}
    if choice == "required":
        return Wanted.CALL, tools
    named = choice.removeprefix("function:")
    if named != choice and named in tools:
        return Wanted.CALL, {named: tools[named]}
    return (Wanted.WORDS, {}) if request.messages[-1].role == "tool" else (Wanted.EITHER, tools)
