"""Counted conversions: records the texts that are converted to Traditional Chinese."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from voicechat.conversation.chinese import traditional_chinese


@contextmanager
def counted_conversions() -> Iterator[list[str]]:
    """Yield the list of texts that are converted in the block."""
    converted: list[str] = []
    real = traditional_chinese._converter()

    class RecordingConverter:
        def convert(self, text: str) -> str:
            converted.append(text)
            return str(real.convert(text))

    with mock.patch.object(traditional_chinese, "_converter", RecordingConverter):
        yield converted
