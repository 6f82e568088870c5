"""Fake model hub on loopback, with tiny models: whole, cut, wrong, slow or silent; and a manifest of them."""

from __future__ import annotations

import hashlib
import json
import mmap
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from offline.models.store import ModelSpec, read_manifest

REVISION = "0123456789abcdef0123456789abcdef01234567"
HUB_DATA = {tier: f"{tier} model ".encode() * 60_000 for tier in ("small", "medium", "large")}
"""Files of about 800 kB: several blocks of a download."""


@dataclass
class HubBehaviour:
    """What the hub does with the next requests, the first entry with the next one. Without entries it sends files."""

    cut_after: list[int] = field(default_factory=list)
    """Bytes after which a response ends too early."""
    wrong_bytes: bool = False
    pauses_after: int | None = None
    """Bytes after which responses wait for `FakeHub.resume`."""
    data: Mapping[str, bytes | mmap.mmap] = field(default_factory=lambda: HUB_DATA)
    """Content of the file of each tier."""


class FakeHub(ThreadingHTTPServer):
    """Serves `/{repository}/resolve/{revision}/{file}` and records the requests as path and range."""

    daemon_threads = True

    def __init__(self, behaviour: HubBehaviour) -> None:
        super().__init__(("127.0.0.1", 0), _HubHandler)
        self.behaviour = behaviour
        self.requests: list[tuple[str, str | None]] = []
        self.paused, self.resume = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def requested_tiers(self) -> list[str]:
        """Tiers of the requests, in their order."""
        return [path.split("/")[2] for path, _ in self.requests]


class _HubHandler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        data = memoryview(self.server.behaviour.data[self.path.split("/")[2]])
        if self.server.behaviour.wrong_bytes:
            data = memoryview(bytes(data[::-1]))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self._send_body(data[start:])

    def _send_body(self, body: memoryview) -> None:
        behaviour = self.server.behaviour
        try:
            if behaviour.cut_after:
                self.wfile.write(body[: behaviour.cut_after.pop(0)])
                self.close_connection = True
                return
            if behaviour.pauses_after is not None:
                self.wfile.write(body[: behaviour.pauses_after])
                body = body[behaviour.pauses_after :]
                self.server.paused.set()
                self.server.resume.wait(20)
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the client has stopped

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def running_hub(**behaviour: object) -> Iterator[FakeHub]:
    """Run a fake hub; `behaviour` is that of `HubBehaviour`."""
    hub = FakeHub(HubBehaviour(**behaviour))  # type: ignore[arg-type]
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.resume.set()
        hub.shutdown()
        hub.server_close()
        thread.join()


@contextmanager
def silent_hub() -> Iterator[str]:
    """Yield the URL of a hub that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def hub_models(folder: Path, url: str) -> dict[str, ModelSpec]:
    """Return the models of a manifest written to `folder`, by tier; their hub is at `url`."""
    models = [
        {
            "name": f"model-{tier}",
            "does": "writes the replies",
            "languages": ["en"],
            "licence": "MIT",
            "llm_tier": tier,
            "files": [
                {
                    "name": f"{tier}.gguf",
                    "size": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "sources": [{"kind": "hub", "repo": f"owner/{tier}", "revision": REVISION, "path": f"{tier}.gguf"}],
                }
            ],
        }
        for tier, data in HUB_DATA.items()
    ]
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({"models": models}), encoding="utf-8")
    listed = read_manifest(manifest, {"HF_ENDPOINT": url})
    return {str(model.tier and model.tier.value): model for model in listed}
