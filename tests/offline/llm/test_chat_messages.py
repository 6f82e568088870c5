"""Messages that every chat template takes: merged neighbours, alternating roles."""

from __future__ import annotations

from itertools import dropwhile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from offline.llm.chat_messages import OMITTED_TURN, merge_messages
from offline.llm.prompt import FEW_SHOT_EXAMPLES, build_prompt
from offline.protocol.worker_messages import LlmMessage, ReplyRequest

TURNS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.none() | st.text(max_size=5)}
    ),
    max_size=12,
)
HISTORIES = st.lists(
    st.builds(LlmMessage, st.sampled_from(["system", "user", "assistant"]), st.text(max_size=5)), max_size=8
)


def test_messages_suit_every_template() -> None:
    call, other = {"id": "1", "type": "function"}, {"id": "2", "type": "function"}
    given = (
        {"role": "system", "content": "Be kind."},
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": "there"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "assistant", "content": "Wait.", "tool_calls": [other]},
        {"role": "tool", "tool_call_id": "1", "content": "a"},
        {"role": "tool", "tool_call_id": "2", "content": None},
        {"role": "assistant", "content": ""},
        {"role": "system", "content": "Now in English."},
        {"role": "user", "content": "Yes"},
        {"role": "user", "content": [{"type": "text", "text": "part"}]},
    )
    assert merge_messages(given) == [
        {"role": "system", "content": "Be kind.\nBe short."},
        {"role": "user", "content": "Hi\nthere"},
        {"role": "assistant", "content": "Wait.", "tool_calls": [call, other]},
        {"role": "tool", "tool_call_id": "1", "content": "a"},
        {"role": "tool", "tool_call_id": "2", "content": ""},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "Now in English.\nYes"},
        {"role": "user", "content": [{"type": "text", "text": "part"}]},
    ]
    assert given[0]["content"] == "Be kind."
    assert given[4]["tool_calls"] == [call]


@given(TURNS)
def test_roles_alternate_after_the_system(turns: list[dict[str, Any]]) -> None:
    merged = merge_messages(turns)
    roles = [message["role"] for message in merged]
    if roles[0] == "system":
        roles.pop(0)
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    assert roles
    assert all(isinstance(message["content"], str) for message in merged)


@given(TURNS)
def test_merged_messages_keep_all_words_and_their_order(turns: list[dict[str, Any]]) -> None:
    def words(messages: list[dict[str, Any]]) -> str:
        texts = (message["content"] for message in messages if message["content"] != OMITTED_TURN)
        return "".join(text or "" for text in texts).replace("\n", "")

    assert words(merge_messages(turns)) == words(turns)
    assert merge_messages(merge_messages(turns)) == merge_messages(turns)


@given(TURNS, TURNS)
def test_longer_conversation_begins_alike(turns: list[dict[str, Any]], later: list[dict[str, Any]]) -> None:
    """Processed tokens are reused, up to the last message."""
    before, after = merge_messages(turns), merge_messages([*turns, *later])
    if any(turn["role"] != "system" for turn in turns):
        assert after[: len(before) - 1] == before[:-1]
        assert after[len(before) - 1]["content"].startswith(before[-1]["content"])


def test_conversation_that_the_assistant_begins_has_a_turn_before() -> None:
    greeting = {"role": "assistant", "content": "Hello!"}
    turn = {"role": "user", "content": OMITTED_TURN}
    assert merge_messages([greeting]) == [turn, greeting]
    assert merge_messages([{"role": "system", "content": "Be kind."}]) == [
        {"role": "system", "content": "Be kind."},
        turn,
    ]


@given(HISTORIES, st.booleans())
def test_model_with_a_known_template_gets_the_messages_as_they_are(history: list[LlmMessage], few_shot: bool) -> None:
    turns = list(dropwhile(lambda message: message.role == "system", history))
    request = ReplyRequest((LlmMessage("system", "Be kind."), *turns), speak=True)
    system, *rest = build_prompt(request, ("en", "zh"), 4096, few_shot=few_shot).messages
    expected = [*(FEW_SHOT_EXAMPLES if few_shot else ()), *turns]
    assert system["role"] == "system"
    assert rest == [{"role": message.role, "content": message.text} for message in expected]


@given(HISTORIES)
def test_example_stays_apart_from_what_the_assistant_said(history: list[LlmMessage]) -> None:
    request = ReplyRequest((LlmMessage("system", "Be kind."), *history), speak=True)
    messages = build_prompt(request, ("en", "zh"), 4096, few_shot=True, any_template=True).messages
    examples = [{"role": example.role, "content": example.text} for example in FEW_SHOT_EXAMPLES]
    assert list(messages[1:5]) == examples
    assert [message["role"] for message in messages[1:]] == (["user", "assistant"] * len(messages))[: len(messages) - 1]
