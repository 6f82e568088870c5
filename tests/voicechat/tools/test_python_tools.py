"""Python tools: the decorator, and the loader of the operator's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from voicechat.config.env_values import SettingsError
from voicechat.tools.definition import ApprovalMode, ToolContext, ToolResult
from voicechat.tools.python import tool
from voicechat.tools.python.loader import load_tools
from voicechat.tools.python.python_tool import ToolArgumentError, ToolSignatureError


class Place(BaseModel):
    """A place."""

    city: str


@tool(titles={"en": "Weather", "zh": "天氣"}, read_only=True, hints=["weather"], open_world=True, timeout_s=3)
def weather(
    place: Place,
    context: ToolContext,
    days: Annotated[int, Field(description="Days from today", ge=0)] = 0,
    unit: Literal["c", "f"] = "c",
) -> str:
    """Return the weather."""
    return f"{place.city} {days} {unit} {context.language}"


def test_tool_takes_its_definition_from_the_function() -> None:
    definition = weather.definition
    assert (definition.name, definition.description) == ("weather", "Return the weather.")
    assert (definition.title("zh-TW"), definition.hints, definition.timeout_s) == ("天氣", ("weather",), 3)
    assert definition.read_only and definition.open_world and definition.approval is ApprovalMode.NEVER
    properties = definition.parameters["properties"]
    assert set(properties) == {"place", "days", "unit"} and definition.parameters["required"] == ["place"]
    assert properties["days"]["description"] == "Days from today"
    assert "$ref" not in str(definition.parameters) and "$defs" not in str(definition.parameters)


def test_tool_without_arguments_counts_as_acting() -> None:
    @tool
    def act() -> None:
        """Act."""

    assert not act.definition.read_only and act.definition.approval is ApprovalMode.ASK


def test_tool_with_an_approval_takes_it() -> None:
    @tool(approval="button")
    def delete() -> None:
        """Delete."""

    assert delete.definition.approval is ApprovalMode.BUTTON


def test_tool_is_still_a_function() -> None:
    assert weather(Place(city="x"), ToolContext()) == "x 0 c en"


async def test_tool_run_converts_arguments() -> None:
    result = await weather.run({"place": {"city": "Taipei"}, "days": "2"}, ToolContext(language="zh"))
    assert result == ToolResult("Taipei 2 c zh")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "place"),
        ({"place": {"city": "x"}, "more": 1}, "more"),
        ({"place": {"city": "x"}, "unit": "SECRET"}, "unit"),
        ({"place": {"city": "x"}, "days": -1}, "days"),
        ({"place": {"city": "x"}, "context": {}}, "context"),
    ],
)
def test_tool_with_wrong_arguments_names_them(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ToolArgumentError, match=named) as caught:
        weather.run_blocking(arguments, ToolContext())
    assert "SECRET" not in str(caught.value) and caught.value.__cause__ is None


@pytest.mark.parametrize("returned", [None, 3, ["a", "中"], {"a": 1.5}])
async def test_tool_with_another_value_returns_json(returned: object) -> None:
    @tool
    async def value() -> object:
        """Return a value."""
        return returned

    assert (await value.run({}, ToolContext())).text in ("null", "3", '["a", "中"]', '{"a": 1.5}')


def test_tool_without_a_docstring_or_type_raises() -> None:
    def silent() -> None: ...

    def untyped(a) -> None:  # type: ignore[no-untyped-def]
        """Do."""

    def variadic(*words: str) -> None:
        """Do."""

    for function, reason in ((silent, "docstring"), (untyped, "needs a type"), (variadic, "named parameters")):
        with pytest.raises(ToolSignatureError, match=reason):
            tool(function)


# -------------------------------------------------------------------- loader

SOURCE = '''
from __future__ import annotations
from voicechat.tools.python import tool

@tool(read_only=True)
def {name}(number: int) -> str:
    """Do {name}."""
    return "{name}"
'''


def write(path: Path, name: str) -> str:
    path.write_text(SOURCE.format(name=name), encoding="utf-8")
    return str(path)


def test_loader_reads_files_and_folders_once(tmp_path: Path) -> None:
    one = write(tmp_path / "one_tool.py", "one")
    write(tmp_path / "two_tools.py", "two")
    write(tmp_path / "_helper_tool.py", "hidden")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "three.py").write_text("from operator_tools_one_tool import one", encoding="utf-8")
    tools = load_tools(f"{one}, {tmp_path / 'more'}")
    assert [found.definition.name for found in tools] == ["one"]
    assert [found.definition.name for found in load_tools(str(tmp_path))] == ["one", "two"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ValueError('canary-77')", "ValueError in line 1."),
        ("\n\nx = (", "SyntaxError in line 3."),
        (
            "from voicechat.tools.python import tool\n@tool(read_onyl=True)\ndef f() -> str: ...",
            "TypeError, unknown argument read_onyl in line 2.",
        ),
        ("import canary_77", "ModuleNotFoundError in line 1."),
        ("x = 1", "has no function with @tool."),
    ],
)
def test_loader_with_a_faulty_file_says_the_line_only(source: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(source, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_tools(str(tmp_path / "bad.py"))
    assert said in str(caught.value) and "canary" not in str(caught.value).replace(str(tmp_path), "")


def test_loader_with_missing_sources_has_a_sentence_for_each() -> None:
    with pytest.raises(SettingsError) as caught:
        load_tools("nothing.py, nowhere")
    assert len(caught.value.sentences) == 2
