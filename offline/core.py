"""What the parts of one session share."""

from __future__ import annotations

from dataclasses import dataclass, field

from offline.events import Ids, Json, Outbox
from offline.items import Conversation, Item, Words, messages
from offline.session_config import language_of, voice_of
from offline.work import Language, Prefill, Request


@dataclass(slots=True)
class Core:
    """The settings, the conversation, the time, and where outputs go."""

    ids: Ids
    out: Outbox
    config: Json
    """The session's settings as they are now; an update replaces the whole value."""
    now: float
    conversation: Conversation = field(default_factory=Conversation)

    @property
    def turn_detection(self) -> Json | None:
        """Settings of the turn detector; None: turns are the client's."""
        settings: Json | None = self.config["audio"]["input"]["turn_detection"]
        return settings

    @property
    def captioned(self) -> bool:
        """The client wants transcripts of what the person says."""
        return self.config["audio"]["input"]["transcription"] is not None

    @property
    def language(self) -> Language | None:
        """The language the client says is spoken."""
        return language_of(self.config)

    @property
    def input_format(self) -> str:
        """Audio format of what clients send."""
        return str(self.config["audio"]["input"]["format"]["type"])

    @property
    def words_awaited(self) -> bool:
        """Something in the conversation is still being recognised."""
        return any(item.words is Words.AWAITED for item in self.conversation.items)

    def request(self) -> Request:
        """What a reply to the conversation as it is now would be generated from, but for the words to come."""
        return request_of(self.config, self.conversation.items)

    def prefill(self) -> None:
        """Have the conversation read ahead."""
        if not self.words_awaited:
            self.out.do(Prefill(self.request()))


def request_of(settings: Json, items: list[Item]) -> Request:
    """The request that answers `items` under a session's or response's settings."""
    voice = voice_of(settings)
    return Request(
        messages=messages(items, voice.instructions),
        speak=voice.speak,
        tools=voice.tools,
        tool_choice=voice.tool_choice,
        max_tokens=voice.max_tokens,
        speed=voice.speed,
    )
