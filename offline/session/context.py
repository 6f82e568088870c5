"""What the parts of one session share."""

from __future__ import annotations

from dataclasses import dataclass, field

from offline.protocol.outputs import IdGenerator, Json, Outbox
from offline.protocol.session_config import generation_settings, input_language
from offline.protocol.worker_messages import LanguageCode, Prefill, ReplyRequest

from .conversation import ConversationHistory, ConversationItem, TranscriptStatus, to_llm_messages


@dataclass(slots=True)
class SessionContext:
    """The settings, the conversation, the time, and where outputs go."""

    ids: IdGenerator
    outbox: Outbox
    config: Json
    """The session's settings as they are now; an update replaces the whole value."""
    now: float
    conversation: ConversationHistory = field(default_factory=ConversationHistory)

    @property
    def turn_detection(self) -> Json | None:
        """Settings of the turn detector; None: turns are the client's."""
        settings: Json | None = self.config["audio"]["input"]["turn_detection"]
        return settings

    @property
    def is_transcription_enabled(self) -> bool:
        """The client wants transcripts of what the person says."""
        return self.config["audio"]["input"]["transcription"] is not None

    @property
    def language_hint(self) -> LanguageCode | None:
        """The language the client says is spoken."""
        return input_language(self.config)

    @property
    def input_format(self) -> str:
        """Audio format of what clients send."""
        return str(self.config["audio"]["input"]["format"]["type"])

    @property
    def has_pending_transcripts(self) -> bool:
        """Something in the conversation is still being recognised."""
        return any(item.transcript_status is TranscriptStatus.PENDING for item in self.conversation.items)

    def build_request(self) -> ReplyRequest:
        """What a reply to the conversation as it is now would be generated from, but for the words to come."""
        return build_reply_request(self.config, self.conversation.items)

    def prefill(self) -> None:
        """Have the conversation read ahead."""
        if not self.has_pending_transcripts:
            self.outbox.submit(Prefill(self.build_request()))


def build_reply_request(settings: Json, items: list[ConversationItem]) -> ReplyRequest:
    """The request that answers `items` under a session's or response's settings."""
    voice = generation_settings(settings)
    return ReplyRequest(
        messages=to_llm_messages(items, voice.instructions),
        speak=voice.speak,
        tools=voice.tools,
        tool_choice=voice.tool_choice,
        max_tokens=voice.max_tokens,
        speed=voice.speed,
    )
