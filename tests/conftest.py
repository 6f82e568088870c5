"""For the whole suite."""

from __future__ import annotations

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser last: Playwright's synchronous driver keeps an event loop running in the main thread from then on,
    and no coroutine test can run beside it."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
