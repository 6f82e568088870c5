"""Ownership of Gradio sessions and WebRTC connections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicechat.security.gradio.session_ownership import OwnershipRegistry


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=40))
def test_first_user_of_an_id_owns_it(uses: list[tuple[int, int]]) -> None:
    registry, owners = OwnershipRegistry(), dict[str, str]()
    for resource_id, owner in ((f"id{number}", f"owner{who}") for number, who in uses):
        first = owners.setdefault(resource_id, owner)
        assert registry.claim(resource_id, owner) is (first == owner)
        assert registry.is_owned_by(resource_id, first)
        assert not registry.is_owned_by(resource_id, "stranger")


def test_owned_ids_are_bounded_and_active_ones_stay() -> None:
    registry = OwnershipRegistry(max_ids=3)
    for resource_id in ("a", "b", "c", "a", "d"):
        registry.claim(resource_id, "me")
    assert not registry.claim("a", "other")
    assert registry.claim("b", "other")
