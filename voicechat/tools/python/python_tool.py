"""Python tools: a function, its definition, and arguments checked against its signature."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

from pydantic import TypeAdapter, ValidationError

from voicechat.tools.definition import ToolContext, ToolDefinition, ToolResult
from voicechat.tools.failure import ToolFailure

P = ParamSpec("P")
R = TypeVar("R")

NAMED_KINDS = frozenset({inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY})
MAX_PROBLEMS = 5
"""Wrong arguments that one answer names."""


class ToolArgumentError(ToolFailure):
    """Arguments that do not fit the signature. The text names the parameters and never their values."""


class ToolSignatureError(TypeError):
    """A function that cannot be a tool. The text says why."""


class PythonTool(Generic[P, R]):
    """A tool that is a Python function. Calling it calls the function."""

    def __init__(self, function: Callable[P, R], definition: ToolDefinition, signature: ToolSignature) -> None:
        self.function = function
        self.signature = signature
        self._definition = definition
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def definition(self) -> ToolDefinition:
        return self._definition

    @property
    def is_blocking(self) -> bool:
        """Whether a call blocks its thread: the function is not `async`."""
        return not inspect.iscoroutinefunction(self.function)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run one call; a blocking function runs in another thread."""
        if self.is_blocking:
            return await asyncio.to_thread(self.run_blocking, arguments, context)
        function = typing.cast(Callable[..., Any], self.function)
        return as_result(await function(**self.signature.check(arguments, context)))

    def run_blocking(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run one call of a function that is not `async`, in this thread."""
        function = typing.cast(Callable[..., Any], self.function)
        return as_result(function(**self.signature.check(arguments, context)))


class ToolSignature:
    """The parameters of a tool's function: their schema for the model, and the check of a call's arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = []
        self._context_name = ""
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind not in NAMED_KINDS:
                raise ToolSignatureError(f"parameter {parameter.name!r}: a tool takes named parameters only")
            if hints.get(parameter.name) is ToolContext:
                self._context_name = parameter.name
                continue
            if parameter.name not in hints:
                raise ToolSignatureError(f"parameter {parameter.name!r} needs a type")
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

        def keep(**arguments: Any) -> dict[str, Any]:
            return arguments

        shown = {parameter.name: hints[parameter.name] for parameter in parameters}
        keep.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        keep.__annotations__ = shown
        keep.__module__ = function.__module__
        self._adapter: TypeAdapter[Any] = TypeAdapter(keep)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the arguments, an object."""
        schema = self._adapter.json_schema()
        schema.setdefault("type", "object")
        schema.setdefault("properties", {})
        return schema

    def check(self, arguments: Mapping[str, Any], context: ToolContext) -> dict[str, Any]:
        """Return the values for the function: converted arguments and the context, if it is asked for."""
        try:
            values: dict[str, Any] = self._adapter.validate_python(dict(arguments))
        except ValidationError as error:
            raise ToolArgumentError(describe_problems(error)) from None
        if self._context_name:
            values[self._context_name] = context
        return values


def describe_problems(error: ValidationError) -> str:
    """Return which arguments are wrong, for the model: names and kinds of problems, never values."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    named = (f"{'.'.join(str(part) for part in one['loc'])}: {one['type']}" for one in problems[:MAX_PROBLEMS])
    return "wrong arguments: " + "; ".join(named)


def as_result(value: object) -> ToolResult:
    """Return what a function returned as a result: text stays, other values become JSON."""
    if isinstance(value, ToolResult):
        return value
    if isinstance(value, str):
        return ToolResult(value)
    return ToolResult(json.dumps(value, ensure_ascii=False, default=str))
