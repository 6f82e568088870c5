"""Settings that a server rejects, and servers that only know the beta dialect."""

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

from tests.support.realtime.fake_realtime_server import running_server, send_events
from voicechat.config.session_update import SessionMode, build_session_update
from voicechat.config.settings import Endpoint, ServerKind, Settings, TurnDetection
from voicechat.protocol.failures import ConnectionFailed, Failure
from voicechat.protocol.unsupported_fields import (
    MAX_REMEMBERED_FIELDS,
    UnsupportedFields,
    find_rejected_field,
    is_required,
    keep_essential_fields,
    look_up,
    named_fields,
    rejects_ga,
    without_field,
)
from voicechat.upstream.connection import RealtimeConnection
from voicechat.upstream.handshake import MAX_REJECTED_FIELDS

Event = dict[str, Any]

CANARY = "canary-4711"
UPDATE = build_session_update(Settings(turn_detection=TurnDetection.SEMANTIC))


class RejectingServer:
    """A server that refuses what its rule says, and confirms what is left."""

    def __init__(self, rule: Callable[[Event], Event | list[Event] | None], *, echoes_event_id: bool = True) -> None:
        self.rule = rule
        self.echoes_event_id = echoes_event_id
        self.session_updates: list[Event] = []

    async def handle_connection(self, socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {"type": "realtime"}})
        async for message in socket:
            update = json.loads(message)
            self.session_updates.append(update["session"])
            errors = self.rule(update["session"]) or []
            for error in errors if isinstance(errors, list) else [errors]:
                about = update.get("event_id") if self.echoes_event_id else None
                await send_events(socket, {"type": "error", "error": {**error, "event_id": about}})
            if not errors:
                await send_events(socket, {"type": "session.updated", "session": update["session"]})


def rejects_fields(*fields: str, param: bool = True) -> Callable[[Event], Event | None]:
    """Refuses the first of these fields that is there, as OpenAI does."""

    def rule(session: Event) -> Event | None:
        for field in fields:
            if look_up(session, tuple(field.split(".")))[0]:
                name = f"session.{field}"
                message = f"Unknown parameter: '{name}'. {CANARY}"
                return {"code": "unknown_parameter", "message": message, "param": name if param else None}
        return None

    return rule


def make_endpoint(url: str) -> Endpoint:
    return Endpoint(ServerKind.CUSTOM, url)


