"""What a program may send through our sockets to the operator's server: checked, bounded, and translated. Pure.

The server behind us runs on the operator's account. So a client may shape its session (voice, instructions, turn
detection, tools ...), but never choose the model, trace to the account, use prompts or connectors stored in it, or ask
for longer replies than the operator allows, or for many at once. What may be set is a list: a field that is younger
than this file is refused until someone has looked at it.

What is sent on is always written anew from what was checked, never the client's own text, in which one name can stand
twice and mean two things to two readers.
"""

from __future__ import annotations

import binascii
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from voicechat.config.session_update import SessionMode
from voicechat.protocol.beta_dialect import Dialect, client_to_beta, client_to_ga
from voicechat.protocol.event_dispatcher import EventHandlers
from voicechat.protocol.event_fields import get_string
from voicechat.protocol.server_events import ResponseCreated, ResponseDone, ServerError, ServerEvent

Event = dict[str, Any]

MAX_AUDIO_BYTES = 15 * 2**20
"""Of sound in one `input_audio_buffer.append`: the protocol's own bound."""
MAX_EVENT_ID_CHARS = 512
"""Characters: the protocol's own bound."""
MAX_IN_FLIGHT_RESPONSES = 4
"""Replies that one client may have in flight. A reply is paid when it is done, so each of them can go beyond a cap of
money; a conversation has one at a time, and few programs ask for more than two or three beside it."""
RESPONSE_EXPIRY_S = 120.0
"""Seconds without a word of a reply, then it is no longer counted: some servers never end one that was interrupted, or
never answer that they make none."""
MAX_TRACKED_RESPONSES = 256
"""Replies that a server may have begun and not ended; of more, the oldest are no longer counted."""
BILLABLE_EVENTS = frozenset(
    {"response.create", "input_audio_buffer.append", "input_audio_buffer.commit", "conversation.item.create"}
)
"""Events by which a client asks for more that costs money."""

_ALLOWED_EVENTS = frozenset(
    {
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.retrieve",
        "conversation.item.truncate",
        "conversation.item.delete",
        "response.create",
        "response.cancel",
        "output_audio_buffer.clear",
    }
)

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

_FORBIDDEN_FIELDS = {
    "model": "The model is chosen by whoever runs this server.",
    "tracing": "Traces belong to the account of whoever runs this server.",
    "prompt": "Stored prompts belong to the account of whoever runs this server; send 'instructions'.",
}
_FUNCTIONS_ONLY_MESSAGE = (
    "Only functions can be offered here: connectors and MCP servers act for whoever runs this server."
)


class ClientEventRejected(Exception):
    """A client event that is not sent on. `code` and `param` are the protocol's own; `message` quotes no content."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param
        self.event_id: str | None = None
        """Of the client event, where it had a usable one."""

    def to_event(self, event_id: str) -> Event:
        """The protocol's `error` event, in GA; `event_id`: of the new event itself."""
        error = {
            "type": "invalid_request_error",
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": self.event_id,
        }
        return {"type": "error", "event_id": event_id, "error": error}


