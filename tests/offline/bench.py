"""A session on the bench: events and results in by hand, everything that comes out witnessed.

`Witness` checks what holds for every stream of server events, whatever happens; `Bench` runs each output past it.
"""

from __future__ import annotations

import base64
import random
from typing import Any, get_args

from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

from offline.events import Close, Do, Ids, Output, Send
from offline.session import Session
from offline.work import (
    Generate,
    Recognize,
    Recognized,
    ReplyDone,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
    Result,
    Work,
)
from tests.offline.scripted import loudness, silence, tone

Json = dict[str, Any]
ADAPTER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def parse(event: Json) -> BaseModel:
    """The event as the official client's own class for its type, strictly; fails on fields that class lacks."""
    parsed: BaseModel = ADAPTER.validate_python(event, strict=True)
    assert event["type"] in get_args(type(parsed).model_fields["type"].annotation), (event["type"], type(parsed))
    # What the service sends of a session and the official types do not name (seen in recorded traffic).
    extra = {name for name, _ in extras(parsed)}
    assert extra <= {"object", "id", "expires_at"} and (not extra or event["type"].startswith("session.")), extra
    return parsed


def extras(value: Any) -> list[tuple[str, Any]]:
    """Fields anywhere in a parsed event that its class does not declare."""
    if isinstance(value, BaseModel):
        found = list((value.model_extra or {}).items())
        for name in type(value).model_fields:
            found += extras(getattr(value, name))
        return found
    if isinstance(value, list):
        return [extra for entry in value for extra in extras(entry)]
    return []


