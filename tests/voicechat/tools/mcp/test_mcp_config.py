"""File of MCP servers: both forms, variables, rules, and one sentence for each mistake."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.env_values import SettingsError
from voicechat.tools.definition import ApprovalMode
from voicechat.tools.mcp.config import McpConfig, McpServerConfig, TransportKind, parse_mcp_config
from voicechat.tools.mcp.stdio_transport import LineSplitter, ServerFlood, find_id
from voicechat.tools.mcp.variables import hide_secrets

SECRET = "canary-31c"


def parse(entry: object, key: str = "mcpServers", name: str = "s", **environ: str) -> McpConfig:
    return parse_mcp_config(json.dumps({key: {name: entry}}), environ)


def parse_one(entry: object, **environ: str) -> McpServerConfig:
    return parse(entry, **environ).servers[0]


@pytest.mark.parametrize("key", ["mcpServers", "servers"])
def test_config_reads_both_forms(key: str) -> None:
    (server,) = parse({"command": "program", "args": ["-v"], "cwd": "/x"}, key).servers
    assert (server.kind, server.command, server.args, server.cwd) == (TransportKind.STDIO, "program", ("-v",), "/x")
    assert server.rules is None


@pytest.mark.parametrize("kind", [None, "http", "streamable-http", "streamableHttp"])
def test_config_reads_http_servers(kind: str | None) -> None:
    entry = {"url": "https://host/mcp", "timeout": 15, **({"type": kind} if kind else {})}
    server = parse_one(entry)
    assert (server.kind, server.url, server.timeout_s) == (TransportKind.HTTP, "https://host/mcp", 15.0)


def test_config_expands_variables_and_hides_them() -> None:
    entry = {"url": "https://host/${PATH_PART:-mcp}", "headers": {"Authorization": "Bearer ${env:TOKEN}"}}
    server = parse_one(entry, TOKEN=SECRET)
    assert server.headers == {"Authorization": f"Bearer {SECRET}"} and server.url == "https://host/mcp"
    assert SECRET not in repr(server) and server.secrets == {SECRET, f"Bearer {SECRET}"}


def test_config_with_literal_values_hides_them() -> None:
    program = parse_one({"command": "x", "env": {"API_KEY": SECRET, "LEVEL": "low"}})
    assert hide_secrets(f"key {SECRET}, level low", program.secrets) == "key [hidden], level low"
    server = parse_one(
        {"url": "https://host/mcp", "headers": {"Authorization": f"Bearer {SECRET}", "X-Key": "other-77"}}
    )
    assert hide_secrets(f"{SECRET} other-77 Bearer", server.secrets) == "[hidden] [hidden] Bearer"


@pytest.mark.parametrize(
    "args",
    [
        ["--api-key", SECRET],
        [f"--api-key={SECRET}"],
        ["--verbose", "--access-token", f"Bearer {SECRET}"],
        ["--header", f"Authorization: Bearer {SECRET}"],
        [f"OPENAI_API_KEY={SECRET}"],
        [f"postgresql://anna:{SECRET}@host/notes"],
        [f"--url=https://host/mcp?level=low&token={SECRET}"],
    ],
)
def test_config_with_a_secret_among_the_arguments_hides_it(args: list[str]) -> None:
    server = parse_one({"command": "x", "args": args})
    assert server.args == tuple(args), "the program gets them"
    assert hide_secrets(f"key {SECRET}, level low, anna", server.secrets) == "key [hidden], level low, anna"


@pytest.mark.parametrize(
    "args", [["--local-timezone", "Asia/Taipei"], ["--keyboard", "dvorak"], ["/srv/notes"], ["--token"], ["a:b", "c=d"]]
)
def test_config_with_ordinary_arguments_hides_nothing(args: list[str]) -> None:
    assert parse_one({"command": "x", "args": args}).secrets == frozenset()


def test_config_with_a_secret_in_an_address_hides_it() -> None:
    server = parse_one({"url": f"https://host/mcp?api_key={SECRET}&level=standard"})
    assert server.secrets == {SECRET}


@pytest.mark.parametrize("name", ["HOME", "PATH", "SHELL", "TERM", "USER", "LOGNAME"])
def test_config_with_inherited_variables_hides_no_paths(name: str) -> None:
    entry = {"command": "x", "args": [f"${{{name}}}/notes"], "env": {name: f"${{{name}}}"}}
    assert parse_one(entry, **{name: "/srv/anna"}).secrets == frozenset()


def test_config_reads_rules() -> None:
    rules = parse_one(
        {"command": "x", "tools": {"add": {"approval": "button", "readOnly": False, "hints": ["記下"]}, "get": {}}}
    ).rules
    assert rules is not None
    assert (rules["add"].approval, rules["add"].read_only, rules["add"].hints) == (
        ApprovalMode.BUTTON,
        False,
        ("記下",),
    )
    assert rules["get"].approval is None


def test_config_leaves_out_disabled_servers_and_warns_of_ignored_keys() -> None:
    assert parse({"disabled": True, "type": "sse"}).servers == ()
    config = parse({"command": "x", "autoApprove": ["all"], "alwaysAllow": ["all"]})
    assert [("autoApprove" in one, "alwaysAllow" in one) for one in config.warnings] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"type": "sse", "url": "https://h"}, "the transport sse is not supported"),
        ({}, 'it needs either "command" or "url"'),
        ({"command": "x", "url": "https://h"}, 'it needs either "command" or "url"'),
        ({"command": f"{SECRET}${{MISSING}}"}, "the variable MISSING is not set"),
        ({"command": "${input:key}"}, "is not a variable of the environment"),
        ({"command": "x", "args": SECRET}, "args must be a list"),
        ({"command": "x", "env": {"A": 1}}, "env must be a text"),
        ({"command": "x", "timeout": -1}, "timeout must be seconds"),
        ({"command": "x", "tools": {"a": {"approval": SECRET}}}, "must be never, ask or button"),
        ({"url": f"ftp://{SECRET}"}, "must be an address"),
        ({"url": f"https://h:x{SECRET}"}, "must be an address"),
        ({"url": "https://h", "headers": {"A": f"{SECRET}\n"}}, "holds a character that no header has"),
        ([], "the entry must be an object"),
    ],
)
def test_config_with_a_mistake_says_one_sentence_without_values(entry: object, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(entry)
    (sentence,) = caught.value.sentences
    assert said in sentence and sentence.endswith(".") and SECRET not in sentence


def test_config_with_names_alike_or_unusable_is_refused() -> None:
    with pytest.raises(SettingsError, match="too like"):
        parse_mcp_config(json.dumps({"servers": {"a b": {"command": "x"}, "a.b": {"command": "x"}}}), {})
    with pytest.raises(SettingsError, match="needs a letter or digit"):
        parse({"command": "x"}, name="時間")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mcpServers": []}', f'{{"{SECRET}', "[" * 100_000])
def test_config_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="MCP_CONFIG"):
        parse_mcp_config(text, {})


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["command", "url", "args", "env", "headers", "tools", "timeout", "type", "cwd"]), inner
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_config_with_any_entry_is_read_or_refused(entry: Any) -> None:
    try:
        parse(entry)
    except SettingsError as error:
        assert all(sentence.startswith("MCP_CONFIG") for sentence in error.sentences)


# -------------------------------------------------------------------- lines of a process


@given(st.binary(max_size=200), st.lists(st.integers(1, 20)))
def test_line_splitter_with_any_chunks_gives_the_same_lines(data: bytes, sizes: list[int]) -> None:
    data, splitter, lines, at = data + b"\n", LineSplitter(), [], 0
    for size in [*sizes, len(data)]:
        lines += splitter.feed(data[at : at + size])
        at += size
    assert lines == data.split(b"\n")[:-1]


def test_line_splitter_with_a_long_line_raises_before_its_end() -> None:
    splitter = LineSplitter(max_bytes=10)
    assert splitter.feed(b"0123456789\n01234") == [b"0123456789"]
    with pytest.raises(ServerFlood):
        splitter.feed(b"567890")


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{}}', 7),
        (b'{"id": 7, "result": {}}', 7),
        (b'{"jsonrpc": "2.0", "result": {"id": 3}, "id": 7}', 7),
        (b'{"result":{"id":3},"id":7,"jsonrpc":"2.0"}\r', 7),
        (b'{"result": {"a": 1, "id": 3}}', None),
        (b'{"jsonrpc":"2.0","method":"x","params":{"id":3}}', None),
    ],
)
def test_find_id_reads_the_number_of_the_message_only(line: bytes, number: int | None) -> None:
    assert find_id(line) == number
