"""Parser of server-sent events: the standard's examples, and every cutting of a stream gives the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.endpoints import sse
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.endpoints.sse import ServerSentEvent, SseParser


def parse(*blocks: bytes | str) -> list[ServerSentEvent]:
    parser = SseParser("a.example")
    return [event for block in blocks for event in parser.feed(block)] + parser.flush()


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ("data: one\n\ndata: two\n\n", ["one", "two"]),
        ("data: one\r\n\r\ndata: two\r\n\r\n", ["one", "two"]),
        ("data: one\r\rdata: two\r\r", ["one", "two"]),
        ("data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
        (": keep-alive\n\n: OPENROUTER PROCESSING\n\ndata: one\n\n", ["one"]),
        ("data\n\ndata\ndata\n\ndata:\n\n", ["", "\n", ""]),
        ("data:test\n\ndata: test\n\ndata:  test\n\n", ["test", "test", " test"]),
        ("id: 7\nretry: 10\nother: x\ndata: one\n\n", ["one"]),
        ("\ufeffdata: one\n\n", ["one"]),
        ("\n\n\n", []),
        ("data: a: b\n\n", ["a: b"]),
        ("data: without a blank line\n", ["without a blank line"]),
        ("data: one\n\ndata: cut", ["one"]),
        ("<html>\n\n", []),
    ],
)
def test_data_of_a_stream(stream: str, expected: list[str]) -> None:
    assert [event.data for event in parse(stream)] == expected


def test_type_of_an_event_belongs_to_one_event() -> None:
    events = parse("event: error\ndata: one\n\ndata: two\n\nevent: lost\n\ndata: three\n\n")
    assert events == [ServerSentEvent("one", "error"), ServerSentEvent("two"), ServerSentEvent("three")]


LINES = st.lists(
    st.sampled_from(["data: 你好", "data:", "data", ": x", "event: error", "", "", "other: é", "data: 😀 b"]),
    max_size=12,
)


@given(lines=LINES, ends=st.lists(st.sampled_from(["\n", "\r", "\r\n"]), min_size=12, max_size=12), data=st.data())
def test_every_cutting_gives_the_same(lines: list[str], ends: list[str], data: st.DataObject) -> None:
    stream = "".join(line + end for line, end in zip(lines, ends, strict=False)).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    blocks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(*blocks) == parse(stream)
    assert parse(*(bytes([byte]) for byte in stream)) == parse(stream)


@pytest.mark.parametrize("line", ["data: 12345\n", ": no end ", "data: 12"])
def test_event_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_CHARS", 100)
    parser = SseParser("a.example")
    with pytest.raises(EndpointError, match="sent an event that is too long") as caught:
        for _ in range(100):
            parser.feed(line)
    assert caught.value.fault is EndpointFault.MALFORMED


def test_long_stream_of_short_events_and_comments_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_CHARS", 100)
    parser = SseParser("a.example")
    assert sum(len(parser.feed(": waiting\nid: 1\ndata: 12345\n\n")) for _ in range(100)) == 100
    assert all(not parser.feed(": waiting\n") for _ in range(100))
