"""Four conversations through the official `openai` client, for any Realtime server of this project.

They check events and the form of answers, never the wording, so that scripted and real models pass.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from .session_driver import ProtocolChecker

WEATHER_TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Look up the current weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SKY_ANSWER = re.compile("blue|sky|not sure|don't know", re.IGNORECASE)
"""Answers of the small model about the colour of the sky, of which it is not always sure."""
CHUNK_BYTES = 20 * 48
"""Bytes of 20 ms of PCM16 at 24 kHz."""


class CheckedConnection:
    """Connection of the official client that checks every received event."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.checker = ProtocolChecker()

    async def next_event(self) -> dict[str, Any]:
        """Return the next event."""
        event = (await self.connection.recv()).to_dict()
        self.checker.check(event)
        assert event["type"] != "error", event["error"]
        return event

    async def read_until(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the events up to the first of a type in `kinds`."""
        events = [await self.next_event()]
        while events[-1]["type"] not in kinds:
            events.append(await self.next_event())
        return events

    async def update(self, **session: Any) -> None:
        """Send `session.update` and wait for `session.updated`."""
        await self.connection.session.update(session={"type": "realtime", **session})  # type: ignore[arg-type]
        await self.read_until("session.updated")

    async def send_text(self, text: str) -> None:
        """Send a typed message and `response.create`."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.connection.conversation.item.create(item=item)  # type: ignore[arg-type]
        await self.connection.response.create()

    async def send_audio(self, pcm: bytes, *, real_time: bool = False) -> None:
        """Send audio in 20 ms pieces, like a microphone."""
        for start in range(0, len(pcm), CHUNK_BYTES):
            audio = base64.b64encode(pcm[start : start + CHUNK_BYTES]).decode()
            await self.connection.input_audio_buffer.append(audio=audio)
            if real_time:
                await asyncio.sleep(0.02)  # the rate of a microphone


@asynccontextmanager
async def connect_client(url: str, model: str = "gpt-realtime-2.1") -> AsyncIterator[CheckedConnection]:
    """Connect the official client to `ws://HOST:PORT/v1/realtime`."""
    base = url.replace("ws", "http", 1).removesuffix("/realtime")
    async with AsyncOpenAI(api_key="none", base_url=base) as client, client.realtime.connect(model=model) as connection:
        yield CheckedConnection(connection)


def event_types(events: Iterable[dict[str, Any]]) -> list[str]:
    """Return the types of events in order."""
    return [event["type"] for event in events]


def reply_audio(events: Iterable[dict[str, Any]]) -> bytes:
    """Return PCM16 of all audio deltas."""
    deltas = (event["delta"] for event in events if event["type"] == "response.output_audio.delta")
    return b"".join(map(base64.b64decode, deltas))


async def run_text_turn(url: str) -> str:
    """Ask a typed question; return the written answer."""
    async with connect_client(url) as client:
        await client.update(output_modalities=["text"], instructions="Answer in one short sentence.")
        await client.send_text("What colour is the sky on a clear day?")
        events = await client.read_until("response.done")
        done = events[-1]["response"]
        assert done["status"] == "completed" and done["usage"]["output_token_details"]["text_tokens"] > 0
        answer: str = done["output"][0]["content"][0]["text"]
        assert answer and not reply_audio(events)
        return answer


async def run_spoken_turn(url: str, speech: bytes, *, real_time: bool = False) -> tuple[str, str, bytes]:
    """Ask a spoken question; return its transcript, the answer's transcript and audio."""
    async with connect_client(url) as client:
        await client.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        sending = asyncio.create_task(client.send_audio(speech + bytes(1000 * 48), real_time=real_time))
        events = await client.read_until("response.done")
        await sending
        wanted = "conversation.item.input_audio_transcription.completed"
        if wanted not in event_types(events):
            events += await client.read_until(wanted)
        order = [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "response.created",
            "response.output_item.added",
            "response.output_audio.delta",
            "response.done",
        ]
        assert [kind for kind in dict.fromkeys(event_types(events)) if kind in order] == order
        heard = next(event["transcript"] for event in events if event["type"] == wanted)
        done = next(event["response"] for event in events if event["type"] == "response.done")
        assert done["status"] == "completed" and done["usage"]["input_token_details"]["audio_tokens"] > 0
        return heard, done["output"][0]["content"][0]["transcript"], reply_audio(events)


async def run_interruption(url: str, speech: bytes, *, real_time: bool = False) -> tuple[str, str]:
    """Interrupt a reply by speech and truncate it. Return its transcript and that of the next reply."""
    async with connect_client(url) as client:
        await client.update(
            instructions="Tell long stories.", audio={"input": {"transcription": {"model": "whisper-1"}}}
        )
        await client.send_text("Tell me a long story about a lighthouse keeper, with many details.")
        begun = await client.read_until("response.output_audio.delta")
        item_id = begun[-1]["item_id"]
        sending = asyncio.create_task(client.send_audio(speech, real_time=real_time))
        begun += await client.read_until("input_audio_buffer.speech_started")
        played_ms = min(200, len(reply_audio(begun)) // 48)
        await client.connection.conversation.item.truncate(item_id=item_id, content_index=0, audio_end_ms=played_ms)
        rest = await client.read_until("conversation.item.truncated")
        await sending
        await client.send_audio(bytes(1000 * 48), real_time=real_time)
        while not (answers := [e["response"] for e in rest if ends_new_reply(e, item_id)]):
            rest.append(await client.next_event())
        first = next(e["response"] for e in begun + rest if e["type"] == "response.done")
        assert first["output"][0]["id"] == item_id and first["status"] in ("cancelled", "completed")
        if first["status"] == "cancelled":
            assert first["status_details"]["reason"] == "turn_detected"
        await client.connection.conversation.item.retrieve(item_id=item_id)
        item = (await client.read_until("conversation.item.retrieved"))[-1]["item"]
        assert len(base64.b64decode(item["content"][0]["audio"])) == played_ms * 48
        said = "".join(e["delta"] for e in begun if e["type"] == "response.output_audio_transcript.delta")
        return said, answers[0]["output"][0]["content"][0]["transcript"]


def ends_new_reply(event: dict[str, Any], interrupted: str) -> bool:
    """Return whether the event completes a reply with output that is not the interrupted one."""
    if event["type"] != "response.done" or event["response"]["status"] != "completed":
        return False
    output = event["response"]["output"]
    return bool(output) and output[0]["id"] != interrupted


async def run_tool_round(url: str) -> tuple[str, str]:
    """Ask for a function call and send its output. Return the arguments and the answer."""
    async with connect_client(url) as client:
        await client.update(
            output_modalities=["text"],
            instructions="Use the tool for any question about the weather, then answer in one short sentence.",
            tools=[WEATHER_TOOL],
            tool_choice="required",
        )
        await client.send_text("What is the weather in London?")
        done = (await client.read_until("response.done"))[-1]["response"]
        asked = next(item for item in done["output"] if item["type"] == "function_call")
        assert asked["name"] == "get_weather"
        await client.update(tool_choice="none")
        output = {"type": "function_call_output", "call_id": asked["call_id"], "output": "It is foggy and 12 degrees."}
        await client.connection.conversation.item.create(item=output)  # type: ignore[arg-type]
        await client.connection.response.create()
        done = (await client.read_until("response.done"))[-1]["response"]
        assert done["status"] == "completed", done
        answer: str = done["output"][0]["content"][0]["text"]
        assert answer and "{" not in answer and WEATHER_TOOL["name"] not in answer, (
            "the answer uses the output and does not repeat the call"
        )
        return asked["arguments"], answer