class InFlightResponses:
    """The replies that a server makes for one client, from when they are asked for until they are done. Times are
    seconds on any one clock."""

    def __init__(self) -> None:
        self._requested: deque[tuple[str, float]] = deque()
        """`event_id` ("" for none) and time of each `response.create` that is not answered, in order."""
        self._last_event_at: dict[str, float] = {}
        """By id, when the server last spoke of it."""

    def register_request(self, event: Event, now: float) -> None:
        """A `response.create` is about to be sent on. Raises `Refusal` when there are too many replies already."""
        if self.count_in_flight(now) >= MAX_IN_FLIGHT_RESPONSES:
            message = f"{MAX_IN_FLIGHT_RESPONSES} responses are in progress already; wait until one of them is done."
            raise ClientEventRejected("too_many_responses", message)
        self._requested.append((get_string(event, "event_id"), now))

    def event_handlers(self) -> EventHandlers:
        return {ServerEvent: self._on_event}

    def _on_event(self, event: ServerEvent, now: float) -> None:
        match event:
            case ResponseCreated():  # one that the server begins by itself counts too
                self._pop_request()
                self._last_event_at[event.response_id] = now
                if len(self._last_event_at) > MAX_TRACKED_RESPONSES:
                    del self._last_event_at[next(iter(self._last_event_at))]
            case ResponseDone():
                if self._last_event_at.pop(event.response_id, None) is None:
                    self._pop_request()  # some servers do not announce their responses
            case ServerError():
                self._drop_failed_request(event.event_id)
            case _ if event.response_id in self._last_event_at:
                self._last_event_at[event.response_id] = now

    def count_in_flight(self, now: float) -> int:
        """How many are asked for or being made."""
        while self._requested and now - self._requested[0][1] >= RESPONSE_EXPIRY_S:
            self._requested.popleft()
        for reply in [reply for reply, heard in self._last_event_at.items() if now - heard >= RESPONSE_EXPIRY_S]:
            del self._last_event_at[reply]
        return len(self._requested) + len(self._last_event_at)

    @property
    def active_ids(self) -> list[str]:
        """Ids of those that are being made; "" for one that has none."""
        return list(self._last_event_at)

    def _pop_request(self) -> None:
        if self._requested:
            self._requested.popleft()

    def _drop_failed_request(self, event_id: str) -> None:
        """An error about the event of this id; "" when the server does not say which."""
        # A server answers in order. If it was another event that failed, the reply counts again when it is created.
        found = next((asked for asked in self._requested if not event_id or asked[0] == event_id), None)
        if found is not None:
            self._requested.remove(found)


def _accept_all(_: Event) -> None:
    """Refuses nothing."""


