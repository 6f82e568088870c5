"""Message pictures: the client events of messages with pictures, and which pictures the server keeps. Pure.

The server keeps the newest pictures only: each is read again, and paid again, with every later reply. One that it
refuses is replaced by words, and the visitor's own words are sent all the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from voicechat.conversation.conversation import Conversation
from voicechat.pictures.picture import MAX_PICTURES_PER_MESSAGE, Picture
from voicechat.pictures.server_sight import PictureSupport, is_picture_error, is_refusal_of_all_pictures
from voicechat.protocol.client_events import ClientEventBuilder
from voicechat.protocol.server_events import ServerError

Event = dict[str, Any]

MAX_AWAITED = 32
"""Sent pictures whose refusal can still be assigned to their message."""


class MessagePictures:
    """Pictures of one call. `support` changes with each connection."""

    def __init__(self, conversation: Conversation, client_events: ClientEventBuilder, max_pictures: int) -> None:
        """`max_pictures`: pictures that the server keeps."""
        self._conversation = conversation
        self._client_events = client_events
        self._max_pictures = max_pictures
        self._sent: deque[tuple[str, str]] = deque(maxlen=MAX_AWAITED)
        """Ids of the events with pictures on this connection, each with its item, the oldest first."""
        self.support = PictureSupport()

    @property
    def per_message(self) -> int:
        """Pictures that one message may have."""
        return min(self._max_pictures, MAX_PICTURES_PER_MESSAGE)

    def create_message(
        self, text: str, pictures: Sequence[Picture], at: float | None, *, is_connected: bool
    ) -> list[Event]:
        """Add a message to the conversation. Return the events that add it at the server.

        Without a connection its pictures wait for the next one, which is sent the whole conversation.
        """
        kept = tuple(pictures[: self.per_message])
        are_sent = bool(kept) and is_connected and self.support.takes_pictures
        item = self._conversation.add_user_message(text, at, kept, send_pictures=are_sent)
        events = self._drop_old() if are_sent else []
        return [*events, self._note(self._client_events.create_item(item))]

    def replay(self, max_items: int, outputs: Mapping[str, str] | None = None) -> list[Event]:
        """Return the events that replay the conversation to a new connection. `outputs`: those of tool calls."""
        self._sent.clear()
        most = self._max_pictures if self.support.takes_pictures else 0
        seed = self._conversation.replay(max_items, outputs, max_pictures=most)
        return [self._note(event) for event in self._client_events.seed_items(seed)]

    def take_refusal(self, error: ServerError) -> list[Event] | None:
        """Return the events that send a refused message again without its pictures; None for any other error."""
        if not self._sent or not is_picture_error(error.event_id, error.error):
            return None
        found = next((sent for sent in self._sent if sent[0] == error.event_id), None)
        if found is None and error.event_id:
            return None
        refused = found or self._sent[-1]
        self._sent.remove(refused)
        if is_refusal_of_all_pictures(error.error):
            self.support.note_refusal()
        events = self._conversation.resend_without_pictures(refused[1], is_there=False)
        return self._client_events.with_event_ids("say", events)

    def _note(self, event: Event) -> Event:
        if any(part["type"] == "input_image" for part in event["item"].get("content", ())):
            self._sent.append((event["event_id"], event["item"]["id"]))
        return event

    def _drop_old(self) -> list[Event]:
        """Return the events that replace the oldest pictures at the server, beyond the number that it keeps."""
        there, events = self._conversation.items_with_pictures_there(), list[Event]()
        excess = sum(len(item.pictures) for item in there) - self._max_pictures
        for item in there[:-1]:
            if excess <= 0:
                break
            excess -= len(item.pictures)
            for event in self._conversation.resend_without_pictures(item.id, is_there=True):
                prefix = "delete" if event["type"] == "conversation.item.delete" else "update"
                events += self._client_events.with_event_ids(prefix, [event])
        return events
