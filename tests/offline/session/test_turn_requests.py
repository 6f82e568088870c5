"""Requests of turns: responses with a task of their own are no turns of the conversation."""

from __future__ import annotations

from typing import Any

import pytest

from offline.protocol.worker_messages import FACTS, AnsweredBy, Generate, Prefill, ReplyDone
from tests.support.offline.session_driver import SessionDriver, single_event


@pytest.mark.parametrize(
    ("settings", "is_turn"),
    [
        ({}, True),
        ({"output_modalities": ["text"]}, True),
        ({"metadata": {"topic": "greeting"}, "conversation": "auto"}, True),
        ({"instructions": "Be brief."}, True),
        ({"instructions": "Summarise the call."}, False),
        ({"conversation": "none"}, False),
        ({"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "1+1"}]}]}, False),
    ],
)
def test_response_with_a_task_of_its_own_is_no_turn(settings: dict[str, Any], is_turn: bool) -> None:
    driver = SessionDriver(instructions="Be brief.")
    driver.create_message("What is two plus two?")
    driver.send_event("response.create", response=settings)
    assert driver.last_work(Generate).request.is_turn is is_turn


def test_prefilled_request_is_a_turn() -> None:
    driver = SessionDriver()
    driver.create_message("Hello")
    driver.send_event("response.create")
    driver.finish_reply()
    assert driver.last_work(Prefill).request.is_turn


def test_response_done_names_the_facts() -> None:
    driver = SessionDriver()
    driver.create_message("What is two plus two?")
    response_id = driver.send_event("response.create")[0]["response"]["id"]
    events = driver.deliver(ReplyDone(response_id, "stop", answered_by=AnsweredBy(FACTS, is_endpoint=False)))
    done = single_event(events, "response.done")["response"]
    assert done["answered_by"] == {"model": "facts", "is_endpoint": False, "fault": ""}