class ClientEventPolicy:
    """The rules for one client. It remembers one thing: whether the client's sound is PCM16."""

    def __init__(
        self,
        mode: SessionMode,
        max_output_tokens: int,
        *,
        requested_model: str = "",
        dialect: Dialect = Dialect.GA,
        check_budget: Callable[[Event], None] = _accept_all,
    ) -> None:
        """`requested_model`: the `?model=` of the client's connection; ignored there and in updates. `dialect`: the
        client's. `check_budget`: called last for each accepted GA event; may raise `ClientEventRejected`."""
        self._mode = mode
        self._max_output_tokens = max_output_tokens
        self._requested_model = requested_model
        self._dialect = dialect
        self._is_pcm16 = True
        self._check_budget = check_budget
        self.transcription_model = ""
        """The one that writes down what is heard, and is paid for: no update names another. "" when it is not known;
        then no update names any."""

    def process_message(self, message: str | bytes, server_dialect: Dialect = Dialect.GA) -> list[str]:
        """A message of the client -> the messages for a server of this dialect. Raises `Refusal`."""
        if isinstance(message, bytes):
            raise ClientEventRejected("invalid_event", "Expected a text WebSocket message, got a binary one.")
        event_id: str | None = None
        try:
            event = read_json(message)
            event_id = _get_event_id(event)
            out: list[str] = []
            for old in client_to_ga(event) if self._dialect is Dialect.BETA else [event]:
                new = self._check_event(old)
                out += map(write_json, client_to_beta(new) if server_dialect is Dialect.BETA else [new])
                self._check_budget(new)
            return out
        except ClientEventRejected as refusal:
            refusal.event_id = event_id
            raise

    def _check_event(self, event: Event) -> Event:
        """The event as it may be sent on."""
        kind = event.get("type")
        if kind is None:
            raise ClientEventRejected("missing_required_parameter", "Missing required parameter: 'type'.", "type")
        if not isinstance(kind, str):
            raise _wrong_type("type", "a string")
        if kind not in _ALLOWED_EVENTS:
            raise ClientEventRejected("invalid_value", "There is no client event of this type.", "type")
        if kind.startswith("input_audio_buffer.") and self._mode is SessionMode.TEXT:
            raise ClientEventRejected(
                "invalid_value", "This endpoint is for text; sound is heard at /realtime-voice.", "type"
            )
        if kind == "input_audio_buffer.append":
            _check_audio_payload(event.get("audio"), self._is_pcm16)
        elif kind == "session.update":
            return {**event, "session": self._check_session(event.get("session"))}
        elif kind == "response.create" and event.get("response") is not None:
            return {**event, "response": self._check_response(event["response"])}
        elif kind == "conversation.item.create":
            self._check_item(event.get("item"), "item")
        return event

    def _check_session(self, session: Any) -> Event:
        if session is None:
            raise ClientEventRejected("missing_required_parameter", "Missing required parameter: 'session'.", "session")
        new = self._check_settings(session, "session", _SESSION_FIELDS)
        if new.get("type", "realtime") != "realtime":
            raise ClientEventRejected("invalid_value", "This endpoint holds conversations: 'realtime'.", "session.type")
        audio = new.get("audio")
        sound_in = audio.get("input") if isinstance(audio, dict) else None
        wanted = sound_in.get("format") if isinstance(sound_in, dict) else None
        if isinstance(wanted, dict) and "type" in wanted:
            self._is_pcm16 = wanted["type"] == "audio/pcm"  # one sample of the other formats is one byte
        return new

    def _check_response(self, response: Any) -> Event:
        new = self._check_settings(response, "response", _RESPONSE_FIELDS)
        items = new.get("input")
        for index, item in enumerate(items if isinstance(items, list) else []):
            self._check_item(item, f"response.input[{index}]")
        return new

    def _check_settings(self, given: Any, path: str, allowed: frozenset[str]) -> Event:
        """Settings of a session or a response as they may be sent on."""
        if not isinstance(given, dict):
            raise _wrong_type(path, "an object")
        new: Event = {}
        for name, value in given.items():
            if name in _FORBIDDEN_FIELDS:
                if value is None or (name == "model" and value == self._requested_model):
                    continue  # asks for what is so already
                if (name, value) == ("tracing", "auto"):
                    continue  # openai-agents asks for it by itself; there are no traces, and nothing else is different
                raise ClientEventRejected("invalid_value", _FORBIDDEN_FIELDS[name], f"{path}.{name}")
            if name not in allowed:
                param = f"{path}.{name}" if name.isidentifier() and len(name) <= 64 else path
                raise ClientEventRejected("unknown_parameter", f"Unknown parameter: '{param}'.", param)
            new[name] = value
        if "max_output_tokens" in new:
            new["max_output_tokens"] = self._cap_tokens(new["max_output_tokens"], f"{path}.max_output_tokens")
        if "audio" in new:
            new["audio"] = self._check_audio_settings(new["audio"], f"{path}.audio")
        _check_tools(new.get("tools"), f"{path}.tools")
        choice = new.get("tool_choice")
        if isinstance(choice, dict) and choice.get("type", "function") != "function":
            raise ClientEventRejected("invalid_value", _FUNCTIONS_ONLY_MESSAGE, f"{path}.tool_choice")
        if self._mode is SessionMode.TEXT and new.get("output_modalities") not in (None, ["text"]):
            message = "This endpoint answers in text: ['text']. Spoken answers are given at /realtime-voice."
            raise ClientEventRejected("invalid_value", message, f"{path}.output_modalities")
        return new

    def _check_audio_settings(self, audio: Any, path: str) -> Any:
        """Settings of sound as they may be sent on: what is heard goes on being written down by the operator's model.

        Another name is put right and not refused: common clients name their own favourite without being asked to.
        """
        sound_in = audio.get("input") if isinstance(audio, dict) else None
        if not isinstance(sound_in, dict) or sound_in.get("transcription") is None:
            return audio  # it stays as it is, or is turned off
        wanted = sound_in["transcription"]
        if not isinstance(wanted, dict):
            raise _wrong_type(f"{path}.input.transcription", "an object or null")
        kept = {name: value for name, value in wanted.items() if name != "model"}
        if self.transcription_model:
            # Also where no model is named: a server may take the object for the whole of it.
            kept["model"] = self.transcription_model
        others = {name: value for name, value in sound_in.items() if name != "transcription"}
        return {**audio, "input": {**others, "transcription": kept} if kept else others}

    def _cap_tokens(self, wanted: Any, path: str) -> int:
        """As many as wanted, at most as many as the operator allows."""
        if wanted in (None, "inf"):
            return self._max_output_tokens
        if isinstance(wanted, bool) or not isinstance(wanted, int):
            raise _wrong_type(path, "an integer or 'inf'")
        return min(wanted, self._max_output_tokens)

    def _check_item(self, item: Any, path: str) -> None:
        """What is misshapen is the server's to refuse; here only what it might take and must not get."""
        if not isinstance(item, dict):
            return
        if str(item.get("type")).startswith("mcp"):
            raise ClientEventRejected("invalid_value", _FUNCTIONS_ONLY_MESSAGE, f"{path}.type")
        content = item.get("content")
        if self._mode is SessionMode.VOICE or not isinstance(content, list):
            return
        for index, part in enumerate(content):
            if isinstance(part, dict) and "audio" in str(part.get("type")):
                raise ClientEventRejected(
                    "invalid_value", "This endpoint is for text.", f"{path}.content[{index}].type"
                )


