"""Echo server: a Realtime server that replies with the text of the last message, so a test chooses the reply."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve


class EchoRealtimeServer:
    """Echo server with its received events."""

    def __init__(self) -> None:
        self.url = ""
        self.open_connections = 0
        """Number of open connections."""
        self.authorizations: list[str] = []
        """`Authorization` header of each connection."""
        self.received: list[dict[str, Any]] = []
        self.release_reply = threading.Event()
        """Continues a reply that stopped in the middle, because its text begins with WAIT."""
        self.changed = threading.Condition()

    def received_of(self, kind: str) -> list[dict[str, Any]]:
        """Return the received events of a type."""
        return [event for event in self.received if event["type"] == kind]

    def wait_for(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for `count` events of a type, and return all of them."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.received_of(kind)) >= count, 10), f"no {count} {kind}"
        return self.received_of(kind)

    def handle_connection(self, socket: ServerConnection) -> None:
        """Serve one connection until it ends."""
        self.open_connections += 1
        try:
            self._serve(socket)
        finally:
            self.open_connections -= 1

    def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.authorizations.append(socket.request.headers.get("Authorization", ""))
        text, replies = "", 0
        send = _event_sender(socket)
        send({"type": "session.created", "session": {"type": "realtime"}})
        with suppress(ConnectionClosed):
            for message in socket:
                event = json.loads(message)
                with self.changed:
                    self.received.append(event)
                    self.changed.notify_all()
                match event["type"]:
                    case "session.update":
                        send({"type": "session.updated", "session": event["session"]})
                    case "conversation.item.create":
                        item = event["item"]
                        text = item["content"][0]["text"] if item["role"] == "user" else text
                        for kind in ("added", "done"):
                            send({"type": f"conversation.item.{kind}", "previous_item_id": None, "item": item})
                    case "response.create":
                        replies += 1
                        # A thread of its own: cancellations are read meanwhile.
                        name = f"{id(socket)}_{replies}"
                        threading.Thread(target=self._send_reply, args=(send, name, text), daemon=True).start()

    def _send_reply(self, send: Any, name: str, text: str) -> None:
        reply, item = f"resp_{name}", f"item_{name}"
        message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        about = {"response_id": reply, "item_id": item, "output_index": 0, "content_index": 0}
        send({"type": "response.created", "response": {"id": reply, "status": "in_progress", "output": []}})
        send({"type": "conversation.item.added", "previous_item_id": None, "item": message})
        half = len(text) // 2
        send({"type": "response.output_text.delta", **about, "delta": text[:half]})
        if text.startswith("CUT "):  # "CUT content_filter ...": the response ends here, for this reason
            details = {"type": "incomplete", "reason": text.split()[1]}
            ended = {"id": reply, "status": "incomplete", "status_details": details, "output": []}
            send({"type": "response.done", "response": ended})
            return
        status = "completed"
        if text.startswith("WAIT") and not self.release_reply.wait(30):
            status = "failed"
        send({"type": "response.output_text.delta", **about, "delta": text[half:]})
        done = {**message, "status": "completed", "content": [{"type": "output_text", "text": text}]}
        send({"type": "conversation.item.done", "previous_item_id": None, "item": done})
        send({"type": "response.done", "response": {"id": reply, "status": status, "output": [done]}})


def _event_sender(socket: ServerConnection) -> Any:
    def send(event: dict[str, Any]) -> None:
        with suppress(ConnectionClosed):
            socket.send(json.dumps(event))

    return send


@contextmanager
def running_echo_server() -> Iterator[EchoRealtimeServer]:
    """Run an echo server until the block ends."""
    echo = EchoRealtimeServer()
    with serve(echo.handle_connection, "127.0.0.1", 0) as server:
        echo.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/v1/realtime"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield echo
        finally:
            echo.release_reply.set()
            server.shutdown()
            thread.join()
