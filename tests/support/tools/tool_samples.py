"""Sample tools, one of each kind."""

from __future__ import annotations

from voicechat.tools.definition import ApprovalMode, ToolDefinition

PARAMETERS = {
    "type": "object",
    "properties": {"to": {"type": "string"}},
    "required": ["to"],
    "additionalProperties": False,
}
READ = ToolDefinition("read", "Reads.", PARAMETERS)
WEB = ToolDefinition("web", "Reads text of strangers.", PARAMETERS, open_world=True)
TIMER = ToolDefinition("timer", "Acts unattended.", PARAMETERS, read_only=False)
SEND = ToolDefinition(
    "send",
    "Acts after a yes.",
    PARAMETERS,
    titles={"en": "Send mail", "zh": "寄信"},
    read_only=False,
    approval=ApprovalMode.ASK,
)
PAY = ToolDefinition("pay", "Acts after a button.", PARAMETERS, read_only=False, approval=ApprovalMode.BUTTON)
SAMPLE_TOOLS = {one.name: one for one in (READ, WEB, TIMER, SEND, PAY)}
