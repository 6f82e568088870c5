"""Outbox: every typed message is sent once, however often the browser delivers it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.pictures.picture import Picture
from voicechat.session.conversation_store import MAX_ACCEPTED_MESSAGES, VisitorRecord
from voicechat.session.picture_store import PictureStore
from voicechat.session.visitor import Visitor
from voicechat.ui.outbox import Delivery, deliver

IDS = st.text("0123456789abcdef", min_size=16, max_size=64)
ANYTHING = st.one_of(st.none(), st.text(), st.integers(), st.lists(st.text()), st.dictionaries(st.text(), st.text()))


@given(st.lists(st.tuples(IDS, st.integers(1, 3)), max_size=MAX_ACCEPTED_MESSAGES, unique_by=lambda each: each[0]))
def test_message_that_is_delivered_again_is_sent_once(deliveries: list[tuple[str, int]]) -> None:
    visitor, sent = Visitor(), list[str]()

    def send(text: str, pictures: Sequence[Picture]) -> Delivery:
        sent.append(text)
        return Delivery.ACCEPTED

    for message_id, times in deliveries:
        answers = {deliver(visitor, PictureStore(), message_id, f"text of {message_id}", send) for _ in range(times)}
        assert answers == {f"{message_id} accepted"}
    assert sent == [f"text of {message_id}" for message_id, _ in deliveries]


@pytest.mark.parametrize("outcome", [Delivery.REFUSED, Delivery.WAITING])
def test_message_that_was_not_accepted_is_sent_again(outcome: Delivery) -> None:
    visitor, outcomes = Visitor(), [outcome, Delivery.ACCEPTED]
    answers = [deliver(visitor, PictureStore(), "0" * 32, "Hello", lambda *_: outcomes.pop(0)) for _ in range(2)]
    assert answers == [f"{'0' * 32} {outcome}", f"{'0' * 32} accepted"]


def test_reloaded_page_knows_the_accepted_messages() -> None:
    before, after = Visitor(), Visitor()
    deliver(before, PictureStore(), "a" * 32, "Hello", lambda *_: Delivery.ACCEPTED)
    record: VisitorRecord = before.to_record(0.0)
    after.restore(record)
    assert deliver(after, PictureStore(), "a" * 32, "Hello", lambda *_: Delivery.REFUSED) == f"{'a' * 32} accepted"
    assert "a" * 32 not in repr(record)


@given(ANYTHING, ANYTHING)
def test_anything_from_a_browser_is_answered(message_id: object, text: object) -> None:
    visitor = Visitor()
    answer = deliver(visitor, PictureStore(), message_id, text, lambda *_: Delivery.ACCEPTED)
    assert answer.split(" ")[1] == ("accepted" if isinstance(text, str) and text.strip() else "refused")
    assert all(isinstance(each, str) and len(each) <= 64 for each in visitor.accepted_messages)


def test_remembered_ids_are_bounded() -> None:
    visitor = Visitor()
    for number in range(MAX_ACCEPTED_MESSAGES * 3):
        deliver(visitor, PictureStore(), f"{number:032x}", "Hello", lambda *_: Delivery.ACCEPTED)
    assert len(visitor.accepted_messages) == MAX_ACCEPTED_MESSAGES
