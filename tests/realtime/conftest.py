"""For the tests of calls."""

from __future__ import annotations

import pytest

from .calls import Line


@pytest.fixture
def line() -> Line:
    return Line()
