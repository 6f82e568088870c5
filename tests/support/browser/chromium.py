"""Headless Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, Playwright

from .browser_page import CHROMIUM_FLAGS


def launch_chromium(playwright: Playwright, *more: str) -> Browser:
    """Launch the installed Chromium with the flags of the tests and `more` flags."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "No Chromium: run ./test.sh, or set CHROMIUM to its path."
    return playwright.chromium.launch(executable_path=path, headless=True, args=[*CHROMIUM_FLAGS, *more])
