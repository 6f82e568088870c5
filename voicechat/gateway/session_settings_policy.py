"""Session settings policy: the settings that a client may send in `session.update` and `response.create`. Pure.

The server bills the operator. A client may therefore shape its session (voice, instructions, turn detection, tools),
but not choose the model, trace to the operator's account, use stored prompts or connectors, or exceed the operator's
output limit. Allowed fields are listed: a field that the list does not name is rejected until someone has reviewed it.

One rejected field rejects the whole event, with the instructions and tools in it, and most clients only log that.
A setting that common clients send without being asked is therefore put right, where its user still gets what they want.
"""

from __future__ import annotations

from typing import Any

from voicechat.config.session_update import SessionMode
from voicechat.protocol.event_fields import RawEvent

from .client_event_errors import FUNCTIONS_ONLY_MESSAGE, ClientEventRejected, invalid_value, missing_param, wrong_type

_COMMON_FIELDS = frozenset(
    {
        "instructions",
        "output_modalities",
        "max_output_tokens",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "audio",
    }
)
_SESSION_FIELDS = _COMMON_FIELDS | {"type", "truncation", "include"}
_RESPONSE_FIELDS = _COMMON_FIELDS | {"conversation", "metadata", "input"}

_OPERATORS_FIELDS = frozenset({"model", "tracing"})
"""Fields that are left out of every event. The operator chooses the model and has the traces; `session.updated` tells
the client which model answers. Clients name a default model, and request traces, without being asked to."""

_STORED_PROMPT_MESSAGE = "Stored prompts belong to the account of this server's operator; send 'instructions'."
"""Rejection of `prompt`, which is not left out: the session would be without the instructions that its user wants."""


class SessionSettingsPolicy:
    """Checks the settings of one client. Every method returns the settings as they may be forwarded."""

    def __init__(self, mode: SessionMode, max_output_tokens: int) -> None:
        self._mode = mode
        self._max_output_tokens = max_output_tokens
        self.transcription_model = ""
        """The operator's transcription model, which every update gets. "" when unknown: then updates name none."""

    def check_session(self, session: Any) -> RawEvent:
        """Check the `session` of a `session.update`. Raises `ClientEventRejected`."""
        if session is None:
            raise missing_param("session")
        new = self._check_fields(session, "session", _SESSION_FIELDS)
        if new.get("type", "realtime") != "realtime":
            raise invalid_value("This endpoint holds conversations: 'realtime'.", "session.type")
        return {"type": "realtime", **new}  # servers require it, and not every client sends it

    def check_response(self, response: Any) -> RawEvent:
        """Check the `response` of a `response.create`, but for the items in it. Raises `ClientEventRejected`."""
        return self._check_fields(response, "response", _RESPONSE_FIELDS)

    def _check_fields(self, given: Any, path: str, allowed: frozenset[str]) -> RawEvent:
        if not isinstance(given, dict):
            raise wrong_type(path, "an object")
        new = {name: value for name, value in given.items() if self._is_kept(name, value, path, allowed)}
        if "max_output_tokens" in new:
            new["max_output_tokens"] = self._cap_tokens(new["max_output_tokens"], f"{path}.max_output_tokens")
        if "audio" in new:
            new["audio"] = self._check_audio(new["audio"], f"{path}.audio")
        _check_tools(new.get("tools"), f"{path}.tools")
        choice = new.get("tool_choice")
        if isinstance(choice, dict) and choice.get("type", "function") != "function":
            raise invalid_value(FUNCTIONS_ONLY_MESSAGE, f"{path}.tool_choice")
        if new.get("output_modalities") is not None:
            new["output_modalities"] = self._check_modalities(new["output_modalities"], f"{path}.output_modalities")
        return new

    def _is_kept(self, name: str, value: Any, path: str, allowed: frozenset[str]) -> bool:
        """Return False for a field that is left out. Raises `ClientEventRejected` for one that is not allowed."""
        if name in _OPERATORS_FIELDS or (name == "prompt" and value is None):
            return False
        if name == "prompt":
            raise invalid_value(_STORED_PROMPT_MESSAGE, f"{path}.{name}")
        if name not in allowed:
            param = f"{path}.{name}" if name.isidentifier() and len(name) <= 64 else path
            raise ClientEventRejected("unknown_parameter", f"Unknown parameter: '{param}'.", param)
        return True

    def _check_modalities(self, given: Any, path: str) -> Any:
        """Return what this endpoint answers in: at a text endpoint always text. Audio always comes with its text."""
        known = isinstance(given, list) and bool(given) and all(kind in ("text", "audio") for kind in given)
        if self._mode is SessionMode.TEXT:
            if not known:
                raise invalid_value("This endpoint answers in text: ['text'].", path)
            return ["text"]
        return ["audio"] if known and "audio" in given else given

    def _check_audio(self, audio: Any, path: str) -> Any:
        """Replace the transcription model by the operator's.

        Another name is corrected, not rejected: common clients name their own default without being asked to.
        """
        audio_in = audio.get("input") if isinstance(audio, dict) else None
        if not isinstance(audio_in, dict) or audio_in.get("transcription") is None:
            return audio  # the update leaves transcription as it is, or turns it off
        given = audio_in["transcription"]
        if not isinstance(given, dict):
            raise wrong_type(f"{path}.input.transcription", "an object or null")
        kept = {name: value for name, value in given.items() if name != "model"}
        if self.transcription_model:
            # Also where the client names none: a server may replace the whole object.
            kept["model"] = self.transcription_model
        others = {name: value for name, value in audio_in.items() if name != "transcription"}
        return {**audio, "input": {**others, "transcription": kept} if kept else others}

    def _cap_tokens(self, requested: Any, path: str) -> int:
        """Return the requested number of tokens, at most as many as the operator allows."""
        if requested in (None, "inf"):
            return self._max_output_tokens
        if isinstance(requested, bool) or not isinstance(requested, int):
            raise wrong_type(path, "an integer or 'inf'")
        return min(requested, self._max_output_tokens)


def _check_tools(tools: Any, path: str) -> None:
    for index, tool in enumerate(tools if isinstance(tools, list) else []):
        if isinstance(tool, dict) and tool.get("type", "function") != "function":
            raise invalid_value(FUNCTIONS_ONLY_MESSAGE, f"{path}[{index}].type")
