"""What the page's script does with Gradio's server, without a browser: events in, outputs out. One visitor each."""

from __future__ import annotations

import asyncio
import json
import random
import string
from contextlib import suppress
from typing import Any

import httpx


class GradioPage:
    """One visitor's page. Nothing of it is drawn: outputs are read, and all but the last of each event thrown away."""

    def __init__(self, url: str, config: dict[str, Any]) -> None:
        """`config`: what `configuration(url)` gave."""
        self.url = url
        self.session = "".join(random.choices(string.ascii_lowercase + string.digits, k=11))
        self._config = config
        self._http = httpx.AsyncClient(timeout=30)  # keeps cookies, as a browser does
        self._reading_task: asyncio.Task[None] | None = None
        self._heartbeat_task: asyncio.Task[None] | None = None
        self._awaited: dict[str, asyncio.Future[list[Any]]] = {}
        self._early_outputs: dict[str, list[Any]] = {}
        """Outputs that came before the answer that names their event."""

    def component(self, **wanted: str) -> int:
        """The id of the component with this `type` or this property."""
        for one in self._config["components"]:
            properties = {"type": one["type"], **one.get("props", {})}
            if all(properties.get(name) == value for name, value in wanted.items()):
                return int(one["id"])
        raise LookupError(str(wanted))

    def event_id(self, component: int, name: str) -> int | None:
        """The number of the function that follows an event of a component; None where there is none."""
        for one in self._config["dependencies"]:
            if [component, name] in [list(target) for target in one["targets"]] and one["backend_fn"]:
                return int(one["id"])
        return None

    def following_event_id(self, event: int) -> int:
        """The function that runs when another has."""
        return next(
            int(one["id"])
            for one in self._config["dependencies"]
            if one["trigger_after"] == event and one["backend_fn"]
        )

    def input_count(self, event: int) -> int:
        return len(next(one for one in self._config["dependencies"] if one["id"] == event)["inputs"])

    async def post(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        answer = await self._http.post(f"{self.url}/gradio_api/{path}", json=data)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def offer(self, component: int, sdp: str, kind: str, webrtc_id: str) -> dict[str, Any]:
        """fastrtc's door: an SDP offer in, its answer out."""
        data = {"sdp": sdp, "type": kind, "webrtc_id": webrtc_id}
        return await self.post(
            "component_server/",
            {"data": data, "component_id": component, "fn_name": "offer", "session_hash": self.session},
        )

    async def run_event(self, event: int, first: list[Any], trigger: int) -> asyncio.Future[list[Any]]:
        """Start an event; `first`: its first inputs, all others are states. The future is its last output."""
        data = [*first, *[None] * (self.input_count(event) - len(first))]
        joined = {"data": data, "fn_index": event, "session_hash": self.session, "trigger_id": trigger}
        name = (await self.post("queue/join", joined))["event_id"]
        found: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        if name in self._early_outputs:
            found.set_result(self._early_outputs.pop(name))
            return found
        self._awaited[name] = found
        if self._reading_task is None or self._reading_task.done():
            self._reading_task = asyncio.create_task(self._read_stream())
        return found

    async def open(self) -> None:
        """As a tab that is open: Gradio knows by a stream when it has been closed. Of what happens as it opens, all is
        done that only the server sees."""
        if self._heartbeat_task is not None:
            return
        self._heartbeat_task = asyncio.create_task(self._hold_heartbeat())
        states = {one["id"] for one in self._config["components"] if one["type"] == "state"}
        for one in self._config["dependencies"]:
            silent = one["backend_fn"] and one["inputs"] and not one["outputs"]
            if silent and set(one["inputs"]) <= states and self._runs_on_load(one["trigger_after"]):
                await self.run_event(int(one["id"]), [], 0)

    def _runs_on_load(self, event: int | None) -> bool:
        """Whether this function runs when the page has loaded."""
        found = [one for one in self._config["dependencies"] if one["id"] == event]
        return any(name == "load" for one in found for _, name in one["targets"])

    async def _hold_heartbeat(self) -> None:
        with suppress(httpx.HTTPError):
            stream = self._http.stream("GET", f"{self.url}/gradio_api/heartbeat/{self.session}", timeout=None)
            async with stream as answer:
                async for _ in answer.aiter_raw():
                    pass

    async def _read_stream(self) -> None:
        """Gradio closes the stream when nothing is under way, and may do so while an event is on its way to it."""
        with suppress(httpx.HTTPError):
            while self._awaited:
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
        found = self._awaited.pop(name, None)
        if found is None:
            self._early_outputs[name] = output
        elif not found.done():
            found.set_result(output)

    async def close(self) -> None:
        """The tab is closed."""
        for task in (self._reading_task, self._heartbeat_task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._http.aclose()


async def fetch_config(url: str) -> dict[str, Any]:
    """The page's parts and events."""
    async with httpx.AsyncClient(timeout=30) as http:
        found: dict[str, Any] = (await http.get(f"{url}/config")).json()
    return found