class Witness:
    """Follows one stream of server events and fails when it breaks a law of the protocol."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.ids: set[str] = set()
        self.active: dict[str, Json] = {}
        """Responses created and not done, with what is open in them."""
        self.finished: set[str] = set()
        self.order: list[str] = []
        self.open_items: set[str] = set()
        self.deltas: dict[tuple[str, str], str] = {}

    def see(self, event: Json) -> None:
        """Check the next event."""
        parse(event)
        assert event["event_id"] not in self.ids
        self.ids.add(event["event_id"])
        self.events.append(event)
        kind = event["type"]
        if kind in ("response.created", "response.done"):
            self._response(kind, event["response"])
        elif kind.startswith("response."):
            self._within(kind, event)
        elif kind == "conversation.item.added":
            self._added(event)
        elif kind == "conversation.item.done":
            assert event["item"]["id"] in self.open_items
            self.open_items.remove(event["item"]["id"])
            assert event["item"].get("status") != "in_progress"
        elif kind == "conversation.item.deleted":
            self.order.remove(event["item_id"])

    def settled(self) -> None:
        """Everything that began has ended."""
        assert not self.active and not self.open_items

    def _response(self, kind: str, response: Json) -> None:
        name = response["id"]
        if kind == "response.created":
            assert name not in self.active and name not in self.finished
            assert response["status"] == "in_progress" and response["output"] == [] and response["usage"] is None
            self.active[name] = {"default": response["conversation_id"] is not None, "items": [], "open": {}}
            assert sum(one["default"] for one in self.active.values()) <= 1
            return
        one = self.active.pop(name)
        self.finished.add(name)
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

    def _within(self, kind: str, event: Json) -> None:
        one = self.active[event["response_id"]]
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

    def _added(self, event: Json) -> None:
        item_id, previous = event["item"]["id"], event["previous_item_id"]
        assert item_id not in self.order
        self.order.insert(0 if previous is None else self.order.index(previous) + 1, item_id)
        self.open_items.add(item_id)


class Bench:
    """A session with a hand on every lever."""

    def __init__(self, *, model_is_fixed: bool = True, seed: int = 1, **session: Any) -> None:
        self.now = 100.0
        self.witness = Witness()
        self.work: list[Work] = []
        self.close: Close | None = None
        self.session = Session(
            model="offline",
            ids=Ids(random.Random(seed)),
            probability=loudness,
            now=self.now,
            wall=1_800_000_000.0,
            model_is_fixed=model_is_fixed,
        )
        self.created = self.take(self.session.start())[0]
        if session:
            self.update(**session)

    def take(self, outputs: list[Output]) -> list[Json]:
        """Witness outputs; the events among them."""
        events = []
        for output in outputs:
            assert self.close is None, "nothing comes after the end"
            if isinstance(output, Send):
                self.witness.see(output.event)
                events.append(output.event)
            elif isinstance(output, Do):
                self.work.append(output.work)
            else:
                self.close = output
        return events

    def client(self, kind: str, **fields: Any) -> list[Json]:
        """A client event; the events it is answered with."""
        return self.take(self.session.receive({"type": kind, **fields}, self.now))

    def frame(self, text: str) -> list[Json]:
        """A text frame as it comes from the socket; the events it is answered with."""
        return self.take(self.session.receive_text(text, self.now))

    def give(self, result: Result) -> list[Json]:
        """A result of the workers."""
        return self.take(self.session.deliver(result, self.now))

    def tick(self, seconds: float) -> list[Json]:
        """Time passes."""
        self.now += seconds
        return self.take(self.session.tick(self.now))

    # ------------------------------------------------------------------ habits

    def update(self, **session: Any) -> list[Json]:
        """`session.update`."""
        return self.client("session.update", session={"type": "realtime", **session})

    def append(self, pcm: bytes, piece_ms: int = 20) -> list[Json]:
        """Sound, in pieces as a microphone sends it."""
        size = piece_ms * 48
        events = []
        for start in range(0, len(pcm), size):
            audio = base64.b64encode(pcm[start : start + size]).decode()
            events += self.client("input_audio_buffer.append", audio=audio)
        return events

    def say(self, text: str | None = "Hello there.", ms: int = 800, language: Any = "en") -> list[Json]:
        """A spoken turn, recognised as `text` (None: not yet)."""
        events = self.append(tone(ms)) + self.append(silence(300))
        if text is not None:
            events += self.give(Recognized(self.last(Recognize).item_id, text, language, ms / 1000))
        return events

    def write(self, text: str, role: str = "user", **fields: Any) -> Json:
        """A typed message; the item."""
        kind = "output_text" if role == "assistant" else "input_text"
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        added: Json = self.client("conversation.item.create", item=item, **fields)[0]["item"]
        return added

    def last(self, kind: type[Any]) -> Any:
        """The newest work of a kind."""
        return next(work for work in reversed(self.work) if isinstance(work, kind))

    def all(self, kind: type[Any]) -> list[Any]:
        """All work of a kind."""
        return [work for work in self.work if isinstance(work, kind)]

    def speak(self, *clauses: str, ms: int = 1000) -> list[Json]:
        """The workers speak clauses of `ms` each."""
        name = self.last(Generate).response_id
        return [event for clause in clauses for event in self.give(ReplySpeech(name, clause, tone(ms)))]

    def type_out(self, *pieces: str) -> list[Json]:
        """The workers write."""
        name = self.last(Generate).response_id
        return [event for piece in pieces for event in self.give(ReplyText(name, piece))]

    def call(self, name: str, arguments: str) -> list[Json]:
        """The workers call a function."""
        return self.give(ReplyToolCall(self.last(Generate).response_id, name, arguments))

    def finish(self, reason: Any = "stop", **counts: Any) -> list[Json]:
        """The workers are done."""
        return self.give(ReplyDone(self.last(Generate).response_id, reason, **counts))

    def memory(self) -> list[tuple[str, str]]:
        """What the model would read now, without the instructions."""
        request = self.last(Generate).request
        return [(message.role, message.text) for message in request.messages if message.role != "system"]


def kinds(events: list[Json]) -> list[str]:
    """Types of events, in order."""
    return [event["type"] for event in events]


def only(events: list[Json], kind: str) -> Json:
    """The one event of a type."""
    found = [event for event in events if event["type"] == kind]
    assert len(found) == 1, (kind, kinds(events))
    return found[0]


def error_of(events: list[Json]) -> Json:
    """The error that is the only answer."""
    assert kinds(events) == ["error"], kinds(events)
    detail: Json = events[0]["error"]
    return detail
