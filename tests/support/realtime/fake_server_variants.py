"""Variants of Realtime servers: the official one, and servers that resemble it.

Their error messages quote the key and the prompt, as some real servers do.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from websockets.asyncio.server import ServerConnection

from . import server_events
from .fake_realtime_server import running_server, send_events

Event = dict[str, Any]

KEY = "sk-canary-key-0123456789"
PROMPT = "You are the canary prompt."
TYPED = "Canary typed words"
SPOKEN = "Canary spoken words"
REPLY = "Canary reply"
SECRETS = (KEY, PROMPT, TYPED, SPOKEN, REPLY, "canary")
REPLY_MS = 100


def error_event(code: str | None, kind: str = "invalid_request_error", **more: Any) -> Event:
    """Return an `error` event whose message contains canaries."""
    message = f"Incorrect API key provided: {KEY}. Instructions were '{PROMPT}'."
    about = {"type": kind, "code": code, "message": message, "param": None, "event_id": None, **more}
    return {"type": "error", "event_id": "event_1", "error": about}


def text_reply_events(number: int) -> list[Event]:
    """Return the GA events of a written reply, in order."""
    reply, item = f"r{number}", f"a{number}"
    about = {"response_id": reply, "item_id": item, "output_index": 0, "content_index": 0}
    message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    done = {**message, "status": "completed", "content": [{"type": "output_text", "text": REPLY}]}
    return [
        {"type": "response.created", "response": {"id": reply, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "response_id": reply, "output_index": 0, "item": message},
        {"type": "conversation.item.added", "previous_item_id": None, "item": message},
        {"type": "response.content_part.added", **about, "part": {"type": "text", "text": ""}},
        {"type": "response.output_text.delta", **about, "delta": REPLY},
        {"type": "response.output_text.done", **about, "text": REPLY},
        {"type": "response.content_part.done", **about, "part": {"type": "text", "text": REPLY}},
        {"type": "conversation.item.done", "previous_item_id": None, "item": done},
        {"type": "response.output_item.done", "response_id": reply, "output_index": 0, "item": done},
        {"type": "response.done", "response": {"id": reply, "status": "completed", "output": [done], "usage": None}},
    ]


@dataclass(slots=True)
class OfficialServer:
    """Server that follows the protocol. The other variants override its differences."""

    connection_count: int = 0
    session_updates: list[Event] = field(default_factory=list)
    received: list[Event] = field(default_factory=list)
    """Received events, without settings and appended audio."""
    rejected_types: list[str] = field(default_factory=list)
    """Types of received events that this server does not support."""
    sockets: list[ServerConnection] = field(default_factory=list)

    confirm_timeout_s: ClassVar[float] = 3.0
    """Seconds after which a client may continue without a confirmation of its settings."""
    accepted_types: ClassVar[frozenset[str]] = frozenset(
        {
            "session.update",
            "input_audio_buffer.append",
            "conversation.item.create",
            "conversation.item.delete",
            "conversation.item.truncate",
            "response.create",
            "response.cancel",
        }
    )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve until the block ends; yields the URL."""
        async with running_server(self.handle_connection) as url:
            yield url

    async def handle_connection(self, socket: ServerConnection) -> None:
        self.connection_count += 1
        self.sockets.append(socket)
        await self.send_session_created(socket)
        async for message in socket:
            event = json.loads(message)
            if event["type"] not in self.accepted_types:
                self.rejected_types.append(event["type"])
                await send_events(socket, error_event("invalid_value", param="type", event_id=event.get("event_id")))
            else:
                await self.handle_event(socket, event)

    async def handle_event(self, socket: ServerConnection, event: Event) -> None:
        if event["type"] == "session.update":
            self.session_updates.append(event["session"])
            error = self.session_update_error(event["session"])
            if error is None:
                await self.send_session_updated(socket, event["session"])
            else:
                error["error"].setdefault("event_id", event.get("event_id"))
                await send_events(socket, error)
        elif event["type"] == "conversation.item.create":
            self.received.append(event)
            item = {**event["item"], "status": "completed"}
            await self.send_in_dialect(
                {"type": "conversation.item.added", "previous_item_id": None, "item": item},
                {"type": "conversation.item.done", "previous_item_id": None, "item": item},
            )
        elif event["type"] == "response.create":
            self.received.append(event)
            await self.send_reply(socket)
        elif event["type"] != "input_audio_buffer.append":
            self.received.append(event)

    async def send_session_created(self, socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": self.session_object({})})

    async def send_session_updated(self, socket: ServerConnection, settings: Event) -> None:
        await send_events(socket, {"type": "session.updated", "session": self.session_object(settings)})

    async def finish_confirming(self) -> None:
        """Send the confirmations that are still to come."""

    async def send_reply(self, socket: ServerConnection) -> None:
        await self.send_in_dialect(*self.reply_events(len(self.received)))

    def reply_events(self, number: int) -> list[Event]:
        if self.is_audio_reply:
            return server_events.complete_response(f"r{number}", f"a{number}", REPLY, REPLY_MS)
        return text_reply_events(number)

    @property
    def is_audio_reply(self) -> bool:
        return bool(self.settings.get("output_modalities") == ["audio"])

    @property
    def settings(self) -> Event:
        """Settings of all updates, the newest of each field. An update in mid-call has some of them only."""
        return {name: value for update in self.session_updates for name, value in update.items()}

    def session_object(self, settings: Event) -> Event:
        return {"type": "realtime", "object": "realtime.session", "id": "sess_1", **settings}

    def session_update_error(self, settings: Event) -> Event | None:
        """Return the error event for unacceptable settings, or None."""
        if "modalities" in settings or settings.get("type") != "realtime":
            return error_event("unknown_parameter", param="session.modalities")
        return None

    async def send_in_dialect(self, *events: Event) -> None:
        """Send events of the official server in this server's dialect."""
        await send_events(self.sockets[-1], *(own for event in events for own in self.to_dialect(event)))

    def to_dialect(self, event: Event) -> list[Event]:
        """Return the events that this server sends for one event of the official server."""
        return [event]

    async def simulate_spoken_turn(self) -> None:
        """Send the events of a spoken turn and its reply."""
        await self.send_in_dialect(
            server_events.speech_started("u1"),
            *server_events.turn_committed("u1"),
            server_events.transcription_completed("u1", SPOKEN),
            *self.reply_events(1),
        )


class LateConfirmingServer(OfficialServer):
    """Server that confirms its first settings late, when the session is in use."""

    confirm_timeout_s = 0.3

    async def send_session_updated(self, socket: ServerConnection, settings: Event) -> None:
        if len(self.session_updates) > 1:
            await OfficialServer.send_session_updated(self, socket, settings)

    async def finish_confirming(self) -> None:
        await OfficialServer.send_session_updated(self, self.sockets[-1], self.session_updates[0])


class StrippingServer(OfficialServer):
    """Server that confirms the kind of turn detection only, without its fields."""

    def session_object(self, settings: Event) -> Event:
        bare = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
        return {**OfficialServer.session_object(self, settings), **bare}


class StubbornServer(OfficialServer):
    """Server that always interrupts its replies, and says so."""

    def session_object(self, settings: Event) -> Event:
        fields = {"type": "server_vad", "create_response": True, "interrupt_response": True}
        own = {"audio": {"input": {"turn_detection": fields}}}
        return {**OfficialServer.session_object(self, settings), **own}


class LocalAiServer(OfficialServer):
    """LocalAI: no `conversation.item.done`, no real event ids, and additional events.

    It has one transcription model and one voice. Its error for another one does not name the field.
    """

    def session_object(self, settings: Event) -> Event:
        base = {"audio": {"input": {"transcription": {"model": "pipeline-model"}}, "output": {"voice": "theirs"}}}
        return {**OfficialServer.session_object(self, base), **settings}

    def session_update_error(self, settings: Event) -> Event | None:
        audio = settings.get("audio", {})
        model = (audio.get("input", {}).get("transcription") or {}).get("model", "pipeline-model")
        voice = audio.get("output", {}).get("voice", "theirs")
        if (model, voice) != ("pipeline-model", "theirs"):
            return {"type": "error", "error": {"type": "invalid_request_error", "code": "session_update_error"}}
        return None

    def to_dialect(self, event: Event) -> list[Event]:
        if event["type"] in ("conversation.item.done", "rate_limits.updated"):
            return []
        named = {**event, "event_id": "event_TODO"}
        extra = {"type": "localai.speaker", "event_id": "event_TODO", "speaker": {"name": "someone"}}
        return [extra, named] if event["type"] == "input_audio_buffer.speech_started" else [named]


class SpeechToSpeechServer(OfficialServer):
    """Hugging Face's speech-to-speech: no content parts, few items, no commit, no confirmed settings, no truncation."""

    confirm_timeout_s = 0.3
    omitted_events = (
        "response.content_part.",
        "response.output_item.",
        "conversation.item.done",
        "input_audio_buffer.commi",
    )

    async def send_session_updated(self, socket: ServerConnection, settings: Event) -> None:
        pass

    def to_dialect(self, event: Event) -> list[Event]:
        if event["type"] == "conversation.item.added":
            is_spoken = event["item"]["role"] == "assistant" or event["item"]["content"][0]["type"] == "input_audio"
            return [] if is_spoken else [{"type": "conversation.item.created", "item": event["item"]}]
        return [] if event["type"].startswith(self.omitted_events) else [event]


BETA_SESSION_FIELDS = frozenset(
    {
        "modalities",
        "instructions",
        "voice",
        "speed",
        "input_audio_format",
        "output_audio_format",
        "input_audio_transcription",
        "input_audio_noise_reduction",
        "turn_detection",
        "tools",
        "tool_choice",
        "temperature",
        "max_response_output_tokens",
    }
)
BETA_EVENT_NAMES = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "conversation.item.added": "conversation.item.created",
}


