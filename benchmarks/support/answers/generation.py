"""Generation of the answers: each question goes once to the model, with the log-probabilities of its tokens."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from offline.answers.sentences import SPOKEN_SENTENCES, sentence_end
from offline.endpoints.settings import EndpointSettings
from offline.llm.errors import LlmUsage
from offline.protocol.worker_messages import LlmMessage, ReplyRequest

from .questions import Question

CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class GeneratedAnswer:
    """Answer of a model before anything is filtered: its first two sentences, or as much as there is."""

    question: str
    pieces: tuple[tuple[str, float | None], ...]
    """Text and its log-probability; None where the server gives none."""

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(text for text, _ in self.pieces)

    def to_json(self) -> str:
        """Return the answer as one line of a recording."""
        return json.dumps({"question": self.question, "pieces": self.pieces}, ensure_ascii=False)


def read_recording(path: Path) -> dict[str, GeneratedAnswer]:
    """Return the answers of a recording by question."""
    answers = {}
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        answers[row["question"]] = GeneratedAnswer(row["question"], tuple((t, p) for t, p in row["pieces"]))
    return answers


def spoken_request(question: Question) -> ReplyRequest:
    """Return the request of a call that has just begun."""
    return ReplyRequest((LlmMessage("user", question.text),), speak=True)


def _has_enough(text: str) -> bool:
    end: int | None = 0
    for _ in range(SPOKEN_SENTENCES):
        end = sentence_end(text, end or 0)
        if end is None:
            return False
    return True


async def generate_here(questions: Sequence[Question]) -> AsyncIterator[GeneratedAnswer]:
    """Yield the answers of the language model of this computer, as a call gets them."""
    from offline.llm.prompt import build_prompt
    from offline.models.store import find_models
    from offline.pipeline.loader import limit_openmp_spinning, load_llm
    from offline.pipeline.model_runtime import WITH_PROBABILITIES

    limit_openmp_spinning()
    store = find_models()
    llm, _ = load_llm(store, 1, os.cpu_count() or 1)
    for question in questions:
        prompt = build_prompt(spoken_request(question), ("en", "zh"), CONTEXT_TOKENS, few_shot=store.needs_examples)
        pieces: list[tuple[str, float | None]] = []
        total, stop = 0.0, threading.Event()

        def read(text: str, usage: LlmUsage) -> None:
            nonlocal total
            known = usage.log_probability
            pieces.append((text, None if known is None else known - total))  # noqa: B023
            total = known or 0.0
            if _has_enough("".join(each for each, _ in pieces)):  # noqa: B023
                stop.set()  # noqa: B023

        llm.generate(replace(prompt, body={**prompt.body, **WITH_PROBABILITIES}), 0, read, stop)
        yield GeneratedAnswer(question.text, tuple(pieces))


async def generate_remotely(
    questions: Sequence[Question], settings: EndpointSettings
) -> AsyncIterator[GeneratedAnswer]:
    """Yield the answers of the model at a chat endpoint. Raises `EndpointError`."""
    from offline.endpoints.chat_client import ChatEndpoint
    from offline.endpoints.chat_stream import ChatText
    from offline.remote.chat_prompt import build_chat_request

    endpoint = ChatEndpoint(settings)
    try:
        for question in questions:
            text = ""
            request = build_chat_request(spoken_request(question), ("en", "zh"), CONTEXT_TOKENS)
            async with aclosing(endpoint.stream(request)) as events:
                async for event in events:
                    text += event.text if isinstance(event, ChatText) else ""
            yield GeneratedAnswer(question.text, ((text, None),))
    finally:
        await endpoint.close()
