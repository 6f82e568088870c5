"""Response: its events from `response.created` to `response.done`, in the service's order."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, Literal

from offline.audio import BYTES_PER_MS, duration_ms
from offline.llm.token_estimate import estimate_tokens
from offline.protocol.audio_formats import encode_audio, to_base64
from offline.protocol.outputs import Json, Outbox
from offline.protocol.worker_messages import AnsweredBy, ReplyDone, ReplyRequest

from .context import build_reply_request
from .conversation import (
    ConversationHistory,
    ConversationItem,
    ItemStatus,
    MessagePart,
    MessagePartType,
    TranscriptStatus,
)

AUDIO_DELTA_BYTES = 200 * BYTES_PER_MS
"""Bytes (PCM16 at 24 kHz) of one `response.output_audio.delta`: 200 ms, so that the first is early and none is large.
"""
USER_AUDIO_TOKEN_MS = 100
"""Milliseconds of the user's audio per token in `usage`."""
ASSISTANT_AUDIO_TOKEN_MS = 50
"""Milliseconds of the model's audio per token in `usage`."""

ResponseOutcome = Literal["completed", "cancelled", "failed", "incomplete"]


class ResponseStage(Enum):
    """Progress of a response."""

    AWAITING_TRANSCRIPTS = "waiting"
    """Transcripts of its input are pending."""
    GENERATING = "generating"
    DONE = "done"


