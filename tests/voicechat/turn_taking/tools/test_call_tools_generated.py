"""Tools in a call with generated orders of events: one output per call, and never two replies at a time."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.realtime import server_events
from tests.support.realtime.call_driver import CallDriver
from tests.support.tools.tool_events import CallingDialect, calling_response, confirmation
from voicechat.tools.calls.actions import CancelTool, StartTool
from voicechat.tools.calls.tool_call_tracker import ToolCallTracker, ToolLimits
from voicechat.tools.definition import ApprovalMode, ToolDefinition, ToolResult
from voicechat.turn_taking.snapshot import CallStage

SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
TOOLS = {
    "look": ToolDefinition("look", "Looks.", SCHEMA),
    "send": ToolDefinition("send", "Sends.", SCHEMA, read_only=False, approval=ApprovalMode.ASK),
}
STEPS = ("reply", "call", "call", "act", "unknown", "server", "server", "server", "result", "result", "speak")
BUTTONS = ("type", "stop", "clear", "approve", "refuse", "cancel", "wait", "play", "lose", "announce")


class ScriptedToolServer:
    """Server of one call: it answers requests in any way, one reply at a time, and checks what it is sent."""

    def __init__(self, dialect: CallingDialect) -> None:
        self.driver = CallDriver(ToolCallTracker(TOOLS, ToolLimits(calls_per_minute=1000, max_calls=1000)))
        self.dialect = dialect
        self.pending: list[dict[str, Any]] = []
        """Events of the reply that is being made."""
        self.outputs: Counter[str] = Counter()
        self.running: dict[str, bool] = {}
        """Calls that were started, and whether they still run."""
        self.agreed: set[str] = set()
        self.count = 0
        self.turn_open = False
        self.has_request = False

    def take(self, events: list[dict[str, Any]] | None) -> None:
        """Take client events, and look after the tools."""
        for command in self.driver.call.tools.take_commands():
            if isinstance(command, StartTool):
                assert command.call_id not in self.running, "a call runs once"
                assert command.name == "look" or command.call_id in self.agreed, "an acting call needs a yes"
                self.running[command.call_id] = True
            elif isinstance(command, CancelTool):
                self.running[command.call_id] = False
        for event in events or []:
            kind, item = event["type"], event.get("item", {})
            if item.get("type") == "function_call_output":
                self.outputs[item["call_id"]] += "seed" not in event["event_id"]
                assert self.outputs[item["call_id"]] <= 1, "one output for each call"
            if kind == "conversation.item.create":
                self.take(self.driver.server_sends(confirmation(event)))
            if kind == "response.create":
                assert not self.pending, "a reply is being made"
                self.has_request = True
            if kind == "response.cancel" and self.pending:
                done = server_events.response_ended(f"r{self.count}", "cancelled")
                self.pending = []
                self.take(self.driver.server_sends(done))

    def begin(self, call: str | None) -> None:
        """Begin a reply, if one was requested or answers a turn, that calls a function or says something."""
        if self.pending or not (self.has_request or self.turn_open):
            return
        self.has_request = self.turn_open = False
        self.count += 1
        response = f"r{self.count}"
        if call is None:
            self.pending = server_events.complete_response(response, f"a{self.count}", "Well.", 100)
        else:
            self.pending = calling_response(response, [(f"c{self.count}", call, {})], self.dialect)
        self.send()

    def send(self) -> None:
        """Send the next event of the reply."""
        if self.pending:
            event = self.pending.pop(0)
            self.take(self.driver.server_sends(event))

    def step(self, name: str) -> None:
        driver, call = self.driver, self.driver.call
        approvals = call.snapshot().pending_approvals
        live = [call_id for call_id, runs in self.running.items() if runs]
        match name:
            case "reply" | "call" | "act" | "unknown":
                self.begin({"call": "look", "act": "send", "unknown": "nothing"}.get(name))
            case "server":
                self.send()
            case "result" if live:
                self.running[live[0]] = False
                self.take(call.take_tool_result(live[0], ToolResult("42"), driver.now))
            case "speak" if not self.pending and not self.has_request:
                item = f"u{self.count}_{driver.now}"
                self.take(driver.server_sends(server_events.speech_started(item)))
                self.take(driver.server_sends(*server_events.turn_committed(item)))
                self.turn_open = not self.has_request
            case "type":
                self.take(driver.send_text("Go on"))
            case "stop":
                self.take(call.interrupt(driver.now))
            case "clear":
                self.take(driver.clear())
            case "approve" | "refuse" if approvals:
                self.agreed |= {approvals[0].call_id} if name == "approve" else set()
                self.take(call.approve(approvals[0].call_id, name == "approve", driver.now))
            case "cancel" if live:
                self.take(call.cancel_tool(live[0], driver.now))
            case "wait":
                for _ in range(8):
                    driver.now += 0.5
                    self.take(call.check_timeouts(driver.now))
            case "play":
                driver.play_ms(200)
                self.take(call.tick_20ms(driver.now))
            case "lose":
                self.pending, self.has_request, self.turn_open = [], False, False
                call.handle_disconnected(CallStage.RECONNECTING, driver.now)
                self.take(call.handle_connected(driver.now))
            case "announce" if self.running:
                self.take(call.announce(next(iter(self.running)), ToolResult("Ring."), driver.now))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CallingDialect), st.lists(st.sampled_from(STEPS + BUTTONS), max_size=60))
def test_any_order_of_events_keeps_the_laws_and_comes_to_rest(dialect: CallingDialect, steps: list[str]) -> None:
    server = ScriptedToolServer(dialect)
    server.step("type")
    for step in steps:
        server.step(step)
    for _ in range(40):
        for step in ("result", "server", "server", "server", "server", "reply", "play", "wait"):
            server.step(step)
    call = server.driver.call
    assert call.idle, (call.stage, call.snapshot().tool_calls)
    assert not any(server.running.values())
