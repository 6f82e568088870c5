"""Programs at the gateway: the official client and the documented client, with the real models of the embedded server,
and the same conversations without models."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from jiwer import wer
from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent
from pydantic import TypeAdapter

from tests.support.app.app_process import AppProcess
from tests.support.offline import openai_conversations
from tests.support.offline.agents_subprocess import run_agents_client
from tests.support.offline.scripted_models import ModelScript, ScriptedToolCall, scripted_server, tone
from tests.support.offline.session_driver import parse_event
from tests.support.offline.speech_recordings import ENGLISH, load_recording, normalized_text, rms
from tests.support.paths import ROOT
from tests.support.sessions.running_gateway import connected_client, running_gateway

BETA_EVENT: TypeAdapter[Any] = TypeAdapter(BetaServerEvent)


async def documented_client(base: str) -> str:
    """Runs the client of docs/protocol.md against `ws://HOST:PORT`; returns what it prints."""
    [source] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "protocol.md").read_text("utf-8"), re.DOTALL)
    there = "ws://127.0.0.1:7860"
    assert source.count(there) == 1 and len(re.findall(r"\S.*\n", source)) == 15
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source.replace(there, base), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode().strip()


# ---------------------------------------------------------------- scripted


@pytest.fixture
async def model_script() -> ModelScript:
    return ModelScript()


@pytest.fixture
async def base_url(model_script: ModelScript) -> AsyncIterator[str]:
    """`ws://HOST:PORT` of a gateway to the embedded server, which follows the script."""
    async with scripted_server(model_script) as url, running_gateway(url, READY_SECONDS="5") as ours:
        yield ours.url("")
        await ours.wait_until_empty()


async def test_openai_client_text_turn(base_url: str, model_script: ModelScript) -> None:
    model_script.replies = [["It is", " blue."]]
    assert await openai_conversations.run_text_turn(f"{base_url}/v1/realtime") == "It is blue."


async def test_openai_client_spoken_turn(base_url: str, model_script: ModelScript) -> None:
    model_script.transcripts, model_script.replies = ["What time is it?"], [["It is ten.", " Goodbye."]]
    said = await openai_conversations.run_spoken_turn(f"{base_url}/v1/realtime", tone(1000))
    assert said == ("What time is it?", "It is ten. Goodbye.", tone(400) * 2)


async def test_openai_client_interruption(base_url: str, model_script: ModelScript) -> None:
    model_script.transcripts, model_script.replies = ["Stop."], [["Once upon a time.", " The end."], ["All right."]]
    said, answer = await openai_conversations.run_interruption(f"{base_url}/v1/realtime", tone(1000))
    assert said and answer == "All right."


async def test_openai_agents(base_url: str, model_script: ModelScript, tmp_path: Path) -> None:
    """Its update names a transcription model: the session has the operator's all the same."""
    speech = tmp_path / "speech.pcm"
    speech.write_bytes(tone(1000))
    model_script.transcripts, model_script.replies = ["What time is it?"], [["It is ten.", " Goodbye."]]
    result = await run_agents_client(f"{base_url}/realtime-voice", "spoken", speech)
    assert result["heard"] == "What time is it?" and result["answer"] == "It is ten. Goodbye."


async def test_tool_round(base_url: str, model_script: ModelScript) -> None:
    model_script.replies = [[ScriptedToolCall("get_weather", '{"city": "London"}')], ["Foggy."]]
    assert await openai_conversations.run_tool_round(f"{base_url}/v1/realtime") == ('{"city": "London"}', "Foggy.")


async def test_the_documented_client(base_url: str, model_script: ModelScript) -> None:
    model_script.replies = [["It is", " blue."]]
    assert await documented_client(base_url) == "It is blue."


async def test_beta_events_are_those_of_the_old_client(base_url: str, model_script: ModelScript) -> None:
    model_script.replies = [["It is", " blue."]]
    async with connected_client(f"{base_url}/v1/realtime?dialect=beta") as client:
        await beta_text_turn(client)
    assert "".join(e["delta"] for e in client.received if e["type"] == "response.text.delta") == "It is blue."


async def beta_text_turn(client: Any) -> None:
    """A written turn as clients of 2024-25 held it; every event is one of theirs."""
    await client.send({"type": "session.update", "session": {"modalities": ["text"], "temperature": 0.8}})
    await client.read_until("session.updated")
    content = [{"type": "input_text", "text": "What colour is the sky on a clear day?"}]
    item = {"type": "message", "role": "user", "content": content}
    await client.send({"type": "conversation.item.create", "item": item}, {"type": "response.create"})
    done = await client.read_until("response.done")
    assert done["response"]["output"][0]["content"][0]["type"] == "text"
    for event in client.received:
        event.get("session", {}).pop("model", None)  # the old types only know the models of their day
        assert BETA_EVENT.validate_python(event).type == event["type"]
    kinds = [event["type"] for event in client.received]
    assert kinds.count("conversation.item.created") == 2 and not any("output_text" in kind for kind in kinds)


# ---------------------------------------------------------------- real models


@pytest.fixture
def real_app_url(app: AppProcess) -> Iterator[str]:
    """`ws://HOST:PORT` of the running app; afterwards no client is connected and the log holds no transcript."""
    yield app.url.replace("http", "ws", 1)
    app.wait_for_health(lambda health: (health["calls"], health["chats"]) == (0, 0), timeout=30)
    log = app.log_path.read_text()
    assert "Traceback" not in log and "sky" not in log


models = [pytest.mark.models, pytest.mark.timeout(180)]


class TestRealModels:
    """`python app.py` with no key."""

    pytestmark = models

    async def test_openai_client_text_turn(self, real_app_url: str) -> None:
        assert openai_conversations.SKY_ANSWER.search(
            await openai_conversations.run_text_turn(f"{real_app_url}/v1/realtime")
        )

    async def test_openai_client_spoken_turn(self, real_app_url: str) -> None:
        text, speech = load_recording(ENGLISH)
        heard, answer, sound = await openai_conversations.run_spoken_turn(
            f"{real_app_url}/v1/realtime", speech, real_time=True
        )
        assert wer(normalized_text(text), normalized_text(heard)) <= 0.3
        assert answer and len(sound) > 300 * 48 and rms(sound) > 200

    async def test_the_first_event_tells_the_operators_settings(self, real_app_url: str) -> None:
        async with connected_client(f"{real_app_url}/text-chat") as client:
            created = await client.next_event()
        parse_event(created)
        assert created["session"]["output_modalities"] == ["text"] and "Markdown" in created["session"]["instructions"]
        assert created["session"]["max_output_tokens"] == 2048

    async def test_the_documented_client(self, real_app_url: str) -> None:
        assert openai_conversations.SKY_ANSWER.search(await documented_client(real_app_url))

    async def test_a_beta_client(self, real_app_url: str) -> None:
        headers = {"OpenAI-Beta": "realtime=v1"}
        async with connected_client(f"{real_app_url}/v1/realtime", additional_headers=headers) as client:
            await beta_text_turn(client)

    async def test_third_program_gets_server_full_from_the_embedded_server(self, real_app_url: str) -> None:
        async with (
            connected_client(f"{real_app_url}/text-chat") as one,
            connected_client(f"{real_app_url}/text-chat") as two,
        ):
            await one.next_event()
            await two.next_event()
            async with connected_client(f"{real_app_url}/text-chat") as three:
                code, reason = await three.read_until_closed()
            assert json.dumps(three.received).count("session_limit_reached") >= 1
            assert (code, reason) == (1013, "invalid_request_error.session_limit_reached")
