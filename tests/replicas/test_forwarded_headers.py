"""Forwarded headers: what a replica is sent about a visitor, directly and behind another proxy. With a real HAProxy."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from replicas.haproxy_config import render_haproxy_config
from replicas.programs import find_program
from tests.support.app.app_process import DIRECT, free_port

pytestmark = pytest.mark.skipif(os.name == "nt", reason="HAProxy needs a POSIX system")

START_LIMIT_S = 30.0
CLAIM = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "voice.example"}


class HeaderEcho(BaseHTTPRequestHandler):
    """Replica that answers every request with the forwarded headers of the request."""

    def do_GET(self) -> None:
        names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")
        body = json.dumps({name: self.headers.get_all(name, []) for name in names}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def headers_through_haproxy(folder: Path, trusted_proxies: list[str]) -> Iterator[dict[str, list[str]]]:
    """Yield the headers that a replica gets for a request with `CLAIM` from this computer."""
    port = free_port()
    with ThreadingHTTPServer(("127.0.0.1", 0), HeaderEcho) as replica:
        threading.Thread(target=replica.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{replica.server_address[1]}"
        config = folder / "haproxy.cfg"
        config.write_text(
            render_haproxy_config(f"127.0.0.1:{port}", [address], "a-secret", trusted_proxies=trusted_proxies)
        )
        command = [find_program("haproxy", os.environ), "-db", "-q", "-f", str(config)]
        haproxy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers=CLAIM)
            yield _fetch(request)
        finally:
            haproxy.kill()
            haproxy.wait()
            replica.shutdown()


def _fetch(request: urllib.request.Request) -> dict[str, list[str]]:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            with DIRECT.open(request, timeout=5) as answer:
                headers: dict[str, list[str]] = json.load(answer)
                return headers
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)  # a starting HAProxy has no push


@pytest.mark.parametrize("trusted", [[], ["10.0.0.0/8"]])
def test_visitor_cannot_claim_another_address_or_scheme(trusted: list[str], tmp_path: Path) -> None:
    with headers_through_haproxy(tmp_path, trusted) as headers:
        assert headers == {"X-Forwarded-For": ["127.0.0.1"], "X-Forwarded-Proto": ["http"], "X-Forwarded-Host": []}


def test_trusted_proxy_in_front_keeps_what_it_says_of_its_visitor(tmp_path: Path) -> None:
    with headers_through_haproxy(tmp_path, ["10.0.0.0/8", "127.0.0.0/8"]) as headers:
        assert headers == {
            "X-Forwarded-For": ["203.0.113.9", "127.0.0.1"],
            "X-Forwarded-Proto": ["https"],
            "X-Forwarded-Host": ["voice.example"],
        }
