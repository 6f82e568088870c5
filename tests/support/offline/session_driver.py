"""Session driver: sends events and results to a session by hand and checks its outputs.

`ProtocolChecker` asserts the rules of every stream of server events; `SessionDriver` passes each output to it.
"""

from __future__ import annotations

import base64
import random
from typing import Any, get_args

from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

from offline.protocol.outputs import CloseConnection, IdGenerator, Output, SendEvent, SubmitWork
from offline.protocol.worker_messages import (
    FinalTranscript,
    Generate,
    Recognize,
    ReplyDone,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
    Work,
    WorkResult,
)
from offline.session.session import Session

from .scripted_models import silence, tone, tone_probability

Json = dict[str, Any]
SERVER_EVENT_ADAPTER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


OWN_FIELDS = {
    "conversation.item.input_audio_transcription.completed": {"endpoint_fault"},
    "input_audio_buffer.speech_stopped": {"silence_ms"},
    "session.updated": {"adaptive_silence"},
    "response.done": {"answered_by", "speech_fault"},
}
"""Additions of this server, by the type of the event: who did the work, and how a turn ended."""


def parse_event(event: Json) -> BaseModel:
    """Parse the event strictly as the official client's class of its type. Fails on undeclared fields."""
    parsed: BaseModel = SERVER_EVENT_ADAPTER.validate_python(event, strict=True)
    assert event["type"] in get_args(type(parsed).model_fields["type"].annotation), (event["type"], type(parsed))
    # Session fields that the service sends and the official types lack (seen in recorded traffic).
    extra = {name for name, _ in undeclared_fields(parsed)} - OWN_FIELDS.get(event["type"], set())
    assert extra <= {"object", "id", "expires_at"} and (not extra or event["type"].startswith("session.")), extra
    return parsed


def undeclared_fields(value: Any) -> list[tuple[str, Any]]:
    """Return the fields anywhere in a parsed event that its class does not declare."""
    if isinstance(value, BaseModel):
        found = list((value.model_extra or {}).items())
        for name in type(value).model_fields:
            found += undeclared_fields(getattr(value, name))
        return found
    if isinstance(value, list):
        return [extra for entry in value for extra in undeclared_fields(entry)]
    return []


