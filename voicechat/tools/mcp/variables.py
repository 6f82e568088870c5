"""Variables of the environment in the MCP file: `${NAME}`, `${env:NAME}` and `${NAME:-default}`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MIN_SECRET_CHARS = 6
"""Characters of a value that is hidden wherever it appears. Shorter ones occur by chance."""
HIDDEN = "[hidden]"
"""Text in place of a secret."""
_REFERENCE = re.compile(r"\$\{(?P<body>[^{}]*)\}")
_BODY = re.compile(r"(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


class VariableError(ValueError):
    """A reference that cannot be replaced. The text names the variable, never a value."""


@dataclass(slots=True)
class VariableExpander:
    """Replaces references, and remembers the values as secrets."""

    environ: Mapping[str, str]
    secrets: set[str] = field(default_factory=set, repr=False)

    def expand(self, text: str) -> str:
        """Return the text with values of the environment. Raise VariableError."""
        return _REFERENCE.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        body = _BODY.fullmatch(match["body"])
        if body is None:
            raise VariableError(f"${{{match['body']}}} is not a variable of the environment")
        value = self.environ.get(body["name"], "")
        if value:
            self.secrets.add(value)
            return value
        if body["default"] is None:
            raise VariableError(f"the variable {body['name']} is not set")
        return str(body["default"])


def hide_secrets(text: str, secrets: frozenset[str]) -> str:
    """Return the text without the secrets that it repeats."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= MIN_SECRET_CHARS:
            text = text.replace(secret, HIDDEN)
    return text
