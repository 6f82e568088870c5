"""Launch of the page: a signal that ends the server while Gradio still starts it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from voicechat.config.settings import Settings
from voicechat.server import launch
from voicechat.server.graceful_shutdown import ShutdownPhase


class FailingPage:
    """Stands for Gradio's page, whose server does not answer it."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.is_closed = False

    def launch(self, **_: Any) -> None:
        raise self._error

    def close(self, **_: Any) -> None:
        self.is_closed = True


class ApplicationWithFailingPage:
    """Stands for the application."""

    def __init__(self, error: Exception, phase: ShutdownPhase) -> None:
        self.settings, self.page = Settings(), FailingPage(error)
        self.shutdown = SimpleNamespace(phase=phase, install_signal_handlers=self._note, wait=self._note)
        self.calls = 0
        self.is_stopped = False

    def _note(self) -> None:
        self.calls += 1

    def start(self) -> None:
        self.calls += 1

    def stop(self) -> None:
        self.is_stopped = True


@pytest.fixture(autouse=True)
def without_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what a real application adds to Gradio's server."""
    monkeypatch.setattr(launch, "gradio_app_kwargs", lambda _: {})


ERRORS = [ValueError("When localhost is not accessible"), httpx.ConnectError("refused")]


@pytest.mark.parametrize("error", ERRORS, ids=["error page", "refused"])
@pytest.mark.parametrize("phase", [ShutdownPhase.DRAINING, ShutdownPhase.STOPPED])
def test_signal_during_the_start_is_an_ordinary_end(error: Exception, phase: ShutdownPhase) -> None:
    application: Any = ApplicationWithFailingPage(error, phase)
    launch.serve_until_shutdown(application)
    assert application.calls == 3, "it waits for the shutdown"
    assert application.page.is_closed and application.is_stopped


@pytest.mark.parametrize(
    ("error", "raised"), [*zip(ERRORS, [ValueError, SystemExit], strict=True)], ids=["error page", "refused"]
)
def test_start_that_fails_by_itself_is_an_error(error: Exception, raised: type[BaseException]) -> None:
    application: Any = ApplicationWithFailingPage(error, ShutdownPhase.SERVING)
    with pytest.raises(raised):
        launch.serve_until_shutdown(application)
    assert application.is_stopped
