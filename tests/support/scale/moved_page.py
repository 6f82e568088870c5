"""Page object of a page whose replica is killed, frozen or drained: it comes back at another one, with its call."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.browser.resumed_page import ResumablePage

log = logging.getLogger(__name__)

LIVE_STAGES = ("listening", "hearing", "thinking", "speaking")


class MovedPage(ResumablePage):
    """Drives a page behind HAProxy."""

    move_s = 0.0
    """Seconds of the newest move, from its cause until the page and its call were back."""

    def process_id(self) -> str:
        """Return the id of the replica that the page was loaded from."""
        self.wait_until("() => window.voiceConnection.processId() !== null")
        return str(self.page.evaluate("voiceConnection.processId()"))

    @contextmanager
    def expecting_move(self, *, with_call: bool) -> Iterator[None]:
        """Wait at the end of the block until the page has loaded itself from another replica, with its call."""
        before = self.process_id()
        self.mark_document()
        begin = time.monotonic()
        yield
        self.wait_until_reloaded()
        if with_call:
            self.wait_for_stage(*LIVE_STAGES)
        self.move_s = time.monotonic() - begin
        log.info("scale: page is back with_call=%s after_s=%.2f", with_call, self.move_s)
        assert self.process_id() != before
        assert "again" not in self.page.url