# ---------------------------------------------------------------- single values


def _check_audio_payload(audio: Any, is_pcm16: bool) -> None:
    if audio is None:
        raise ClientEventRejected("missing_required_parameter", "Missing required parameter: 'audio'.", "audio")
    if not isinstance(audio, str):
        raise _wrong_type("audio", "a base64 string")
    size = len(audio) * 3 // 4
    if size <= MAX_AUDIO_BYTES + 2:  # with its padding
        try:
            size = len(binascii.a2b_base64(audio, strict_mode=True))
        except ValueError:
            raise ClientEventRejected("invalid_value", "It is not valid base64.", "audio") from None
    if size > MAX_AUDIO_BYTES:
        raise ClientEventRejected(
            "invalid_value", f"An event may carry at most {MAX_AUDIO_BYTES} bytes of sound.", "audio"
        )
    if is_pcm16 and size % 2:
        raise ClientEventRejected(
            "invalid_value", "PCM16 has two bytes for each sample; these are an odd number.", "audio"
        )


def _check_tools(tools: Any, path: str) -> None:
    for index, tool in enumerate(tools if isinstance(tools, list) else []):
        if isinstance(tool, dict) and tool.get("type", "function") != "function":
            raise ClientEventRejected("invalid_value", _FUNCTIONS_ONLY_MESSAGE, f"{path}[{index}].type")


def _get_event_id(event: Event) -> str | None:
    given = event.get("event_id")
    if given is None:
        return None
    if not isinstance(given, str):
        raise _wrong_type("event_id", "a string")
    if len(given) > MAX_EVENT_ID_CHARS:
        raise ClientEventRejected("invalid_value", f"It may have at most {MAX_EVENT_ID_CHARS} characters.", "event_id")
    return given


def _wrong_type(param: str, wanted: str) -> ClientEventRejected:
    return ClientEventRejected("invalid_type", f"Invalid type for '{param}': expected {wanted}.", param)


# ---------------------------------------------------------------- JSON


def _reject_constant(_: str) -> float:
    raise ValueError("no JSON")


_decode: Callable[[str], Any] = json.JSONDecoder(parse_constant=_reject_constant).decode
_encode: Callable[[Any], str] = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def read_json(text: str) -> Event:
    """The object that the text means. Raises `Refusal`: strictly JSON, without NaN."""
    try:
        event = _decode(text)
    except (ValueError, RecursionError):
        raise ClientEventRejected("invalid_json", "The message is not valid JSON.") from None
    if not isinstance(event, dict):
        raise ClientEventRejected("invalid_event", "Expected a JSON object with a 'type'.")
    return event


def write_json(event: Event) -> str:
    """The event in ASCII, so that half a character (a lone surrogate) goes over the wire as it came. Raises `Refusal`:
    a number that is too large for JSON."""
    try:
        return _encode(event)
    except (ValueError, RecursionError):
        raise ClientEventRejected("invalid_json", "The message is not valid JSON.") from None
