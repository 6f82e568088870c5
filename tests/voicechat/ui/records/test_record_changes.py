"""Changes of a record: the page's copy is the record after every answer, and an answer has the changes only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicechat.session.visitor import Visitor
from voicechat.ui.history import build_record, dump_changes
from voicechat.ui.record_changes import SentRecord, find_kept

hashes = st.lists(st.integers(0, 9), max_size=12)


class PageCopy:
    """Does what history.js does with the answers of the server."""

    def __init__(self) -> None:
        self.token = ""
        self.record: dict[str, Any] = {}

    def join(self, answer: str) -> bool:
        """Join an answer to the copy. Return whether it belongs to it."""
        changes = json.loads(answer)
        if changes["base"] and changes["base"] != self.token:
            return False
        joined = {}
        for name in ("voice", "text"):
            part = dict(changes[name])
            drop, keep, new = part.pop("drop"), part.pop("keep"), part.pop("items")
            old = self.record.get(name, {"items": []})["items"]
            joined[name] = {**part, "items": old[drop : drop + keep] + new}
        self.token, self.record = changes["token"], joined
        return True


@given(hashes, hashes)
def test_kept_messages_are_the_beginning_of_the_new_ones(old: list[int], new: list[int]) -> None:
    drop, keep = find_kept(old, new)
    assert 0 <= drop <= len(old) and 0 <= keep <= len(new)
    assert old[drop : drop + keep] == new[:keep]


@given(st.integers(0, 30), st.integers(0, 10), st.integers(0, 10))
def test_grown_and_shifted_conversation_sends_only_new_messages(count: int, dropped: int, added: int) -> None:
    old = list(range(count))
    new = [*old[dropped:], *range(count, count + added)]
    assert find_kept(old, new)[1] == max(0, count - dropped)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["voice", "text", "clear", "reload", "lost"]), st.text(max_size=6)), max_size=25)
)
def test_copy_of_the_page_is_the_record_after_every_answer(steps: list[tuple[str, str]]) -> None:
    visitor, page = Visitor(max_items=6), PageCopy()
    sent: SentRecord | None = None
    for step, words in steps:
        match step:
            case "voice":
                visitor.conversation.add_user_message(f"x{words}", 1.0)
            case "text":
                visitor.text_conversation.add_user_message(f"x{words}")
            case "clear":
                visitor.conversation.clear()
            case "reload":
                page = PageCopy()
        answer, sent = dump_changes(visitor, 0.0, sent, page.token)
        if not answer:
            assert not any(part["items"] for part in build_record(visitor, 0.0)[0].values())
        elif step != "lost":
            assert page.join(answer)
            assert page.record == json.loads(json.dumps(build_record(visitor, 0.0)[0]))


def test_answer_has_the_size_of_the_changes() -> None:
    visitor, page = Visitor(), PageCopy()
    sent: SentRecord | None = None
    sizes = []
    for number in range(100):
        visitor.conversation.add_user_message(f"Message {number} with some words.", float(number))
        answer, sent = dump_changes(visitor, 0.0, sent, page.token)
        assert page.join(answer)
        sizes.append(len(answer))
    assert max(sizes) < 1.5 * sizes[0]


@pytest.mark.parametrize("token", [None, 5, "", [], {}, "of another page", float("nan")])
def test_unknown_token_gets_the_whole_record(token: object) -> None:
    visitor = Visitor()
    visitor.conversation.add_user_message("One.", 1.0)
    _, sent = dump_changes(visitor, 0.0, None, "")
    visitor.conversation.add_user_message("Two.", 2.0)
    answer, _ = dump_changes(visitor, 0.0, sent, token)
    page = PageCopy()
    assert page.join(answer)
    assert len(page.record["voice"]["items"]) == 2


def test_sent_record_holds_no_words() -> None:
    visitor = Visitor()
    visitor.conversation.add_user_message("secret words", 1.0)
    _, sent = dump_changes(visitor, 0.0, None, "")
    assert "secret" not in repr(sent)


def test_empty_conversations_have_no_record() -> None:
    assert dump_changes(Visitor(), 0.0, None, "") == ("", None)
