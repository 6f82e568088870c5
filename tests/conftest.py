"""For the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.app.app_process import AppProcess, running_app

# What is tested is what comes out, not how busy the machine is: a stall of a second fails no generated test.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The browser last: Playwright's synchronous driver keeps an event loop running in the main thread from then on,
    and no coroutine test can run beside it. Tests of the long mode only in that."""
    if not os.environ.get("LONG"):
        others = [item for item in items if item.get_closest_marker("long") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in others])
        items[:] = others
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """`python app.py` with no key, its models loaded: one for all tests, as starting it takes longer than most."""
    # So many tokens are ten seconds of speech: a model that rambles is no reason to listen longer.
    # All its visitors come from this computer, several at once, and may be taken for one.
    bounds = {"MAX_OUTPUT_TOKENS": "48", "MAX_CALLS_PER_VISITOR": "0"}
    with running_app(tmp_path_factory.mktemp("app") / "log.txt", **bounds) as app:
        app.first_health = app.wait_for_health(lambda answer: True)
        app.wait_for_health(lambda health: health["http"] == 200, timeout=120)
        yield app
        assert "Traceback" not in app.log_path.read_text(), app.log_path.read_text()[-4000:]
