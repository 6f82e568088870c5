"""Transcripts of the user's turns: requested, streamed as captions, stored in items."""

from __future__ import annotations

import math

from offline.protocol.worker_messages import CaptionDelta, FinalTranscript, RecognitionFailed, Recognize

from .context import SessionContext
from .conversation import ConversationItem, TranscriptStatus

TRANSCRIPTION_EVENT = "conversation.item.input_audio_transcription"


class TranscriptManager:
    """Items with a pending transcript, and their captions so far."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._pending_items: dict[str, ConversationItem] = {}
        self._captions: dict[str, str] = {}

    def is_pending(self, item_id: str) -> bool:
        """Return whether the item with this id is being recognised."""
        return item_id in self._pending_items

    def request_transcript(self, item: ConversationItem) -> None:
        """Submit the recognition of `item` if it has audio."""
        if item.transcript_status is TranscriptStatus.PENDING:
            self._pending_items[item.id] = item
            audio = b"".join(part.audio for part in item.parts)
            self._context.outbox.submit(
                Recognize(item.id, audio, self._context.language_hint, self._context.likely_words)
            )

    def on_item_deleted(self, item: ConversationItem) -> None:
        """Drop the pending transcript of a deleted item."""
        self._captions.pop(item.id, None)
        if self._pending_items.pop(item.id, None) is not None:
            item.transcript_status = TranscriptStatus.READY

    def drop_stale_captions(self, turn_item_id: str | None) -> None:
        """Drop the captions of turns without an item, except the one in progress (`turn_item_id`)."""
        self._captions = {
            item_id: text
            for item_id, text in self._captions.items()
            if item_id == turn_item_id or item_id in self._pending_items
        }

    def apply_caption_delta(self, result: CaptionDelta, turn_item_id: str | None) -> None:
        """Send new words of the turn in progress or of a committed one; others are dropped."""
        item_id = result.item_id
        is_committed = item_id in self._pending_items and item_id in self._context.conversation
        if result.delta and (item_id == turn_item_id or is_committed):
            self._captions[item_id] = self._captions.get(item_id, "") + result.delta
            self._send_delta(item_id, 0, result.delta)

    def apply_final_result(self, result: FinalTranscript | RecognitionFailed) -> None:
        """Store the transcript of an item and send it if transcription is enabled."""
        item = self._pending_items.pop(result.item_id, None)
        caption = self._captions.pop(result.item_id, "")
        audio_part = item.first_audio_part if item else None
        if item is None or audio_part is None:
            return
        index, part = audio_part
        is_visible = self._context.is_transcription_enabled and self._context.conversation.contains_item(item)
        head = {"item_id": item.id, "content_index": index}
        if isinstance(result, RecognitionFailed):
            item.transcript_status = TranscriptStatus.FAILED
            if is_visible:
                error = {"type": "server_error", "code": "server_error", "message": result.message, "param": None}
                self._context.outbox.send(f"{TRANSCRIPTION_EVENT}.failed", **head, error=error)
            return
        item.transcript_status = TranscriptStatus.READY
        part.text, part.has_public_transcript = result.text, self._context.is_transcription_enabled
        if is_visible:
            if result.text.startswith(caption):
                self._send_delta(item.id, index, result.text[len(caption) :])
            usage = {"type": "duration", "seconds": math.ceil(result.audio_s)}
            own = {"endpoint_fault": result.endpoint_fault} if result.endpoint_fault else {}  # not the service's
            self._context.outbox.send(
                f"{TRANSCRIPTION_EVENT}.completed", **head, transcript=result.text, usage=usage, **own
            )

    def _send_delta(self, item_id: str, index: int, delta: str) -> None:
        if self._context.is_transcription_enabled and delta:
            self._context.outbox.send(f"{TRANSCRIPTION_EVENT}.delta", item_id=item_id, content_index=index, delta=delta)