async def connect_and_update(to: Endpoint, update: Event = UPDATE) -> list[str]:
    """Connects, and returns the types of the events before readiness."""
    async with RealtimeConnection(to, update, connect_seconds=5, ready_seconds=5) as connection:
        events = connection.events()
        kinds = [(await anext(events))["type"]]
        while kinds[-1] != "session.updated":
            kinds.append((await anext(events))["type"])
        return kinds


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("param", [True, False])
async def test_rejected_field_is_removed_and_logged(param: bool, echo: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    there = RejectingServer(
        rejects_fields("audio.input.noise_reduction", "audio.input.turn_detection.eagerness", param=param),
        echoes_event_id=echo,
    )
    async with running_server(there.handle_connection) as url:
        assert await connect_and_update(make_endpoint(url)) == ["session.created", "session.updated"], (
            "our own trouble stays here"
        )
    first, second, third = there.session_updates
    assert first == UPDATE["session"]
    assert "noise_reduction" not in second["audio"]["input"]
    assert second["audio"]["input"]["turn_detection"] == UPDATE["session"]["audio"]["input"]["turn_detection"]
    assert third["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
    assert "eagerness" not in third["audio"]["input"]["turn_detection"]
    assert third["instructions"] == UPDATE["session"]["instructions"]
    named = [record.getMessage() for record in caplog.records if "setting rejected" in record.getMessage()]
    assert len(named) == 2
    assert "field=audio.input.noise_reduction code=unknown_parameter" in named[0]
    assert "field=audio.input.turn_detection.eagerness code=unknown_parameter" in named[1]
    assert CANARY not in caplog.text


async def test_rejected_field_is_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    there = RejectingServer(rejects_fields("reasoning", "audio.input.noise_reduction"))
    update = build_session_update(Settings(openai_api_key="sk-x"))
    async with running_server(there.handle_connection) as url:
        to = make_endpoint(url)
        await connect_and_update(to, update)
        caplog.clear()
        await connect_and_update(to, update)
    assert len(there.session_updates) == 4
    assert there.session_updates[3] == there.session_updates[2]
    assert "rejected" not in caplog.text


async def test_several_rejections_of_one_update_remove_every_field() -> None:
    """One error for each field: the second is late, about settings sent again since."""
    fields = ("audio.output.speed", "audio.input.noise_reduction")

    def rule(session: Event) -> list[Event]:
        return [error for field in fields if (error := rejects_fields(field)(session))]

    there = RejectingServer(rule)
    async with running_server(there.handle_connection) as url:
        await connect_and_update(make_endpoint(url))
    assert "speed" not in there.session_updates[-1]["audio"]["output"]
    assert "noise_reduction" not in there.session_updates[-1]["audio"]["input"]


async def raise_for_rule(
    rule: Callable[[Event], Event | list[Event] | None], update: Event = UPDATE
) -> RejectingServer:
    """Connects to a server that cannot be pleased."""
    there = RejectingServer(rule)
    async with running_server(there.handle_connection) as url:
        with pytest.raises(ConnectionFailed) as caught:
            await connect_and_update(make_endpoint(url), update)
    assert caught.value.failure is Failure.REFUSED_SETTINGS
    assert CANARY not in str(caught.value)
    return there


async def test_rejected_required_field_fails() -> None:
    there = await raise_for_rule(lambda _: {"code": "invalid_value", "param": "session.type"})
    assert len(there.session_updates) == 1
    written = build_session_update(Settings(), SessionMode.TEXT)
    assert (
        len(
            (
                await raise_for_rule(lambda _: {"code": "invalid_value", "param": "output_modalities"}, written)
            ).session_updates
        )
        == 1
    )


async def test_removed_field_rejected_again_fails() -> None:
    there = await raise_for_rule(
        lambda _: {"code": "invalid_value", "message": CANARY, "param": "session.audio.output.voice"}
    )
    assert len(there.session_updates) == 2


@pytest.mark.parametrize(
    "error",
    [
        {"code": None, "message": CANARY, "param": None},
        {"code": CANARY, "message": f"'{CANARY}' `x.y` \"z\"", "param": CANARY},
        {"code": 7, "message": 7, "param": 7},
    ],
)
async def test_rejection_without_a_known_field_keeps_the_essentials(
    error: Event, caplog: pytest.LogCaptureFixture
) -> None:
    there = await raise_for_rule(lambda _: error)
    assert len(there.session_updates) == 2, "once more with what every server knows, and no more"
    assert there.session_updates[1] == keep_essential_fields(UPDATE)["session"]
    assert "field=unnamed" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize("confirms", [True, False])
async def test_server_rejecting_field_by_field_gets_the_rest(confirms: bool) -> None:
    """Speaches: one error for each field, none with an id, and then perhaps a confirmation."""
    updates: list[Event] = []
    picky = (
        rejects_fields("audio.output.speed"),
        rejects_fields("audio.input.noise_reduction"),
        rejects_fields("tool_choice"),
    )

    async def talk(socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {}})
        async for message in socket:
            event = json.loads(message)
            if event["type"] != "session.update":
                await send_events(socket, {"type": "that.is.all"})
                continue
            updates.append(event["session"])
            errors = [error for rule in picky if (error := rule(event["session"]))]
            await send_events(socket, *({"type": "error", "error": error} for error in errors))
            if confirms or not errors:
                await send_events(socket, {"type": "session.updated", "session": event["session"]})

    async with running_server(talk) as url, RealtimeConnection(make_endpoint(url), UPDATE) as connection:
        connection.send({"type": "say"})
        kinds = []
        async for event in connection.events():
            kinds.append(event["type"])
            if event["type"] == "that.is.all":
                break
    assert len(updates) == 4
    assert "error" not in kinds, "callers hear nothing of it, however late it comes"
    assert "tool_choice" not in updates[-1]


async def test_unconfirming_server_is_not_waited_for_again() -> None:
    async def talk(socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {}})
        await socket.wait_closed()

    async with running_server(talk) as url:
        to = make_endpoint(url)
        async with RealtimeConnection(to, UPDATE, ready_seconds=0.05):
            assert not to.unsupported_fields.confirms_updates
        async with asyncio.timeout(5), RealtimeConnection(to, UPDATE, ready_seconds=60):
            pass
    async with running_server(RejectingServer(lambda _: None).handle_connection) as url:
        again = Endpoint(ServerKind.CUSTOM, url, unsupported_fields=to.unsupported_fields)
        await connect_and_update(again)
        assert again.unsupported_fields.confirms_updates


