"""Conversation seal: only the page that sealed a value, in the browser that it was opened in, can read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.session.conversation_store import resume_key
from voicechat.shared_state.conversations.conversation_seal import NONCE_BYTES, ConversationSeal

TOKEN, OWNER = "0123456789abcdef" * 4, "browser one"


def seal_of(token: str = TOKEN, owner: str = OWNER) -> ConversationSeal:
    key = resume_key(token, owner)
    assert key is not None
    return ConversationSeal(key)


@given(st.binary(max_size=500), st.text(max_size=8))
def test_sealed_value_is_read_by_the_same_page(content: bytes, field: str) -> None:
    sealed = seal_of().seal(field, content)
    assert seal_of().unseal(field, sealed) == content
    assert len(content) < 8 or content not in sealed


def test_same_value_is_sealed_differently_each_time() -> None:
    seal = seal_of()
    assert seal.seal("a", b"word") != seal.seal("a", b"word")


@pytest.mark.parametrize(
    ("token", "owner", "field"),
    [(TOKEN[::-1], OWNER, "voice:0"), (TOKEN, "browser two", "voice:0"), (TOKEN, OWNER, "voice:1")],
    ids=["another token", "another cookie", "another field"],
)
def test_sealed_value_is_refused_elsewhere(token: str, owner: str, field: str) -> None:
    sealed = seal_of().seal("voice:0", b"word")
    with pytest.raises(ValueError, match=r"^not a sealed field of this page$"):
        seal_of(token, owner).unseal(field, sealed)


@given(st.binary(max_size=40))
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        seal_of().unseal("voice:0", content)


@given(st.integers(0, NONCE_BYTES + 20), st.integers(1, 255))
def test_changed_value_is_refused(place: int, change: int) -> None:
    sealed = bytearray(seal_of().seal("voice:0", b"word"))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(ValueError):
        seal_of().unseal("voice:0", bytes(sealed))


def test_names_and_representations_hold_no_part_of_token_and_cookie() -> None:
    key, seal = resume_key(TOKEN, OWNER), seal_of()
    assert key is not None
    shown = f"{key!r} {seal!r} {seal.name}"
    assert key.secret.hex() not in shown and repr(key.secret) not in shown
    assert TOKEN not in shown and OWNER not in shown
    assert key.page not in seal.name and seal_of(TOKEN, "browser two").name != seal.name
