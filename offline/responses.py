"""One response: the ladder of events from `response.created` to `response.done`, in the real service's order."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from offline.audio_formats import BYTES_PER_MS, encode, to_base64
from offline.core import request_of
from offline.events import Json, Outbox
from offline.items import Conversation, Item, Part, PartType, Status, Words
from offline.work import ReplyDone, Request

DELTA_BYTES = 200 * BYTES_PER_MS
"""Sound of one `response.output_audio.delta`: 200 ms, so that the first of it arrives early and none is huge."""
USER_TOKEN_MS = 100
ASSISTANT_TOKEN_MS = 50

Outcome = Literal["completed", "cancelled", "failed", "incomplete"]


class Stage(Enum):
    """How far a response is."""

    WAITING = "waiting"
    """For the words of what it answers."""
    GENERATING = "generating"
    DONE = "done"


@dataclass(slots=True, eq=False)
class Response:
    """A response under way. All methods write events to `out`."""

    out: Outbox
    id: str
    settings: Json
    context: list[Item]
    """What it answers, oldest first."""
    conversation: Conversation | None
    """Where its items go; None for an out-of-band response."""
    conversation_id: str | None
    answers: Item | None = None
    """The spoken turn that called for it by itself; None when a client asked for it."""
    stage: Stage = Stage.WAITING
    output: list[Item] = field(default_factory=list)
    spoken_ms: float = 0.0

    def __post_init__(self) -> None:
        self.out.send("response.created", response=self.wire("in_progress"))

    @property
    def awaited(self) -> bool:
        """Words it answers are not known yet."""
        return any(item.words is Words.AWAITED for item in self.context)

    def request(self) -> Request:
        """What to generate."""
        return request_of(self.settings, self.context)

    # ------------------------------------------------------------------ what is generated

    def text(self, text: str) -> None:
        """A piece of a written reply."""
        if not text:
            return
        item, part = self._open_part("output_text")
        part.text += text
        self._send("response.output_text.delta", item, content_index=0, delta=text)

    def speech(self, text: str, audio: bytes) -> None:
        """A clause of a spoken reply."""
        if not text and not audio:
            return
        item, part = self._open_part("output_audio")
        part.add_sound(text, audio)
        self.spoken_ms += len(audio) / BYTES_PER_MS
        if text:
            self._send("response.output_audio_transcript.delta", item, content_index=0, delta=text)
        audio_format = self.settings["audio"]["output"]["format"]["type"]
        wire = encode(audio_format, audio)
        size = DELTA_BYTES if audio_format == "audio/pcm" else DELTA_BYTES // 6
        for start in range(0, len(wire), size):
            delta = to_base64(wire[start : start + size])
            self._send("response.output_audio.delta", item, content_index=0, delta=delta)

    def tool_call(self, name: str, arguments: str) -> None:
        """A whole function call."""
        self._close_item("completed")
        ids = self.out.ids
        item = Item(ids.new("item"), "function_call", "assistant", "in_progress", name=name, call_id=ids.new("call"))
        self._add(item)
        self._send("response.function_call_arguments.delta", item, call_id=item.call_id, delta=arguments)
        item.payload = arguments
        self._send("response.function_call_arguments.done", item, call_id=item.call_id, name=name, arguments=arguments)
        self._close_item("completed")

    # ------------------------------------------------------------------ its end

    def complete(self, done: ReplyDone) -> None:
        """The workers said it is over."""
        if done.reason == "stop":
            self.finish("completed", None, self._usage(done))
        elif done.reason == "max_tokens":
            details: Json = {"type": "incomplete", "reason": "max_output_tokens"}
            self.finish("incomplete", details, self._usage(done))
        else:
            self.fail(done.message or "The reply was stopped before its end.", done)

    def fail(self, message: str, done: ReplyDone | None = None) -> None:
        """End it because something in the server failed. `message`: one plain sentence."""
        error = {"type": "server_error", "code": "server_error", "message": message}
        self.finish("failed", {"type": "failed", "error": error}, self._usage(done) if done else None)

    def cancel(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """End it now; its text tokens are estimated, since the workers' own count comes too late."""
        written = sum(estimated_tokens(part.text) for item in self.output for part in item.parts)
        read = 0
        if self.stage is Stage.GENERATING:
            read = sum(estimated_tokens(message.text) for message in self.request().messages)
        usage = self._usage(ReplyDone(self.id, "stopped", input_tokens=read, output_tokens=written))
        self.finish("cancelled", {"type": "cancelled", "reason": reason}, usage)

    def finish(self, outcome: Outcome, details: Json | None, usage: Json | None) -> None:
        """Close what is open and say `response.done`."""
        self._close_item("completed" if outcome == "completed" else "incomplete")
        self.stage = Stage.DONE
        self.out.send("response.done", response=self.wire(outcome, details, usage))
        self.out.send("rate_limits.updated", rate_limits=[])  # there are none, and some clients wait for the event

    def wire(self, status: str, details: Json | None = None, usage: Json | None = None) -> Json:
        """The response as JSON."""
        output = self.settings["audio"]["output"]
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.wire() for item in self.output],
            "conversation_id": self.conversation_id,
            "output_modalities": self.settings["output_modalities"],
            "max_output_tokens": self.settings["max_output_tokens"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "usage": usage,
            "metadata": self.settings["metadata"],
        }

    def _usage(self, done: ReplyDone) -> Json:
        heard = sum(item.audio_ms()[0] for item in self.context)
        said = sum(item.audio_ms()[1] for item in self.context)
        audio_in = math.ceil(heard / USER_TOKEN_MS) + math.ceil(said / ASSISTANT_TOKEN_MS)
        audio_out = math.ceil(self.spoken_ms / ASSISTANT_TOKEN_MS)
        if self.stage is Stage.WAITING:
            audio_in = 0  # nothing was read
        cached = min(done.cached_tokens, done.input_tokens)
        return {
            "total_tokens": done.input_tokens + audio_in + done.output_tokens + audio_out,
            "input_tokens": done.input_tokens + audio_in,
            "output_tokens": done.output_tokens + audio_out,
            "input_token_details": {
                "text_tokens": done.input_tokens,
                "audio_tokens": audio_in,
                "image_tokens": 0,
                "cached_tokens": cached,
                "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": done.output_tokens, "audio_tokens": audio_out},
        }

    # ------------------------------------------------------------------ the ladder

    def _send(self, kind: str, item: Item, **fields: Any) -> None:
        head = {"response_id": self.id, "item_id": item.id, "output_index": len(self.output) - 1}
        self.out.send(kind, **head, **fields)

    def _add(self, item: Item) -> None:
        self.output.append(item)
        index = len(self.output) - 1
        self.out.send("response.output_item.added", response_id=self.id, output_index=index, item=item.wire())
        if self.conversation is not None:
            self.conversation.add(item)
            previous = self.conversation.previous(item)
            self.out.send("conversation.item.added", previous_item_id=previous, item=item.wire())

    def _open_part(self, kind: PartType) -> tuple[Item, Part]:
        item = self.output[-1] if self.output else None
        if item is not None and item.status == "in_progress":
            if item.parts[0].type == kind:
                return item, item.parts[0]
            self._close_item("completed")
        item = Item(self.out.ids.new("item"), "message", "assistant", "in_progress")
        self._add(item)
        part = Part(kind)
        item.parts.append(part)
        empty = {"type": "text", "text": ""} if kind == "output_text" else {"type": "audio", "transcript": ""}
        self._send("response.content_part.added", item, content_index=0, part=empty)
        return item, part

    def _close_item(self, status: Status) -> None:
        item = self.output[-1] if self.output else None
        if item is None or item.status != "in_progress":
            return
        item.status = status
        for part in item.parts:
            self._close_part(item, part)
        wire = item.wire()
        if self.conversation is not None:
            self.out.send("conversation.item.done", previous_item_id=self.conversation.previous(item), item=wire)
        index = len(self.output) - 1
        self.out.send("response.output_item.done", response_id=self.id, output_index=index, item=wire)

    def _close_part(self, item: Item, part: Part) -> None:
        if part.type == "output_text":
            self._send("response.output_text.done", item, content_index=0, text=part.text)
            full: Json = {"type": "text", "text": part.text}
        else:
            self._send("response.output_audio.done", item, content_index=0)
            self._send("response.output_audio_transcript.done", item, content_index=0, transcript=part.text)
            full = {"type": "audio", "transcript": part.text}
        self._send("response.content_part.done", item, content_index=0, part=full)


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has: a Chinese character is one, other text one per four characters."""
    chinese = len(re.findall(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]", text))
    return chinese + math.ceil((len(text) - chinese) / 4)
