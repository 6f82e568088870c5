"""Page sessions: a page that is closed while its record is fetched from another replica."""

from __future__ import annotations

import gradio as gr
import pytest
from starlette.requests import Request

from voicechat.config.call_preferences import CallPreferences
from voicechat.conversation.record import ConversationRecord
from voicechat.session.conversation_store import InMemoryConversationStore, ResumeKey, VisitorRecord
from voicechat.session.page_resume import PageResume
from voicechat.session.visitor import Visitor
from voicechat.ui.page_sessions import PageSessions

TOKEN = "0123456789abcdef" * 4
RECORD = VisitorRecord(ConversationRecord(), ConversationRecord(), CallPreferences(voice="cedar"))


class FetchingStore(InMemoryConversationStore):
    """Store that finds the record at another replica. The page may be closed before the answer."""

    sessions: PageSessions
    request: gr.Request
    is_closed_meanwhile = False

    async def fetch(self, key: ResumeKey) -> None:
        self.put(key, RECORD)
        if self.is_closed_meanwhile:
            self.sessions.close(self.request)


@pytest.mark.parametrize("is_closed_meanwhile", [False, True])
async def test_record_is_kept_whether_the_page_waits_for_it_or_not(
    monkeypatch: pytest.MonkeyPatch, is_closed_meanwhile: bool
) -> None:
    monkeypatch.setattr("voicechat.ui.page_sessions.find_session_owner", lambda _: "browser one")
    scope = {"type": "http", "headers": [], "path": "/", "query_string": b""}
    store = FetchingStore(60.0)
    store.sessions, store.is_closed_meanwhile = PageSessions(PageResume(store)), is_closed_meanwhile
    store.request = gr.Request(Request(scope), session_hash="abc")
    visitor, back = Visitor(), Visitor()
    assert await store.sessions.open(visitor, TOKEN, store.request)
    assert visitor.preferences == RECORD.preferences
    assert len(store) == (1 if is_closed_meanwhile else 0), "a closed page leaves its record"
    store.is_closed_meanwhile = False
    assert await store.sessions.open(back, TOKEN, gr.Request(Request(scope), session_hash="def"))
    assert back.preferences == RECORD.preferences
