"""Fixtures and settings of the whole suite."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import hypothesis
import pytest

from network.proxies import prepare_environment
from tests.support.app.app_process import AppProcess, running_app
from voicechat.gradio_import import leave_out_type_stubs

os.environ["OFFLINE_UPGRADE"] = "false"  # no test downloads a model in the background
leave_out_type_stubs()
prepare_environment()  # a developer's proxy is not asked for this computer, in the processes of the tests either

# Generated tests check results, not speed: a stall of a busy machine must not fail them. The long mode has more
# examples.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    max_examples=200 if os.environ.get("LONG") else 40,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run browser tests last, and tests of the long mode only in that mode.

    Playwright's synchronous driver keeps an event loop running in the main thread. Coroutine tests cannot run after it.
    """
    if not os.environ.get("LONG"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long") is not None])
        items[:] = [item for item in items if item.get_closest_marker("long") is None]
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def pytest_collection_finish() -> None:
    """Exempt modules and tests from garbage collections: with them, each full one takes a second."""
    gc.freeze()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """Run `python app.py` without a key and with loaded models, once for all tests."""
    # 48 tokens are ten seconds of speech. All visitors have the same address, so the limit for one visitor is off.
    limits = {"MAX_OUTPUT_TOKENS": "48", "MAX_CALLS_PER_VISITOR": "0"}
    with running_app(tmp_path_factory.mktemp("app") / "log.txt", **limits) as app:
        app.first_health = app.wait_for_health(lambda answer: True)
        app.wait_for_health(lambda health: health["http"] == 200, timeout=120)
        yield app
        assert "Traceback" not in app.log_path.read_text(), app.log_path.read_text()[-4000:]
