"""Text rules: clause splitting, Chinese text, prompts, tool calls."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.chinese_text import contains_han, to_full_width_punctuation, to_traditional
from offline.llm import prompt
from offline.llm.clause_splitter import (
    CHINESE_CLAUSE_OVERHEAD_CHARS,
    CHINESE_FIRST_CLAUSE_CHARS,
    CHINESE_LATER_CLAUSE_CHARS,
    CHINESE_OVERSHOOT_CHARS,
    CHINESE_REAL_TIME_FACTOR,
    ClauseSplitter,
    strip_markdown,
)
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

TEXT = st.text(alphabet=st.sampled_from(list("ab cd,.!?\n *1Dr台灣今天很好，。！ ")), max_size=120)

# ------------------------------------------------------------------ clauses


def split_clauses(text: str, pieces: list[int] | None = None) -> list[str]:
    clauses, given_out, at = ClauseSplitter(), [], 0
    for size in [*(pieces or []), len(text)]:
        given_out += clauses.push(text[at : at + size])
        at += size
    return given_out + clauses.flush()


@given(TEXT, st.lists(st.integers(1, 9)))
def test_clause_splitter_with_any_pieces_keeps_the_text(text: str, pieces: list[int]) -> None:
    assert "".join(split_clauses(text, pieces)) == text


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("It's important to remember that even he may change.", "It's important to remember"),
        ("The numbers you said just now are all odd ones.", "The numbers you said just now are all"),
        ("The capital of France is Paris.", "The capital of France is Paris."),
        ("Sure, what would you like to do in town?", "Sure, what would you like"),
        ("Mr. John Dashwood had then leisure to consider it.", "Mr. John Dashwood had then leisure"),
    ],
)
def test_clause_splitter_without_punctuation_ends_the_first_clause_at_a_phrase(text: str, first: str) -> None:
    clauses, given = ClauseSplitter(), []
    for letter in text:
        given += clauses.push(letter)
    given += clauses.flush()
    assert given[0] == first
    assert "".join(given) == text


def test_clause_splitter_ends_the_first_clause_early_and_later_ones_at_sentences() -> None:
    text = "Well, my dear old friend, that is a long story. It began, as you know, in May, when the sun came out."
    clauses = split_clauses(text, [1] * len(text))
    assert clauses[0] == "Well, my dear old friend,"
    assert clauses[1] == " that is a long story."


def test_clause_splitter_does_not_split_after_titles() -> None:
    assert split_clauses("Dr. Smith met Mrs. Jones. They talked.") == ["Dr. Smith met Mrs. Jones.", " They talked."]


def test_clause_splitter_cuts_chinese_without_punctuation_between_words() -> None:
    text = "我們明天早上一起到台北市立動物園去看可愛的大熊貓然後再去吃飯聊天散步看電影買東西喝咖啡"
    clauses = split_clauses(text, [1] * len(text))
    assert len(clauses) > 2
    lead = float(len(clauses[0]))
    assert lead <= CHINESE_FIRST_CLAUSE_CHARS[1] + CHINESE_OVERSHOOT_CHARS
    for clause in clauses[1:]:
        assert len(clause) <= CHINESE_LATER_CLAUSE_CHARS[1] + CHINESE_OVERSHOOT_CHARS
        lead -= CHINESE_REAL_TIME_FACTOR * len(clause) + CHINESE_CLAUSE_OVERHEAD_CHARS
        assert lead > -CHINESE_OVERSHOOT_CHARS, "the audio of earlier clauses has run out"
        lead += len(clause)
    assert "".join(clauses) == text


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("好的，請告訴我明天早上八點的時間是什麼？", "好的，請告訴我"),
        ("你好！我是小明。很高興認識你。", "你好！我是小明。"),
        ("當然可以！你可以嘗試一些簡單的菜。", "當然可以！"),
        ("好的。", "好的。"),
    ],
)
def test_clause_splitter_first_chinese_clause_has_the_minimum_length(text: str, first: str) -> None:
    assert split_clauses(text, [1] * len(text))[0] == first


def test_strip_markdown_removes_the_marks() -> None:
    assert (
        strip_markdown("**Bold** and `code`, see [this](http://x.y).\n- one\n# Two")
        == "Bold and code, see this.\none\nTwo"
    )
    assert strip_markdown("2 * 3 * 4") == "2 * 3 * 4"


def spoken_clauses(text: str) -> list[str]:
    return [strip_markdown(clause).strip() for clause in split_clauses(text, [1] * len(text)) if clause.strip()]


def test_strip_markdown_removes_list_numbers() -> None:
    assert spoken_clauses("Try these:\n\n1. Eat apples\n2. **Sleep** well.\n10) Walk") == [
        "Try these:", "Eat apples", "Sleep well.", "Walk",
    ]  # fmt: skip
    assert spoken_clauses("1. Eat.\n2. Sleep.\n- Walk\n- Sing") == ["Eat.", "Sleep.", "Walk", "Sing"]
    assert spoken_clauses("1. 吃蘋果。\n2、睡覺。\n3.走路。") == ["吃蘋果。", "睡覺。", "走路。"]


def test_strip_markdown_keeps_other_numbers() -> None:
    assert spoken_clauses("4. Anything else?") == ["4. Anything else?"]
    assert spoken_clauses("It is\n3.14 in all.") == ["It is", "3.14 in all."]
    assert spoken_clauses("12.") == ["12."]
    assert spoken_clauses("1.5 litres\n2024 was good.") == ["1.5 litres", "2024 was good."]


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


@pytest.mark.parametrize(
    ("digits", "said"),
    [
        ("0", "零"), ("10", "十"), ("15", "十五"), ("110", "一百一十"), ("1005", "一千零五"), ("10010", "一萬零一十"),
        ("0", "零"), ("10", "十"), ("15", "十五"), ("110", "一百一十"), ("1005", "一千零五"),
        ("10010", "一萬零一十"),
        ("3.14", "三點一四"),
    ],
)  # fmt: skip
def test_number_to_chinese_writes_the_words(digits: str, said: str) -> None:
    assert mandarin_g2p.number_to_chinese(digits) == said


def test_verbalize_numbers_of_dates_times_percentages_and_temperatures() -> None:
    assert mandarin_g2p.verbalize_numbers("2026年") == "二零二六年"
    assert mandarin_g2p.verbalize_numbers("8:30") == "八點三十分"
    assert mandarin_g2p.verbalize_numbers("25%") == "百分之二十五"
    assert mandarin_g2p.verbalize_numbers("-3℃") == "負三度"


@given(st.integers(0, 10**12 - 1))
def test_number_to_chinese_of_any_number_has_chinese_digits_only(value: int) -> None:
    said = mandarin_g2p.number_to_chinese(str(value))
    assert said
    assert set(said) <= set("零一二三四五六七八九十百千萬億")


def test_to_phonemes_of_mandarin_with_english_words() -> None:
    assert mandarin_g2p.to_phonemes("你好。") == "ni↓xau↓."
    assert mandarin_g2p.to_phonemes("我用 Python", lambda english: f"<{english}>") == "wo↓jʊ↘ŋ <Python>"
    assert mandarin_g2p.to_phonemes("我用 Python").split() == ["wo↓jʊ↘ŋ"]


@given(TEXT)
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
