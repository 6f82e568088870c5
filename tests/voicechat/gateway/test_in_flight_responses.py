"""In-flight responses: requests and server events in, counts out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.realtime.event_observation import observe
from voicechat.gateway.client_event_errors import ClientEventRejected
from voicechat.gateway.in_flight_responses import MAX_IN_FLIGHT_RESPONSES, RESPONSE_EXPIRY_S, InFlightResponses

Event = dict[str, Any]


def response_created(response_id: str) -> Event:
    return {"type": "response.created", "response": {"id": response_id}}


def response_done(response_id: str) -> Event:
    return {"type": "response.done", "response": {"id": response_id}}


def error_for(event_id: str | None) -> Event:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": "No.", "event_id": event_id}}


def test_requests_beyond_the_limit_are_rejected() -> None:
    responses = InFlightResponses()
    for _ in range(MAX_IN_FLIGHT_RESPONSES):
        responses.register_request({"type": "response.create"}, 0)
    observe(responses, response_created("r1"), 1)
    with pytest.raises(ClientEventRejected) as rejected:
        responses.register_request({"type": "response.create"}, 1)
    assert rejected.value.code == "too_many_responses" and str(MAX_IN_FLIGHT_RESPONSES) in rejected.value.message
    observe(responses, response_done("r1"), 2)
    responses.register_request({"type": "response.create"}, 2)
    assert (responses.count_in_flight(2), responses.active_ids) == (MAX_IN_FLIGHT_RESPONSES, [])


def test_responses_created_by_the_server_are_in_flight_too() -> None:
    responses = InFlightResponses()
    observe(responses, response_created("r1"), 0)
    assert (responses.count_in_flight(0), responses.active_ids) == (1, ["r1"])
    observe(responses, response_done("r1"), 1)
    observe(responses, response_done("r1"), 1)
    assert responses.count_in_flight(1) == 0


def test_a_rejected_request_is_not_in_flight() -> None:
    responses = InFlightResponses()
    for name in ("a", "b"):
        responses.register_request({"type": "response.create", "event_id": name}, 0)
    observe(responses, error_for("of something else"), 0)
    assert responses.count_in_flight(0) == 2
    observe(responses, error_for("b"), 0)
    observe(responses, error_for(None), 0)
    observe(responses, error_for(None), 0)
    assert responses.count_in_flight(0) == 0


def test_response_done_without_created_ends_the_request() -> None:
    responses = InFlightResponses()
    responses.register_request({"type": "response.create"}, 0)
    observe(responses, response_done("r1"), 1)
    assert responses.count_in_flight(1) == 0


def test_a_response_without_events_expires() -> None:
    responses = InFlightResponses()
    responses.register_request({"type": "response.create"}, 0)
    observe(responses, response_created("r1"), 0)
    responses.register_request({"type": "response.create"}, 0)
    observe(responses, {"type": "response.output_text.delta", "response_id": "r1", "delta": "x"}, 60)
    assert responses.count_in_flight(RESPONSE_EXPIRY_S - 1) == 2
    assert (responses.count_in_flight(RESPONSE_EXPIRY_S), responses.active_ids) == (1, ["r1"])
    assert responses.count_in_flight(RESPONSE_EXPIRY_S + 60) == 0


@given(
    events=st.lists(
        st.dictionaries(
            st.sampled_from(["type", "response", "error", "response_id"]),
            st.none()
            | st.sampled_from(
                ["response.created", "response.done", "error", 3, {"id": 3}, {"id": "r"}, {"event_id": 3}]
            ),
        )
    )
)
def test_any_server_events_keep_the_count_bounded(events: list[Event]) -> None:
    responses = InFlightResponses()
    responses.register_request({"type": "response.create", "event_id": "a"}, 0)
    for event in events:
        observe(responses, event, 0)
    assert 0 <= responses.count_in_flight(0) <= 1 + len(events) and responses.count_in_flight(RESPONSE_EXPIRY_S) == 0
