"""Page sessions: connects the start and the end of a Gradio session with `PageResume`."""

from __future__ import annotations

from weakref import WeakValueDictionary

import gradio as gr

from voicechat.security.middleware.context import find_session_owner
from voicechat.session.conversation_store import resume_key
from voicechat.session.page_resume import PageResume
from voicechat.session.visitor import Visitor


class PageSessions:
    """Visitors by Gradio's session hash. Gradio owns them: pages that vanish without a sign are not kept alive here."""

    def __init__(self, page_resume: PageResume) -> None:
        self._page_resume = page_resume
        self._visitors: WeakValueDictionary[str, Visitor] = WeakValueDictionary()

    async def open(self, visitor: Visitor, token: object, request: gr.Request) -> bool:
        """Note an opened page; return whether it goes on with what it had. `token`: made by resume.js."""
        owner = find_session_owner(request.request) if request.request is not None else ""
        key, visitor.picture_owner = resume_key(token, owner), owner
        session = request.session_hash or ""
        if session:
            self._visitors[session] = visitor
        await self._page_resume.fetch(key, visitor)
        has_any = self._page_resume.open_page(key, visitor)
        if session and self._visitors.get(session) is not visitor:  # closed while its record was fetched
            self._page_resume.close_page(visitor)
        return has_any

    def close(self, request: gr.Request) -> None:
        """Note that a page was closed."""
        visitor = self._visitors.pop(request.session_hash or "", None)
        if visitor is not None:
            self._page_resume.close_page(visitor)

    def forget(self, visitor: Visitor) -> None:
        """Erase all pages of this page's browser, open and closed. Each starts empty with its next load."""
        self._page_resume.forget(visitor)
