"""Choice of a function by the router and the small language model together."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from offline.facts.registry import catch_fact
from offline.llm.language_model import LanguageModel
from offline.llm.prompt import build_prompt
from offline.llm.tool_calls import LlmOutputKind, ToolCallDetector
from offline.protocol.worker_messages import LlmMessage, ReplyRequest
from offline.tools.turn_plan import PlannedCall, plan_turn

from .router_requests import NOW, ToolRequest

CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What became of one request."""

    name: str
    """Chosen function; "" for none."""
    is_asked: bool = False
    """Whether the model was asked, because the router was not certain."""
    seconds: float = 0.0
    """Time of the model."""


def choose(model: LanguageModel, request: ToolRequest, tools: Sequence[dict[str, Any]]) -> ModelChoice:
    """Return the function that a turn with this last message calls. Arguments of a certain call are not written."""
    declared = tuple(json.dumps(tool, ensure_ascii=False) for tool in tools)
    messages = (LlmMessage("user", "Hi"), LlmMessage("assistant", "Hello!"), LlmMessage("user", request.text))
    call = plan_turn(ReplyRequest(messages, speak=True, tools=declared), NOW).call
    if call is None:
        return ModelChoice("")
    if call.is_certain:
        return ModelChoice(next(iter(call.candidates)))
    if catch_fact(request.text, NOW) is not None:
        return ModelChoice("")  # code answers
    started = time.perf_counter()
    written = _written_call(model, call)
    found = call.finish(written) if written else None
    return ModelChoice(found.name if found else "", is_asked=True, seconds=time.perf_counter() - started)


def _written_call(model: LanguageModel, call: PlannedCall) -> str:
    detector, stop = ToolCallDetector(), threading.Event()

    def read(text: str, _: object) -> None:
        detector.push(text)
        if detector.kind is LlmOutputKind.TEXT or detector.is_complete:
            stop.set()

    model.generate(build_prompt(call.request, ("en", "zh"), CONTEXT_TOKENS), 0, read, stop)
    return detector.buffered_text if detector.kind is LlmOutputKind.TOOL_CALL else ""
