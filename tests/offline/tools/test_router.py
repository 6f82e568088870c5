"""Router: which function a message asks for, and that small talk asks for none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.tools.router_requests import (
    NOW,
    chosen_names,
    read_declarations,
    read_requests,
    router_figures,
)
from offline.tools.declaration import read_declaration
from offline.tools.router import choose_tool, weakly_matching_tools

TOOLS = read_declarations()
SHARE_NOT_BELOW = {
    ("first", "en"): 20,
    ("first", "zh"): 20,
    ("second", "en"): 20,
    ("second", "zh"): 18,
    ("third", "en"): 16,
    ("third", "zh"): 17,
    ("fourth", "en"): 17,
    ("fourth", "zh"): 18,
}
"""Right choices of twenty, by set and language. They are no measure of unseen wording: see docs/benchmarks.md."""
MOST_TAKEN_FOR_A_CALL = 0
"""Messages of small talk, of twenty."""


LIKELY_NOT_BELOW = {"en": 20, "zh": 20}
"""Requests of the third set, of twenty, whose function is certain or among the likely ones."""
MOST_ASKED_IN_SMALL_TALK = 0
"""Messages of small talk of the third set, of twenty, that the model is asked about."""


def name_of(message: str, tools: list[dict[str, Any]] = TOOLS) -> str:
    route = choose_tool(message, tools, NOW)
    return route.tool.name if route else ""


@pytest.mark.parametrize(("name", "language"), SHARE_NOT_BELOW)
def test_router_on_the_kept_requests_stays_as_good(name: str, language: str) -> None:
    requests = [request for request in read_requests(name) if request.language == language]
    figures = router_figures(requests, chosen_names(requests, TOOLS))
    assert (figures["requests"], figures["small_talk"]) == (20, 20)
    assert figures["right"] >= SHARE_NOT_BELOW[name, language]
    assert figures["taken_for_a_call"] <= MOST_TAKEN_FOR_A_CALL


@pytest.mark.parametrize("language", LIKELY_NOT_BELOW)
def test_likely_functions_of_the_third_set_stay_as_good(language: str) -> None:
    found, asked_in_small_talk = 0, 0
    for request in read_requests("third"):
        if request.language != language:
            continue
        certain = name_of(request.text)
        likely = [] if certain else [tool.name for tool in weakly_matching_tools(request.text, TOOLS, NOW)]
        found += bool(request.tool) and request.tool in (certain, *likely)
        asked_in_small_talk += not request.tool and bool(likely)
    assert found >= LIKELY_NOT_BELOW[language]
    assert asked_in_small_talk <= MOST_ASKED_IN_SMALL_TALK


def test_small_talk_without_a_hint_has_no_likely_functions() -> None:
    for message in ("How are you?", "What is the capital of Australia?", "你好嗎？", "Don't tell anyone."):
        assert weakly_matching_tools(message, TOOLS, NOW) == ()


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("I'm boiling eggs. Set a timer for six minutes.", "timer"),
        ("Don't set a timer.", ""),
        ("I left the lights on all night.", ""),
        ("Who invented the light bulb?", ""),
        ("不要關燈", ""),
        ("我昨天跟朋友說了一個笑話", ""),
        ("1+1=?", "calculate"),
        ("what is ten celsius in fahrenheit", "convert_units"),
        ("", ""),
        ("Set a timer for ten minutes. " * 20, ""),
    ],
)
def test_router_judges_the_form_of_the_message(message: str, name: str) -> None:
    assert name_of(message) == name


def test_keywords_alone_lead_to_a_function_of_any_kind() -> None:
    vacuum = {"name": "rx_17", "description": "Starts a device. Keywords: vacuum the, robot, 吸地"}
    assert name_of("Please vacuum the kitchen", [vacuum]) == "rx_17"
    assert name_of("幫我吸地好嗎", [vacuum]) == "rx_17"
    assert name_of("My robot is so cute", [vacuum]) == ""
    assert read_declaration(vacuum).description == "Starts a device."


def test_words_of_name_and_description_lead_to_a_function_without_keywords() -> None:
    playlist = {"name": "play_music", "description": "Play a song or a playlist."}
    assert name_of("Play some music please", [playlist]) == "play_music"
    assert name_of("Music makes me happy", [playlist]) == ""


@given(st.text(max_size=80))
def test_router_takes_any_text(message: str) -> None:
    assert name_of(message) in {"", *(tool["name"] for tool in TOOLS)}
