"""The stock JavaScript client at the gateway, with a token and its default settings. It must log nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jiwer import wer

from tests.support.app.app_process import AppProcess
from tests.support.javascript.javascript_client import JavascriptClient, javascript_client
from tests.support.offline.scripted_models import Checkpoint, ModelScript, ScriptedToolCall, scripted_server, tone
from tests.support.offline.speech_recordings import ENGLISH, load_recording, normalized_text
from tests.support.sessions.running_gateway import running_gateway

TOKEN = "token-of-a-program-01"
INSTRUCTIONS = "Use the tool for any question about the weather. Answer in one short sentence."
CLIENTS_MODEL, OPERATORS_MODEL = "gpt-realtime-2.1", "operators-model"


@asynccontextmanager
async def conversation(
    script: ModelScript, path: str = "/v1/realtime", **options: Any
) -> AsyncIterator[JavascriptClient]:
    """A connected client. Its session has its instructions and tool, and the operator's model, without traces."""
    async with (
        scripted_server(script) as url,
        running_gateway(f"{url}?model={OPERATORS_MODEL}", READY_SECONDS="5", API_TOKENS=TOKEN) as ours,
        javascript_client() as client,
    ):
        await client.connect(ours.url(path), TOKEN, **options)
        [asked] = [event["session"] for event in client.sent("session.update") if "tools" in event["session"]]
        assert (asked["model"], asked["output_modalities"]) == (CLIENTS_MODEL, ["audio"]), "by default"
        session = client.received("session.updated")[-1]["session"]
        assert (session["model"], session["tracing"]) == (OPERATORS_MODEL, None)
        yield client
        assert not client.received("error")
    for request in script.requests:
        assert request.messages[0].text.startswith(INSTRUCTIONS)
        assert [json.loads(tool)["name"] for tool in request.tools] == ["get_weather"]


@pytest.fixture
def speech(tmp_path: Path) -> str:
    """A file with a second of speech."""
    return audio_file(tmp_path / "speech.pcm", tone(1000))


@pytest.fixture
def pause(tmp_path: Path) -> str:
    """A file with the silence after speech."""
    return audio_file(tmp_path / "pause.pcm", bytes(3000 * 48))


def audio_file(path: Path, pcm: bytes) -> str:
    path.write_bytes(pcm)
    return str(path)


def transcripts(history: list[Any]) -> list[tuple[str, str | None]]:
    """Role and transcript of the messages that the client keeps."""
    return [(item["role"], item["content"][0].get("transcript")) for item in history if item["content"]]


@pytest.mark.parametrize("path", ["/v1/realtime", "/realtime-voice", "/text-chat"])
async def test_typed_turn_is_answered(path: str) -> None:
    script = ModelScript(replies=[["It is", " blue."]])
    async with conversation(script, path, workflowName="Support", groupId="group") as client:
        tracing = [event["session"]["tracing"] for event in client.sent("session.update") if len(event["session"]) == 2]
        assert tracing == [{"workflow_name": "Support", "group_id": "group"}]
        await client.send("sendMessage", text="What colour is the sky?")
        assert (await client.read_type("answered"))["text"] == "It is blue."
    assert script.model_context() == [("user", "What colour is the sky?")]
    assert script.requests[0].speak is (path != "/text-chat")


async def test_spoken_turn_gets_transcript_and_audio(speech: str, pause: str) -> None:
    script = ModelScript(transcripts=["What time is it?"], replies=[["It is ten.", " Goodbye."]])
    async with conversation(script) as client:
        await client.send("sendAudio", path=speech)
        await client.send("sendAudio", path=pause)
        said = [("user", "What time is it?"), ("assistant", "It is ten. Goodbye.")]
        await client.read_until(lambda one: one["type"] == "history" and transcripts(one["items"]) == said)
    assert sum(one["bytes"] for one in client.seen if one["type"] == "audio") == len(tone(400)) * 2


@pytest.mark.parametrize("client_cancels", [False, True])
async def test_interruption_leaves_what_was_heard(speech: str, pause: str, client_cancels: bool) -> None:
    """The client truncates the reply where it stopped playing, and cancels it unless the server does."""
    script = ModelScript(transcripts=["Stop."], replies=[["Once upon a time.", Checkpoint()], ["All right."]])
    detection = {"type": "semantic_vad", **({"interruptResponse": False} if client_cancels else {})}
    async with conversation(script, config={"audio": {"input": {"turnDetection": detection}}}) as client:
        await client.send("sendMessage", text="Tell me a story.")
        await client.read_type("audio")
        await client.send("advance", ms=150)
        await client.send("sendAudio", path=speech)
        truncated = await client.read_server_event("conversation.item.truncated")
        assert truncated["audio_end_ms"] == 150
        assert [one["type"] for one in client.seen].count("audio_interrupted") == 1
        await client.send("sendAudio", path=pause)
        await client.read_until(lambda one: (one["type"], one.get("text")) == ("answered", "All right."))
        interrupted = client.received("response.done")[0]["response"]
        reason = "client_cancelled" if client_cancels else "turn_detected"
        assert (interrupted["status"], interrupted["status_details"]["reason"]) == ("cancelled", reason)
    assert script.model_context()[1:] == [("assistant", "Once"), ("user", "Stop.")]


async def test_tool_call_is_run_by_the_client_and_its_output_answered() -> None:
    script = ModelScript(replies=[[ScriptedToolCall("get_weather", '{"city": "London"}')], ["Foggy."]])
    async with conversation(script) as client:
        await client.send("sendMessage", text="What is the weather in London?")
        assert (await client.read_type("tool_called"))["city"] == "London"
        await client.read_until(lambda one: (one["type"], one.get("text")) == ("answered", "Foggy."))
    assert [role for role, _ in script.model_context()] == ["user", "assistant", "tool"]
    assert script.model_context()[-1] == ("tool", "It is foggy and 12 degrees.")


async def test_wrong_token_is_refused() -> None:
    async with running_gateway(API_TOKENS=TOKEN) as ours, javascript_client() as client:
        await client.send("connect", url=ours.url("/v1/realtime"), apiKey="a-wrong-token", options={})
        for _ in ("event of the session", "exception of connect()"):
            assert "401" in (await client.read_type("failed"))["text"]


@pytest.mark.models
@pytest.mark.timeout(180)
async def test_spoken_turn_with_real_models(app: AppProcess, tmp_path: Path) -> None:
    text, recorded = load_recording(ENGLISH)
    file = audio_file(tmp_path / "recording.pcm", recorded + bytes(3000 * 48))
    async with javascript_client() as client:
        await client.connect(app.url.replace("http", "ws", 1) + "/realtime-voice", "none")
        await client.send("sendAudio", path=file)
        heard = await client.read_server_event("conversation.item.input_audio_transcription.completed")
        assert wer(normalized_text(text), normalized_text(heard["transcript"])) <= 0.3
        await client.read_until(lambda one: one["type"] == "answered" and one["text"])  # "" after a sound without words
        assert sum(one["bytes"] for one in client.seen if one["type"] == "audio") > 300 * 48
