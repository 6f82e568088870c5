"""API tokens of programs."""

from __future__ import annotations

from starlette.datastructures import Headers

from voicechat.security.auth.api_tokens import API_KEY_SUBPROTOCOL_PREFIX, extract_tokens, has_valid_token


def test_tokens_are_read_from_headers_and_subprotocols() -> None:
    headers = Headers({"Authorization": "Bearer one", "api-key": "two"})
    assert extract_tokens(headers, ["realtime", f"{API_KEY_SUBPROTOCOL_PREFIX}three"]) == ["one", "two", "three"]
    assert extract_tokens(Headers({"Authorization": "Basic one"})) == []
    assert has_valid_token(["no", "yes"], ("yes", "other"))
    assert not has_valid_token(["no"], ("yes", "other"))
    assert not has_valid_token([], ("yes",)) and not has_valid_token(["yes"], ())
    assert not has_valid_token(["é"], ("yes",))
