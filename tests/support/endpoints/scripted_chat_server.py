"""Scripted HTTP server on loopback: plays given responses of an OpenAI-compatible server and records the requests.

It runs in threads of its own, so that tests in any event loop or thread can use it.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHAT_PATH = "/v1/chat/completions"
MODELS_PATH = "/v1/models"
_POLL_S = 0.01
"""Seconds between two looks at a connection during a wait."""


class StreamEnd(Enum):
    """Unusual end of a response."""

    CUT = auto()
    """Closes the connection within the body."""
    HANG = auto()
    """Sends nothing more, until the client closes the connection."""


Step = bytes | threading.Event | StreamEnd
"""Bytes to send, an event to wait for, or the end."""


@dataclass(frozen=True)
class ScriptedResponse:
    """Response that the server plays."""

    steps: tuple[Step, ...] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_raw: bool = False
    """The steps are everything that is sent, without a status and headers: bytes of no protocol."""


@dataclass(frozen=True)
class RecordedRequest:
    """Request that the server received."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By names in lower case."""
    content: bytes
    client_port: int
    """Tells connections apart."""
    client_closed: threading.Event = field(default_factory=threading.Event)
    """Set when the client closed the connection before the end of the response."""

    @property
    def json(self) -> dict[str, Any]:
        """Body as JSON."""
        parsed: dict[str, Any] = json.loads(self.content)
        return parsed


def json_response(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> ScriptedResponse:
    """Return a response of JSON, such as an error or a list of models."""
    return ScriptedResponse((json.dumps(payload).encode(),), status, "application/json", headers or {})


def error_response(message: str, status: int = 400, param: str | None = None, **headers: str) -> ScriptedResponse:
    """Return a refusal in OpenAI's form. Underscores in names of `headers` stand for hyphens."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return json_response({"error": error}, status, {name.replace("_", "-"): text for name, text in headers.items()})


def models_response(*names: str, owned_by: str = "organization") -> ScriptedResponse:
    """Return a list of models."""
    return json_response({"object": "list", "data": [{"id": name, "owned_by": owned_by} for name in names]})


def sse_block(payload: Any) -> bytes:
    """Return one event; text stands as it is, everything else as JSON."""
    data = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return f"data: {data}\n\n".encode()


def chunk(content: str | None = None, *, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Return a chunk of a streamed answer; `delta` are further fields, such as `reasoning`."""
    fields = delta if content is None else {"content": content, **delta}
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def usage_chunk(prompt: int, completion: int, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    """Return the chunk with the token counts."""
    return {
        "choices": [],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        },
    }


def text_response(*pieces: str, **settings: Any) -> ScriptedResponse:
    """Return a streamed answer of `pieces`, complete with token counts; `settings` are those of the response."""
    payloads = [*map(chunk, pieces), chunk(finish="stop"), usage_chunk(12, len(pieces)), "[DONE]"]
    return ScriptedResponse(tuple(map(sse_block, payloads)), **settings)


Answer = ScriptedResponse | Callable[[RecordedRequest], ScriptedResponse]


class ScriptedChatServer:
    """Server that plays the responses given for a path in their order, and the last one again and again."""

    def __init__(self, *chat: Answer, models: ScriptedResponse | None = None) -> None:
        """Script responses of the chat path and the list of models; without one the list does not exist (404)."""
        self.requests: list[RecordedRequest] = []
        self._answers: dict[str, deque[Answer]] = {}
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._is_stopping = threading.Event()
        self._port = 0
        self.script(CHAT_PATH, *chat)
        if models is not None:
            self.script(MODELS_PATH, models)

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def chat_requests(self) -> list[RecordedRequest]:
        """Requests of the chat path."""
        return self.requests_of(CHAT_PATH)

    def requests_of(self, path: str) -> list[RecordedRequest]:
        """Return the requests of `path`."""
        with self._lock:
            return [request for request in self.requests if request.path == path]

    def script(self, path: str, *answers: Answer) -> None:
        """Set the responses of `path`."""
        with self._lock:
            self._answers[path] = deque(answers)

    def wait_for_requests(self, count: int, path: str = CHAT_PATH, timeout_s: float = 10.0) -> list[RecordedRequest]:
        """Return the requests of `path` once there are `count`; blocks. Raises `TimeoutError`."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: sum(r.path == path for r in self.requests) >= count, timeout_s):
                raise TimeoutError(f"fewer than {count} requests of {path}")
            return [request for request in self.requests if request.path == path]

    @contextmanager
    def running(self) -> Iterator[ScriptedChatServer]:
        """Serve on a free port."""
        server = _ScriptedHttpServer(("127.0.0.1", 0), _ScriptedHandler)
        server.script = self
        self._port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._is_stopping.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def _answer(self, request: RecordedRequest) -> ScriptedResponse:
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
            answers = self._answers.get(request.path)
            if not answers:
                return error_response("no such path", 404)
            answer = answers[0] if len(answers) == 1 else answers.popleft()
        return answer if isinstance(answer, ScriptedResponse) else answer(request)

    def play(self, handler: BaseHTTPRequestHandler, request: RecordedRequest) -> None:
        """Send the response to `request`."""
        response = self._answer(request)
        if not response.is_raw:
            handler.send_response(response.status)
            handler.send_header("Content-Type", response.content_type)
            handler.send_header("Transfer-Encoding", "chunked")
            for name, text in response.headers.items():
                handler.send_header(name, text)
            handler.end_headers()
        for step in response.steps:
            if isinstance(step, bytes):
                handler.wfile.write(step if response.is_raw else b"%x\r\n%s\r\n" % (len(step), step))
            elif step is StreamEnd.CUT:
                handler.close_connection = True
                return
            elif not self._wait(handler.connection, step if isinstance(step, threading.Event) else threading.Event()):
                handler.close_connection = True
                request.client_closed.set()
                return
        handler.close_connection = handler.close_connection or response.is_raw
        if not response.is_raw:
            handler.wfile.write(b"0\r\n\r\n")

    def _wait(self, connection: socket.socket, event: threading.Event) -> bool:
        """Wait for `event`; return False when the client closed the connection, or the server stops, before it."""
        while not self._is_stopping.is_set():
            if event.is_set():
                return True
            readable, _, _ = select.select([connection], [], [], _POLL_S)
            if readable:
                try:
                    is_open = bool(connection.recv(1, socket.MSG_PEEK))
                except OSError:
                    is_open = False
                if not is_open:
                    return False
                event.wait(_POLL_S)
        return False


class _ScriptedHttpServer(ThreadingHTTPServer):
    daemon_threads = True
    script: ScriptedChatServer


class _ScriptedHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _ScriptedHttpServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class names it
        """Log nothing."""

    def version_string(self) -> str:
        """Return no product: a response sets its own."""
        return "scripted"

    def send_header(self, keyword: str, value: str) -> None:
        """Send a header; a second `Server` replaces the first."""
        if keyword.lower() == "server":
            buffer = getattr(self, "_headers_buffer", [])
            buffer[:] = [line for line in buffer if not line.lower().startswith(b"server:")]
        super().send_header(keyword, value)

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): text for name, text in self.headers.items()}
        request = RecordedRequest(self.command, self.path, headers, content, self.client_address[1])
        with suppress(ConnectionError):
            self.server.script.play(self, request)
            return
        request.client_closed.set()
        self.close_connection = True
