"""Past conversations: what the browser gets, and what it may send back."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sessions.fake_session import FakeSession
from voicechat.audio.recording import Recording, RecordingState
from voicechat.security.gradio.queue_requests import MAX_BODY_BYTES
from voicechat.session.visitor import Visitor
from voicechat.ui import history
from voicechat.ui.history import build_record, load_record


def visitor_with(spoken: str = "", written: str = "") -> Visitor:
    visitor = Visitor()
    if spoken:
        visitor.conversation.add_user_message(spoken, 1.0)
    if written:
        visitor.text_conversation.add_user_message(written)
    return visitor


def dump_record(visitor: Visitor) -> str:
    """Return the record of a visitor as a browser keeps it and sends it back."""
    return json.dumps(build_record(visitor, 9.0)[0], ensure_ascii=False)


def texts(visitor: Visitor) -> tuple[list[str], list[str]]:
    spoken, written = visitor.conversation.bubbles(), visitor.text_conversation.bubbles()
    return [bubble.text for bubble in spoken], [bubble.text for bubble in written]


@pytest.mark.parametrize(("spoken", "written"), [("說的", "Written."), ("Spoken.", ""), ("", "Written. 👋🏽")])
def test_record_goes_to_the_browser_and_back(spoken: str, written: str) -> None:
    visitor, back = visitor_with(spoken, written), Visitor()
    records = load_record(dump_record(visitor))
    assert records is not None
    back.restore_conversations(*records)
    assert texts(back) == texts(visitor)
    assert back.conversation.utterances()[0:1] == visitor.conversation.utterances()[0:1] or not spoken


@pytest.mark.parametrize("text", ["x", "字", '"\\', "👋"])
def test_long_conversation_fits_into_a_request(text: str) -> None:
    visitor = Visitor()
    for number in range(60):
        conversation = visitor.conversation if number % 2 else visitor.text_conversation
        conversation.add_user_message(f"{number} " + text * 30_000)
    dumped = dump_record(visitor)
    body = json.dumps({"data": [None, dumped], "fn_index": 100, "session_hash": "x" * 20}, ensure_ascii=False)
    assert MAX_BODY_BYTES / 2 < len(body.encode()) < MAX_BODY_BYTES
    records = load_record(dumped)
    assert records is not None
    newest = {item.parts[0][0].split()[0] for record in records for item in record.items}
    assert {"58", "59"} <= newest and "0" not in newest


@pytest.mark.parametrize(
    "sent",
    [
        *(None, 5, "", "null", "[]", "5", '"voice"', "{", "{}", '{"voice": {}}', '{"voice": 1, "text": 2}'),
        *("[" * 200_000, '{"voice": ' * 5000, "x" * 3_000_000, '{"voice": NaN, "text": NaN}'),
        '{"voice": {"items": [], "elapsed_s": 1e999}, "text": {"items": [], "elapsed_s": 0}}',
    ],
)
def test_anything_else_is_ignored(sent: Any) -> None:
    assert load_record(sent) is None


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=5).map(json.dumps))
def test_any_text_is_ignored(sent: str) -> None:
    assert load_record(sent) is None


def restore_handler() -> Any:
    """Return the function behind the hidden restore button of a page with two lists of messages."""
    with gr.Blocks() as page:
        outputs: list[Any] = [gr.Textbox(), gr.Textbox()]
        history.build(gr.State(None), gr.State("en"), lambda: 0.0, outputs, lambda visitor, locale: texts(visitor))
    return next(each.fn for each in page.fns.values() if getattr(each.fn, "__name__", "") == "on_restore")


async def test_earlier_conversation_replaces_the_present_one_with_its_recording() -> None:
    visitor = visitor_with("Present.", "Present.")
    chat: Any = FakeSession(visitor.text_conversation)
    visitor.text_session = chat
    recording = visitor.recording = Recording(10)
    recording.write_speaker(0.0, np.ones(480, dtype=np.int16))
    *shown, answer = await restore_handler()(visitor, "en", dump_record(visitor_with("Earlier.")), False, "key")
    assert answer == "key", "it was taken"
    assert shown == list(texts(visitor)) == [["Earlier."], []]
    assert not chat.is_active
    assert visitor.recording is None and recording.state is RecordingState.CLOSED


async def test_earlier_conversation_is_not_restored_during_a_call_or_without_a_record() -> None:
    visitor = visitor_with("Present.")
    call: Any = FakeSession(visitor.conversation)
    assert (await restore_handler()(visitor, "en", None, False, "key"))[-1] == ""
    visitor.call = call
    await restore_handler()(visitor, "en", dump_record(visitor_with("Earlier.")), False, "key")
    assert texts(visitor) == (["Present."], []) and call.is_active


@pytest.mark.parametrize(("spoken", "written"), [("Present.", ""), ("", "Present."), ("", "")])
async def test_copy_of_a_lost_conversation_replaces_no_other_one(spoken: str, written: str) -> None:
    visitor = visitor_with(spoken, written)
    recording = visitor.recording = Recording(10)
    await restore_handler()(visitor, "en", dump_record(visitor_with("Earlier.")), True, "key")
    is_lost = not (spoken or written)
    assert texts(visitor) == (
        (["Earlier."], []) if is_lost else ([spoken] if spoken else [], [written] if written else [])
    )
    assert (visitor.recording is recording) is not is_lost
