"""Pictures in a call: what the server gets, keeps and refuses."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.pictures.new_picture import make_picture
from tests.support.realtime import server_events
from tests.support.realtime.call_driver import CallDriver, event_types
from voicechat.config.groups.image_settings import ImageSettings
from voicechat.pictures.picture import Picture
from voicechat.pictures.server_sight import PictureSupport
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.notices import Notice
from voicechat.turn_taking.snapshot import CallStage


def send(driver: CallDriver, text: str, *pictures: Picture) -> list[dict[str, Any]]:
    events = driver.call.send_text(text, driver.now, pictures)
    assert events is not None
    return events


def count_pictures(event: dict[str, Any]) -> int:
    return sum(part["type"] == "input_image" for part in event.get("item", {}).get("content", ()))


def pictures_there(events: list[dict[str, Any]]) -> int:
    """Return how many pictures a server has that took these events."""
    items: dict[str, int] = {}
    for event in events:
        if event["type"] == "conversation.item.create":
            items[event["item"]["id"]] = count_pictures(event)
        elif event["type"] == "conversation.item.delete":
            items.pop(event["item_id"], None)
    return sum(items.values())


def blind_support() -> PictureSupport:
    return PictureSupport(Endpoint(ServerKind.OFFLINE, "ws://127.0.0.1:1"))


def refuse(driver: CallDriver, event: dict[str, Any], *, names_event: bool = True) -> list[dict[str, Any]]:
    error = {"type": "invalid_request_error", "message": "input_image is not supported"}
    about = {"event_id": event["event_id"]} if names_event else {}
    return driver.server_sends({"type": "error", "error": {**error, **about}})


def test_picture_is_part_of_the_user_message(call_driver: CallDriver) -> None:
    events = send(call_driver, "What is it?", make_picture())
    assert event_types(events) == ["conversation.item.create", "response.create"]
    content = events[0]["item"]["content"]
    assert [part["type"] for part in content] == ["input_text", "input_image"]
    assert events[0]["event_id"].startswith("look_")
    (bubble,) = call_driver.call.snapshot().bubbles
    assert (bubble.text, len(bubble.pictures)) == ("What is it?", 1)


def test_confirmation_of_the_server_leaves_the_text_as_it_is(call_driver: CallDriver) -> None:
    item = send(call_driver, "What is it?", make_picture("a cat"))[0]["item"]
    confirmed = {**item, "id": "item_of_theirs", "status": "completed"}
    call_driver.server_sends({"type": "conversation.item.added", "previous_item_id": None, "item": confirmed})
    assert call_driver.messages() == [("user", "What is it?")]


def test_blind_server_gets_the_words_and_the_visitor_one_sentence(call_driver: CallDriver) -> None:
    call_driver.call.pictures.support = blind_support()
    events = send(call_driver, "What is it?", make_picture("a cat"))
    assert pictures_there(events) == 0
    assert events[0]["item"]["content"][0]["text"] == "What is it?"
    assert call_driver.call.notice == Notice.PICTURE_UNSEEN
    assert len(call_driver.call.snapshot().bubbles[0].pictures) == 1
    send(call_driver, "And now?")
    assert call_driver.call.notice is None


def test_refused_picture_is_replaced_and_the_words_are_answered(call_driver: CallDriver) -> None:
    created, requested = send(call_driver, "What is it?", make_picture())
    call_driver.server_sends(server_events.response_started("r1", "a1"))
    answers = refuse(call_driver, created)
    assert event_types(answers) == ["conversation.item.delete", "response.cancel", "conversation.item.create"]
    assert count_pictures(answers[2]) == 0
    assert answers[2]["item"]["content"][0]["text"] == "What is it?"
    assert call_driver.call.notice == Notice.PICTURE_UNSEEN
    ended = {"id": "r1", "status": "cancelled", "output": []}
    assert event_types(call_driver.server_sends({"type": "response.done", "response": ended})) == ["response.create"]
    assert call_driver.messages() == [("user", "What is it?")]
    assert requested["type"] == "response.create"


def test_refusal_without_the_id_of_the_event_is_recognized(call_driver: CallDriver) -> None:
    created, _ = send(call_driver, "What is it?", make_picture())
    answers = refuse(call_driver, created, names_event=False)
    assert [count_pictures(each) for each in answers if each["type"] == "conversation.item.create"] == [0]


def test_error_without_a_picture_under_way_is_an_ordinary_one(call_driver: CallDriver) -> None:
    call_driver.send_text("Hello")
    call_driver.server_sends({"type": "error", "error": {"type": "server_error", "message": "the image is broken"}})
    assert call_driver.call.notice == Notice.REPLY_FAILED


def test_new_connection_gets_the_last_picture_again() -> None:
    driver = CallDriver()
    send(driver, "One", make_picture())
    send(driver, "Two", make_picture())
    send(driver, "Three")
    driver.call.handle_disconnected(CallStage.RECONNECTING, driver.now)
    replayed = driver.call.handle_connected(driver.now)
    assert [count_pictures(event) for event in replayed[:3]] == [0, 1, 0]


def test_picture_typed_without_a_connection_is_sent_with_the_next_one() -> None:
    driver = CallDriver(replay_items=0)
    driver.call.handle_disconnected(CallStage.RECONNECTING, driver.now)
    assert send(driver, "One", make_picture()) == []
    assert send(driver, "Two", make_picture()) == []
    replayed = driver.call.handle_connected(driver.now)
    assert [count_pictures(event) for event in replayed[:2]] == [1, 1]


def test_picture_that_makes_the_server_close_is_not_sent_for_ever() -> None:
    driver = CallDriver()
    send(driver, "One", make_picture())
    sent = []
    for _ in range(5):
        driver.call.handle_disconnected(CallStage.RECONNECTING, driver.now)
        sent.append(count_pictures(driver.call.handle_connected(driver.now)[0]))
    assert sent == [1, 1, 0, 0, 0]


def test_older_picture_is_replaced_by_words_in_its_place(call_driver: CallDriver) -> None:
    driver = CallDriver(pictures=ImageSettings(max_images=1))
    first = send(driver, "One", make_picture("a cat"))[0]["item"]["id"]
    events = send(driver, "Two", make_picture())
    deletions = [event for event in events if event["type"] == "conversation.item.delete"]
    assert [event["item_id"] for event in deletions] == [first]
    replaced = next(event for event in events if event["type"] == "conversation.item.create")
    assert replaced["previous_item_id"] == "root"
    assert [part["type"] for part in replaced["item"]["content"]] == ["input_text", "input_text"]
    assert driver.messages() == [("user", "One"), ("user", "Two")]
    assert all(len(bubble.pictures) == 1 for bubble in driver.call.snapshot().bubbles)


def test_clear_drops_the_pictures(call_driver: CallDriver) -> None:
    send(call_driver, "One", make_picture())
    call_driver.clear()
    assert call_driver.call.conversation.items_with_pictures_there() == []


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12))
def test_server_never_has_more_pictures_than_the_limit(limit: int, messages: list[tuple[int, bool]]) -> None:
    driver = CallDriver(pictures=ImageSettings(max_images=limit))
    events: list[dict[str, Any]] = []
    for number, (count, loses_connection) in enumerate(messages):
        events += send(driver, f"message {number}", *(make_picture() for _ in range(count)))
        if loses_connection:
            driver.call.handle_disconnected(CallStage.RECONNECTING, driver.now)
            events = driver.call.handle_connected(driver.now)
        assert pictures_there(events) <= limit
    assert [text for _, text in driver.messages()] == [f"message {number}" for number in range(len(messages))]
