"""Text session against real sockets. The test plays the page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_chat_page import KEY, FakeChatPage, endpoint_source, running_chat
from voicechat.config.settings import Settings
from voicechat.conversation.conversation import BubbleState, Conversation
from voicechat.limits.admission import AdmissionKind, ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.protocol.notices import Notice
from voicechat.protocol.server_events import parse_event
from voicechat.session.text_session import TextSession
from voicechat.turn_taking.snapshot import CallStage, Snapshot
from voicechat.upstream.connection import Failure


def messages(snapshot: Snapshot) -> list[tuple[str, str]]:
    return [(bubble.role, bubble.text) for bubble in snapshot.bubbles]


def reply_started(reply: str, item: str) -> list[dict[str, Any]]:
    message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    return [
        {"type": "response.created", "response": {"id": reply, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "response_id": reply, "output_index": 0, "item": message},
        {"type": "conversation.item.added", "previous_item_id": None, "item": message},
    ]


def text_delta(reply: str, item: str, text: str) -> dict[str, Any]:
    about = {"response_id": reply, "item_id": item, "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **about, "delta": text}


def reply_finished(reply: str, item: str, text: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    message = {"id": item, "type": "message", "role": "assistant", "status": status, "content": content}
    return {"type": "response.done", "response": {"id": reply, "status": status, "output": [message]}}


async def start_first_reply(
    there: ScriptedRealtimeServer, page: FakeChatPage, words: str, question: str = "One"
) -> None:
    """The first question, and a reply of which `words` are shown."""
    page.chat.send_text(question)  # while connecting: sent as soon as there is a connection
    await there.wait_for("response.create")
    await there.send(reply_started("r1", "a1"), text_delta("r1", "a1", words))
    await page.wait_for_snapshot(lambda s: len(s.bubbles) == 2)


async def answer_second_question(there: ScriptedRealtimeServer, page: FakeChatPage) -> list[str]:
    """Another question and its whole answer, after a first reply that was stopped: all the texts shown then."""
    page.chat.send_text("Two")
    await there.wait_for("response.create", 2)
    await there.send(reply_started("r2", "a2"), reply_finished("r2", "a2", "Yes."))
    last = await page.wait_for_snapshot(lambda s: s.stage is CallStage.LISTENING and s.bubbles[-1].text == "Yes.")
    return [text for _, text in messages(last)]


async def test_chat_reply_streams_markdown_unchanged() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        assert messages(await page.wait_for_stage(CallStage.LISTENING)) == []
        assert page.chat.send_text("  两行\n\n  and *more*  ")
        item = (await there.wait_for("conversation.item.create"))[0]["item"]
        assert item["content"] == [{"type": "input_text", "text": "两行\n\n  and *more*"}]
        await there.wait_for("response.create")
        assert (await page.wait_for_stage(CallStage.THINKING)).bubbles[0].text == "两行\n\n  and *more*"
        await there.send(reply_started("r1", "a1"), text_delta("r1", "a1", "**简体**\n"))
        await page.wait_for_snapshot(lambda s: len(s.bubbles) == 2 and s.bubbles[1].text == "**简体**")
        await there.send(text_delta("r1", "a1", "- 一"), reply_finished("r1", "a1", "**简体**\n- 一"))
        done = await page.wait_for_stage(CallStage.LISTENING)
        assert messages(done)[1] == ("assistant", "**简体**\n- 一")
        assert done.bubbles[1].state is BubbleState.DONE


async def test_session_update_of_chat_asks_for_text() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        assert there.session_update["session"]["output_modalities"] == ["text"]
        assert there.session_update["session"]["audio"]["input"]["turn_detection"] is None


async def test_stop_keeps_received_text() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        await start_first_reply(there, page, "In the ", "Tell me everything")
        page.chat.interrupt()
        assert (await there.wait_for("response.cancel"))[0]["response_id"] == "r1"
        stopped = await page.wait_for_stage(CallStage.LISTENING)
        assert messages(stopped)[1] == ("assistant", "In the")
        await there.send(text_delta("r1", "a1", "late"), reply_finished("r1", "a1", "In the late", "cancelled"))
        assert await answer_second_question(there, page) == ["Tell me everything", "In the", "Two", "Yes."]
        assert there.received_of("conversation.item.delete") == []


async def test_stop_before_response_created_cancels_it() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        page.chat.send_text("One")
        await there.wait_for("response.create")
        page.chat.interrupt()
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(reply_started("r1", "a1"), text_delta("r1", "a1", "No"))
        assert (await there.wait_for("response.cancel"))[0]["response_id"] == "r1"
        await there.send(reply_finished("r1", "a1", "No", "cancelled"))
        assert await answer_second_question(there, page) == ["One", "Two", "Yes."]


async def test_stop_without_response_created_cancels_reply() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        page.chat.send_text("One")
        await there.wait_for("response.create")
        await there.send(text_delta("r1", "a1", "In the "))
        await page.wait_for_snapshot(lambda s: len(s.bubbles) == 2)
        page.chat.interrupt()
        assert (await there.wait_for("response.cancel"))[0]["response_id"] == "r1"
        await there.send(text_delta("r1", "a1", "late"), reply_finished("r1", "a1", "In the late", "cancelled"))
        page.chat.send_text("Two")
        await there.wait_for("response.create", 2)
        await there.send(text_delta("r2", "a2", "Yes."), reply_finished("r2", "a2", "Yes."))
        last = await page.wait_for_snapshot(lambda s: s.stage is CallStage.LISTENING and len(s.bubbles) == 4)
        assert [text for _, text in messages(last)] == ["One", "In the", "Two", "Yes."]
        assert there.received_of("conversation.item.delete") == []


async def test_audio_reply_in_chat_shows_its_transcript() -> None:
    there, about = (
        ScriptedRealtimeServer(),
        {"response_id": "r1", "item_id": "a1", "output_index": 0, "content_index": 0},
    )
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        page.chat.send_text("One")
        await there.wait_for("response.create")
        await there.send(
            reply_started("r1", "a1"),
            {"type": "response.output_audio_transcript.delta", **about, "delta": "Hello."},
            {"type": "response.output_audio.delta", **about, "delta": "AAAA" * 4000},
            reply_finished("r1", "a1", "Hello."),
        )
        await page.wait_for_snapshot(lambda s: s.stage is CallStage.LISTENING and len(s.bubbles) == 2)
        page.chat.send_text("Two")
        await there.wait_for("response.create", 2)
        last = await page.wait_for_snapshot(lambda s: len(s.bubbles) == 3)
        assert [text for _, text in messages(last)] == ["One", "Hello.", "Two"]
        assert there.received_of("conversation.item.truncate") == []


async def test_cancel_of_finished_reply_is_harmless_and_clear_still_works() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        await start_first_reply(there, page, "Long")
        page.chat.send_text("Two")
        cancel = (await there.wait_for("response.cancel"))[0]
        await there.send(reply_finished("r1", "a1", "Long"))
        await there.wait_for("response.create", 2)
        refusal = {"code": "response_cancel_not_active", "event_id": cancel["event_id"], "message": "Nothing there."}
        added = {
            "id": "seen",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "."}],
        }
        await there.send(
            {"type": "error", "error": refusal},
            {
                "type": "conversation.item.added",
                "item": {**added, "status": "completed"},
            },  # what shows that it was read
        )
        await page.wait_for_snapshot(lambda s: len(s.bubbles) == 4)
        page.chat.clear()
        await there.send(reply_started("r2", "a2"), text_delta("r2", "a2", "About what was cleared"))
        assert (await there.wait_for("response.cancel", 2))[1]["response_id"] == "r2"
        await page.wait_for_snapshot(lambda s: s.bubbles == ())


async def test_message_during_reply_cancels_and_is_answered() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        await start_first_reply(there, page, "Long")
        page.chat.send_text("Two")
        await there.wait_for("response.cancel")
        assert len(there.received_of("response.create")) == 1
        await there.send(reply_finished("r1", "a1", "Long", "cancelled"))
        await there.wait_for("response.create", 2)
        await there.send(reply_started("r2", "a2"), reply_finished("r2", "a2", "Fine."))
        last = await page.wait_for_snapshot(lambda s: s.stage is CallStage.LISTENING and len(s.bubbles) == 4)
        assert [text for _, text in messages(last)] == ["One", "Long", "Two", "Fine."]


async def test_clear_deletes_items_here_and_at_server() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        page.chat.send_text("Secret")
        user = (await there.wait_for("conversation.item.create"))[0]["item"]
        await there.wait_for("response.create")
        await there.send(
            {"type": "conversation.item.added", "previous_item_id": None, "item": {**user, "status": "completed"}},
            *reply_started("r1", "a1"),
            reply_finished("r1", "a1", "Hush."),
        )
        await page.wait_for_snapshot(lambda s: s.stage is CallStage.LISTENING and len(s.bubbles) == 2)
        page.chat.clear()
        deleted_ids = [event["item_id"] for event in await there.wait_for("conversation.item.delete", 2)]
        assert deleted_ids == [user["id"], "a1"]
        await page.wait_for_snapshot(lambda s: s.bubbles == ())


async def test_connection_lost_reconnects_and_replays_history() -> None:
    there, conversation = ScriptedRealtimeServer(), Conversation(text_only=True)
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url), conversation) as page:
        page.chat.send_text("One")
        await there.wait_for("response.create")
        await there.send(reply_started("r1", "a1"), reply_finished("r1", "a1", "Two " * 3000))
        await page.wait_for_snapshot(lambda s: s.stage is CallStage.LISTENING and len(s.bubbles) == 2)
        there.received.clear()
        await there.abort_connection()
        created_texts = [
            event["item"]["content"][0]["text"] for event in await there.wait_for("conversation.item.create", 2)
        ]
        assert created_texts == ["One", ("Two " * 3000).strip()]
        await page.wait_for_stage(CallStage.LISTENING)


async def test_question_lost_with_connection_is_asked_again_once() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        page.chat.send_text("One")
        await there.wait_for("response.create")
        await there.abort_connection()
        await there.wait_for("response.create", 2)
        assert [event["item"]["content"][0]["text"] for event in there.received_of("conversation.item.create")] == [
            "One"
        ] * 2
        await there.send(reply_started("r1", "a1"))
        await there.abort_connection()
        last = await page.wait_for_snapshot(lambda s: s.stage is CallStage.LISTENING and there.connection_count == 3)
        assert messages(last) == [("user", "One")]
        assert len(there.received_of("response.create")) == 2


@pytest.mark.parametrize(
    ("code", "failure"), [(3000, Failure.WRONG_KEY), (4004, Failure.MODEL_NOT_FOUND)], ids=["key", "model"]
)
async def test_fatal_failure_ends_chat(code: int, failure: Failure, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_chat(endpoint_source(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.close_connection(code, "secret words")
        last = await page.wait_until_finished()
        assert (last.stage, last.notice) == (CallStage.FAILED, failure)
        assert not page.chat.is_active
        assert not page.chat.send_text("Hello?")
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name != "websockets.server")
    assert failure in ours
    assert KEY not in ours
    assert "secret" not in ours


async def test_chat_above_limit_fails() -> None:
    there, book = ScriptedRealtimeServer(), AdmissionController(ConcurrencyLimits(chats=1))
    async with running_server(there.handle_connection) as url:
        one, two = (TextSession(Settings(), endpoint_source(url), book, Conversation(text_only=True)) for _ in range(2))
        one.start()
        two.start()
        assert (two.snapshot.stage, two.snapshot.notice) == (CallStage.FAILED, Notice.SERVER_BUSY)
        assert [s.stage async for s in two.snapshots()] == [CallStage.FAILED]
        one.end_by_user()
        await one.wait_closed()
        assert book.count_admitted(AdmissionKind.CHAT) == 0


async def test_closed_tab_frees_its_slot() -> None:
    there, book = ScriptedRealtimeServer(), AdmissionController(ConcurrencyLimits(chats=1))
    async with running_server(there.handle_connection) as url:
        chat = TextSession(Settings(vanished_seconds=1), endpoint_source(url), book, Conversation(text_only=True))
        chat.start()
        reader = FakeChatPage(chat)
        await reader.wait_for_stage(CallStage.LISTENING)
        reader.disconnect()
        async with asyncio.timeout(30):
            await chat.wait_closed()
        assert book.count_admitted(AdmissionKind.CHAT) == 0
        await there.wait_closed()


async def test_idle_chat_ends_with_notice() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_chat(endpoint_source(url), chat_idle_seconds=1) as page,
    ):
        last = await page.wait_until_finished()
        assert (last.stage, last.notice) == (CallStage.ENDED, Notice.IDLE)


async def test_message_too_long_is_not_accepted() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_chat(endpoint_source(url), max_message_chars=5) as page,
    ):
        await page.wait_for_stage(CallStage.LISTENING)
        assert not page.chat.send_text("too long")
        assert (await page.wait_for_snapshot(lambda s: s.notice is not None)).notice == Notice.MESSAGE_TOO_LONG
        assert not page.chat.send_text("   ")
        assert there.received == []


async def test_conversations_of_chat_and_call_are_separate() -> None:
    from realtime_handler import Visitor

    visitor = Visitor()
    visitor.text_conversation.add_user_message("written")
    assert visitor.conversation.bubbles() == ()
    visitor.conversation.apply(parse_event(server_events.speech_started("u1")))
    visitor.conversation.apply(parse_event(server_events.transcription_completed("u1", "spoken")))
    assert [bubble.text for bubble in visitor.text_conversation.bubbles()] == ["written"]
    await visitor.clear()
    assert [bubble.text for bubble in visitor.text_conversation.bubbles()] == ["written"]
