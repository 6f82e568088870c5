"""Log lines for events that Gradio could not serve."""

from __future__ import annotations

import gradio.queueing
import gradio.routes
import pytest

from voicechat.server.gradio_patches import error_logging


def test_failed_event_logs_one_line_without_its_content(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    error_logging.install()
    for module in (gradio.queueing, gradio.routes):
        try:
            raise ValueError("Received inputs: ['typed text']")
        except ValueError:
            module.traceback.print_exc()
    assert capsys.readouterr() == ("", "")
    assert [record.getMessage() for record in caplog.records] == [
        "gradio: event failed error=ValueError at test_error_logging.py:18"
    ] * 2
    assert module.traceback.format_exc
