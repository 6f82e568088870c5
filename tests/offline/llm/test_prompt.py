"""Text rules: Chinese text, prompts, tool calls."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.chinese_text import contains_han, to_full_width_punctuation, to_traditional
from offline.llm import prompt
from offline.llm.tool_calls import (
    LlmOutputKind,
    ParsedToolCall,
    ToolCallDetector,
    matches_schema,
    parse_tool_call,
    parse_tool_declarations,
)
from offline.protocol.worker_messages import LlmMessage, ReplyRequest, Role, ToolCall
from offline.tts import mandarin_g2p

# ------------------------------------------------------------------ Chinese


@pytest.mark.parametrize(
    ("text", "written"),
    [("台湾的台北", "台灣的台北"), ("打开头发里面", "打開頭髮裡面"), ("臺灣", "臺灣"), ("Hello 2 you", "Hello 2 you")],
)
def test_to_traditional_uses_the_characters_of_taiwan(text: str, written: str) -> None:
    assert to_traditional(text) == written
    assert to_traditional(written) == written


def test_to_full_width_punctuation_changes_chinese_text_only() -> None:
    assert to_full_width_punctuation("你好,今天好嗎?") == "你好，今天好嗎？"
    assert to_full_width_punctuation("It is 3,000, yes?") == "It is 3,000, yes?"
    assert to_full_width_punctuation("一共3,000元") == "一共3,000元"


def test_to_phonemes_of_mandarin_with_english_words() -> None:
    assert mandarin_g2p.to_phonemes("你好。") == "ni↓xau↓."
    assert mandarin_g2p.to_phonemes("我用 Python", lambda english: f"<{english}>") == "wo↓jʊ↘ŋ <Python>"
    assert mandarin_g2p.to_phonemes("我用 Python").split() == ["wo↓jʊ↘ŋ"]


@given(st.text(alphabet=st.sampled_from(list("ab cd,.!?\n *1Dr台灣今天很好，。！ ")), max_size=120))
def test_to_phonemes_of_any_text_leaves_no_chinese_character(text: str) -> None:
    assert not contains_han(mandarin_g2p.to_phonemes(text))


# ------------------------------------------------------------------ prompts


@pytest.mark.parametrize(
    ("history", "rule"),
    [
        (["Hello"], prompt.ENGLISH_REPLY_RULE),
        (["Hello", "台灣在哪裡？"], prompt.CHINESE_REPLY_RULE),
        (["台灣在哪裡？", "Say it in other words."], prompt.ENGLISH_REPLY_RULE),
    ],
)
def test_system_prompt_of_a_written_reply_names_its_language(history: list[str], rule: str) -> None:
    request = ReplyRequest(tuple(LlmMessage("user", text) for text in history), speak=False)
    assert prompt.build_system_prompt(request, ("en", "zh")).endswith(rule)
    spoken = ReplyRequest(request.messages, speak=True)
    assert prompt.build_system_prompt(spoken, ("en", "zh")).endswith(prompt.REPLY_LANGUAGE_RULE)


MESSAGES = st.lists(
    st.builds(LlmMessage, st.sampled_from(get_args(Role)[1:]), st.text(max_size=200)), min_size=1, max_size=40
)


@given(MESSAGES, st.integers(prompt.MIN_HISTORY_TOKENS, 2000))
def test_trim_history_keeps_the_newest_messages_within_the_budget(history: list[LlmMessage], budget: int) -> None:
    trimmed = prompt.trim_history(history, budget)
    whole = history[len(history) - len(trimmed) :]
    assert [m.role for m in trimmed] == [m.role for m in whole]
    assert all(
        short.text == m.text or prompt.OMISSION_MARK in short.text for short, m in zip(trimmed, whole, strict=True)
    )
    if trimmed[0].role == "tool":
        assert len(trimmed) == len(history) or whole[1].role != "tool", "tool outputs stay with their call"
    least = len(trimmed) * (8 + prompt.MIN_MESSAGE_TOKENS + prompt.estimate_tokens(prompt.OMISSION_MARK))
    assert sum(map(prompt.estimate_message_tokens, trimmed)) <= max(budget, least)


def test_trim_history_of_a_growing_conversation_cuts_rarely_and_deeply() -> None:
    history, cuts, read_again = list[LlmMessage](), list[int](), list[int]()
    for n in range(140):
        history.append(LlmMessage("user", f"I was wondering what you think about number {n} on my list for this week."))
        trimmed = prompt.trim_history(history, 3000)
        cut = len(history) - len(trimmed)
        if not cuts or cut != cuts[-1]:
            cuts.append(cut)
            read_again.append(sum(map(prompt.estimate_message_tokens, trimmed)))
        history.append(LlmMessage("assistant", f"That sounds like a good plan to me, number {n} is worth doing. " * 2))
    assert 3 <= len(cuts) <= 6
    assert max(read_again) <= 3000 * prompt.HISTORY_LOW_WATER_RATIO + 100


@pytest.mark.parametrize(
    "long",
    [
        "9182736450" * 450,
        json.dumps([{"id": i, "name": f"Item number {i}", "price": i * 1.25} for i in range(260)]),
        "🎈" * 3000,
    ],
)
def test_trim_history_shortens_a_long_message(long: str) -> None:
    question = LlmMessage("user", "What do I have?")
    call = ToolCall("c", "weather", "{}")
    for history in (
        [LlmMessage("user", long)],
        [question, LlmMessage("assistant", "", (call,)), LlmMessage("tool", long, call_id="c")],
        [question, LlmMessage("assistant", "", (call, call)), *[LlmMessage("tool", long, call_id="c")] * 2],
    ):
        trimmed = prompt.trim_history(history, 3000)
        assert len(trimmed) == len(history), "the question is not dropped for its answer"
        assert sum(map(prompt.estimate_message_tokens, trimmed)) <= 3000
        assert len(trimmed[-1].text) < len(long)
        assert trimmed[-1].text[:20] == long[:20]
        assert trimmed[-1].text[-20:] == long[-20:]
        assert prompt.OMISSION_MARK in trimmed[-1].text


def test_estimate_tokens_counts_digits_and_symbols_as_tokens() -> None:
    assert prompt.estimate_tokens("9" * 300) == 300
    assert prompt.estimate_tokens("{}" * 100) == 200
    assert prompt.estimate_tokens("a quiet day " * 10) == 40


def test_system_prompt_has_the_instructions_and_the_rules() -> None:
    request = ReplyRequest((LlmMessage("system", "You are a pirate."), LlmMessage("user", "Hi")), speak=True)
    text = prompt.build_system_prompt(request, ("en", "zh"))
    assert text.startswith("You are a pirate.")
    assert prompt.SPOKEN_REPLY_RULE in text
    assert prompt.REPLY_LANGUAGE_RULE in text
    silent = prompt.build_system_prompt(ReplyRequest((LlmMessage("user", "Hi"),), speak=False), ("en",))
    assert silent == f"{prompt.FALLBACK_INSTRUCTIONS} {prompt.ENGLISH_ONLY_RULE}"


WEATHER = json.dumps(
    {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
)


def compose_prompt(choice: str, *messages: LlmMessage, text_only: bool = False) -> prompt.Prompt:
    request = ReplyRequest(messages or (LlmMessage("user", "Hi"),), True, tools=(WEATHER,), tool_choice=choice)
    return prompt.build_prompt(request, ("en",), 4096, text_only=text_only)


def test_build_prompt_enforces_the_tool_choice_by_grammar() -> None:
    assert compose_prompt("auto").reply_mode is prompt.ReplyMode.TEXT_OR_TOOL_CALL
    assert not {"grammar", "json_schema"} & compose_prompt("auto").body.keys()
    for choice in ("required", "function:weather"):
        forced = compose_prompt(choice)
        assert forced.reply_mode is prompt.ReplyMode.TOOL_CALL
        assert "weather" in json.dumps(forced.body["json_schema"])
        assert forced.messages == compose_prompt("auto").messages
        assert forced.body["tools"] == compose_prompt("auto").body["tools"]
    assert compose_prompt("function:unknown").reply_mode is prompt.ReplyMode.TEXT_OR_TOOL_CALL


def test_build_prompt_for_text_contains_no_functions() -> None:
    answered = (LlmMessage("user", "Hi"), LlmMessage("tool", "rain", call_id="c"))
    for built in (
        compose_prompt("none"),
        compose_prompt("auto", *answered),
        compose_prompt("required", text_only=True),
    ):
        assert built.reply_mode is prompt.ReplyMode.TEXT
        assert "weather" not in json.dumps([built.messages, built.body])
        assert built.body["grammar"] == prompt.TEXT_ONLY_GRAMMAR


def test_build_prompt_renders_tool_calls_and_outputs() -> None:
    call = ToolCall("call_1", "weather", '{"city":"Paris"}')
    messages = (
        LlmMessage("user", "Weather?"),
        LlmMessage("assistant", "", (call,)),
        LlmMessage("tool", "rain", call_id="call_1"),
    )
    rendered = prompt.build_prompt(ReplyRequest(messages, True, tools=(WEATHER,)), ("en",), 4096).messages
    assert rendered[-2]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Paris"}'}
    assert rendered[-1]["tool_call_id"] == "call_1"


# ------------------------------------------------------------------ calls


def test_parse_tool_call_accepts_declared_calls_with_valid_arguments_only() -> None:
    tools = parse_tool_declarations([WEATHER, "not json"])
    assert list(tools) == ["weather"]
    good = '<tool_call>\n{"name": "weather", "arguments": {"city": "台北"}}\n</tool_call>'
    assert parse_tool_call(good, tools) == ParsedToolCall("weather", '{"city": "台北"}')
    assert parse_tool_call('{"name": "weather", "arguments": "{\\"city\\": \\"Rome\\"}"}', tools) is not None
    for bad in (
        "no call",
        '{"name": "weather", "arguments": {',
        '{"name": "launch", "arguments": {}}',
        '{"name": "weather", "arguments": {}}',
        '{"name": "weather", "arguments": {"city": 5}}',
        '{"name": "weather", "arguments": [1]}',
    ):
        assert parse_tool_call(bad, tools) is None, bad


def test_matches_schema_checks_types_enums_and_required_fields() -> None:
    assert matches_schema(True, {"type": "boolean"})
    assert not matches_schema(True, {"type": "integer"})
    assert matches_schema(3, {"type": ["number", "null"]})
    assert not matches_schema("c", {"enum": ["a", "b"]})
    assert not matches_schema([1, "a"], {"type": "array", "items": {"type": "integer"}})
    assert matches_schema({"x": 1}, {"$ref": "elsewhere"})
    assert matches_schema({"x": 1}, {"enum": 5, "required": True, "properties": 3, "type": 4}), (
        "invalid keywords are ignored"
    )


@given(st.text(max_size=40), st.lists(st.integers(1, 5), max_size=10))
def test_tool_call_detector_passes_text_unchanged(text: str, sizes: list[int]) -> None:
    detector, said, at = ToolCallDetector(), "", 0
    for size in [*sizes, len(text)]:
        said += detector.push(text[at : at + size])
        at += size
    said += detector.flush()
    assert said + detector.buffered_text == text
    assert (detector.kind is LlmOutputKind.TOOL_CALL) == bool(detector.buffered_text)


def test_tool_call_detector_is_complete_after_the_closing_brace() -> None:
    detector = ToolCallDetector()
    assert detector.push('{"name": "weather", "argum') == ""
    assert not detector.is_complete
    assert detector.push('ents": {"city": "Rome"}}') == ""
    assert detector.is_complete
