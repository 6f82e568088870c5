"""Homes that tests share; building one takes a second."""

from __future__ import annotations

import pytest

from .home import PASSWORD, TOKEN, Home


@pytest.fixture(scope="module")
def open_home() -> Home:
    return Home()


@pytest.fixture(scope="module")
def closed_home() -> Home:
    return Home(app_password=PASSWORD)


@pytest.fixture(scope="module")
def token_home() -> Home:
    return Home(app_password=PASSWORD, api_tokens=(TOKEN,))
