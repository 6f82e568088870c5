"""HAProxy process: Debian's `haproxy` on loopback, with the configuration that `replicas` renders."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from replicas.haproxy_config import render_haproxy_config
from tests.support.app.app_process import free_port

STATE_TIMEOUT_S = 30.0
"""Seconds for HAProxy to see a change of its replicas."""


def haproxy_path() -> str:
    """Return the path of the installed HAProxy."""
    path = shutil.which("haproxy")
    assert path, "No haproxy: run ./test.sh, which installs it."
    return path


class HaproxyProcess:
    """A HAProxy of this test alone."""

    def __init__(
        self,
        folder: Path,
        replicas: Sequence[str],
        *,
        certificate: str = "",
        trusted_proxies: Sequence[str] = (),
        user: str = "",
        takes_slow_for_dead: bool = True,
    ) -> None:
        """`folder`: for its configuration and its log. The other values are those of the configuration.

        `takes_slow_for_dead`: False for a test that freezes no replica. On a busy computer, one may be slow.
        """
        self.port = free_port()
        self.log_path = folder / "haproxy.log"
        self._config = folder / "haproxy.cfg"
        listen = f"127.0.0.1:{self.port}"
        rendered = render_haproxy_config(
            listen, replicas, certificate=certificate, trusted_proxies=trusted_proxies, user=user
        )
        if not takes_slow_for_dead:
            rendered = re.sub(r"timeout check \S+", f"timeout check {STATE_TIMEOUT_S:.0f}s", rendered)
        self._config.write_text(rendered)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
        self._client = urllib.request.build_opener(*handlers)

    def start(self) -> None:
        """Start the process."""
        with self.log_path.open("wb") as out:
            self._process = subprocess.Popen(
                [haproxy_path(), "-db", "-f", str(self._config)], stdout=out, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        """PID of the running process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def count_replicas(self) -> int:
        """Return how many replicas take new visitors, by HAProxy's own /health."""
        try:
            with self._client.open(f"{self.url}/health", timeout=5) as answer:
                return int(json.load(answer)["replicas"])
        except urllib.error.HTTPError as answer:
            assert answer.code == 503
            return 0

    def wait_for_replicas(self, count: int) -> None:
        """Wait until that many replicas take new visitors."""
        deadline = time.monotonic() + STATE_TIMEOUT_S
        found: int | None = None
        while time.monotonic() < deadline:
            assert self._process is not None and self._process.poll() is None, self.log_path.read_text()
            with suppress(OSError):
                found = self.count_replicas()
                if found == count:
                    return
            time.sleep(0.05)  # HAProxy has no push
        raise AssertionError(f"{found} replicas and not {count}: {self.log_path.read_text()[-2000:]}")


@contextmanager
def running_haproxy(
    folder: Path,
    replicas: Sequence[str],
    *,
    certificate: str = "",
    trusted_proxies: Sequence[str] = (),
    user: str = "",
    takes_slow_for_dead: bool = True,
) -> Iterator[HaproxyProcess]:
    """Run HAProxy in front of these replicas until the block ends. `certificate`: a PEM file; "" without TLS."""
    proxy = HaproxyProcess(
        folder,
        replicas,
        certificate=certificate,
        trusted_proxies=trusted_proxies,
        user=user,
        takes_slow_for_dead=takes_slow_for_dead,
    )
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
