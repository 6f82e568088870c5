"""Text that is shown and not read aloud, and where a listener was in a reply with such text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.conversation.audio_text_alignment import ContentPart
from voicechat.conversation.unspoken_text import ANNOUNCED_CHARS, SpokenText, unspoken_ranges

SECOND = 24_000
CODE = "```python\n" + "print('a longer line of code')\n" * 20 + "```"
TABLE = "| name | age |\n|---|---|\n" + "| Tom | 3 |\n" * 20
MARKDOWN = st.lists(st.sampled_from(["```", "\n", "|", "---", "a b", " ", "好", "https://a.b/c"]), max_size=20).map(
    "".join
)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        (f"See:\n{CODE}\nDone.", "See:\n```p\nDone."),
        ("```\nnot closed", "```\n"),
        (f"See:\n{TABLE}\nDone.", "See:\n| na\n\nDone."),
        ("See https://example.com/a/b now.", "See https://example.com now."),
        ("Use `a` or a | b.", "Use `a` or a | b."),
        ("Run ```git status``` first.", "Run ```git status``` first."),
    ],
)
def test_spoken_text_leaves_out_blocks_and_paths(text: str, spoken: str) -> None:
    assert SpokenText.of(text).text == spoken


@pytest.mark.parametrize("block", [CODE, TABLE])
@pytest.mark.parametrize(
    ("heard_s", "heard"),
    [(0.7, "Here it"), (1.1, "Here it is:"), (2.0, "Here it is:"), (3.1, "Here it is:\n{}\nThat is")],
)
def test_listener_of_a_reply_with_a_block_is_found_in_its_prose(block: str, heard_s: float, heard: str) -> None:
    part = ContentPart()
    for text, seconds in (
        ("Here it is:", 1.0),
        ("\n" + block[:3], 1.4),
        (block[3:], 0.0),
        ("\nThat is all of it.", 1.4),
    ):
        part.add_text(text)
        part.add_audio(round(seconds * SECOND))
    part.truncate(round(heard_s * SECOND))
    assert part.heard_text.rstrip().removesuffix("\n|") == heard.format(block)


@given(MARKDOWN, st.integers(0, 60))
def test_spoken_text_maps_its_characters_to_the_whole_text(text: str, index: int) -> None:
    spoken = SpokenText.of(text)
    ranges = list(unspoken_ranges(text))
    assert len(spoken.text) == len(text) - sum(end - start for start, end in ranges)
    index = min(index, len(text))
    count = spoken.spoken_index(index)
    assert 0 <= count <= len(spoken.text)
    if not any(start <= index <= end for start, end in ranges):
        assert spoken.whole_index(count) == index
    assert spoken.whole_index(len(spoken.text)) == len(text)


def test_unspoken_ranges_of_long_hostile_text_are_found_quickly() -> None:
    for text in (
        "|" * 50_000,
        " " * 50_000,
        "-" * 50_000,
        "`" * 50_000,
        "a|\n" + "-|" * 25_000 + "x",
        "```\n" * 12_000,
    ):
        assert all(start >= ANNOUNCED_CHARS for start, _ in unspoken_ranges(text))
