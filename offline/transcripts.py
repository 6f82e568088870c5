"""The words of what the person said: asked for, shown while they arrive, kept in the items."""

from __future__ import annotations

import math

from offline.core import Core
from offline.items import Item, Words
from offline.work import Hearing, RecognitionFailed, Recognize, Recognized

KIND = "conversation.item.input_audio_transcription"


class Transcripts:
    """Items whose words are awaited, and the captions shown for them so far."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._awaited: dict[str, Item] = {}
        self._captions: dict[str, str] = {}

    def awaits(self, item_id: str) -> bool:
        """Whether an item with this id is being recognised."""
        return item_id in self._awaited

    def recognize(self, item: Item) -> None:
        """Ask for the words of `item`, where it has sound."""
        if item.words is Words.AWAITED:
            self._awaited[item.id] = item
            audio = b"".join(part.audio for part in item.parts)
            self._core.out.do(Recognize(item.id, audio, self._core.language))

    def forget(self, item: Item) -> None:
        """`item` was deleted: its words are no longer wanted."""
        self._captions.pop(item.id, None)
        if self._awaited.pop(item.id, None) is not None:
            item.words = Words.KNOWN

    def drop_captions(self, turn_id: str | None) -> None:
        """Forget what was shown for turns that came to nothing; `turn_id`: the one under way."""
        self._captions = {
            item_id: text for item_id, text in self._captions.items() if item_id == turn_id or item_id in self._awaited
        }

    def heard_more(self, result: Hearing, turn_id: str | None) -> None:
        """Show more words of the turn under way (`turn_id`) or of a committed one; of others they are dropped."""
        item_id = result.item_id
        committed = item_id in self._awaited and item_id in self._core.conversation
        if result.delta and (item_id == turn_id or committed):
            self._captions[item_id] = self._captions.get(item_id, "") + result.delta
            self._delta(item_id, 0, result.delta)

    def heard_all(self, result: Recognized | RecognitionFailed) -> None:
        """Keep the final words of an item and show them, where the client wants to see them."""
        item = self._awaited.pop(result.item_id, None)
        shown = self._captions.pop(result.item_id, "")
        found = item.audio_part if item else None
        if item is None or found is None:
            return
        index, part = found
        visible = self._core.captioned and self._core.conversation.holds(item)
        head = {"item_id": item.id, "content_index": index}
        if isinstance(result, RecognitionFailed):
            item.words = Words.FAILED
            if visible:
                error = {"type": "server_error", "code": "server_error", "message": result.message, "param": None}
                self._core.out.send(f"{KIND}.failed", **head, error=error)
            return
        item.words = Words.KNOWN
        part.text, part.shown = result.text, self._core.captioned
        if visible:
            if result.text.startswith(shown):
                self._delta(item.id, index, result.text[len(shown) :])
            usage = {"type": "duration", "seconds": math.ceil(result.seconds)}
            self._core.out.send(f"{KIND}.completed", **head, transcript=result.text, usage=usage)

    def _delta(self, item_id: str, index: int, delta: str) -> None:
        if self._core.captioned and delta:
            self._core.out.send(f"{KIND}.delta", item_id=item_id, content_index=index, delta=delta)