class BetaServer(OfficialServer):
    """Official server of 2024-25: flat settings, old names; one unknown field rejects the whole update."""

    def session_object(self, settings: Event) -> Event:
        base = {
            "modalities": ["audio", "text"],
            "input_audio_format": "pcm16",
            "turn_detection": {"type": "server_vad"},
        }
        return {"object": "realtime.session", "id": "sess_1", "model": "m", **base, **settings}

    @property
    def is_audio_reply(self) -> bool:
        return "audio" in self.settings["modalities"]

    def session_update_error(self, settings: Event) -> Event | None:
        for key in settings:
            if key not in BETA_SESSION_FIELDS:
                return error_event("unknown_parameter", param=f"session.{key}")
        return None

    async def handle_event(self, socket: ServerConnection, event: Event) -> None:
        content = event["item"]["content"][0]["type"] if "item" in event else "text"
        if content not in ("input_text", "text") or "output_modalities" in event.get("response", {}):
            self.rejected_types.append(event["type"])
        await OfficialServer.handle_event(self, socket, event)

    def to_dialect(self, event: Event) -> list[Event]:
        if event["type"] == "conversation.item.done":
            return []
        text = json.dumps({**event, "type": BETA_EVENT_NAMES.get(event["type"], event["type"])})
        beta: Event = json.loads(text.replace('"output_text"', '"text"').replace('"output_audio"', '"audio"'))
        return [beta]


