"""Resume in the middle of a reply: what was heard is kept, and the next call's model is given no more than that."""

from __future__ import annotations

import pytest

from realtime_handler import RealtimeHandler, Visitor
from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at
from voicechat.audio.recording import RecordingState
from voicechat.config.call_preferences import CallPreferences
from voicechat.config.settings import Settings
from voicechat.conversation.record import ConversationRecord
from voicechat.limits.admission import AdmissionKind
from voicechat.session.conversation_store import InMemoryConversationStore, ResumeKey
from voicechat.session.page_resume import PageResume
from voicechat.turn_taking.snapshot import CallStage

KEY = ResumeKey("browser", "page")
REPLY = " ".join(f"word{number}" for number in range(200))
REPLY_MS = 20_000


def heard_text(record: ConversationRecord) -> str:
    ((text, heard),) = record.items[-1].parts
    return text[:heard]


@pytest.mark.parametrize("is_complete", [True, False], ids=["reply complete", "reply still being made"])
@pytest.mark.parametrize("is_closed_first", [False, True], ids=["reload before the unload", "after it"])
async def test_reload_in_the_middle_of_a_reply_keeps_what_was_heard(is_complete: bool, is_closed_first: bool) -> None:
    there, resume = ScriptedRealtimeServer(), PageResume(InMemoryConversationStore(60.0))
    reply = server_events.complete_response("r1", "a1", REPLY, REPLY_MS)
    old, new = Visitor(), Visitor()
    old.preferences = CallPreferences(voice="cedar")
    async with running_server(there.handle_connection) as url:
        prototype = RealtimeHandler(Settings(), endpoint_at(url))
        page, next_page = FakeRtcPage(prototype, old), FakeRtcPage(prototype, new)
        resume.open_page(KEY, old)
        await page.start()
        await page.wait_for_stage(CallStage.LISTENING)
        assert page.session.send_text("A story.")
        await there.wait_for("response.create")
        await there.send(reply if is_complete else reply[:-3])
        await page.wait_for_stage(CallStage.SPEAKING)
        frames = len(page.frames)
        await page.wait_until(lambda: len(page.frames) > frames + 25)
        if is_closed_first:
            resume.close_page(old)
            assert old.is_in_call
        during = heard_text(old.to_record(prototype.clock(), end_call=False).voice)
        assert 0 < len(during) < len(REPLY) / 4, "the reply lasts 20 s"
        recording = old.recording
        assert resume.open_page(KEY, new)
        assert not old.is_in_call
        if not is_closed_first:
            resume.close_page(old)
        shown = new.conversation.bubbles()
        assert [(bubble.role, bubble.text) for bubble in shown[:1]] == [("user", "A story.")]
        assert shown[1].text.startswith(during.strip()) and len(shown[1].text) < len(REPLY) / 4
        assert (shown[1].text + shown[1].unheard).replace(" ", "") == REPLY.replace(" ", "")
        assert new.preferences == CallPreferences(voice="cedar")
        await page.hang_up()
        assert prototype.admission.count_admitted(AdmissionKind.CALL) == 0
        assert new.recording is recording and recording is not None and recording.state is RecordingState.OPEN
        length = recording.sample_count
        await next_page.start()
        await next_page.wait_for_stage(CallStage.LISTENING)
        await next_page.wait_until(lambda: len(there.received_of("conversation.item.create")) > 2)
        created = [event["item"] for event in there.received_of("conversation.item.create")][1:]
        assert [item["content"][0]["text"] for item in created] == ["A story.", shown[1].text]
        await next_page.wait_until(lambda: recording.sample_count > length + 4800)
        assert new.conversation.clock.elapsed_s(prototype.clock()) == pytest.approx(recording.duration_s, abs=0.3)
        await next_page.hang_up()
        assert prototype.admission.count_admitted(AdmissionKind.CALL) == 0
