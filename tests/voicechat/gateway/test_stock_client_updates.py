"""`session.update` events that stock clients send without being asked: none of them loses its instructions or tools.

`tests/data/session_updates.json` holds the events of each client in order, recorded from the packages, and for
`openai-python`, `openai-node` and `openai-realtime-api-beta` taken from their sources. The instructions and the tool
are those of the recording program.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from offline.protocol.session_config import apply_session_update, default_session
from tests.support.offline.scripted_models import ModelScript, scripted_server
from tests.support.paths import ROOT
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.running_gateway import connected_client, running_gateway
from voicechat.config.session_update import SessionMode
from voicechat.gateway.client_event_policy import ClientEventPolicy
from voicechat.protocol.beta_dialect import Dialect

Event = dict[str, Any]
UPDATES: list[Event] = json.loads(Path(ROOT / "tests" / "data" / "session_updates.json").read_text("utf-8"))
OPERATORS_MODEL = "operators-model"

every_client = pytest.mark.parametrize("recorded", UPDATES, ids=lambda one: f"{one['client']}: {one['configuration']}")
every_mode = pytest.mark.parametrize("mode", SessionMode)


def forwarded_sessions(recorded: Event, mode: SessionMode) -> list[Event]:
    """Return what the gateway forwards to a GA server; raises for a rejection."""
    policy = ClientEventPolicy(mode, 1024, dialect=Dialect(recorded["dialect"]))
    policy.pin_transcription_model("operators-transcriber")
    texts = [
        text
        for session in recorded["sessions"]
        for text in policy.process_message(json.dumps({"type": "session.update", "session": session}))
    ]
    return [json.loads(text)["session"] for text in texts]


@every_client
@every_mode
def test_update_of_a_stock_client_keeps_instructions_and_tools(recorded: Event, mode: SessionMode) -> None:
    wanted = {name: value for session in recorded["sessions"] for name, value in session.items()}
    sent = forwarded_sessions(recorded, mode)
    merged = {name: value for session in sent for name, value in session.items()}
    assert (merged["instructions"], merged["tools"]) == (wanted["instructions"], wanted["tools"])
    assert not {"model", "tracing"} & merged.keys()
    given = wanted.get("output_modalities", wanted.get("modalities", []))
    expected = ["text"] if mode is SessionMode.TEXT or given == ["text"] else ["audio"]
    assert merged.get("output_modalities", expected) == expected


@every_client
@every_mode
def test_embedded_server_accepts_the_update_of_a_stock_client(recorded: Event, mode: SessionMode) -> None:
    session = default_session(OPERATORS_MODEL)
    for update in forwarded_sessions(recorded, mode):
        session = apply_session_update(session, update, model_is_fixed=True, voice_is_fixed=False)
    assert (session["instructions"], session["model"]) == ("Be brief.", OPERATORS_MODEL)
    assert [tool["name"] for tool in session["tools"]] == ["get_weather"]


@pytest.mark.parametrize("path", ["/realtime-voice", "/text-chat", "/v1/realtime"])
@pytest.mark.parametrize("dialect", Dialect)
async def test_session_updated_tells_the_operators_model(path: str, dialect: Dialect) -> None:
    """All clients of a dialect, one after the other in one session. `?model=` is a client's choice too."""
    async with (
        scripted_server(ModelScript()) as url,
        running_gateway(f"{url}?model={OPERATORS_MODEL}", READY_SECONDS="5") as ours,
        connected_client(ours.url(f"{path}?model=gpt-realtime-2.1&dialect={dialect}")) as client,
    ):
        created = await client.next_event()
        assert (created["type"], created["session"]["model"]) == ("session.created", OPERATORS_MODEL)
        for recorded in UPDATES:
            if recorded["dialect"] != dialect:
                continue
            for session in recorded["sessions"]:
                await client.send({"type": "session.update", "session": session})
                answer = await client.next_event()
                assert answer["type"] == "session.updated", answer
                assert (answer["session"]["model"], answer["session"].get("tracing")) == (OPERATORS_MODEL, None)
            assert answer["session"]["instructions"] == "Be brief."
            assert [tool["name"] for tool in answer["session"]["tools"]] == ["get_weather"]


async def test_response_with_a_model_is_answered_by_the_operators() -> None:
    script = ScriptedRealtimeServer()
    async with (
        running_server(script.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        await client.send({"type": "response.create", "response": {"model": "gpt-realtime", "instructions": "Hello."}})
        [sent] = await script.wait_for("response.create")
    assert sent["response"] == {"instructions": "Hello."}
