"""Gradio client of the load benchmark: does what the page's script does, without a browser."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import string
from contextlib import suppress
from typing import Any

import httpx


class GradioPage:
    """One visitor's page. It reads all outputs and keeps the last one of each event."""

    def __init__(self, url: str, config: dict[str, Any], *, is_resumable: bool = False) -> None:
        """`config`: result of `fetch_config(url)`. `is_resumable`: the app keeps its conversation for another page."""
        self.url = url
        self.session = "".join(random.choices(string.ascii_lowercase + string.digits, k=11))
        self._config = config
        self._is_resumable = is_resumable
        self._http = httpx.AsyncClient(timeout=30)  # keeps cookies, as a browser does
        self._reading_task: asyncio.Task[None] | None = None
        self._heartbeat_task: asyncio.Task[None] | None = None
        self._pending: dict[str, asyncio.Future[list[Any]]] = {}
        self._early_outputs: dict[str, list[Any]] = {}
        """Outputs that arrived before the answer to their `queue/join`."""

    def component(self, **wanted: str) -> int:
        """Return the id of the component with this `type` or property. Raises LookupError."""
        for one in self._config["components"]:
            properties = {"type": one["type"], **one.get("props", {})}
            if all(properties.get(name) == value for name, value in wanted.items()):
                return int(one["id"])
        raise LookupError(str(wanted))

    def event_id(self, component: int, name: str) -> int | None:
        """Return the number of the function bound to a component's event, or None."""
        for one in self._config["dependencies"]:
            if [component, name] in [list(target) for target in one["targets"]] and one["backend_fn"]:
                return int(one["id"])
        return None

    def following_event_id(self, event: int) -> int:
        """Return the number of the function that runs after another one."""
        return next(
            int(one["id"])
            for one in self._config["dependencies"]
            if one["trigger_after"] == event and one["backend_fn"]
        )

    def input_count(self, event: int) -> int:
        """Return the number of inputs of a function."""
        return len(next(one for one in self._config["dependencies"] if one["id"] == event)["inputs"])

    async def post(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        """Send a POST request to Gradio's API and return its JSON answer."""
        answer = await self._http.post(f"{self.url}/gradio_api/{path}", json=data)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def offer(self, component: int, sdp: str, kind: str, webrtc_id: str) -> dict[str, Any]:
        """Send an SDP offer to fastrtc and return the answer."""
        data = {"sdp": sdp, "type": kind, "webrtc_id": webrtc_id}
        return await self.post(
            "component_server/",
            {"data": data, "component_id": component, "fn_name": "offer", "session_hash": self.session},
        )

    async def run_event(self, event: int, first: list[Any], trigger: int) -> asyncio.Future[list[Any]]:
        """Start an event with its first inputs; all others are states. The future gets its last output."""
        data = [*first, *[None] * (self.input_count(event) - len(first))]
        request = {"data": data, "fn_index": event, "session_hash": self.session, "trigger_id": trigger}
        name = (await self.post("queue/join", request))["event_id"]
        found: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        if name in self._early_outputs:
            found.set_result(self._early_outputs.pop(name))
            return found
        self._pending[name] = found
        if self._reading_task is None or self._reading_task.done():
            self._reading_task = asyncio.create_task(self._read_stream())
        return found

    async def open(self) -> None:
        """Open the page: hold the heartbeat stream and run the load events that only the server sees."""
        if self._heartbeat_task is not None:
            return
        await self._http.get(f"{self.url}/gradio_api/app_id")  # a cookie of HAProxy comes before requests in parallel
        self._heartbeat_task = asyncio.create_task(self._hold_heartbeat())
        states = {one["id"] for one in self._config["components"] if one["type"] == "state"}
        for one in self._config["dependencies"]:
            has_no_output = one["backend_fn"] and one["inputs"] and not one["outputs"]
            if has_no_output and set(one["inputs"]) <= states and self._runs_on_load(one["trigger_after"]):
                await self.run_event(int(one["id"]), [], 0)
        if self._is_resumable:
            await self._present_token()

    async def _present_token(self) -> None:
        """Run the load event with a new resume token. Raises LookupError for a page without one."""
        field = self.component(elem_id="page-token")
        for one in self._config["dependencies"]:
            if field in one["inputs"] and any(name == "load" for _, name in one["targets"]):
                values = [secrets.token_hex(32) if given == field else None for given in one["inputs"]]
                await (await self.run_event(int(one["id"]), values, 0))
                return
        raise LookupError("load event")

    def _runs_on_load(self, event: int | None) -> bool:
        """Return whether this function runs when the page has loaded."""
        found = [one for one in self._config["dependencies"] if one["id"] == event]
        return any(name == "load" for one in found for _, name in one["targets"])

    async def _hold_heartbeat(self) -> None:
        with suppress(httpx.HTTPError):
            stream = self._http.stream("GET", f"{self.url}/gradio_api/heartbeat/{self.session}", timeout=None)
            async with stream as answer:
                async for _ in answer.aiter_raw():
                    pass

    async def _read_stream(self) -> None:
        """Read the event stream until no output is pending.

        Gradio closes the stream when no event runs, sometimes just before a new event arrives.
        """
        with suppress(httpx.HTTPError):
            while self._pending:
                await self._read_stream_once()

    async def _read_stream_once(self) -> None:
        stream = self._http.stream("GET", f"{self.url}/gradio_api/queue/data?session_hash={self.session}")
        async with stream as answer:
            async for line in answer.aiter_lines():
                if '"process_completed"' in line:
                    self._on_completed(json.loads(line[5:]))
                elif '"close_stream"' in line:
                    return

    def _on_completed(self, message: dict[str, Any]) -> None:
        name, output = message.get("event_id", ""), message["output"].get("data", [])
        found = self._pending.pop(name, None)
        if found is None:
            self._early_outputs[name] = output
        elif not found.done():
            found.set_result(output)

    async def close(self) -> None:
        """Close the page."""
        for task in (self._reading_task, self._heartbeat_task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._http.aclose()


async def fetch_config(url: str) -> dict[str, Any]:
    """Return the page's components and events."""
    async with httpx.AsyncClient(timeout=30) as http:
        found: dict[str, Any] = (await http.get(f"{url}/config")).json()
    return found