async def test_server_rejecting_everything_fails() -> None:
    def rule(session: Event) -> Event | None:
        optional = [key for key in session if key not in ("type", "audio", "output_modalities")]
        inner = [f"audio.input.{key}" for key in session["audio"]["input"] if key != "format"]
        return rejects_fields(*optional, *inner)(session) or {"code": "unknown_parameter", "message": "and more"}

    there = await raise_for_rule(rule)
    assert len(there.session_updates) == MAX_REJECTED_FIELDS + 1


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
def test_find_rejected_field_table(name: str, field: str | None) -> None:
    found = find_rejected_field(name, UPDATE)
    assert found == (tuple(field.split(".")) if field else None)


def test_is_required_table() -> None:
    written = build_session_update(Settings(), SessionMode.TEXT)
    assert is_required(("output_modalities",), written)
    assert not is_required(("output_modalities",), UPDATE)
    assert is_required(("type",), UPDATE)
    assert not is_required(("audio", "output", "voice"), UPDATE)


def test_rejects_ga_table() -> None:
    for name in ("session.type", "session.audio", "session.output_modalities", "session.modalities"):
        assert rejects_ga({"code": "unknown_parameter", "param": name})
        assert rejects_ga({"code": None, "message": f"Missing required parameter: '{name}'."})
        assert not rejects_ga({"code": "invalid_value", "param": name})
    assert not rejects_ga({"code": "unknown_parameter", "param": "session.audio.input.noise_reduction"})


def test_another_value_of_a_rejected_field_is_sent() -> None:
    refused = UnsupportedFields()
    refused.add(("audio", "output", "voice"), "alloy")
    refused.add(("audio", "input", "turn_detection"), None)
    spoken = refused.filter_update(UPDATE)
    assert "voice" not in spoken["session"]["audio"]["output"]
    assert spoken["session"]["audio"]["input"]["turn_detection"]
    other = build_session_update(Settings(voice="cedar"))
    assert refused.filter_update(other) == other
    assert (
        "turn_detection"
        not in refused.filter_update(build_session_update(Settings(), SessionMode.TEXT))["session"]["audio"]["input"]
    )
    assert UPDATE["session"]["audio"]["output"]["voice"] == "alloy", "what is given is not changed"


def test_unsupported_fields_are_bounded() -> None:
    refused = UnsupportedFields()
    for number in range(MAX_REMEMBERED_FIELDS + 1):
        refused.add(("max_output_tokens",), number)
    for number, kept in ((0, True), (1, False), (MAX_REMEMBERED_FIELDS, False)):
        update = {"session": {"max_output_tokens": number}}
        assert (refused.filter_update(update) == update) is kept


NAMES = st.lists(
    st.sampled_from(["session", "audio", "input", "output", "format", "type", "voice", "tools", "x", "[0]", ""]),
    max_size=5,
).map(".".join)
ODD = st.sampled_from([None, 7, [], {}, "'", "''", "' '", "[0]", "session.", "." * 50])


@given(st.fixed_dictionaries({"code": ODD, "param": NAMES | ODD, "message": NAMES.map("No '{}'.".format) | ODD}))
def test_any_error_names_existing_fields_or_none(error: Event) -> None:
    assert rejects_ga(error) in (True, False)
    for name in named_fields(error):
        path = find_rejected_field(name, UPDATE)
        if path is not None:
            assert look_up(UPDATE["session"], path)[0]
            assert not look_up(without_field(UPDATE, path)["session"], path)[0]
