"""For the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .browser.conftest import App, running_app


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser last: Playwright's synchronous driver keeps an event loop running in the main thread from then on,
    and no coroutine test can run beside it."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """`python app.py` with no key, its models loaded: one for all tests, as starting it takes longer than most."""
    with running_app(tmp_path_factory.mktemp("app") / "log.txt") as app:
        app.wait(lambda health: health["http"] == 200, timeout=120)
        yield app
        assert "Traceback" not in app.log.read_text(), app.log.read_text()[-4000:]
