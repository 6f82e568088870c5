"""`openai-agents` client with scripted models."""

from __future__ import annotations

from pathlib import Path

from tests.support.offline.agents_subprocess import run_agents_client
from tests.support.offline.scripted_models import Checkpoint, ModelScript, ScriptedToolCall, scripted_server, tone


async def test_text_turn_gets_the_scripted_reply() -> None:
    async with scripted_server(ModelScript(replies=[["It is", " blue."]])) as url:
        assert await run_agents_client(url, "text") == {"answer": "It is blue."}


async def test_spoken_turn_gets_transcript_and_audio(tmp_path: Path) -> None:
    speech = tmp_path / "speech.pcm"
    speech.write_bytes(tone(1000))
    script = ModelScript(transcripts=["What time is it?"], replies=[["It is ten.", " Goodbye."]])
    async with scripted_server(script) as url:
        result = await run_agents_client(url, "spoken", speech)
    assert result["heard"] == "What time is it?" and result["answer"] == "It is ten. Goodbye."
    assert result["sound"] > 0 and result["roles"] == ["user", "assistant"]


async def test_interruption_truncates_the_reply(tmp_path: Path) -> None:
    speech = tmp_path / "speech.pcm"
    speech.write_bytes(tone(1000))
    script = ModelScript(transcripts=["Stop."], replies=[["Once upon a time.", Checkpoint()], ["All right."]])
    async with scripted_server(script) as url:
        result = await run_agents_client(url, "interruption", speech)
    assert result == {"truncated_ms": 150, "answer": "All right."}
    assert script.model_context()[1:] == [("assistant", "Once"), ("user", "Stop.")]


async def test_tool_round_calls_the_function_and_uses_its_output() -> None:
    script = ModelScript(replies=[[ScriptedToolCall("get_weather", '{"city": "London"}')], ["Foggy."]])
    async with scripted_server(script) as url:
        assert await run_agents_client(url, "tools") == {"called": ["London"], "answer": "Foggy."}
    assert [message.role for message in script.requests[1].messages][1:] == ["user", "assistant", "tool"]
