"""Official `openai` client with scripted models."""

from __future__ import annotations

from offline.protocol.worker_messages import Generate
from tests.support.offline import openai_conversations
from tests.support.offline.scripted_models import Checkpoint, ModelScript, ScriptedToolCall, scripted_server, tone


async def test_text_turn_gets_the_scripted_reply() -> None:
    script = ModelScript(replies=[["It is", " blue."]])
    async with scripted_server(script) as url:
        assert await openai_conversations.run_text_turn(url) == "It is blue."
    assert script.requests[0].speak is False and script.closed_workers == 1


async def test_spoken_turn_gets_transcript_and_audio() -> None:
    script = ModelScript(transcripts=["What time is it?"], replies=[["It is ten.", " Goodbye."]])
    async with scripted_server(script) as url:
        heard, answer, sound = await openai_conversations.run_spoken_turn(url, tone(1000))
    assert (heard, answer) == ("What time is it?", "It is ten. Goodbye.")
    assert sound == tone(400) * 2 and script.model_context() == [("user", "What time is it?")]


async def test_interruption_truncates_the_reply() -> None:
    held = Checkpoint()
    script = ModelScript(transcripts=["Stop."], replies=[["Once upon a time.", held, " The end."], ["All right."]])
    async with scripted_server(script) as url:
        said, answer = await openai_conversations.run_interruption(url, tone(1000))
    assert held.reached.is_set() and (said, answer) == ("Once upon a time.", "All right.")
    assert len([work for work in script.submitted_work if isinstance(work, Generate)]) == 2
    asked = "Tell me a long story about a lighthouse keeper, with many details."
    assert script.model_context() == [("user", asked), ("assistant", "Once upon"), ("user", "Stop.")]


async def test_tool_round_calls_the_function_and_uses_its_output() -> None:
    script = ModelScript(replies=[[ScriptedToolCall("get_weather", '{"city": "London"}')], ["Foggy."]])
    async with scripted_server(script) as url:
        arguments, answer = await openai_conversations.run_tool_round(url)
    assert (arguments, answer) == ('{"city": "London"}', "Foggy.")
    assert [message.role for message in script.requests[1].messages] == ["system", "user", "assistant", "tool"]
    assert [request.tool_choice for request in script.requests] == ["required", "none"]
