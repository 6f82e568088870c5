"""Visitor key of a request."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest
from starlette.requests import HTTPConnection, Request

from voicechat.security.visitor_key import visitor_key


def scope(**more: Any) -> dict[str, Any]:
    return {"type": "http", "headers": [], "path": "/", "query_string": b"", **more}


@pytest.mark.parametrize(
    ("found", "key"),
    [
        ({"state": {"visitor": "v-1"}, "client": ("198.51.100.7", 1)}, "v-1"),
        ({"state": {}, "client": ("198.51.100.7", 1)}, "198.51.100.7"),
        ({"state": {"visitor": ""}, "client": ("2001:db8::1", 1)}, "2001:db8::1"),
        ({"client": ("127.0.0.1", 1)}, ""),
        ({"client": ("::1", 1)}, ""),
        ({"client": ("testclient", 1)}, ""),
        ({"client": None}, ""),
    ],
)
def test_visitor_key_is_from_the_guard_else_the_address(found: dict[str, Any], key: str) -> None:
    assert visitor_key(HTTPConnection(scope(**found))) == key
    assert visitor_key(gr.Request(Request(scope(**found)))) == key


def test_visitor_key_is_empty_without_a_request() -> None:
    assert visitor_key(gr.Request()) == ""
