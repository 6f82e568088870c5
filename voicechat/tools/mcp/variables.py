"""Variables of the environment in the MCP file: `${NAME}`, `${env:NAME}` and `${NAME:-default}`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MIN_SECRET_CHARS = 6
"""Characters of a value that is hidden wherever it appears. Shorter ones occur by chance."""
HIDDEN = "[hidden]"
"""Text in place of a secret."""
INHERITED = (
    *("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER"),
    *("APPDATA", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATHEXT", "PROCESSOR_ARCHITECTURE", "SYSTEMDRIVE"),
    *("SYSTEMROOT", "TEMP", "USERNAME", "USERPROFILE"),
)
"""Variables that every process of a server gets from ours. None of them is a secret."""
_REFERENCE = re.compile(r"\$\{(?P<body>[^{}]*)\}")
_BODY = re.compile(r"(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


class VariableError(ValueError):
    """A reference that cannot be replaced. The text names the variable, never a value."""


@dataclass(slots=True)
class VariableExpander:
    """Replaces references, and remembers their values and those of whole mappings as secrets."""

    environ: Mapping[str, str]
    secrets: set[str] = field(default_factory=set, repr=False)

    def expand(self, text: str) -> str:
        """Return the text with values of the environment. Raise VariableError."""
        return _REFERENCE.sub(self._value, text)

    def expand_secrets(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return variables or headers of a server with their values, all of which are secrets. Raise VariableError."""
        values = {name: self.expand(text) for name, text in texts.items()}
        for name, value in values.items():
            if name not in INHERITED:
                self.secrets.update(with_and_without_scheme(value))
        return values

    def _value(self, match: re.Match[str]) -> str:
        body = _BODY.fullmatch(match["body"])
        if body is None:
            raise VariableError(f"${{{match['body']}}} is not a variable of the environment")
        value = self.environ.get(body["name"], "")
        if value:
            if body["name"] not in INHERITED:
                self.secrets.add(value)
            return value
        if body["default"] is None:
            raise VariableError(f"the variable {body['name']} is not set")
        return str(body["default"])


def with_and_without_scheme(value: str) -> set[str]:
    """Return a secret value, and what follows a scheme such as Bearer in it. Neither is empty."""
    return {value, value.partition(" ")[2].strip()} - {""}


def hide_secrets(text: str, secrets: frozenset[str]) -> str:
    """Return the text without the secrets that it repeats."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= MIN_SECRET_CHARS:
            text = text.replace(secret, HIDDEN)
    return text
