"""Session scenarios: situations and event orders that several session tests begin with."""

from __future__ import annotations

from typing import Any

from tests.support.offline.session_driver import SessionDriver, single_event

SPOKEN_ENDING = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Look up the weather for a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def session_with_reply(*clauses: str, ms: int = 1000, **session: Any) -> tuple[SessionDriver, str]:
    """Return a session during a spoken reply, and the reply's item id."""
    driver = SessionDriver(**session)
    driver.speak_turn("Tell me a story.")
    events = driver.deliver_speech(*clauses, ms=ms)
    return driver, single_event(events, "response.output_item.added")["item"]["id"]


def send_truncate(driver: SessionDriver, item_id: str, ms: int) -> list[dict[str, Any]]:
    """Send `conversation.item.truncate`."""
    return driver.send_event("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=ms)
