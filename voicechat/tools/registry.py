"""Registry of tools: which names exist at the moment, from Python and from MCP servers."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from voicechat.config.env_values import SettingsError

from .definition import Tool, ToolDefinition

logger = logging.getLogger(__name__)

MAX_NAME_CHARS = 64
"""Characters of a name that every Realtime server takes."""
SEPARATOR = "__"
"""Text between the name of an MCP server and that of its tool."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]+")
_HASH_CHARS = 6


def is_tool_name(name: str) -> bool:
    """Return whether every Realtime server takes this name."""
    return _NAME.fullmatch(name) is not None


def sanitise_name(name: str) -> str:
    """Return `name` with an underscore for each run of other characters; "" if none of it is left."""
    return _FORBIDDEN.sub("_", name).strip("_")


def server_tool_name(server: str, tool: str) -> str:
    """Return the name of a server's tool for the model. A long one is cut, and ends with a hash of the whole."""
    name = f"{sanitise_name(server)}{SEPARATOR}{sanitise_name(tool)}"
    if len(name) <= MAX_NAME_CHARS:
        return name
    digest = hashlib.sha256(f"{server}\n{tool}".encode()).hexdigest()[:_HASH_CHARS]
    return f"{name[: MAX_NAME_CHARS - _HASH_CHARS - 1]}_{digest}"


class ToolRegistry:
    """The tools of the process. Python tools stay; those of a server come and go with its connection.

    Any thread may read it. A reader gets a mapping that later changes leave alone.
    """

    def __init__(
        self,
        tools: Sequence[Tool] = (),
        *,
        servers: Sequence[str] = (),
        max_tools: int = 16,
        max_seconds: float = 20.0,
    ) -> None:
        """`servers`: names in the order of their priority. Raise SettingsError for tools that cannot be together."""
        _check_python_tools(tools, max_tools)
        self._python_tools = tuple(tools)
        self._server_tools: dict[str, Sequence[Tool]] = dict.fromkeys(servers, ())
        self._max_tools = max_tools
        self._max_seconds = max_seconds
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._tools: Mapping[str, Tool] = {}
        self._definitions: Mapping[str, ToolDefinition] = MappingProxyType({})
        self._combine()

    @property
    def definitions(self) -> Mapping[str, ToolDefinition]:
        """Definitions by name, Python tools first. Their time limits are bounded by TOOL_SECONDS."""
        return self._definitions

    def get(self, name: str) -> Tool | None:
        """Return the tool with this name, or None."""
        return self._tools.get(name)

    def set_server_tools(self, server: str, tools: Sequence[Tool]) -> None:
        """Replace the tools of a server, in any thread."""
        with self._lock:
            before = self._definitions
            self._server_tools[server] = tuple(tools)
            self._combine()
            is_changed = before != self._definitions
        if is_changed:
            for listener in tuple(self._listeners):
                listener()

    def add_listener(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after each change, in the thread of the change. Return the function that ends this."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _combine(self) -> None:
        """Renew the mappings. Of two tools with one name neither is taken, and a Python tool always is."""
        tools = {tool.definition.name: tool for tool in self._python_tools}
        for server, offered in self._server_tools.items():
            clashing = _repeated(tool.definition.name for tool in offered)
            clashing |= {tool.definition.name for tool in offered} & tools.keys()
            room = max(0, self._max_tools - len(tools))
            taken = [tool for tool in offered if tool.definition.name not in clashing]
            if clashing:
                logger.warning("tools: names clash server=%s count=%d", sanitise_name(server), len(clashing))
            if len(taken) > room:
                logger.warning("tools: over MAX_TOOLS server=%s left_out=%d", sanitise_name(server), len(taken) - room)
            tools.update((tool.definition.name, tool) for tool in taken[:room])
        self._tools = tools
        self._definitions = MappingProxyType({name: self._bound(tool.definition) for name, tool in tools.items()})

    def _bound(self, definition: ToolDefinition) -> ToolDefinition:
        return dataclasses.replace(definition, timeout_s=min(definition.timeout_s, self._max_seconds))


def _repeated(names: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


def _check_python_tools(tools: Sequence[Tool], max_tools: int) -> None:
    names = [tool.definition.name for tool in tools]
    sentences = [
        f"TOOLS: the name {name!r} must be 1 to {MAX_NAME_CHARS} letters, digits, - or _."
        for name in dict.fromkeys(names)
        if not is_tool_name(name)
    ]
    sentences += [f"TOOLS: two tools have the name {name!r}." for name in sorted(_repeated(names))]
    if len(names) > max_tools:
        sentences.append(f"TOOLS has {len(names)} tools, and MAX_TOOLS is {max_tools}.")
    if sentences:
        raise SettingsError(*sentences)
