"""JSON rules: those of the app, and the same texts read by the offline server's own codec."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.protocol import json_codec as offline_codec
from voicechat.protocol.json_codec import InvalidJson, NotAnObject, read_object, write_json

DEEP = 200_000
ACCEPTED = [
    "{}",
    ' \n{"type":"x"}\t',
    '{"a":1,"a":2}',
    '{"a":1e308,"b":-0,"c":1E-400}',
    '{"a":"\\ud83d\\ude00"}',
    '{"a":"\\ud83d"}',
    '{"\\udc00":"\\ud83d\\ud83d\\ude00"}',
    '{"a":"\\u0000\\u2028","b":"聲音"}',
    '{"a":' + "9" * 4000 + "}",
    '{"a":[null,true,false,{"b":[]}]}',
]
REJECTED = [
    "",
    "no JSON",
    "{",
    "{'a':1}",
    '{"a":NaN}',
    '{"a":Infinity}',
    '{"a":[-Infinity]}',
    '{"a":1e999}',
    '{"a":01}',
    '{"a":"\n"}',
    '{"a":1,}',
    '{"a":1}{"b":2}',
    "\ufeff{}",
    '{"a":' + "[" * DEEP + "]" * DEEP + "}",
    '{"a":' * DEEP,
]


def round_trip(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(write_json(read_object(text)))
    return value


def offline_round_trip(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(offline_codec.write_json(offline_codec.read_json(text)))
    return value


def without_lone_surrogates(value: dict[str, Any]) -> dict[str, Any]:
    """The offline server writes UTF-8, which cannot hold lone surrogates; the app writes ASCII, which can."""
    replaced: dict[str, Any] = json.loads(offline_codec.replace_lone_surrogates(json.dumps(value, ensure_ascii=False)))
    return replaced


@pytest.mark.parametrize("text", ACCEPTED, ids=range(len(ACCEPTED)))
def test_both_codecs_read_the_same_value(text: str) -> None:
    assert without_lone_surrogates(round_trip(text)) == offline_round_trip(text)


@pytest.mark.parametrize("text", REJECTED, ids=range(len(REJECTED)))
def test_both_codecs_reject_the_same_text(text: str) -> None:
    with pytest.raises(InvalidJson):
        round_trip(text)
    with pytest.raises(ValueError):
        offline_round_trip(text)


FRAGMENTS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        '"a"',
        ":",
        ",",
        "1",
        "-",
        ".5",
        "e9",
        "e999",
        "NaN",
        "null",
        '"\\ud83d"',
        '"\\ude00"',
        " ",
        '"聲"',
    ]
)


@given(st.lists(FRAGMENTS, max_size=12).map(lambda parts: '{"a":' + "".join(parts) + "}"))
def test_both_codecs_agree_on_any_text(text: str) -> None:
    try:
        ours = without_lone_surrogates(round_trip(text))
    except InvalidJson:
        with pytest.raises(ValueError):
            offline_round_trip(text)
    else:
        assert ours == offline_round_trip(text)


@pytest.mark.parametrize("text", ["[]", "7", '"text"', "null"])
def test_read_object_of_another_kind_raises_not_an_object(text: str) -> None:
    with pytest.raises(NotAnObject):
        read_object(text)


@pytest.mark.parametrize("message", [b"\xff{}", b'{"a":"\xed\xa0\xbd"}', "{}".encode("utf-16")])
def test_a_binary_message_that_is_not_utf8_is_invalid(message: bytes) -> None:
    with pytest.raises(InvalidJson):
        read_object(message)
    assert read_object(b"{}") == {}


def test_allow_nan_reads_what_python_servers_write() -> None:
    event = read_object('{"type":"x","avg_logprob":NaN,"top":Infinity}', allow_nan=True)
    assert event["type"] == "x" and event["avg_logprob"] != event["avg_logprob"]
    with pytest.raises(InvalidJson):
        write_json(event)


def test_write_json_is_compact_ascii_and_keeps_half_a_character() -> None:
    text = write_json({"a": "聲\ud83d", "b": [1, None]})
    assert text == '{"a":"\\u8072\\ud83d","b":[1,null]}'
    assert read_object(text) == {"a": "聲\ud83d", "b": [1, None]}


def test_an_error_quotes_no_content() -> None:
    for text in ('{"key": sk-secret}', '["sk-secret"]'):
        with pytest.raises(InvalidJson) as caught:
            read_object(text)
        assert "secret" not in str(caught.value)
