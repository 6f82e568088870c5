"""What Gradio says of an event that it cannot serve."""

from __future__ import annotations

import gradio.queueing
import gradio.routes
import pytest

from voicechat.server.gradio_patches import error_logging


def test_one_line_without_what_was_sent(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    error_logging.install()
    for module in (gradio.queueing, gradio.routes):
        try:
            raise ValueError("Received inputs: ['what somebody typed']")
        except ValueError:
            module.traceback.print_exc()
    assert capsys.readouterr() == ("", "")
    assert [record.getMessage() for record in caplog.records] == [
        "gradio: event failed error=ValueError at test_gradio_error_logging.py:16"
    ] * 2
    assert module.traceback.format_exc
