"""Where in a text the listener was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.conversation.audio_text_alignment import ContentPart, word_end

SECOND = 24_000


def aligned_by_clause(*clauses: tuple[str, float]) -> ContentPart:
    """A server that sends each clause's text just before its sound, in pieces."""
    part = ContentPart()
    for text, seconds in clauses:
        part.add_text(text)
        for _ in range(10):
            part.add_audio(round(seconds * SECOND / 10))
    return part


@pytest.mark.parametrize(
    ("text", "place", "kept"),
    [
        ("Hello there, friend", 5, "Hello"),
        ("Hello there, friend", 10.9, "Hello"),
        ("Hello there, friend", 12, "Hello there,"),
        ("Hello there, friend", 18, "Hello there,"),
        ("Hello there, friend", 19, "Hello there, friend"),
        ("Hello", 4, ""),
        ("今天天氣很好", 3.7, "今天天"),
        ("我用Python寫程式", 5, "我用"),
        ("我用Python寫程式", 8, "我用Python"),
        ("", 0, ""),
    ],
)
def test_a_word_is_never_cut(text: str, place: float, kept: str) -> None:
    assert text[: word_end(text, place)] == kept


def test_clauses_are_exact_where_the_sound_of_one_ends() -> None:
    # The second clause is spoken half as fast: spread evenly, the cut would be nine characters further on.
    part = aligned_by_clause(("The quick brown fox jumps over it. ", 1.5), ("Slowly, the dog looks up at it.", 2.7))
    part.truncate(round(1.5 * SECOND))
    assert part.heard_text.strip() == "The quick brown fox jumps over it."
    assert part.unheard_text == "Slowly, the dog looks up at it." or part.unheard_text.strip().startswith("Slowly")


def test_a_list_is_followed_although_its_numbers_are_spoken_slowly() -> None:
    part = aligned_by_clause(
        ("Sure! ", 0.6), ("Here's how it goes:\n", 1.2), ("1. ", 1.5), ("One\n", 1.1), ("2. ", 1.5)
    )
    part.truncate(round(2.2 * SECOND))
    assert part.heard_text == "Sure! Here's how it goes:"


def test_the_next_clause_may_be_known_before_its_sound() -> None:
    part = aligned_by_clause(("A short clause comes first. ", 1.6), ("Then a second one.", 1.2))
    part.add_text(" And here is a third, whose sound has not come yet.")
    part.truncate(round(1.6 * SECOND))
    assert part.heard_text.strip() == "A short clause comes first."


def test_chinese_clauses_are_followed() -> None:
    part = aligned_by_clause(("好的，", 0.7), ("我們先從第一個問題開始。", 2.4), ("接下來", 0.8))
    part.truncate(round(3.1 * SECOND))
    assert part.heard_text == "好的，我們先從第一個問題開始。"


def test_text_far_ahead_of_sound_is_spread_evenly() -> None:
    part = ContentPart()
    part.add_text("one two three four five ")
    part.add_audio(SECOND // 10)
    part.add_text("six seven eight nine ten")
    part.add_audio(5 * SECOND - SECOND // 10)
    part.truncate(round(2.5 * SECOND))
    assert part.heard_text == "one two three four five"


def test_the_whole_text_replaces_the_pieces() -> None:
    part = aligned_by_clause(("Hello there. ", 1.0), ("How are you?", 1.0))
    part.set_text("Hello there. How are you?")
    part.truncate(SECOND)
    assert part.heard_text.strip() == "Hello there."
    other = aligned_by_clause(("Hallo zusammen. ", 1.0), ("Wie geht es?", 1.0))
    other.set_text("Good day to all of you, how is it?")
    other.truncate(SECOND)
    assert other.heard_text == "Good day to all"


def test_nothing_heard_and_everything_heard() -> None:
    part = aligned_by_clause(("Hello there.", 1.0))
    part.truncate(0)
    assert (part.heard_text, part.unheard_text) == ("", "Hello there.")
    part = aligned_by_clause(("Hello there.", 1.0))
    part.truncate(10 * SECOND)
    assert (part.heard_text, part.unheard_text) == ("Hello there.", "")


def test_a_cut_text_does_not_grow_again() -> None:
    part = aligned_by_clause(("Hello there, friend.", 1.0))
    part.truncate(SECOND // 2)
    before = part.heard_text
    part.add_text(" Late.")
    part.set_text("Something else entirely.")
    part.truncate(SECOND)
    assert part.heard_text == before
    assert part.text == "Hello there, friend."


deltas = st.lists(
    st.one_of(st.text(alphabet="ab 好,。", min_size=1, max_size=12), st.integers(1, 2 * SECOND)), max_size=12
)


@given(deltas, st.integers(0, 20 * SECOND), st.integers(0, 20 * SECOND))
def test_heard_grows_with_time_and_never_exceeds_the_text(pieces: list[str | int], earlier: int, later: int) -> None:
    earlier, later = sorted((earlier, later))
    cuts = []
    for heard in (earlier, later):
        part = ContentPart()
        for piece in pieces:
            if isinstance(piece, str):
                part.add_text(piece)
            else:
                part.add_audio(piece)
        text = part.text
        part.truncate(heard)
        assert part.heard_text + part.unheard_text == text
        assert part.heard_chars is not None
        cuts.append(part.heard_chars)
    assert cuts[0] <= cuts[1]
