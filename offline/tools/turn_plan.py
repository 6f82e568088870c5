"""Turn plan: what the smallest language model is asked in a session with functions. Pure; the time is passed in.

It is shown functions only where the client or the router has chosen one, and then the last message alone. A result that
comes with its sentence is spoken without it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from offline.chinese_text import contains_han
from offline.llm.tool_calls import ParsedToolCall, parse_tool_declarations
from offline.protocol.worker_messages import LlmMessage, ReplyRequest

from .arguments import KnownArguments, complete_arguments, read_arguments
from .declaration import DeclaredTool
from .router import choose_tool

MAX_SPEECH_CHARS = 4000
"""Characters of a sentence that a result may bring."""
CALL_INSTRUCTIONS = "Call the function with arguments taken from the words of the user."


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """Call that the router has chosen."""

    tool: DeclaredTool
    message: str
    known: KnownArguments
    request: ReplyRequest
    """Request for the arguments, with the last message and this function alone."""

    @property
    def ready(self) -> ParsedToolCall | None:
        """The call, where code has read all arguments; else None."""
        return self.finish(None) if self.known.is_complete else None

    def finish(self, written: ParsedToolCall | None) -> ParsedToolCall | None:
        """Return the call with the arguments that the model wrote, corrected; None when they do not fit."""
        values = complete_arguments(
            json.loads(written.arguments) if written is not None else None, self.known, self.message, self.tool
        )
        return None if values is None else ParsedToolCall(self.tool.name, json.dumps(values, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """What answers a request beside the smallest model."""

    words: ReplyRequest
    """Request for an answer in words."""
    speech: str = ""
    """Sentence of a function's result, which is the reply; "" without one."""
    call: PlannedCall | None = None
    """Call of a function, which is the reply if its arguments fit."""

    @property
    def request(self) -> ReplyRequest:
        """Request that the model is given first."""
        return self.words if self.call is None else self.call.request


def plan_turn(request: ReplyRequest, now: datetime) -> TurnPlan:
    """Return what answers `request`. A choice of the client other than "auto" is left as it is."""
    is_open = request.tool_choice in ("auto", "none")
    if is_open and (speech := read_speech(request.messages)):
        return TurnPlan(request, speech=speech)
    if not request.tools or request.tool_choice != "auto" or not request.messages:
        return TurnPlan(request)
    last = request.messages[-1]
    if last.role == "tool":
        return TurnPlan(replace(request, messages=_last_round(request.messages)))
    words = replace(request, tools=(), messages=_without_rounds(request.messages))
    declared = parse_tool_declarations(request.tools)
    route = choose_tool(last.text, list(declared.values()), now) if last.role == "user" else None
    if route is None:
        return TurnPlan(words)
    tool = route.tool
    shown = {"name": tool.name, "description": tool.description, "parameters": declared[tool.name].get("parameters")}
    asked = replace(
        request,
        messages=(LlmMessage("system", CALL_INSTRUCTIONS), last),
        speak=False,
        tools=(json.dumps(shown, ensure_ascii=False, separators=(",", ":"), sort_keys=True),),
        tool_choice=f"function:{tool.name}",
    )
    return TurnPlan(words, call=PlannedCall(tool, last.text, read_arguments(last.text, tool, now), asked))


def read_speech(messages: Sequence[LlmMessage]) -> str:
    """Return the sentences of the results at the end of `messages`; "" unless the last one has one."""
    sentences: list[str] = []
    for message in reversed(messages):
        if message.role != "tool":
            break
        speech = speech_of(message.text)
        if not speech and not sentences:
            return ""
        sentences.insert(0, speech)
    spoken = [sentence for sentence in sentences if sentence]
    return ("" if all(map(contains_han, spoken)) else " ").join(spoken)


def speech_of(output: str) -> str:
    """Return `speech` of a function's output, a JSON object; "" for any other output."""
    if not output.lstrip().startswith("{"):
        return ""
    try:
        value: Any = json.loads(output)
    except (ValueError, RecursionError):
        return ""
    speech = value.get("speech") if isinstance(value, dict) else None
    return " ".join(speech.split())[:MAX_SPEECH_CHARS] if isinstance(speech, str) else ""


def _without_rounds(messages: Sequence[LlmMessage]) -> tuple[LlmMessage, ...]:
    """Return the messages without calls and outputs: a small model recites the calls that it sees."""
    plain = (replace(message, tool_calls=()) for message in messages if message.role != "tool")
    return tuple(message for message in plain if message.text or message.role != "assistant")


def _last_round(messages: Sequence[LlmMessage]) -> tuple[LlmMessage, ...]:
    """Return the instructions and the messages from the user's last one on: with more, outputs are ignored."""
    start = max((index for index, message in enumerate(messages) if message.role == "user"), default=0)
    return (*(message for message in messages[:start] if message.role == "system"), *messages[start:])
