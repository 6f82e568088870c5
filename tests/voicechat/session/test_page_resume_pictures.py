"""Page resume and pictures that were not sent: "Forget me" erases them at once, and the clock of the pages later."""

from __future__ import annotations

import asyncio

from tests.support.manual_clock import ManualClock
from voicechat.pictures.image_file import JPEG, ImageFile
from voicechat.session.conversation_store import InMemoryConversationStore
from voicechat.session.page_resume import EXPIRY_INTERVAL_S, PageResume
from voicechat.session.picture_store import UNSENT_LIFETIME_S, PictureStore
from voicechat.session.visitor import Visitor

IMAGE = ImageFile(JPEG, 64, 48, b"pixels")


def test_forgotten_visitor_leaves_no_unsent_picture() -> None:
    pictures = PictureStore()
    resume = PageResume(InMemoryConversationStore(60.0), pictures=pictures)
    visitor = Visitor()
    visitor.picture_owner = "anna"
    draft, other = pictures.put("anna", IMAGE), pictures.put("ben", IMAGE)
    resume.forget(visitor)
    assert (draft.byte_count, other.byte_count) == (0, len(IMAGE.content))


async def test_unsent_picture_expires_without_another_request() -> None:
    clock = ManualClock()
    pictures = PictureStore(clock)
    resume = PageResume(InMemoryConversationStore(60.0, clock), clock, clock.sleep, pictures=pictures)
    draft = pictures.put("anna", IMAGE)
    async with resume.run_in_background():
        await asyncio.sleep(0)
        await clock.advance(UNSENT_LIFETIME_S - EXPIRY_INTERVAL_S)
        assert draft.byte_count
        await clock.advance(2 * EXPIRY_INTERVAL_S)
        assert not draft.byte_count
