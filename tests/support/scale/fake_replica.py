"""Fake replica: answers every request with its name, and remembers what HAProxy has sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STREAM_PATH = "/gradio_api/queue/data"
"""Path of an answer that stays open after its first part, which is the name."""
HEALTHY, DRAINING = '{"status": "ok"}', '{"status": "draining"}'


def _join_values(headers: Message) -> dict[str, str]:
    """Return headers by lower-case name. HAProxy adds an address as a further header of the same name."""
    return {name.lower(): ", ".join(headers.get_all(name, [])) for name in headers}


class FakeReplica:
    """An HTTP server with a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.health = HEALTHY
        """The body of /health."""
        self.refuses_programs = False
        """Programs get 503."""
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and headers of each request, values of a repeated header joined; health checks are left out."""
        self.address = ""
        self.may_end_streams = threading.Event()
        """Streamed answers wait for it after their first part."""

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, str]:
        """Return status and body for a request."""
        if path == "/health":
            return (200 if self.health == HEALTHY else 503), self.health
        self.requests.append((path, headers))
        return (503 if self.refuses_programs and path.startswith("/v1/realtime") else 200), self.name

    @contextmanager
    def running(self) -> Iterator[FakeReplica]:
        """Serve until the block ends."""
        replica = self

        class NameHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: else the second one waits for an acknowledgement

            def do_GET(self) -> None:
                status, body = replica.answer(self.path, _join_values(self.headers))
                self.send_response(status)
                if self.path == STREAM_PATH:
                    self.stream(body)
                    return
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_GET

            def stream(self, body: str) -> None:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(f"{len(body):x}\r\n{body}\r\n".encode())
                self.wfile.flush()
                replica.may_end_streams.wait(20)
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), NameHandler)
        server.daemon_threads = True
        self.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)
