"""Headless Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import psutil
from playwright.sync_api import Browser, BrowserContext, Playwright

from .browser_page import CHROMIUM_FLAGS


def launch_chromium(playwright: Playwright, *more: str) -> Browser:
    """Launch the installed Chromium with the flags of the tests and `more` flags."""
    return playwright.chromium.launch(executable_path=_chromium_path(), headless=True, args=[*CHROMIUM_FLAGS, *more])


def launch_with_profile(playwright: Playwright, profile: Path) -> BrowserContext:
    """Launch Chromium with a profile that stays on the disk, as a person's browser does."""
    return playwright.chromium.launch_persistent_context(
        profile, executable_path=_chromium_path(), headless=True, args=CHROMIUM_FLAGS, locale="en-US"
    )


def kill_browser_of(profile: Path) -> None:
    """Kill all processes of the Chromium that uses this profile, and wait for their end."""
    children = psutil.Process().children(recursive=True)
    browsers = [each for each in children if f"--user-data-dir={profile}" in each.cmdline()]
    killed = [*browsers, *(child for each in browsers for child in each.children(recursive=True))]
    assert killed, "no browser uses this profile"
    for each in killed:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(killed, timeout=10)


def _chromium_path() -> str:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "No Chromium: run ./test.sh, or set CHROMIUM to its path."
    return path
