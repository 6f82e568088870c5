"""Session context: state shared by the parts of one session."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from offline.chinese_script import UserText, reply_script
from offline.protocol.json_schemas import inline_references
from offline.protocol.outputs import IdGenerator, Json, Outbox
from offline.protocol.session_config import input_language, transcription_hints
from offline.protocol.worker_messages import LanguageCode, Prefill, ReplyRequest

from .conversation import ConversationHistory, ConversationItem, TranscriptStatus, to_llm_messages
from .item_parsing import parse_item

MAX_REPLY_HINT_CHARS = 60
"""Characters at the end of the last reply that the recogniser reads: answers often repeat its words."""


@dataclass(slots=True)
class SessionContext:
    """Settings, conversation, time and outputs of one session."""

    ids: IdGenerator
    outbox: Outbox
    config: Json
    """Current settings. An update replaces the whole value."""
    now: float
    """Seconds of the caller's monotonic clock."""
    conversation: ConversationHistory = field(default_factory=ConversationHistory)
    sees_images: Callable[[], bool] = lambda: False
    """Returns whether the language model may see pictures."""

    @property
    def turn_detection(self) -> Json | None:
        """Turn detection settings; None when the client commits turns itself."""
        settings: Json | None = self.config["audio"]["input"]["turn_detection"]
        return settings

    def turn_detection_field(self, name: str) -> Any:
        """Return a field of the turn detection settings; None without turn detection or without the field."""
        return (self.turn_detection or {}).get(name)

    @property
    def is_transcription_enabled(self) -> bool:
        """Return whether the client receives transcripts of the user's speech."""
        return self.config["audio"]["input"]["transcription"] is not None

    @property
    def language_hint(self) -> LanguageCode | None:
        """Language of the user's speech according to the client."""
        return input_language(self.config)

    @property
    def likely_words(self) -> str:
        """Words that are likely in the user's speech: keywords and prompt of the client, the end of the last reply."""
        texts = (
            part.text for item in reversed(self.conversation.items) if item.role == "assistant" for part in item.parts
        )
        last = next(filter(None, texts), "")
        return "".join(f"{hint}。" for hint in (transcription_hints(self.config), last[-MAX_REPLY_HINT_CHARS:]) if hint)

    @property
    def input_format(self) -> str:
        """Audio format of the client's audio."""
        return str(self.config["audio"]["input"]["format"]["type"])

    @property
    def has_pending_transcripts(self) -> bool:
        """Return whether an item of the conversation is still being recognised."""
        return any(item.transcript_status is TranscriptStatus.PENDING for item in self.conversation.items)

    def parse_item(self, raw: Any, path: str) -> ConversationItem:
        """Return the item of a client. Raises `ProtocolError`."""
        return parse_item(raw, path, self.ids, self.input_format, sees_images=self.sees_images())

    def build_request(self) -> ReplyRequest:
        """Return the request of a reply to the current conversation."""
        return build_reply_request(self.config, self.conversation.items)

    def prefill(self) -> None:
        """Submit the prefill of the current conversation, unless a transcript is pending."""
        if not self.has_pending_transcripts:
            self.outbox.submit(Prefill(self.build_request()))


def build_reply_request(settings: Json, items: list[ConversationItem]) -> ReplyRequest:
    """Return the request of a reply to `items` under a session's or response's settings."""
    choice, limit = settings["tool_choice"], settings["max_output_tokens"]
    return ReplyRequest(
        messages=to_llm_messages(items, settings["instructions"]),
        speak=settings["output_modalities"] == ["audio"],
        tools=tuple(map(_canonical_tool_json, settings["tools"])),
        tool_choice=choice if isinstance(choice, str) else f"function:{choice['name']}",
        max_tokens=None if limit == "inf" else limit,
        speed=float(settings["audio"]["output"].get("speed", 1.0)),
        is_turn=settings.get("is_turn", True),
        script=reply_script(_user_texts(items), settings["instructions"]),
        voice=settings["audio"]["output"]["voice"],
    )


def _user_texts(items: list[ConversationItem]) -> Iterator[UserText]:
    for item in items:
        if item.type == "message" and item.role == "user":
            for part in item.parts:
                yield UserText(part.text, is_typed=part.type == "input_text")


def _canonical_tool_json(tool: Json) -> str:
    kept = {
        "name": tool["name"],
        "description": tool.get("description", ""),
        "parameters": inline_references(tool.get("parameters") or {"type": "object", "properties": {}}),
    }
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
