"""Dialect of a chat endpoint: the body of a request, and what refusals and answers teach about it. Without I/O.

The least is sent first. A field that a server refuses is swapped or left out from then on. Thoughts cost seconds of
silence in a conversation, so that each server gets its own switch against them, where it is known.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from offline.llm.chat_messages import merge_messages
from offline.llm.message_images import has_images, refuses_images, without_images
from offline.llm.thoughts import NO_THOUGHTS, opens_thoughts_in_prompt

from .errors import is_context_length_error, is_limit_spent_on_thoughts, refused_path

THOUGHT_TOKENS = 1024
"""Tokens added to the limit of a model that thinks: thoughts count against it."""
WARM_UP_TOKENS = 1
"""Limit of a request that only processes the prompt. It gets no room for thoughts."""
DEFAULT_TEMPERATURE = 0.7
"""Temperature of a conversation. Ollama's own default of 1.0 is high for small models."""

EFFORT, TEMPLATE_ARGUMENTS, REASONING = "reasoning_effort", "chat_template_kwargs", "reasoning"
_SWITCH_VALUES: dict[str, Any] = {
    EFFORT: "none",
    TEMPLATE_ARGUMENTS: NO_THOUGHTS,
    REASONING: {"effort": "none"},
}
_EFFORTS = ("none", "minimal", "low")
"""Values in the order in which they are tried."""
_LIMITS = ("max_tokens", "max_completion_tokens")
_OPENAI_MODELS_THAT_THINK = re.compile(r"\b(gpt-[5-9]|o[1-9])")
"""The other models of OpenAI refuse the field."""
_LOW_EFFORT_ONLY = re.compile(r"gpt-oss|(?<![a-z0-9])o[1-9](?![a-z0-9.])")
"""Models that know the efforts low, medium and high only."""
_LIMIT_OUT_OF_RANGE = re.compile(r"too (large|small|high|low)|at (least|most)|greater|less|maximum", re.IGNORECASE)
"""Refusals of a limit's value. Another field would not help."""
_TOOL_FIELDS = ("tool_choice", "tools")
_TAKES_NO_TOOLS = re.compile(
    r"support\w* (tools\b|tool (use|call|choice)|function)"
    r"|\b(tools|tool (use|call\w*|choice)|functions?)\W+(\w+ ){0,2}(not |un)(support|enable)"
    r"|\btool[^.]* requires --|\btool_choice\b|(unknown|unsupported|unrecogni[sz]ed|unexpected|extra) [^.]*\btools\b",
    re.IGNORECASE,
)
"""Refusals of functions altogether. Other sentences about tools mean the messages or the functions of one request."""
_TAKES_NO_FIELD = re.compile(r"support|permit|allow|unknown|unrecogni[sz]ed|unexpected|extra", re.IGNORECASE)
"""Refusals of a field, unlike those of its value."""


class ChatServer(Enum):
    """Servers whose switch against thoughts is known."""

    UNKNOWN = "unknown"
    OPENAI = "openai"
    """OpenAI and Azure."""
    OPENROUTER = "openrouter"
    GROQ = "groq"
    OLLAMA = "ollama"
    LLAMA_CPP = "llama.cpp"
    LM_STUDIO = "lm studio"
    VLLM = "vllm"
    SGLANG = "sglang"


_HOSTS = {
    "openai.com": ChatServer.OPENAI,
    "azure.com": ChatServer.OPENAI,
    "openrouter.ai": ChatServer.OPENROUTER,
    "groq.com": ChatServer.GROQ,
    "ollama.com": ChatServer.OLLAMA,
}
_PORTS = {"11434": ChatServer.OLLAMA, "1234": ChatServer.LM_STUDIO, "30000": ChatServer.SGLANG}
"""Default ports that few other servers use; those of llama.cpp and vLLM are 8080 and 8000."""
_OWNERS = {
    "llamacpp": ChatServer.LLAMA_CPP,
    "vllm": ChatServer.VLLM,
    "sglang": ChatServer.SGLANG,
    "library": ChatServer.OLLAMA,
    "organization_owner": ChatServer.LM_STUDIO,
}
"""Values of `owned_by` in the list of models."""

_SEPARATES_THOUGHTS = frozenset(
    {ChatServer.OPENAI, ChatServer.OPENROUTER, ChatServer.GROQ, ChatServer.OLLAMA, ChatServer.LLAMA_CPP}
)
"""Servers that separate thoughts also where the template opens the tag in the prompt. vLLM and SGLang do so only with
a parser for the model, LM Studio only if set so."""

