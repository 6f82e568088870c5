"""Real models and human speech through the official client and `openai-agents`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from jiwer import cer, wer

from tests.support.offline import openai_conversations
from tests.support.offline.agents_subprocess import run_agents_client
from tests.support.offline.offline_process import offline_process
from tests.support.offline.speech_recordings import ENGLISH, MANDARIN, QUESTION, load_recording, normalized_text, rms

pytestmark = [pytest.mark.models, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server_url() -> AsyncIterator[str]:
    """Yield the URL of a server whose models are loaded."""
    async with offline_process() as server:
        listening = (await server.wait_for_line("listening"))["listening"]
        ready = await server.wait_for_line("ready")
        assert ready["ready"], ready.get("detail")
        yield listening


@pytest.fixture
def speech_file(tmp_path: Path) -> Path:
    """Return a file of English speech for `openai-agents`."""
    file = tmp_path / "speech.pcm"
    file.write_bytes(load_recording(ENGLISH)[1])
    return file


async def test_openai_text_turn_gets_an_answer(server_url: str) -> None:
    assert openai_conversations.SKY_ANSWER.search(await openai_conversations.run_text_turn(server_url))


async def test_openai_english_turn_is_recognised_and_answered(server_url: str) -> None:
    text, speech = load_recording(ENGLISH)
    heard, answer, sound = await openai_conversations.run_spoken_turn(server_url, speech, real_time=True)
    assert wer(normalized_text(text), normalized_text(heard)) <= 0.3
    assert answer and len(sound) > 300 * 48 and rms(sound) > 200


async def test_openai_mandarin_turn_is_recognised_and_answered(server_url: str) -> None:
    text, speech = load_recording(MANDARIN)
    heard, answer, sound = await openai_conversations.run_spoken_turn(server_url, speech, real_time=True)
    assert cer(normalized_text(text), normalized_text(heard)) <= 0.4
    assert any("\u4e00" <= letter <= "\u9fff" for letter in answer) and rms(sound) > 200


async def test_semantic_vad_after_a_finished_sentence_ends_the_turn_early(server_url: str) -> None:
    """The audio ends with 600 ms of silence. Only the transcript can end the turn: without it 800 ms are needed."""
    speech = load_recording(QUESTION)[1]
    loud = np.flatnonzero(np.abs(np.frombuffer(speech, np.int16).astype(int)) > 800)
    detection = {"type": "semantic_vad", "eagerness": "medium"}
    async with openai_conversations.connect_client(server_url) as client, asyncio.timeout(30):
        await client.update(audio={"input": {"turn_detection": detection}}, output_modalities=["text"])
        await client.send_audio(speech[: int(loud[-1]) * 2] + bytes(600 * 48))
        assert (await client.read_until("input_audio_buffer.speech_stopped"))[-1]["audio_end_ms"] > 0


async def test_openai_interruption_gets_another_reply(server_url: str) -> None:
    said, answer = await openai_conversations.run_interruption(server_url, load_recording(ENGLISH)[1], real_time=True)
    assert said and answer


async def test_openai_tool_round_calls_the_function(server_url: str) -> None:
    arguments, answer = await openai_conversations.run_tool_round(server_url)
    assert "london" in str(json.loads(arguments)).lower() and answer


async def test_agents_text_turn_gets_an_answer(server_url: str) -> None:
    assert (await run_agents_client(server_url, "text"))["answer"]


async def test_agents_spoken_turn_is_recognised_and_answered(server_url: str, speech_file: Path) -> None:
    result = await run_agents_client(server_url, "spoken", speech_file)
    assert wer(normalized_text(load_recording(ENGLISH)[0]), normalized_text(result["heard"])) <= 0.3
    assert result["answer"] and result["sound"] > 0


async def test_agents_interruption_truncates_the_reply(server_url: str, speech_file: Path) -> None:
    result = await run_agents_client(server_url, "interruption", speech_file)
    assert result["truncated_ms"] == 150 and result["answer"]


async def test_agents_tool_round_calls_the_function(server_url: str) -> None:
    result = await run_agents_client(server_url, "tools")
    assert [city.lower() for city in result["called"]][:1] == ["london"] and result["answer"]


async def test_two_sessions_at_once_answer_their_own_questions(server_url: str) -> None:
    async def ask(name: str) -> str:
        async with openai_conversations.connect_client(server_url) as client:
            await client.update(output_modalities=["text"], instructions="Answer in one short sentence.")
            await client.send_text(f"My name is {name}. Repeat my name.")
            response: dict[str, Any] = (await client.read_until("response.done"))[-1]["response"]
            assert response["status"] == "completed"
            return str(response["output"][0]["content"][0]["text"])

    ada, bob = await asyncio.gather(ask("Ada"), ask("Bob"))
    assert ("Ada" in ada, "Bob" in bob) == (True, True) and "Bob" not in ada and "Ada" not in bob
