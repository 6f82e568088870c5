"""Apps that tests share; building one takes a second."""

from __future__ import annotations

import pytest

from tests.support.app.protected_app import PASSWORD, TOKEN, ProtectedApp


@pytest.fixture(scope="module")
def open_app() -> ProtectedApp:
    return ProtectedApp()


@pytest.fixture(scope="module")
def password_app() -> ProtectedApp:
    return ProtectedApp(app_password=PASSWORD)


@pytest.fixture(scope="module")
def token_app() -> ProtectedApp:
    return ProtectedApp(app_password=PASSWORD, api_tokens=(TOKEN,))
