"""Preferences of a visitor during a call: sent when connected, kept across connections, reported when rejected."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from websockets.asyncio.server import Request, Response, ServerConnection

from realtime_handler import CallStage, Visitor
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server, send_events
from tests.support.sessions.fake_rtc_page import endpoint_at, running_call
from voicechat.config.call_preferences import LIVE_UPDATE_EVENT_ID, CallPreferences, EffectiveFrom, EndpointingSpeed
from voicechat.config.settings import Endpoint, Language
from voicechat.protocol.notices import Notice
from voicechat.protocol.unsupported_fields import UnsupportedFields

Event = dict[str, Any]


def silence_ms_of(update: Event) -> int:
    return int(update["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"])


class SlowConfirmingServer(ScriptedRealtimeServer):
    """Confirms its settings only on command."""

    def __init__(self) -> None:
        super().__init__()
        self.update_received = asyncio.Event()
        self.confirmation_allowed = asyncio.Event()

    async def handle_connection(self, socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {}})
        self.session_update = json.loads(await socket.recv())
        self.update_received.set()
        await self.confirmation_allowed.wait()
        await send_events(socket, {"type": "session.updated", "session": self.session_update["session"]})
        async for message in socket:
            async with self._changed:
                self.received.append(json.loads(message))
                self._changed.notify_all()


async def test_preferences_set_while_connecting_are_sent_once_connected() -> None:
    there = SlowConfirmingServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await asyncio.wait_for(there.update_received.wait(), 5)
        assert (
            await page.visitor.set_preferences(
                CallPreferences(endpointing_speed=EndpointingSpeed.PATIENT, max_cost_usd=0.5)
            )
            is EffectiveFrom.NOW
        )
        assert page.session._billing.visitor_limit_usd == 0.5
        there.confirmation_allowed.set()
        (sent_updates,) = await there.wait_for("session.update")
        assert silence_ms_of(there.session_update) == 350 and silence_ms_of(sent_updates) == 800


async def test_preferences_set_while_reconnecting_are_in_next_session_update() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.abort_connection()
        await page.wait_for_stage(CallStage.RECONNECTING)
        await page.visitor.set_preferences(CallPreferences(endpointing_speed=EndpointingSpeed.PATIENT))
        await page.wait_for_stage(CallStage.LISTENING)
        assert (
            silence_ms_of(
                there.received_of("session.update")[-1] if there.received_of("session.update") else there.session_update
            )
            == 800
        )
        await page.visitor.set_preferences(CallPreferences())
        assert (
            silence_ms_of((await there.wait_for("session.update", len(there.received_of("session.update")) or 1))[-1])
            == 350
        )


async def test_preferences_rejected_by_server_show_notice_and_are_sent_again() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await page.visitor.set_preferences(CallPreferences(instructions="Be a pirate."))
        (sent_updates,) = await there.wait_for("session.update")
        assert sent_updates["event_id"] == LIVE_UPDATE_EVENT_ID
        error = {
            "type": "invalid_request_error",
            "code": "invalid_value",
            "message": "No.",
            "event_id": LIVE_UPDATE_EVENT_ID,
        }
        await there.send({"type": "error", "error": error})
        await page.wait_for_snapshot(lambda now: now.notice == Notice.PREFERENCE_REJECTED)
        await page.visitor.set_preferences(
            CallPreferences(instructions="Be a pirate.", endpointing_speed=EndpointingSpeed.PATIENT)
        )
        again = (await there.wait_for("session.update", 2))[-1]
        assert again["session"]["instructions"] == "Be a pirate.", "sent again: the server has not confirmed it"


async def test_model_preference_during_call_applies_to_next_call() -> None:
    asked: list[str] = []

    def note(request: Request) -> Response | None:
        asked.append(request.path.partition("?")[2])
        return None

    there, visitor = ScriptedRealtimeServer(), Visitor()
    async with running_server(there.handle_connection, note) as url:
        for _ in range(2):
            async with running_call(endpoint_at(url), visitor, models=("better",)) as page:
                await page.wait_for_stage(CallStage.LISTENING)
                assert await visitor.set_preferences(CallPreferences(model="better")) in (
                    EffectiveFrom.NEXT_CALL,
                    EffectiveFrom.NOTHING,
                )
                assert not there.received_of("session.update")
    assert asked == ["model=m", "model=better"]


async def test_unsupported_field_of_one_visitor_is_still_sent_for_others() -> None:
    class PromptRejectingServer(ScriptedRealtimeServer):
        async def handle_connection(self, socket: ServerConnection) -> None:
            await send_events(socket, {"type": "session.created", "session": {}})
            async for message in socket:
                event = json.loads(message)
                if event["type"] == "session.update":
                    self.session_update = event
                    if event["session"].get("instructions") == "Be a pirate.":
                        self.received.append(event)
                        about = {"param": "session.instructions", "event_id": event["event_id"]}
                        await send_events(socket, {"type": "error", "error": {"code": "invalid_value", **about}})
                        continue
                    await send_events(socket, {"type": "session.updated", "session": event["session"]})

    there, refused = PromptRejectingServer(), UnsupportedFields()
    async with running_server(there.handle_connection) as url:
        found = endpoint_at(url)("")
        assert isinstance(found, Endpoint)
        ours = replace(found, unsupported_fields=refused)
        visitor = Visitor()
        visitor.preferences = CallPreferences(instructions="Be a pirate.")
        async with running_call(lambda _: ours, visitor) as page:
            await page.wait_for_stage(CallStage.LISTENING)
        assert len(there.received) == 1 and "instructions" not in there.session_update["session"]
    assert refused.filter_update({"session": {"instructions": "Be a pirate."}}) == {
        "session": {"instructions": "Be a pirate."}
    }


async def test_transcription_model_of_server_is_kept() -> None:
    class OwnModelServer(ScriptedRealtimeServer):
        async def handle_connection(self, socket: ServerConnection) -> None:
            model = {"audio": {"input": {"transcription": {"model": "its-own"}}}}
            await send_events(socket, {"type": "session.created", "session": model})
            self.session_update = json.loads(await socket.recv())
            await send_events(socket, {"type": "session.updated", "session": self.session_update["session"]})
            async for message in socket:
                async with self._changed:
                    self.received.append(json.loads(message))
                    self._changed.notify_all()

    there = OwnModelServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        assert "transcription" not in there.session_update["session"]["audio"]["input"]
        await page.visitor.set_preferences(CallPreferences(language=Language.CHINESE))
        (sent_updates,) = await there.wait_for("session.update")
        assert sent_updates["session"]["audio"]["input"]["transcription"] == {"language": "zh"}
