"""File of MCP servers: `mcpServers`, or `servers` as in VS Code. Pure."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from voicechat.config.env_values import SettingsError
from voicechat.tools.definition import ApprovalMode
from voicechat.tools.mcp.literal_secrets import secrets_in_arguments, secrets_in_url
from voicechat.tools.mcp.variables import VariableError, VariableExpander
from voicechat.tools.registry import sanitise_name

MAX_SERVERS = 16
"""Servers in one file."""
MAX_SERVER_NAME_CHARS = 32
"""Characters of a server's name: the names of its tools begin with it."""
MAX_TIMEOUT_S = 600.0
"""Seconds that a call of a server's tool may run, at most."""
IGNORED_KEYS = ("autoApprove", "alwaysAllow")
"""Keys of other programs that switch the approval off. Approval is set for each tool here."""
_HTTP_TYPES = ("http", "streamable-http", "streamableHttp", "streamable_http")


class TransportKind(enum.Enum):
    """How a server is reached."""

    STDIO = "stdio"
    """A process of this computer."""
    HTTP = "http"
    """Streamable HTTP."""


@dataclass(frozen=True, slots=True)
class ToolRule:
    """What the operator says of one tool of a server. None: the server's word counts where it is stricter."""

    approval: ApprovalMode | None = None
    read_only: bool | None = None
    open_world: bool | None = None
    timeout_s: float | None = None
    hints: tuple[str, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class McpServerConfig:
    """One server. Values that may be secret are not in its `repr`."""

    name: str
    kind: TransportKind
    command: str = field(default="", repr=False)
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables of the process beside PATH, HOME and a few others. Nothing else is inherited."""
    cwd: str = field(default="", repr=False)
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float | None = None
    rules: Mapping[str, ToolRule] | None = None
    """Allowed tools by their names on the server. None: those that the server marks as read-only."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Values of variables and headers in the entry, and of arguments that are secrets by their names. They are hidden
    in definitions and results."""


@dataclass(frozen=True, slots=True)
class McpConfig:
    """The servers of a file, and sentences about what was ignored in it."""

    servers: tuple[McpServerConfig, ...] = ()
    warnings: tuple[str, ...] = ()


class _EntryError(ValueError):
    """A mistake in the entry of one server."""


def parse_mcp_config(text: str, environ: Mapping[str, str]) -> McpConfig:
    """Return the servers in the text of a file. Raise SettingsError, one sentence for each mistake."""
    entries = _read_entries(text)
    servers: list[McpServerConfig] = []
    warnings: list[str] = []
    sentences: list[str] = []
    for name, entry in entries.items():
        try:
            server = _parse_server(name, entry, environ, warnings)
        except (_EntryError, VariableError) as error:
            sentences.append(f"MCP_CONFIG: server {name!r}: {error}.")
            continue
        if server is None:
            continue
        if any(sanitise_name(name) == sanitise_name(other.name) for other in servers):
            sentences.append(f"MCP_CONFIG: the name of server {name!r} is too like that of another one.")
        servers.append(server)
    if len(servers) > MAX_SERVERS:
        sentences.append(f"MCP_CONFIG has {len(servers)} servers, and at most {MAX_SERVERS} are opened.")
    if sentences:
        raise SettingsError(*sentences)
    return McpConfig(tuple(servers), tuple(warnings))


def _read_entries(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"MCP_CONFIG: the file is not JSON: see line {error.lineno}.") from None
    except RecursionError:
        raise SettingsError("MCP_CONFIG: the file is nested too deeply.") from None
    if isinstance(document, dict):
        for key in ("mcpServers", "servers"):
            if isinstance(document.get(key), dict):
                found: dict[str, Any] = document[key]
                return found
    raise SettingsError('MCP_CONFIG: the file must be like {"mcpServers": {"name": {"command": "program"}}}.')


def _parse_server(name: str, entry: object, environ: Mapping[str, str], warnings: list[str]) -> McpServerConfig | None:
    """Return a server, or None for one that is off."""
    if not isinstance(entry, dict):
        raise _EntryError("the entry must be an object")
    if entry.get("disabled") is True or entry.get("enabled") is False:
        return None
    if not sanitise_name(name) or len(name) > MAX_SERVER_NAME_CHARS:
        raise _EntryError(f"the name needs a letter or digit, and at most {MAX_SERVER_NAME_CHARS} characters")
    warnings.extend(
        f'MCP_CONFIG: server {name!r}: {key} is ignored; "tools" sets the approval of each tool.'
        for key in IGNORED_KEYS
        if entry.get(key)
    )
    expander = VariableExpander(environ)
    kind = _kind_of(entry)
    rules = _parse_rules(entry.get("tools"))
    timeout_s = _seconds(entry.get("timeout"), "timeout")
    if kind is TransportKind.HTTP:
        url = expander.expand(_text(entry.get("url"), "url"))
        headers = _text_mapping(entry.get("headers"), "headers", expander)
        _check_http(url, headers)
        secrets = frozenset(expander.secrets).union(secrets_in_url(url))
        return McpServerConfig(name, kind, url=url, headers=headers, timeout_s=timeout_s, rules=rules, secrets=secrets)
    command = expander.expand(_text(entry.get("command"), "command"))
    given = entry.get("args", [])
    if not isinstance(given, list):
        raise _EntryError("args must be a list of texts")
    args = tuple(expander.expand(_text(arg, "each of args", may_be_empty=True)) for arg in given)
    env = _text_mapping(entry.get("env"), "env", expander)
    cwd = expander.expand(_text(entry.get("cwd", ""), "cwd", may_be_empty=True))
    if any("\0" in value for value in (command, cwd, *args, *env, *env.values())):
        raise _EntryError("a text holds a zero character")
    secrets = frozenset(expander.secrets).union(secrets_in_arguments(args))
    return McpServerConfig(name, kind, command, args, env, cwd, timeout_s=timeout_s, rules=rules, secrets=secrets)


def _kind_of(entry: Mapping[str, Any]) -> TransportKind:
    kind = entry.get("type", entry.get("transport"))
    if kind == "sse":
        raise _EntryError("the transport sse is not supported, because MCP replaced it: use streamable HTTP")
    if kind in _HTTP_TYPES or (kind is None and "url" in entry and "command" not in entry):
        return TransportKind.HTTP
    if kind == "stdio" or (kind is None and "command" in entry and "url" not in entry):
        return TransportKind.STDIO
    raise _EntryError('it needs either "command" or "url"; its type may be stdio or http')


def _parse_rules(given: object) -> Mapping[str, ToolRule] | None:
    if given is None:
        return None
    if isinstance(given, list):
        return {_text(name, "each of tools"): ToolRule() for name in given}
    if isinstance(given, dict):
        return {name: _parse_rule(name, rule) for name, rule in given.items()}
    raise _EntryError('tools must be a list of names, or an object like {"name": {"approval": "ask"}}')


def _parse_rule(name: str, rule: object) -> ToolRule:
    if not isinstance(rule, dict):
        raise _EntryError(f"the rule of tool {name!r} must be an object")
    try:
        approval = ApprovalMode(rule["approval"]) if "approval" in rule else None
    except ValueError:
        raise _EntryError(f"the approval of tool {name!r} must be never, ask or button") from None
    hints = rule.get("hints", [])
    if not isinstance(hints, list) or not all(isinstance(hint, str) for hint in hints):
        raise _EntryError(f"the hints of tool {name!r} must be a list of texts")
    titles = rule.get("titles", {})
    if not isinstance(titles, dict) or not all(isinstance(title, str) for title in titles.values()):
        raise _EntryError(f'the titles of tool {name!r} must be like {{"en": "Name", "zh": "名稱"}}')
    return ToolRule(
        approval,
        _flag(rule, "readOnly", name),
        _flag(rule, "openWorld", name),
        _seconds(rule.get("timeout"), f"the timeout of tool {name!r}"),
        tuple(hints),
        titles,
    )


def _flag(rule: Mapping[str, Any], key: str, name: str) -> bool | None:
    value = rule.get(key)
    if value is not None and not isinstance(value, bool):
        raise _EntryError(f"{key} of tool {name!r} must be true or false")
    return value


def _seconds(value: object, what: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_TIMEOUT_S:
        raise _EntryError(f"{what} must be seconds from 0 to {MAX_TIMEOUT_S:g}")
    return float(value)


def _text(value: object, what: str, *, may_be_empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or may_be_empty):
        raise _EntryError(f"{what} must be a text")
    return value


def _text_mapping(value: object, what: str, expander: VariableExpander) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _EntryError(f"{what} must be an object of texts")
    return expander.expand_secrets({str(name): _text(text, what, may_be_empty=True) for name, text in value.items()})


def _check_http(url: str, headers: Mapping[str, str]) -> None:
    """Raise for an address or headers that cannot be sent. No value is repeated."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or any(not char.isprintable() or char == " " for char in url):
        raise _EntryError("url must be an address that starts with http:// or https://")
    for name, value in headers.items():
        if not name.isascii() or not name.isprintable() or not value.isascii() or not value.isprintable():
            raise _EntryError(f"the header {name!r} holds a character that no header has")
