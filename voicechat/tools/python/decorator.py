"""The `@tool` decorator, which makes a tool of a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar, overload

from voicechat.tools.calls.schema import normalise_schema
from voicechat.tools.definition import DEFAULT_TIMEOUT_S, ApprovalMode, ToolDefinition
from voicechat.tools.python.python_tool import PythonTool, ToolSignature, ToolSignatureError

P = ParamSpec("P")
R = TypeVar("R")

MAX_DESCRIPTION_CHARS = 1024
"""Characters of a description that the model gets."""


@overload
def tool(function: Callable[P, R], /) -> PythonTool[P, R]: ...


@overload
def tool(
    *,
    name: str = "",
    titles: Mapping[str, str] | None = None,
    read_only: bool = False,
    approval: ApprovalMode | str | None = None,
    hints: Sequence[str] = (),
    open_world: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Callable[[Callable[P, R]], PythonTool[P, R]]: ...


def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str = "",
    titles: Mapping[str, str] | None = None,
    read_only: bool = False,
    approval: ApprovalMode | str | None = None,
    hints: Sequence[str] = (),
    open_world: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> PythonTool[P, R] | Callable[[Callable[P, R]], PythonTool[P, R]]:
    """Make a tool of a function, plain or `async`.

    The model sees the function's name, its docstring, and a JSON schema made from the types of its parameters.
    `Annotated[str, Field(description="…")]` describes a parameter. Arguments are checked and converted before a call.
    A parameter of the type `ToolContext` is filled in by the app and not shown to the model.
    The function returns text, a `ToolResult`, or any value that JSON can hold. It raises `ToolFailure` with a reason
    for the model; of any other exception the model learns only that the tool failed.

        @tool(titles={"en": "Weather", "zh": "天氣"}, read_only=True, hints=("weather", "天氣"))
        def weather(city: Annotated[str, Field(description="Name of a city")], context: ToolContext) -> str:
            \"\"\"Return the weather in a city.\"\"\"

    Args:
        name: Name for the model, if not the function's.
        titles: Names for the visitor by language, "en" and "zh".
        read_only: Whether a call changes nothing. Without it, the visitor is asked before each call.
        approval: "never", "ask" or "button". If not given: "never" for a tool that only reads, else "ask".
        hints: Words of a request that ask for this tool, in any language.
        open_world: Whether results contain text of strangers, such as a page of the Web.
        timeout_s: Seconds that a call may run. TOOL_SECONDS bounds it.
    """

    def decorate(function: Callable[P, R]) -> PythonTool[P, R]:
        tool_name = name or getattr(function, "__name__", "")
        description = inspect.getdoc(function) or ""
        if not description:
            raise ToolSignatureError(f"tool {tool_name!r} needs a docstring: the model reads it")
        signature = ToolSignature(function)
        mode = ApprovalMode.NEVER if read_only else ApprovalMode.ASK
        definition = ToolDefinition(
            name=tool_name,
            description=description[:MAX_DESCRIPTION_CHARS],
            parameters=normalise_schema(signature.schema()),
            titles=dict(titles or {}),
            read_only=read_only,
            open_world=open_world,
            approval=mode if approval is None else ApprovalMode(approval),
            timeout_s=timeout_s,
            hints=tuple(hints),
        )
        return PythonTool(function, definition, signature)

    return decorate if function is None else decorate(function)
