"""For the tests of calls."""

from __future__ import annotations

import pytest

from .calls import CallDriver


@pytest.fixture
def call_driver() -> CallDriver:
    return CallDriver()