@dataclass(slots=True, eq=False)
class Response:
    """Response in progress. Its methods send events to `outbox`."""

    outbox: Outbox
    id: str
    settings: Json
    input_items: list[ConversationItem]
    """Items to reply to, oldest first."""
    conversation: ConversationHistory | None
    """Conversation of its output items; None for an out-of-band response."""
    conversation_id: str | None
    trigger_item: ConversationItem | None = None
    """Spoken turn that started the response; None for `response.create`."""
    stage: ResponseStage = ResponseStage.AWAITING_TRANSCRIPTS
    output: list[ConversationItem] = field(default_factory=list)
    spoken_ms: float = 0.0
    """Milliseconds of audio generated so far."""
    answered_by: AnsweredBy | None = None
    """What answered the finished response; see `ReplyDone.answered_by`."""
    speech_fault: str = ""
    """Why this computer spoke the finished response in place of the speech endpoint; else ""."""

    def __post_init__(self) -> None:
        self.outbox.send("response.created", response=self.to_json("in_progress"))

    @property
    def is_awaiting_transcripts(self) -> bool:
        """Return whether a transcript of its input is pending."""
        return any(item.transcript_status is TranscriptStatus.PENDING for item in self.input_items)

    def build_request(self) -> ReplyRequest:
        """Return the request for the worker."""
        return build_reply_request(self.settings, self.input_items)

    # ------------------------------------------------------------------ generated content

    def add_text(self, text: str) -> None:
        """Add a piece of a written reply."""
        if not text:
            return
        item, part = self._open_part("output_text")
        part.text += text
        self._send_item_event("response.output_text.delta", item, content_index=0, delta=text)

    def add_speech(self, text: str, audio: bytes) -> None:
        """Add a clause of a spoken reply with its PCM16 at 24 kHz."""
        if not text and not audio:
            return
        item, part = self._open_part("output_audio")
        part.append_clause(text, audio)
        self.spoken_ms += duration_ms(audio)
        if text:
            self._send_item_event("response.output_audio_transcript.delta", item, content_index=0, delta=text)
        audio_format = self.settings["audio"]["output"]["format"]["type"]
        encoded = encode_audio(audio_format, audio)
        size = AUDIO_DELTA_BYTES if audio_format == "audio/pcm" else AUDIO_DELTA_BYTES // 6
        for start in range(0, len(encoded), size):
            delta = to_base64(encoded[start : start + size])
            self._send_item_event("response.output_audio.delta", item, content_index=0, delta=delta)

    def add_tool_call(self, name: str, arguments: str) -> None:
        """Add a function call."""
        self._close_item("completed")
        ids = self.outbox.ids
        item = ConversationItem(
            ids.new("item"), "function_call", "assistant", "in_progress", name=name, call_id=ids.new("call")
        )
        self._add_item(item)
        self._send_item_event("response.function_call_arguments.delta", item, call_id=item.call_id, delta=arguments)
        item.payload = arguments
        self._send_item_event(
            "response.function_call_arguments.done", item, call_id=item.call_id, name=name, arguments=arguments
        )
        self._close_item("completed")

    # ------------------------------------------------------------------ end

    def complete(self, done: ReplyDone) -> None:
        """End the response as the worker reports."""
        self.answered_by, self.speech_fault = done.answered_by, done.speech_fault
        if done.reason == "stop":
            self.finish("completed", None, self._usage_json(done))
        elif done.reason == "max_tokens":
            details: Json = {"type": "incomplete", "reason": "max_output_tokens"}
            self.finish("incomplete", details, self._usage_json(done))
        else:
            self.fail(done.message or "The reply was stopped before its end.", done)

    def fail(self, message: str, done: ReplyDone | None = None) -> None:
        """End the response after a failure of the server. `message` is one sentence."""
        error = {"type": "server_error", "code": "server_error", "message": message}
        self.finish("failed", {"type": "failed", "error": error}, self._usage_json(done) if done else None)

    def cancel(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """End the response now. Its text tokens are estimated: the worker's counts arrive too late."""
        output_tokens = sum(estimate_tokens(part.text) for item in self.output for part in item.parts)
        input_tokens = 0
        if self.stage is ResponseStage.GENERATING:
            input_tokens = sum(estimate_tokens(message.text) for message in self.build_request().messages)
        usage = self._usage_json(ReplyDone(self.id, "stopped", input_tokens=input_tokens, output_tokens=output_tokens))
        self.finish("cancelled", {"type": "cancelled", "reason": reason}, usage)

    def finish(self, outcome: ResponseOutcome, details: Json | None, usage: Json | None) -> None:
        """Close the open item and send `response.done`."""
        self._close_item("completed" if outcome == "completed" else "incomplete")
        self.stage = ResponseStage.DONE
        self.outbox.send("response.done", response=self.to_json(outcome, details, usage))
        self.outbox.send("rate_limits.updated", rate_limits=[])  # some clients wait for the event

    def to_json(self, status: str, details: Json | None = None, usage: Json | None = None) -> Json:
        """Return the response as JSON."""
        output, model = self.settings["audio"]["output"], self.answered_by
        own_fields: Json = {} if model is None else {"answered_by": asdict(model)}  # the service has no such fields
        if self.speech_fault:
            own_fields["speech_fault"] = self.speech_fault
        return {
            **own_fields,
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.to_json() for item in self.output],
            "conversation_id": self.conversation_id,
            "output_modalities": self.settings["output_modalities"],
            "max_output_tokens": self.settings["max_output_tokens"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "usage": usage,
            "metadata": self.settings["metadata"],
        }

    def _usage_json(self, done: ReplyDone) -> Json:
        user_ms = sum(item.audio_durations_ms()[0] for item in self.input_items)
        assistant_ms = sum(item.audio_durations_ms()[1] for item in self.input_items)
        audio_in = math.ceil(user_ms / USER_AUDIO_TOKEN_MS) + math.ceil(assistant_ms / ASSISTANT_AUDIO_TOKEN_MS)
        audio_out = math.ceil(self.spoken_ms / ASSISTANT_AUDIO_TOKEN_MS)
        if self.stage is ResponseStage.AWAITING_TRANSCRIPTS:
            audio_in = 0  # the model has read nothing
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

    # ------------------------------------------------------------------ events

    def _send_item_event(self, kind: str, item: ConversationItem, **fields: Any) -> None:
        head = {"response_id": self.id, "item_id": item.id, "output_index": len(self.output) - 1}
        self.outbox.send(kind, **head, **fields)

    def _add_item(self, item: ConversationItem) -> None:
        self.output.append(item)
        index = len(self.output) - 1
        self.outbox.send("response.output_item.added", response_id=self.id, output_index=index, item=item.to_json())
        if self.conversation is not None:
            self.conversation.add(item)
            previous = self.conversation.previous_item_id(item)
            self.outbox.send("conversation.item.added", previous_item_id=previous, item=item.to_json())

    def _open_part(self, kind: MessagePartType) -> tuple[ConversationItem, MessagePart]:
        item = self.output[-1] if self.output else None
        if item is not None and item.status == "in_progress":
            if item.parts[0].type == kind:
                return item, item.parts[0]
            self._close_item("completed")
        item = ConversationItem(self.outbox.ids.new("item"), "message", "assistant", "in_progress")
        self._add_item(item)
        part = MessagePart(kind)
        item.parts.append(part)
        empty = {"type": "text", "text": ""} if kind == "output_text" else {"type": "audio", "transcript": ""}
        self._send_item_event("response.content_part.added", item, content_index=0, part=empty)
        return item, part

    def _close_item(self, status: ItemStatus) -> None:
        item = self.output[-1] if self.output else None
        if item is None or item.status != "in_progress":
            return
        item.status = status
        for part in item.parts:
            self._close_part(item, part)
        final = item.to_json()
        if self.conversation is not None:
            self.outbox.send(
                "conversation.item.done", previous_item_id=self.conversation.previous_item_id(item), item=final
            )
        index = len(self.output) - 1
        self.outbox.send("response.output_item.done", response_id=self.id, output_index=index, item=final)

    def _close_part(self, item: ConversationItem, part: MessagePart) -> None:
        if part.type == "output_text":
            self._send_item_event("response.output_text.done", item, content_index=0, text=part.text)
            final: Json = {"type": "text", "text": part.text}
        else:
            self._send_item_event("response.output_audio.done", item, content_index=0)
            self._send_item_event("response.output_audio_transcript.done", item, content_index=0, transcript=part.text)
            final = {"type": "audio", "transcript": part.text}
        self._send_item_event("response.content_part.done", item, content_index=0, part=final)
