"""Turn plan: what the smallest language model is asked in a session with functions. Pure; the time is passed in.

It is shown functions only where the client or the router has chosen one, or where the last message may ask for some. It
then sees that message and these functions alone. A result that comes with its sentence is spoken without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from offline.chinese_text import contains_han
from offline.llm.tool_calls import ParsedToolCall, parse_tool_declarations, read_call
from offline.protocol.worker_messages import LlmMessage, ReplyRequest

from .arguments import (
    KnownArguments,
    complete_arguments,
    has_shown_arguments,
    read_arguments,
    shows_required,
)
from .declaration import DeclaredTool
from .router import choose_tool, weakly_matching_tools

MAX_SPEECH_CHARS = 4000
"""Characters of a sentence that a result may bring."""
MAX_CHOICE_TOKENS = 160
"""Tokens of a call that the model is only asked about."""
CALL_INSTRUCTIONS = "Call the function with arguments taken from the words of the user."
CHOICE_INSTRUCTIONS = "Call a function if the user asks for what it does. Otherwise answer in a few words."


@dataclass(frozen=True, slots=True)
class CallCandidate:
    """Function that a message may ask for."""

    tool: DeclaredTool
    known: KnownArguments
    """Arguments that code has read in the message."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """Call that the router has chosen, or that the language model is asked about."""

    message: str
    candidates: Mapping[str, CallCandidate]
    """Functions by name; one for a call that is certain."""
    request: ReplyRequest
    """Request for the call, with the last message and these functions alone."""
    is_certain: bool
    """Whether the router has chosen the call. Else the model decides between these functions and words."""

    @property
    def ready(self) -> ParsedToolCall | None:
        """The call, where it is certain and code has read all arguments; else None."""
        if not self.is_certain:
            return None
        (candidate,) = self.candidates.values()
        return self._complete(candidate, None) if candidate.known.is_complete else None

    def finish(self, text: str) -> ParsedToolCall | None:
        """Return the call that the model wrote, with its arguments corrected; None when it names or fits no function.

        A certain call needs no text. A small model makes up names: one candidate is meant if it has these arguments.
        """
        name, arguments = read_call(text)
        candidate = self.candidates.get(name)
        is_sure = self.is_certain or (candidate is not None and shows_required(candidate.tool, arguments, self.message))
        if candidate is None and len(self.candidates) == 1:
            (candidate,) = self.candidates.values()
            is_sure = self.is_certain or has_shown_arguments(candidate.tool, arguments, self.message)
        if candidate is None or not (is_sure or candidate.known.values):
            return None
        return self._complete(candidate, arguments) or self._complete(candidate, None)

    def _complete(self, candidate: CallCandidate, arguments: Mapping[str, Any] | None) -> ParsedToolCall | None:
        values = complete_arguments(arguments, candidate.known, self.message, candidate.tool)
        return None if values is None else ParsedToolCall(candidate.tool.name, json.dumps(values, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """What answers a request beside the smallest model."""

    words: ReplyRequest
    """Request for an answer in words."""
    speech: str = ""
    """Sentence of a function's result, which is the reply; "" without one."""
    call: PlannedCall | None = None
    """Call of a function, which is the reply if its arguments fit. One that is not certain comes after code's facts."""

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
    if last.role != "user":
        return TurnPlan(words)
    tools = list(declared.values())
    if (route := choose_tool(last.text, tools, now)) is not None:
        return TurnPlan(words, call=_plan_call(request, declared, [route.tool], now, is_certain=True))
    if likely := weakly_matching_tools(last.text, tools, now):
        return TurnPlan(words, call=_plan_call(request, declared, likely, now, is_certain=False))
    return TurnPlan(words)


def _plan_call(
    request: ReplyRequest,
    declared: Mapping[str, Mapping[str, Any]],
    tools: Sequence[DeclaredTool],
    now: datetime,
    *,
    is_certain: bool,
) -> PlannedCall:
    last = request.messages[-1]
    shown = [
        {"name": tool.name, "description": tool.description, "parameters": declared[tool.name].get("parameters")}
        for tool in tools
    ]
    asked = replace(
        request,
        messages=(LlmMessage("system", CALL_INSTRUCTIONS if is_certain else CHOICE_INSTRUCTIONS), last),
        speak=False,
        tools=tuple(json.dumps(each, ensure_ascii=False, separators=(",", ":"), sort_keys=True) for each in shown),
        tool_choice=f"function:{tools[0].name}" if is_certain else "auto",
        max_tokens=request.max_tokens
        if is_certain
        else min(request.max_tokens or MAX_CHOICE_TOKENS, MAX_CHOICE_TOKENS),
    )
    candidates = {tool.name: CallCandidate(tool, read_arguments(last.text, tool, now)) for tool in tools}
    return PlannedCall(last.text, candidates, asked, is_certain)


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
