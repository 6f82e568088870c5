"""One use of another package's internals, and the versions against which the uses were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PINNED_VERSIONS = {
    "aioice": "0.13.0",
    "aiortc": "1.16.0",
    "av": "18.1.0",
    "fastrtc": "0.0.34",
    "gradio": "5.50.0",
    "starlette": "0.52.1",
    "uvicorn": "0.54.0",
    "websockets": "15.0.1",
}
"""Versions for which the hashes below hold, as in requirements.txt."""


@dataclass(frozen=True, slots=True)
class InternalUse:
    """One use of other packages' internals."""

    used_in: str
    """Our file."""
    used_for: str
    lost_when_skipped: str
    """What a user or operator loses where a target has changed."""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """By target, "package.module:Qualified.name": the first 16 digits of the sha256 of its source."""
    relied_on: Mapping[str, str] = field(default_factory=dict)
    """The same for targets that are used as they are. A file is written "package/path"."""

    @property
    def sha256(self) -> dict[str, str]:
        """Hashes of all targets."""
        return {**self.replaced, **self.relied_on}


def package_of(target: str) -> str:
    """Return the package that a target belongs to."""
    return target.replace("/", ".").replace(":", ".").partition(".")[0]
