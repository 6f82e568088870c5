"""Four conversations through `openai-agents`, which cannot share a virtual environment with Gradio.

    .venv-apart/bin/python tests/support/offline/agents_client.py URL text|spoken|interruption|tools [SPEECH.pcm]

SPEECH.pcm is PCM16 mono at 24 kHz. Prints one JSON line with transcripts and answers; fails on any error.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimePlaybackTracker, RealtimeRunner, RealtimeSession

CHUNK_BYTES = 20 * 48
CONVERSATION_TIMEOUT_S = 90
tool_calls: list[str] = []


@function_tool
def get_weather(city: str) -> str:
    """Look up the current weather in a city."""
    tool_calls.append(city)
    return "It is foggy and 12 degrees."


def model_config(url: str, tracker: RealtimePlaybackTracker, **more: Any) -> Any:
    """Return the URL and the session's settings."""
    model = {"model_name": "gpt-realtime-2.1", "turn_detection": {"type": "server_vad", "silence_duration_ms": 400}}
    return {
        "url": f"{url}?model=gpt-realtime-2.1",
        "api_key": "none",
        "playback_tracker": tracker,
        "initial_model_settings": {**model, **more},
    }


def session_for(
    url: str, *, tools: bool = False, tracker: RealtimePlaybackTracker | None = None, **more: Any
) -> tuple[RealtimeRunner, Any]:
    """Return a runner and the model configuration for one conversation."""
    agent = RealtimeAgent(
        name="Assistant",
        instructions="Use the tool for any question about the weather. Answer in one short sentence.",
        tools=[get_weather] if tools else [],
    )
    return RealtimeRunner(agent), model_config(url, tracker or RealtimePlaybackTracker(), **more)


async def iter_server_events(session: RealtimeSession) -> AsyncIterator[dict[str, Any]]:
    """Yield server events. Raise for an error, and for an event that the package cannot parse."""
    async for event in session:
        if event.type == "error":
            raise RuntimeError(f"openai-agents reports an error: {event.error}")
        if event.type == "raw_model_event":
            if event.data.type == "exception":
                raise RuntimeError(f"openai-agents failed: {event.data.context} {event.data.exception!r}")
            if event.data.type == "raw_server_event":
                yield event.data.data


async def send_audio(session: RealtimeSession, pcm: bytes) -> None:
    """Send audio in 20 ms pieces, like a microphone."""
    for start in range(0, len(pcm), CHUNK_BYTES):
        await session.send_audio(pcm[start : start + CHUNK_BYTES])
        await asyncio.sleep(0.005)


def response_text(response: dict[str, Any]) -> str:
    """Return the text of a response."""
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return " ".join(part.get("transcript") or part.get("text") or "" for part in parts)


async def run_text_turn(url: str) -> dict[str, Any]:
    """Ask a typed question; return the written answer."""
    runner, model = session_for(url, output_modalities=["text"])
    async with await runner.run(model_config=model) as session:
        await session.send_message("What colour is the sky on a clear day?")
        async for event in iter_server_events(session):
            if event["type"] == "response.done":
                assert event["response"]["status"] == "completed"
                return {"answer": response_text(event["response"])}
    raise RuntimeError("The session ended without an answer.")


async def run_spoken_turn(url: str, pcm: bytes) -> dict[str, Any]:
    """Ask a spoken question; return transcript, answer and audio length."""
    runner, model = session_for(url)
    heard = answer = None
    sound = 0
    async with await runner.run(model_config=model) as session:
        sending = asyncio.create_task(send_audio(session, pcm + bytes(1000 * 48)))
        async for event in iter_server_events(session):
            if event["type"] == "conversation.item.input_audio_transcription.completed":
                heard = event["transcript"]
            elif event["type"] == "response.output_audio.delta":
                sound += len(event["delta"])
            elif event["type"] == "response.done" and event["response"]["output"]:
                answer = response_text(event["response"])
            if heard is not None and answer is not None:
                break
        await sending
        roles = [item.role for item in session._history if item.type == "message"]
    return {"heard": heard, "answer": answer, "sound": sound, "roles": roles}


def is_complete_answer(response: dict[str, Any], interrupted: str | None) -> bool:
    """Return whether the response is completed, has output and is not the interrupted one."""
    output = response["output"]
    return response["status"] == "completed" and bool(output) and output[0]["id"] != interrupted


async def run_interruption(url: str, pcm: bytes) -> dict[str, Any]:
    """Speak during a reply. The package truncates it at the position of its playback tracker."""
    tracker = RealtimePlaybackTracker()
    runner, model = session_for(url, tracker=tracker)
    truncated_ms = answer = item_id = None
    async with await runner.run(model_config=model) as session:
        await session.send_message("Tell me a long story about a lighthouse keeper, with many details.")
        sending = None
        async for event in iter_server_events(session):
            if event["type"] == "response.output_audio.delta" and sending is None:
                item_id = event["item_id"]
                tracker.on_play_ms(item_id, 0, 150)
                sending = asyncio.create_task(send_audio(session, pcm + bytes(1000 * 48)))
            elif event["type"] == "conversation.item.truncated" and event["item_id"] == item_id:
                truncated_ms = event["audio_end_ms"]
            elif event["type"] == "response.done" and is_complete_answer(event["response"], item_id):
                answer = response_text(event["response"])
                break
        assert sending is not None
        await sending
    return {"truncated_ms": truncated_ms, "answer": answer}


async def run_tool_round(url: str) -> dict[str, Any]:
    """Ask a question for which the package calls a function; return calls and answer."""
    runner, model = session_for(url, tools=True, output_modalities=["text"])
    async with await runner.run(model_config=model) as session:
        await session.send_message("What is the weather in London?")
        async for event in iter_server_events(session):
            if event["type"] == "response.done" and (answer := response_text(event["response"])):
                return {"called": tool_calls, "answer": answer}
    raise RuntimeError("The session ended without an answer.")


async def main() -> None:
    """Run the conversation named on the command line."""
    url, name, *rest = sys.argv[1:]
    pcm = await asyncio.to_thread(Path(rest[0]).read_bytes) if rest else b""
    conversations = {
        "text": lambda: run_text_turn(url),
        "spoken": lambda: run_spoken_turn(url, pcm),
        "interruption": lambda: run_interruption(url, pcm),
        "tools": lambda: run_tool_round(url),
    }
    result = await asyncio.wait_for(conversations[name](), CONVERSATION_TIMEOUT_S)
    sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