class ProtocolChecker:
    """Follows one stream of server events and fails at a violation of the protocol."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.event_ids: set[str] = set()
        self.active_responses: dict[str, Json] = {}
        """Responses in progress, with their open items and parts."""
        self.finished_responses: set[str] = set()
        self.item_order: list[str] = []
        self.open_items: set[str] = set()
        self.deltas: dict[tuple[str, str], str] = {}

    def check(self, event: Json) -> None:
        """Check the next event."""
        parse_event(event)
        assert event["event_id"] not in self.event_ids
        self.event_ids.add(event["event_id"])
        self.events.append(event)
        kind = event["type"]
        if kind in ("response.created", "response.done"):
            self._check_response(kind, event["response"])
        elif kind.startswith("response."):
            self._check_response_part(kind, event)
        elif kind == "conversation.item.added":
            self._check_item_added(event)
        elif kind == "conversation.item.done":
            assert event["item"]["id"] in self.open_items
            self.open_items.remove(event["item"]["id"])
            assert event["item"].get("status") != "in_progress"
        elif kind == "conversation.item.deleted":
            self.item_order.remove(event["item_id"])

    def assert_all_done(self) -> None:
        """Assert that no response or item is open."""
        assert not self.active_responses and not self.open_items

    def _check_response(self, kind: str, response: Json) -> None:
        name = response["id"]
        if kind == "response.created":
            assert name not in self.active_responses and name not in self.finished_responses
            assert response["status"] == "in_progress" and response["output"] == [] and response["usage"] is None
            self.active_responses[name] = {"default": response["conversation_id"] is not None, "items": [], "open": {}}
            assert sum(one["default"] for one in self.active_responses.values()) <= 1
            return
        one = self.active_responses.pop(name)
        self.finished_responses.add(name)
        assert not one["open"], "parts or items are left open"
        assert [item["id"] for item in response["output"]] == one["items"]
        assert response["status"] in ("completed", "cancelled", "failed", "incomplete")
        assert (response["status_details"] is None) == (response["status"] == "completed")
        if response["usage"]:
            usage = response["usage"]
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
            read, written = usage["input_token_details"], usage["output_token_details"]
            assert usage["input_tokens"] == read["text_tokens"] + read["audio_tokens"]
            assert usage["output_tokens"] == written["text_tokens"] + written["audio_tokens"]
            assert read["cached_tokens"] <= usage["input_tokens"]

    def _check_response_part(self, kind: str, event: Json) -> None:
        one = self.active_responses[event["response_id"]]
        item_id = event.get("item_id") or event["item"]["id"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(one["items"]) and not one["open"]
            one["items"].append(item_id)
            one["open"][item_id] = "item"
            return
        assert one["items"][event["output_index"]] == item_id and item_id in one["open"]
        if kind == "response.output_item.done":
            assert one["open"].pop(item_id) in ("item", "part done")
            assert not one["default"] or item_id not in self.open_items
        elif kind == "response.content_part.added":
            assert one["open"][item_id] == "item"
            one["open"][item_id] = "part"
        elif kind == "response.content_part.done":
            assert one["open"][item_id] == "part"
            one["open"][item_id] = "part done"
            text = event["part"].get("transcript", event["part"].get("text"))
            assert text == self.deltas.get((item_id, "text"), "")
        elif kind.endswith(".delta"):
            assert event["delta"]
            sort = "audio" if kind == "response.output_audio.delta" else "text"
            self.deltas[item_id, sort] = self.deltas.get((item_id, sort), "") + event["delta"]
        elif kind == "response.function_call_arguments.done":
            assert event["arguments"] == self.deltas[item_id, "text"]

    def _check_item_added(self, event: Json) -> None:
        item_id, previous = event["item"]["id"], event["previous_item_id"]
        assert item_id not in self.item_order
        self.item_order.insert(0 if previous is None else self.item_order.index(previous) + 1, item_id)
        self.open_items.add(item_id)


class SessionDriver:
    """Session with direct access to its inputs, outputs and time."""

    def __init__(
        self, *, model_is_fixed: bool = True, seed: int = 1, sees_images: bool = False, **session: Any
    ) -> None:
        self.now = 100.0
        self.checker = ProtocolChecker()
        self.submitted_work: list[Work] = []
        self.close: CloseConnection | None = None
        self.session = Session(
            model="offline",
            ids=IdGenerator(random.Random(seed)),
            vad=tone_probability,
            now=self.now,
            unix_time=1_800_000_000.0,
            model_is_fixed=model_is_fixed,
            sees_images=lambda: sees_images,
        )
        self.created = self.collect(self.session.start())[0]
        if session:
            self.update(**session)

    def collect(self, outputs: list[Output]) -> list[Json]:
        """Check outputs and return the events among them."""
        events = []
        for output in outputs:
            assert self.close is None, "nothing comes after the end"
            if isinstance(output, SendEvent):
                self.checker.check(output.event)
                events.append(output.event)
            elif isinstance(output, SubmitWork):
                self.submitted_work.append(output.work)
            else:
                self.close = output
        return events

    def send_event(self, kind: str, **fields: Any) -> list[Json]:
        """Send a client event; return the events that follow."""
        return self.collect(self.session.handle_event({"type": kind, **fields}, self.now))

    def send_frame(self, text: str) -> list[Json]:
        """Send a text frame; return the events that follow."""
        return self.collect(self.session.handle_text(text, self.now))

    def deliver(self, result: WorkResult) -> list[Json]:
        """Deliver a worker result; return the events that follow."""
        return self.collect(self.session.handle_result(result, self.now))

    def advance(self, seconds: float) -> list[Json]:
        """Advance the time; return the events that follow."""
        self.now += seconds
        return self.collect(self.session.tick(self.now))

    @property
    def item_ids(self) -> list[str]:
        """Ids of the conversation's items in order, as the session stores them."""
        return [item.id for item in self.session._context.conversation.items]

    # ------------------------------------------------------------------ shortcuts

    def update(self, **session: Any) -> list[Json]:
        """Send `session.update`."""
        return self.send_event("session.update", session={"type": "realtime", **session})

    def append_audio(self, pcm: bytes, piece_ms: int = 20) -> list[Json]:
        """Append audio in pieces, like a microphone."""
        size = piece_ms * 48
        events = []
        for start in range(0, len(pcm), size):
            audio = base64.b64encode(pcm[start : start + size]).decode()
            events += self.send_event("input_audio_buffer.append", audio=audio)
        return events

    def speak_turn(self, text: str | None = "Hello there.", ms: int = 800, language: Any = "en") -> list[Json]:
        """Append a spoken turn, recognised as `text` (None: not yet)."""
        events = self.append_audio(tone(ms)) + self.append_audio(silence(300))
        if text is not None:
            events += self.deliver(FinalTranscript(self.last_work(Recognize).item_id, text, language, ms / 1000))
        return events

    def create_message(self, text: str, role: str = "user", **fields: Any) -> Json:
        """Create a typed message; return its item."""
        kind = "output_text" if role == "assistant" else "input_text"
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        added: Json = self.send_event("conversation.item.create", item=item, **fields)[0]["item"]
        return added

    def last_work(self, kind: type[Any]) -> Any:
        """Return the newest work of type `kind`."""
        return next(work for work in reversed(self.submitted_work) if isinstance(work, kind))

    def all_work(self, kind: type[Any]) -> list[Any]:
        """Return all work of type `kind`."""
        return [work for work in self.submitted_work if isinstance(work, kind)]

    def deliver_speech(self, *clauses: str, ms: int = 1000) -> list[Json]:
        """Deliver spoken clauses of `ms` milliseconds each."""
        name = self.last_work(Generate).response_id
        return [event for clause in clauses for event in self.deliver(ReplySpeech(name, clause, tone(ms)))]

    def deliver_text(self, *pieces: str) -> list[Json]:
        """Deliver pieces of a written reply."""
        name = self.last_work(Generate).response_id
        return [event for piece in pieces for event in self.deliver(ReplyText(name, piece))]

    def deliver_tool_call(self, name: str, arguments: str) -> list[Json]:
        """Deliver a function call."""
        return self.deliver(ReplyToolCall(self.last_work(Generate).response_id, name, arguments))

    def finish_reply(self, reason: Any = "stop", **counts: Any) -> list[Json]:
        """Deliver the end of the reply."""
        return self.deliver(ReplyDone(self.last_work(Generate).response_id, reason, **counts))

    def model_context(self) -> list[tuple[str, str]]:
        """Return role and text of the messages of the newest request, without the instructions."""
        request = self.last_work(Generate).request
        return [(message.role, message.text) for message in request.messages if message.role != "system"]


def event_types(events: list[Json]) -> list[str]:
    """Return the types of events in order."""
    return [event["type"] for event in events]


def single_event(events: list[Json], kind: str) -> Json:
    """Return the only event of type `kind`."""
    found = [event for event in events if event["type"] == kind]
    assert len(found) == 1, (kind, event_types(events))
    return found[0]


def single_error(events: list[Json]) -> Json:
    """Return the error that is the only event."""
    assert event_types(events) == ["error"], event_types(events)
    detail: Json = events[0]["error"]
    return detail
