"""Tools in calls and chats over real sockets, with the real executor."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_chat_page import FakeChatPage, endpoint_source, running_chat
from tests.support.sessions.fake_rtc_page import endpoint_at, running_call
from tests.support.tools.closed_counter import ClosedCounter
from tests.support.tools.scripted_tool import ScriptedTool, running_tools
from tests.support.tools.tool_events import CallingDialect, calling_response
from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.conversation.conversation import Bubble, Conversation
from voicechat.conversation.shown.tool_use import ToolUse
from voicechat.limits.admission import ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.session.text_session import TextSession
from voicechat.tools.calls.call_admission import RecentCalls
from voicechat.tools.calls.tool_call import ToolCallState
from voicechat.tools.calls.tool_call_tracker import ToolLimits
from voicechat.tools.definition import ToolResult
from voicechat.tools.runtime import ToolRuntime
from voicechat.turn_taking.snapshot import CallStage, Snapshot


def uses(snapshot: Snapshot) -> list[ToolUse]:
    return [bubble.tool_use for bubble in snapshot.bubbles if bubble.tool_use is not None]


def shown(bubbles: tuple[Bubble, ...]) -> list[tuple[str, str]]:
    return [(bubble.role, bubble.text or (bubble.tool_use.state if bubble.tool_use else "")) for bubble in bubbles]


def text_reply(response: str, item: str, text: str) -> list[dict[str, Any]]:
    content = [{"type": "output_text", "text": text}]
    message = {"id": item, "type": "message", "role": "assistant", "status": "completed", "content": content}
    created = {"type": "response.created", "response": {"id": response, "status": "in_progress", "output": []}}
    return [created, server_events.response_ended(response, "completed", None, [message])]


async def test_chat_with_a_tool_round_shows_it_and_answers_at_once() -> None:
    there, tool = ScriptedRealtimeServer(), ScriptedTool("look")
    with running_tools(tool) as tools:
        async with (
            running_server(there.handle_connection) as url,
            running_chat(endpoint_source(url), tools=tools) as page,
        ):
            page.chat.send_text("你看到什麼？")
            await there.wait_for("response.create")
            (declared,) = there.session_update["session"]["tools"]
            assert (declared["type"], declared["name"]) == ("function", "look")
            await there.send(calling_response("r1", [("c1", "look", {"at": "天空"})]))
            await there.wait_for("response.create", 2)
            created = there.received_of("conversation.item.create")[-1]["item"]
            assert created["type"] == "function_call_output" and "42" in created["output"]
            await there.send(text_reply("r2", "a2", "四十二。"))
            last = await page.wait_for_stage(CallStage.LISTENING)
            assert shown(last.bubbles) == [("user", "你看到什麼？"), ("tool", "done"), ("assistant", "四十二。")]
            (use,) = uses(last)
            assert use.arguments == '{"at": "天空"}' and use.result == "42" and use.seconds is not None
            assert tool.contexts[0].language == "zh"


async def test_result_is_followed_by_its_request_within_50_ms() -> None:
    there, tool = ScriptedRealtimeServer(), ScriptedTool("look", None)
    with running_tools(tool) as tools:
        async with (
            running_server(there.handle_connection) as url,
            running_chat(endpoint_source(url), tools=tools) as page,
        ):
            page.chat.send_text("Look")
            await there.wait_for("response.create")
            await there.send(calling_response("r1", [("c1", "look", {})]))
            await page.wait_for_snapshot(lambda snapshot: bool(uses(snapshot)))
            began_at = time.thread_time()
            page.chat._take_from_tool(page.chat._call.take_tool_result, "c1", ToolResult("42"))
            assert time.thread_time() - began_at < 0.05
            await there.wait_for("response.create", 2)


async def test_call_with_a_tool_round_is_heard() -> None:
    there, tool = ScriptedRealtimeServer(), ScriptedTool("look")
    with running_tools(tool) as tools:
        async with (
            running_server(there.handle_connection) as url,
            running_call(endpoint_at(url), tools=tools) as page,
        ):
            await page.wait_for_stage(CallStage.LISTENING)
            page.session.send_text("Look")
            await there.wait_for("response.create")
            await there.send(calling_response("r1", [("c1", "look", {})], CallingDialect.ARGUMENTS_ONLY))
            await there.wait_for("response.create", 2)
            await there.send(server_events.complete_response("r2", "a2", "Forty-two.", 100))
            last = await page.wait_for_snapshot(
                lambda snapshot: (
                    snapshot.stage is CallStage.LISTENING and [use.heard for use in uses(snapshot)] == ["all"]
                )
            )
            assert shown(last.bubbles) == [("user", "Look"), ("tool", "done"), ("assistant", "Forty-two.")]
            assert last.latency is not None
            assert "tool" in [span.name for span in last.latency.recent[-1].spans]


async def test_cancel_button_stops_the_running_tool() -> None:
    there, tool = ScriptedRealtimeServer(), ScriptedTool("look", None)
    with running_tools(tool) as tools:
        async with (
            running_server(there.handle_connection) as url,
            running_chat(endpoint_source(url), tools=tools) as page,
        ):
            page.chat.send_text("Look")
            await there.wait_for("response.create")
            await there.send(calling_response("r1", [("c1", "look", {})]))
            await page.wait_for_snapshot(lambda snapshot: bool(uses(snapshot)))
            page.chat.cancel_tool("c1")
            assert await asyncio.to_thread(tool.is_cancelled.wait, 5)
            last = await page.wait_for_snapshot(lambda snapshot: uses(snapshot)[0].state == "cancelled")
            assert not last.pending_approvals


async def test_acting_tool_is_declared_with_approve_while_the_visitor_is_asked() -> None:
    there, tool = ScriptedRealtimeServer(), ScriptedTool("send", read_only=False)
    with running_tools(tool) as tools:
        async with (
            running_server(there.handle_connection) as url,
            running_chat(endpoint_source(url), tools=tools) as page,
        ):
            page.chat.send_text("Send it")
            await there.wait_for("response.create")
            await there.send(calling_response("r1", [("c1", "send", {})]))
            (update,) = await there.wait_for("session.update")
            assert [declared["name"] for declared in update["session"]["tools"]] == ["send", "approve"]
            await there.wait_for("response.create", 2)
            await there.send(text_reply("r2", "a2", "Shall I?"))
            await page.wait_for_snapshot(lambda snapshot: bool(snapshot.pending_approvals))
            page.chat.approve("c1", True)
            updates = await there.wait_for("session.update", 2)
            assert [declared["name"] for declared in updates[-1]["session"]["tools"]] == ["send"]
            await there.wait_for("response.create", 3)
            assert len(tool.contexts) == 1


async def test_reconnect_in_a_tool_run_seeds_the_call_and_sends_the_late_result() -> None:
    there, tool = ScriptedRealtimeServer(), ScriptedTool("look", None)
    with running_tools(tool) as tools:
        async with (
            running_server(there.handle_connection) as url,
            running_chat(endpoint_source(url), tools=tools) as page,
        ):
            page.chat.send_text("Look")
            await there.wait_for("response.create")
            await there.send(calling_response("r1", [("call_1", "look", {})]))
            await page.wait_for_snapshot(lambda snapshot: bool(uses(snapshot)))
            await there.abort_connection()
            created = await there.wait_for("conversation.item.create", 4)
            assert [event["item"]["type"] for event in created[1:]] == [
                *("message", "function_call", "function_call_output")
            ]
            page.chat._take_from_tool(page.chat._call.take_tool_result, "call_1", ToolResult("42"))
            late = (await there.wait_for("conversation.item.create", 5))[-1]["item"]
            assert late["role"] == "system" and "42" in late["content"][0]["text"]
            await there.wait_for("response.create", 2)


async def test_announcement_of_a_tool_speaks_in_the_next_silence() -> None:
    there, tool = ScriptedRealtimeServer(), ScriptedTool("timer", "Set.")
    with running_tools(tool) as tools:
        async with (
            running_server(there.handle_connection) as url,
            running_chat(endpoint_source(url), tools=tools) as page,
        ):
            page.chat.send_text("Timer")
            await there.wait_for("response.create")
            await there.send(calling_response("r1", [("c1", "timer", {})]))
            await there.wait_for("response.create", 2)
            await there.send(text_reply("r2", "a2", "Set."))
            await page.wait_for_stage(CallStage.LISTENING)
            await asyncio.to_thread(tool.contexts[0].announce, ToolResult("Time is up."))
            await there.wait_for("response.create", 3)
            message = there.received_of("conversation.item.create")[-1]["item"]
            assert message["role"] == "system" and "Time is up." in message["content"][0]["text"]


async def test_tool_that_the_visitor_switched_off_is_declared_no_more() -> None:
    there = ScriptedRealtimeServer()
    with running_tools(ScriptedTool("look"), ScriptedTool("listen")) as tools:
        async with (
            running_server(there.handle_connection) as url,
            running_chat(endpoint_source(url), tools=tools) as page,
        ):
            await page.wait_for_stage(CallStage.LISTENING)
            page.chat.set_disabled_tools(frozenset({"look"}))
            (update,) = await there.wait_for("session.update")
            assert [declared["name"] for declared in update["session"]["tools"]] == ["listen"]
            page.chat.send_text("Look")
            await there.wait_for("response.create")
            await there.send(calling_response("r1", [("c1", "look", {})]))
            await page.wait_for_snapshot(lambda snapshot: bool(uses(snapshot)) and uses(snapshot)[0].state == "failed")


def new_chat(tools: ToolRuntime, places: AdmissionController | None = None, **options: Any) -> TextSession:
    """Return a chat that is not started."""
    places = places or AdmissionController(ConcurrencyLimits(chats=1))
    return TextSession(
        Settings(), endpoint_source("ws://x"), places, Conversation(text_only=True), tools=tools, **options
    )


async def test_clear_ends_what_tools_keep_and_later_calls_may_keep_more() -> None:
    there, tool, kept = ScriptedRealtimeServer(), ScriptedTool("timer"), [ClosedCounter(), ClosedCounter()]
    with running_tools(tool) as tools:
        async with (
            running_server(there.handle_connection) as url,
            running_chat(endpoint_source(url), tools=tools) as page,
        ):
            for number, thing in enumerate(kept):
                page.chat.send_text("Timer")
                await there.wait_for("response.create", 2 * number + 1)
                await there.send(calling_response(f"r{number}", [(f"c{number}", "timer", {})]))
                await there.wait_for("response.create", 2 * number + 2)
                await there.send(text_reply(f"a{number}", f"m{number}", "Set."))
                await page.wait_for_stage(CallStage.LISTENING)
                memory = tool.contexts[number].memory
                assert memory is not None and memory.keep("timers", lambda thing=thing: thing) is thing
                page.chat.clear()
                assert thing.closed == 1


async def test_queued_visitor_has_the_tools_that_came_while_they_waited() -> None:
    places = AdmissionController(ConcurrencyLimits(chats=1, queue_length=1))
    with running_tools(servers=["notes"]) as tools:
        first, second = new_chat(tools, places), new_chat(tools, places)
        first.start()
        second.start()
        tools.registry.set_server_tools("notes", [ScriptedTool("notes__search")])
        first.end_by_user()
        page = FakeChatPage(second)
        await page.wait_for_snapshot(lambda snapshot: snapshot.stage is not CallStage.QUEUED)
        declared = [definition.name for definition in second._call.tools.tracker.definitions]
        second.end_by_user()
        await page.wait_until_finished()
        await asyncio.gather(first.wait_closed(), second.wait_closed())
    assert declared == ["notes__search"]


@pytest.mark.parametrize("visitor_key", ["visitor", ""])
def test_sessions_of_one_visitor_share_the_calls_of_a_minute(visitor_key: str) -> None:
    own, limit = RecentCalls(), ToolLimits().calls_per_minute
    with running_tools(ScriptedTool("look")) as tools:
        chats = [new_chat(tools, visitor_key=visitor_key, recent_calls=own) for _ in range(2)]
        for number in range(limit + 1):
            chats[number % 2]._call.tools.tracker.take_call("r", f"c{number}", "look", "{}", 100.0)
        other = new_chat(tools, visitor_key="other")._call.tools.tracker
        other.take_call("r", "c", "look", "{}", 100.0)
    states = [call.state for chat in chats for call in chat._call.tools.tracker.calls]
    assert states.count(ToolCallState.FAILED) >= 1 and other.calls[0].state is ToolCallState.RUNNING
    assert "one minute" in chats[0]._call.tools.tracker.calls[-1].result_text


def test_each_connection_decides_how_a_yes_is_taken() -> None:
    with running_tools(ScriptedTool("send", read_only=False)) as tools:
        chat = new_chat(tools)
        tracker = chat._call.tools.tracker
        chat._start_connection(Endpoint(ServerKind.OFFLINE, "ws://x", {}))
        tracker.take_call("r", "c", "send", "{}", 100.0)
        tracker.finish_response("r", "completed", 100.0)
        assert [definition.name for definition in tracker.definitions] == ["send"]
        chat._start_connection(Endpoint(ServerKind.CUSTOM, "ws://x", {}))
        assert [definition.name for definition in tracker.definitions] == ["send", "approve"]
