"""For the tests of calls."""

from __future__ import annotations

import pytest

from tests.support.realtime.barge_in_driver import BargeInDriver
from tests.support.realtime.call_driver import CallDriver


@pytest.fixture
def call_driver() -> CallDriver:
    return CallDriver()


@pytest.fixture
def barge_in_driver() -> BargeInDriver:
    """A call with a reply that is half a second old, on a server that leaves interruptions to the client."""
    driver = BargeInDriver()
    driver.start_reply()
    return driver
