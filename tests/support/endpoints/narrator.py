"""Language model with fixed answers: a call sounds the same in every run, and costs no processor time for its words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .scripted_chat_server import (
    RecordedRequest,
    ScriptedChatServer,
    ScriptedResponse,
    models_response,
    text_response,
)

STORY = (
    "The keeper of the lighthouse makes a pot of tea. ",
    "His old cat sleeps on the warm stones beside the door. ",
    "In the evening they climb the stairs together, and the keeper lights the lamp. ",
    "A small boat comes back to the harbour with the last of the wind. ",
    "The children run down to the beach to see what it has brought. ",
    "There are baskets of fish, a broken oar, and a letter from the mainland. ",
    "The keeper reads the letter twice, and then he reads it to the cat. ",
    "Far out at sea another light begins to turn in the dark. ",
)
"""Sentences of an answer of half a minute. Given to requests for a story."""
NUMBERS = (
    "one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen, sixteen, "
    "seventeen, eighteen, nineteen, twenty."
)
"""Answer to requests to count."""
SHORT_ANSWER = "That is a good question. I will think about it until tomorrow morning."
"""Answer to everything else."""


def _answer(request: RecordedRequest) -> ScriptedResponse:
    asked = _newest_user_text(request.json["messages"])
    if "story" in asked:
        return text_response(*STORY)
    return text_response(NUMBERS) if "Count" in asked else text_response(SHORT_ANSWER)


def _newest_user_text(messages: list[dict[str, Any]]) -> str:
    return next((str(each["content"]) for each in reversed(messages) if each["role"] == "user"), "")


@contextmanager
def running_narrator() -> Iterator[ScriptedChatServer]:
    """Run the chat endpoint (`LLM_URL`) on a free port."""
    with ScriptedChatServer(_answer, models=models_response("narrator")).running() as server:
        yield server
