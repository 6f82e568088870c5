"""Prompts for a chat endpoint: function calls with their outputs, and replies without openers."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from offline.protocol.worker_messages import LlmMessage, ReplyRequest, ToolCall
from offline.remote.chat_prompt import build_chat_request, without_unanswered_calls
from offline.remote.openers import OPENERS, has_opener, without_openers

USER = LlmMessage("user", "Hi.")
CALLS = st.lists(
    st.one_of(
        st.just(USER),
        st.builds(
            lambda name, text: LlmMessage("assistant", text, (ToolCall(name, "f", "{}"),)),
            st.sampled_from("abc"),
            st.sampled_from(["", "Wait."]),
        ),
        st.builds(lambda name: LlmMessage("tool", "1", call_id=name), st.sampled_from("abc")),
    ),
    max_size=10,
)


@given(CALLS)
def test_every_call_has_an_output_and_every_output_a_call(messages: list[LlmMessage]) -> None:
    request = ReplyRequest(tuple(messages), speak=True)
    kept = without_unanswered_calls(request).messages
    called = {call.call_id for message in kept for call in message.tool_calls}
    assert called == {message.call_id for message in kept if message.role == "tool"}
    assert [message.text for message in kept if message.role != "tool" and message.text] == [
        message.text for message in messages if message.role != "tool" and message.text
    ]
    assert without_unanswered_calls(replace(request, messages=kept)).messages == kept


def test_request_leaves_an_unanswered_call_out() -> None:
    call = LlmMessage("assistant", "", (ToolCall("c", "weather", "{}"),))
    request = ReplyRequest((USER, call, LlmMessage("user", "Well?")), speak=True)
    assert not any("tool_calls" in message for message in build_chat_request(request, ("en",)).messages)
    answered = replace(request, messages=(USER, call, LlmMessage("tool", "rain", call_id="c")))
    assert build_chat_request(answered, ("en",)).messages[-2]["tool_calls"][0]["id"] == "c"


def test_openers_are_left_out_of_prompts_but_known() -> None:
    for opener in OPENERS.values():
        messages = (
            USER,
            LlmMessage("assistant", opener + "It is noon."),
            USER,
            LlmMessage("assistant", opener.strip()),
        )
        request = ReplyRequest(messages, speak=True)
        assert [message.text for message in without_openers(request).messages] == ["Hi.", "It is noon.", "Hi."]
        assert has_opener(request)
        assert opener.strip() not in str(build_chat_request(request, ("en", "zh")).messages)
