"""Page errors: what a browser reports as an error of a page. Watched in every context that a test opens."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

ABORTED_BY_THE_PAGE = "net::ERR_ABORTED"
"""Failure of a request that the page itself, or a closed tab, has cancelled."""

LOST_SERVER_ERRORS = pytest.mark.allowed_page_errors(
    "ERR_CONNECTION_REFUSED",
    "ERR_INCOMPLETE_CHUNKED",
    "ERR_EMPTY_RESPONSE",
    "ERR_CONNECTION_RESET",
    "network error",
    "Connection errored out",
    "Failed to fetch",
    "status (of )?503",
    "Server stopped",
    "failed request: GET .*/(queue/data|heartbeat|page-connection)",
)
"""Marker of tests whose server ends while pages are open: it refuses new requests first, and then answers none."""


class PageErrors:
    """Collects console errors, uncaught exceptions, failed requests, and responses with a status of 400 or more."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def watch(self, context: BrowserContext) -> None:
        """Collect the errors of all pages and frames of this context."""
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.found.append(f"uncaught exception: {error.error}"))
        context.on("requestfailed", self._on_request_failed)
        context.on("response", self._on_response)

    def watch_new_contexts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Watch every context that any browser opens from now on."""
        open_context, open_page = Browser.new_context, Browser.new_page

        def new_context(browser: Browser, *args: Any, **options: Any) -> BrowserContext:
            context = open_context(browser, *args, **options)
            self.watch(context)
            return context

        def new_page(browser: Browser, *args: Any, **options: Any) -> Page:
            page = open_page(browser, *args, **options)
            self.watch(page.context)
            return page

        monkeypatch.setattr(Browser, "new_context", new_context)
        monkeypatch.setattr(Browser, "new_page", new_page)

    def unexpected(self, allowed: Iterable[str] = ()) -> list[str]:
        """Return the errors in which none of the `allowed` regular expressions is found."""
        patterns = [re.compile(pattern) for pattern in allowed]
        return [error for error in self.found if not any(pattern.search(error) for pattern in patterns)]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "assert"):
            self.found.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _on_request_failed(self, request: Request) -> None:
        if request.failure != ABORTED_BY_THE_PAGE:
            self.found.append(f"failed request: {request.method} {request.url} {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.found.append(f"status {response.status}: {response.request.method} {response.url}")
