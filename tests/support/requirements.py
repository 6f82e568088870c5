"""Pinned requirements, as an installer on one system reads them."""

from __future__ import annotations

from collections.abc import Mapping

from packaging.requirements import Requirement

from scripts.platforms import pinned_lines
from tests.support.paths import ROOT

INTEL_MAC = {"sys_platform": "darwin", "platform_machine": "x86_64", "platform_system": "Darwin", "os_name": "posix"}
"""Environment markers of a Mac with an Intel processor."""


def pinned_requirements(file: str = "requirements.txt", environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the versions by name that `file` pins for this system, or for the markers of `environment`."""
    pins: dict[str, str] = {}
    for line in pinned_lines((ROOT / file).read_text("utf-8")):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(dict(environment) if environment else None):
            assert requirement.name not in pins, f"two versions of {requirement.name}"
            (specifier,) = requirement.specifier
            pins[requirement.name] = specifier.version
    return pins
