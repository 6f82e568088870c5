"""For the tests of calls."""

from __future__ import annotations

import pytest

from tests.support.realtime.call_driver import CallDriver


@pytest.fixture
def call_driver() -> CallDriver:
    return CallDriver()