_SWITCHES: dict[ChatServer, tuple[tuple[str, ...], tuple[str, ...]]] = {
    ChatServer.UNKNOWN: ((), (EFFORT, TEMPLATE_ARGUMENTS)),
    ChatServer.OPENAI: ((EFFORT,), ()),
    ChatServer.OPENROUTER: ((REASONING,), ()),
    ChatServer.GROQ: ((EFFORT,), ()),
    ChatServer.OLLAMA: ((EFFORT,), ()),
    ChatServer.LLAMA_CPP: ((TEMPLATE_ARGUMENTS,), (EFFORT,)),
    ChatServer.LM_STUDIO: ((EFFORT,), (TEMPLATE_ARGUMENTS,)),
    ChatServer.VLLM: ((TEMPLATE_ARGUMENTS,), (EFFORT,)),
    ChatServer.SGLANG: ((EFFORT,), (TEMPLATE_ARGUMENTS,)),
}
"""Fields that switch thoughts off: those sent at once, and those added when thoughts are seen nevertheless."""


def recognize_server(host: str, owned_by: str = "", server_header: str = "") -> ChatServer:
    """Return the kind of the server at `host` (with its port, as in a URL), by all that is known of it."""
    name, _, port = host.lower().partition(":") if host.count(":") < 2 else host.lower().rpartition(":")
    for domain, kind in _HOSTS.items():
        if name == domain or name.endswith(f".{domain}"):
            return kind
    if "llama.cpp" in server_header.lower():
        return ChatServer.LLAMA_CPP
    return _OWNERS.get(owned_by.lower()) or _PORTS.get(port, ChatServer.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Request of one reply, in the terms of the chat completions API."""

    messages: tuple[dict[str, Any], ...]
    max_tokens: int
    """Tokens of the answer, thoughts not counted."""
    tools: tuple[dict[str, Any], ...] = ()
    """Functions, each `{"type": "function", "function": {...}}`."""
    tool_choice: str | dict[str, Any] | None = None
    temperature: float = DEFAULT_TEMPERATURE


@dataclass(frozen=True, slots=True)
class ThoughtEvidence:
    """What one answer showed of the model's thoughts."""

    has_thoughts: bool = False
    """Thoughts were seen, or the limit was spent without a word."""
    opened_in_prompt: bool | None = None
    """The text began within thoughts; None when the answer does not show it."""
    has_words: bool = False


class ChatDialect:
    """Dialect of one endpoint and model.

    A request that is refused adapts a copy; what it took is adopted after it succeeded.
    """

    def __init__(self, model: str, server: ChatServer = ChatServer.UNKNOWN) -> None:
        """Start with what the name of the model and the kind of the server tell."""
        self.model = model
        self.server = ChatServer.UNKNOWN
        self.thinks = False
        """The model thinks in spite of the switches, as far as known."""
        self.opens_in_prompt: bool | None = opens_thoughts_in_prompt(model) or None
        """The text begins within thoughts, and is held back; None before that is known."""
        self.takes_images = True
        """False once the endpoint refused a picture: it reads words in the place of all."""
        self._limits = list(_LIMITS)
        self._switches: dict[str, Any] = {}
        self._refused: set[str] = set()
        self._is_on_trial = False
        """A switch was added, and no answer with words has come since."""
        self.set_server(server)

    def copy(self) -> ChatDialect:
        """Return a dialect of its own with the same knowledge."""
        other = copy.copy(self)
        other._limits, other._switches, other._refused = list(self._limits), dict(self._switches), set(self._refused)
        return other

    def set_server(self, server: ChatServer) -> None:
        """Use the switches of `server`, unless it is unknown or the same."""
        if server in (self.server, ChatServer.UNKNOWN):
            return
        self.server = server
        if self.opens_in_prompt is None and server in _SEPARATES_THOUGHTS:
            self.opens_in_prompt = False
        if server in (ChatServer.OPENAI, ChatServer.GROQ):
            self._limits.sort(key=_LIMITS.index, reverse=True)
        if self._takes_switch():
            self._add_switches(_SWITCHES[server][0])

    def build_body(self, request: ChatRequest) -> dict[str, Any]:
        """Return the JSON object of the request."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": merge_messages(request.messages if self.takes_images else without_images(request.messages)),
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": request.temperature,
            **self._switches,
        }
        if self._limits:
            extra = THOUGHT_TOKENS if self.thinks and request.max_tokens > WARM_UP_TOKENS else 0
            body[self._limits[0]] = request.max_tokens + extra
        if request.tools and "tools" not in self._refused:
            body["tools"] = list(request.tools)
            if request.tool_choice is not None:
                body["tool_choice"] = request.tool_choice
        return {name: value for name, value in body.items() if name not in self._refused}

    def adapt(self, error: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
        """Change the dialect after `body` was refused with `error`; return whether the next body differs.

        A second refusal of the same, by a request that was under way, changes nothing more.
        """
        message = str(error.get("message", ""))
        if is_limit_spent_on_thoughts(error):
            learned, self.thinks = not self.thinks, True
            return learned
        if is_context_length_error(error):
            return False
        if has_images(body["messages"]) and refuses_images(error):
            learned, self.takes_images = self.takes_images, False
            return learned
        name = self._find_named_field(refused_path(error), message, body)
        if name in _LIMITS:
            if _LIMIT_OUT_OF_RANGE.search(message):
                return False
            self._limits = [limit for limit in self._limits if limit != name]
        elif name == EFFORT and (effort := _choose_effort(str(body[EFFORT]), message)):
            self._switches[EFFORT], self.thinks, self._is_on_trial = effort, True, False
        elif name:
            self._refused.add(name)
            if self._switches.pop(name, None) is not None:
                self._refuse_switch(message)
        return bool(name)

    def learn(self, evidence: ThoughtEvidence) -> None:
        """Note what an answer showed: switch thoughts off for the next request, or give them room."""
        if evidence.opened_in_prompt is not None:
            self.opens_in_prompt = evidence.opened_in_prompt
        if evidence.has_thoughts:
            self.thinks, self._is_on_trial = True, False
            self._add_switches(_SWITCHES[self.server][1])
        elif evidence.has_words and self._is_on_trial:
            self.thinks = self._is_on_trial = False

    def _takes_switch(self) -> bool:
        name = self.model.lower()
        if self.server is ChatServer.OPENAI:
            return _OPENAI_MODELS_THAT_THINK.search(name) is not None
        return self.server is not ChatServer.GROQ or "qwen3" in name or "gpt-oss" in name

    def _add_switches(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._refused or name in self._switches:
                continue
            self._switches[name] = _SWITCH_VALUES[name]
            if name == EFFORT and _LOW_EFFORT_ONLY.search(self.model.lower()):
                self._switches[name], self.thinks = "low", True
            else:
                self._is_on_trial = True

    def _refuse_switch(self, message: str) -> None:
        """Try the server's other switches; a model that has to think gets room for it."""
        if re.search(r"mandatory|cannot be disabled|required", message, re.IGNORECASE):
            self.thinks = True
        elif not self._switches and self.server is not ChatServer.UNKNOWN:
            self._add_switches(_SWITCHES[self.server][1])

    def _find_named_field(self, path: str, message: str, body: Mapping[str, Any]) -> str:
        """Return the field of `body` that the refusal means; "" when it names none that may change."""
        optional = ["stream_options", "temperature", *_LIMITS, *_SWITCH_VALUES]
        sent = sorted((name for name in optional if name in body), key=len, reverse=True)
        root, *inner = re.split(r"[.\[]", path)
        if root in sent:
            return root
        if root in _TOOL_FIELDS and root in body and not inner:
            return root if root == "tool_choice" or _TAKES_NO_FIELD.search(message) else ""
        if root in body:
            return ""
        words = path or message  # the message of a server that tells the path may repeat the request
        for name in sent:
            if re.search(rf"(?<![a-z_]){name}(?![a-z_])", words):
                return name
        if re.search(r"include_usage", words) and "stream_options" in sent:
            return "stream_options"
        if _TAKES_NO_TOOLS.search(words):
            named = sorted(_TOOL_FIELDS, key=lambda name: re.search(rf"\b{name}\b", words) is None)
            return next((name for name in named if name in body), "")
        switches = [name for name in self._switches if name in sent]
        return switches[0] if switches and re.search(r"reasoning|think", words, re.IGNORECASE) else ""


def _choose_effort(present: str, message: str) -> str:
    """Return the next effort after `present` that the refusal itself names; "" without one."""
    later = _EFFORTS[_EFFORTS.index(present) + 1 :]
    return next((effort for effort in later if re.search(rf"\b{effort}\b", message)), "")
