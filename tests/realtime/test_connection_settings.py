"""Settings that a server refuses, and servers that only know the beta dialect."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection

from realtime.connection import ConnectionFailed, Failure, RealtimeConnection
from realtime.opening import MAX_REFUSALS
from realtime.refusals import (
    MOST_REFUSED,
    Refused,
    essentials,
    is_required,
    look_up,
    names,
    refused_field,
    refuses_ga,
    without,
)
from realtime.session import Mode, session_update
from realtime.settings import Endpoint, ServerKind, Settings, TurnDetection

from .servers import send, server

Event = dict[str, Any]

CANARY = "canary-4711"
UPDATE = session_update(Settings(turn_detection=TurnDetection.SEMANTIC))


class Picky:
    """A server that refuses what its rule says, and confirms what is left."""

    def __init__(self, rule: Callable[[Event], Event | list[Event] | None], *, echo: bool = True) -> None:
        self.rule = rule
        self.echo = echo
        self.updates: list[Event] = []

    async def talk(self, socket: ServerConnection) -> None:
        await send(socket, {"type": "session.created", "session": {"type": "realtime"}})
        async for message in socket:
            update = json.loads(message)
            self.updates.append(update["session"])
            errors = self.rule(update["session"]) or []
            for error in errors if isinstance(errors, list) else [errors]:
                about = update.get("event_id") if self.echo else None
                await send(socket, {"type": "error", "error": {**error, "event_id": about}})
            if not errors:
                await send(socket, {"type": "session.updated", "session": update["session"]})


def unknown(*fields: str, param: bool = True) -> Callable[[Event], Event | None]:
    """Refuses the first of these fields that is there, as OpenAI does."""

    def rule(session: Event) -> Event | None:
        for field in fields:
            if look_up(session, tuple(field.split(".")))[0]:
                name = f"session.{field}"
                message = f"Unknown parameter: '{name}'. {CANARY}"
                return {"code": "unknown_parameter", "message": message, "param": name if param else None}
        return None

    return rule


def endpoint(url: str) -> Endpoint:
    return Endpoint(ServerKind.CUSTOM, url)


async def connected(to: Endpoint, update: Event = UPDATE) -> list[str]:
    """Connects, and returns the types of the events before readiness."""
    async with RealtimeConnection(to, update, connect_seconds=5, ready_seconds=5) as connection:
        events = connection.events()
        kinds = [(await anext(events))["type"]]
        while kinds[-1] != "session.updated":
            kinds.append((await anext(events))["type"])
        return kinds


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("param", [True, False])
async def test_a_refused_field_is_left_out_and_named(param: bool, echo: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    there = Picky(
        unknown("audio.input.noise_reduction", "audio.input.turn_detection.eagerness", param=param), echo=echo
    )
    async with server(there.talk) as url:
        assert await connected(endpoint(url)) == ["session.created", "session.updated"], "our own trouble stays here"
    first, second, third = there.updates
    assert first == UPDATE["session"]
    assert "noise_reduction" not in second["audio"]["input"]
    assert second["audio"]["input"]["turn_detection"] == UPDATE["session"]["audio"]["input"]["turn_detection"]
    assert third["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
    assert "eagerness" not in third["audio"]["input"]["turn_detection"]
    assert third["instructions"] == UPDATE["session"]["instructions"]
    named = [record.getMessage() for record in caplog.records if "refused a session setting" in record.getMessage()]
    assert len(named) == 2
    assert "audio.input.noise_reduction (unknown_parameter)" in named[0]
    assert "audio.input.turn_detection.eagerness (unknown_parameter)" in named[1]
    assert CANARY not in caplog.text


async def test_what_was_refused_is_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    there = Picky(unknown("reasoning", "audio.input.noise_reduction"))
    update = session_update(Settings(openai_api_key="sk-x"))
    async with server(there.talk) as url:
        to = endpoint(url)
        await connected(to, update)
        caplog.clear()
        await connected(to, update)
    assert len(there.updates) == 4
    assert there.updates[3] == there.updates[2]
    assert "refused" not in caplog.text


async def test_several_fields_refused_at_once() -> None:
    """One error for each: the second is late, it is about settings that were told anew since."""
    fields = ("audio.output.speed", "audio.input.noise_reduction")

    def rule(session: Event) -> list[Event]:
        return [error for field in fields if (error := unknown(field)(session))]

    there = Picky(rule)
    async with server(there.talk) as url:
        await connected(endpoint(url))
    assert "speed" not in there.updates[-1]["audio"]["output"]
    assert "noise_reduction" not in there.updates[-1]["audio"]["input"]


async def refusal(rule: Callable[[Event], Event | list[Event] | None], update: Event = UPDATE) -> Picky:
    """Connects to a server that cannot be pleased."""
    there = Picky(rule)
    async with server(there.talk) as url:
        with pytest.raises(ConnectionFailed) as caught:
            await connected(endpoint(url), update)
    assert caught.value.failure is Failure.REFUSED_SETTINGS
    assert CANARY not in str(caught.value)
    return there


async def test_a_required_field_that_is_refused() -> None:
    there = await refusal(lambda _: {"code": "invalid_value", "param": "session.type"})
    assert len(there.updates) == 1
    written = session_update(Settings(), Mode.TEXT)
    assert len((await refusal(lambda _: {"code": "invalid_value", "param": "output_modalities"}, written)).updates) == 1


async def test_a_field_that_is_refused_even_when_it_is_left_out() -> None:
    there = await refusal(lambda _: {"code": "invalid_value", "message": CANARY, "param": "session.audio.output.voice"})
    assert len(there.updates) == 2


@pytest.mark.parametrize(
    "error",
    [
        {"code": None, "message": CANARY, "param": None},
        {"code": CANARY, "message": f"'{CANARY}' `x.y` \"z\"", "param": CANARY},
        {"code": 7, "message": 7, "param": 7},
    ],
)
async def test_a_refusal_that_names_nothing_of_ours(error: Event, caplog: pytest.LogCaptureFixture) -> None:
    there = await refusal(lambda _: error)
    assert len(there.updates) == 2, "once more with what every server knows, and no more"
    assert there.updates[1] == essentials(UPDATE)["session"]
    assert "not named" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize("confirms", [True, False])
async def test_a_server_that_complains_of_each_field_and_takes_the_rest(confirms: bool) -> None:
    """Speaches: one error for each field, none with an id, and then perhaps a confirmation."""
    updates: list[Event] = []
    picky = unknown("audio.output.speed"), unknown("audio.input.noise_reduction"), unknown("tool_choice")

    async def talk(socket: ServerConnection) -> None:
        await send(socket, {"type": "session.created", "session": {}})
        async for message in socket:
            event = json.loads(message)
            if event["type"] != "session.update":
                await send(socket, {"type": "that.is.all"})
                continue
            updates.append(event["session"])
            errors = [error for rule in picky if (error := rule(event["session"]))]
            await send(socket, *({"type": "error", "error": error} for error in errors))
            if confirms or not errors:
                await send(socket, {"type": "session.updated", "session": event["session"]})

    async with server(talk) as url, RealtimeConnection(endpoint(url), UPDATE) as connection:
        connection.send({"type": "say"})
        kinds = []
        async for event in connection.events():
            kinds.append(event["type"])
            if event["type"] == "that.is.all":
                break
    assert len(updates) == 4
    assert "error" not in kinds, "callers hear nothing of it, however late it comes"
    assert "tool_choice" not in updates[-1]


async def test_a_server_that_never_confirms_is_not_waited_for_again() -> None:
    async def talk(socket: ServerConnection) -> None:
        await send(socket, {"type": "session.created", "session": {}})
        await socket.wait_closed()

    async with server(talk) as url:
        to = endpoint(url)
        async with RealtimeConnection(to, UPDATE, ready_seconds=0.05):
            assert not to.refused.confirms
        async with asyncio.timeout(5), RealtimeConnection(to, UPDATE, ready_seconds=60):
            pass
    async with server(Picky(lambda _: None).talk) as url:
        again = Endpoint(ServerKind.CUSTOM, url, refused=to.refused)
        await connected(again)
        assert again.refused.confirms


async def test_a_server_that_refuses_everything_is_given_up() -> None:
    def rule(session: Event) -> Event | None:
        optional = [key for key in session if key not in ("type", "audio", "output_modalities")]
        inner = [f"audio.input.{key}" for key in session["audio"]["input"] if key != "format"]
        return unknown(*optional, *inner)(session) or {"code": "unknown_parameter", "message": "and more"}

    there = await refusal(rule)
    assert len(there.updates) == MAX_REFUSALS + 1


# -------------------------------------------------------------------- finding the field


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("session.audio.input.noise_reduction", "audio.input.noise_reduction"),
        ("audio.input.noise_reduction", "audio.input.noise_reduction"),
        ("noise_reduction", "audio.input.noise_reduction"),
        ("session.audio.input.turn_detection.eagerness", "audio.input.turn_detection.eagerness"),
        ("session.audio.input.turn_detection.type", "audio.input.turn_detection"),
        ("session.audio.input.turn_detection.threshold", "audio.input.turn_detection"),
        ("session.audio.input.transcription.model", "audio.input.transcription"),
        ("session.audio.input.format.rate", "audio.input.format.rate"),
        ("session.audio.input.format.type", "audio.input.format"),
        ("session.tools[0].name", "tools"),
        ("session.type", "type"),
        ("session", None),
        ("session.audio", None),
        ("session.audio.input", None),
        ("session.audio.video", None),
        ("format", None),
        ("temperature", None),
        ("session.input_audio_format", None),
    ],
)
def test_which_field_is_meant(name: str, field: str | None) -> None:
    found = refused_field(name, UPDATE)
    assert found == (tuple(field.split(".")) if field else None)


def test_what_a_session_cannot_be_without() -> None:
    written = session_update(Settings(), Mode.TEXT)
    assert is_required(("output_modalities",), written)
    assert not is_required(("output_modalities",), UPDATE)
    assert is_required(("type",), UPDATE)
    assert not is_required(("audio", "output", "voice"), UPDATE)


def test_what_only_a_beta_server_refuses() -> None:
    for name in ("session.type", "session.audio", "session.output_modalities", "session.modalities"):
        assert refuses_ga({"code": "unknown_parameter", "param": name})
        assert refuses_ga({"code": None, "message": f"Missing required parameter: '{name}'."})
        assert not refuses_ga({"code": "invalid_value", "param": name})
    assert not refuses_ga({"code": "unknown_parameter", "param": "session.audio.input.noise_reduction"})


def test_another_value_of_a_refused_field_is_tried() -> None:
    refused = Refused()
    refused.remember(("audio", "output", "voice"), "alloy")
    refused.remember(("audio", "input", "turn_detection"), None)
    spoken = refused.leave_out(UPDATE)
    assert "voice" not in spoken["session"]["audio"]["output"]
    assert spoken["session"]["audio"]["input"]["turn_detection"]
    other = session_update(Settings(voice="cedar"))
    assert refused.leave_out(other) == other
    assert "turn_detection" not in refused.leave_out(session_update(Settings(), Mode.TEXT))["session"]["audio"]["input"]
    assert UPDATE["session"]["audio"]["output"]["voice"] == "alloy", "what is given is not changed"


def test_what_is_remembered_is_bounded() -> None:
    refused = Refused()
    for number in range(MOST_REFUSED + 1):
        refused.remember(("max_output_tokens",), number)
    for number, kept in ((0, True), (1, False), (MOST_REFUSED, False)):
        update = {"session": {"max_output_tokens": number}}
        assert (refused.leave_out(update) == update) is kept


NAMES = st.lists(
    st.sampled_from(["session", "audio", "input", "output", "format", "type", "voice", "tools", "x", "[0]", ""]),
    max_size=5,
).map(".".join)
ODD = st.sampled_from([None, 7, [], {}, "'", "''", "' '", "[0]", "session.", "." * 50])


@given(st.fixed_dictionaries({"code": ODD, "param": NAMES | ODD, "message": NAMES.map("No '{}'.".format) | ODD}))
def test_any_error_is_understood_or_not(error: Event) -> None:
    assert refuses_ga(error) in (True, False)
    for name in names(error):
        path = refused_field(name, UPDATE)
        if path is not None:
            assert look_up(UPDATE["session"], path)[0]
            assert not look_up(without(UPDATE, path)["session"], path)[0]