class UnannouncedBetaServer(BetaServer):
    """Beta server whose dialect is visible only in its errors."""

    async def send_session_created(self, socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {"id": "sess_1"}})


class SpeachesServer(BetaServer):
    """speaches: beta dialect; errors without ids for each setting that it cannot change, and the others take effect.

    A transcription of null rejects the whole update. `response.cancel` and truncation have no effect.
    """

    accepted_types = OfficialServer.accepted_types - {"response.cancel", "conversation.item.truncate"}
    unchangeable_fields = ("input_audio_format", "output_audio_format", "turn_detection.prefix_padding_ms")

    def session_object(self, settings: Event) -> Event:
        return {
            **BetaServer.session_object(self, settings),
            "input_audio_transcription": {"model": "theirs"},
            "voice": "theirs",
        }

    def session_update_error(self, settings: Event) -> Event | None:
        if settings.get("input_audio_transcription", {}) is None or "voice" in settings:
            return self.error_without_id("Invalid client event: 1 validation error(s)")
        return None

    def error_without_id(self, message: str) -> Event:
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message, "event_id": None}}

    async def send_session_updated(self, socket: ServerConnection, settings: Event) -> None:
        for field_name in self.unchangeable_fields:
            table, _, inner = field_name.partition(".")
            if table in settings and (not inner or inner in (settings[table] or {})):
                await send_events(socket, self.error_without_id(f"Specifying `session.{field_name}` is not supported."))
        await BetaServer.send_session_updated(self, socket, settings)

    async def handle_connection(self, socket: ServerConnection) -> None:
        self.connection_count += 1
        self.sockets.append(socket)
        await self.send_session_created(socket)
        async for message in socket:
            event = json.loads(message)
            if event["type"] in self.accepted_types:
                await self.handle_event(socket, event)
            else:
                self.rejected_types.append(event["type"])
