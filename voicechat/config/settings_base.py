"""Base of all settings classes: reading from a mapping, and one sentence for each mistake."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Self, cast, get_args

from annotated_types import Ge, Le
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .env_values import SettingsError, variable_names


class SettingsBase(BaseSettings):
    """Frozen settings, made from keywords, or from environment variables by `from_env`."""

    TITLES: ClassVar[tuple[str, str]] = ("", "")
    """Heading of the group in the documentation: English, Traditional Chinese."""
    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True, validate_default=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use keywords only: `Settings()` has the defaults, whatever the environment holds."""
        return (init_settings,)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings in a mapping of variables. Empty values count as not set. Raise SettingsError."""
        try:
            return cls(**MappingSource(cls, environ)())
        except ValidationError as error:
            problems = error.errors(include_url=False)
        raise SettingsError(*(said for problem in problems for said in describe_problem(cls, problem, environ)))

    def with_changes(self, **changes: Any) -> Self:
        """Return a copy with other values, whose bounds are not checked. Raise TypeError for an unknown field."""
        unknown = changes.keys() - type(self).model_fields.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}.")
        return self.model_copy(update=changes)


class MappingSource(PydanticBaseSettingsSource):
    """Source of settings: a mapping with one variable for each field, also for the fields of groups."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environ = environ

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str, str, bool]:
        """Return the value of a field, its variable, and False: no value is JSON. The value is "" when not set."""
        for name in variable_names(field_name, field):
            if value := self._environ.get(name, "").strip():
                return value, name, False
        return "", field_name.upper(), False

    def __call__(self) -> dict[str, Any]:
        """Return the values of all fields that are set."""
        values: dict[str, Any] = {}
        for field_name, field in self.settings_cls.model_fields.items():
            group = group_of(field)
            if group:
                values[field_name] = MappingSource(group, self._environ)()
            elif value := self.get_field_value(field, field_name)[0]:
                values[field_name] = value
        return values


def group_of(field: FieldInfo) -> type[SettingsBase] | None:
    """Return the settings class of a field that is a group of settings, or None."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, SettingsBase) else None


def describe_problem(kind: type[SettingsBase], problem: ErrorDetails, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the sentences about a value that pydantic or a validator refused. Only numbers are repeated."""
    raised = problem.get("ctx", {}).get("error")
    if isinstance(raised, SettingsError):
        return raised.sentences
    field_name, field = "", FieldInfo()
    for part in problem["loc"]:
        if part not in kind.model_fields:
            break
        field_name, field = str(part), kind.model_fields[str(part)]
        kind = group_of(field) or kind
    name = MappingSource(kind, environ).get_field_value(field, field_name)[1]
    return (f"{name} {_describe_rule(field, problem)}.",)


def _describe_rule(field: FieldInfo, problem: ErrorDetails) -> str:
    low, high = bounds_of(field)
    match problem["type"].split("_")[0]:
        case "greater" | "less":
            return f"must be from {low} to {high}, and is {problem['input']}"
        case "int":
            return f"must be a whole number from {low} to {high}"
        case "float":
            return f"must be a number from {low} to {high}"
        case "bool":
            return "must be true or false"
        case "string":
            return f"is longer than {problem['ctx']['max_length']} characters"
        case "enum":
            *others, last = choices_of(field)
            return f"must be {', '.join(others)} or {last}"
    return "has a value that cannot be used"


def bounds_of(field: FieldInfo) -> tuple[float | None, float | None]:
    """Return the least and the greatest value of a field, or None where it has no such bound."""
    low = next((item.ge for item in field.metadata if isinstance(item, Ge)), None)
    high = next((item.le for item in field.metadata if isinstance(item, Le)), None)
    return cast("float | None", low), cast("float | None", high)


def choices_of(field: FieldInfo) -> list[str]:
    """Return the values of a field whose type is an enum, or an enum or None; [] for other types."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return [choice.value for choice in kind]
    return []
