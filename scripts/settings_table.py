"""The settings table of the READMEs, from the settings themselves.

    python -m scripts.settings_table --check    exit code 1 when a README does not hold it
    python -m scripts.settings_table --write    put it there, between its markers

Names, defaults and English meanings come from the dataclasses in `realtime/`: from each field and the docstring under
it, which begins with the variable's name. The Chinese meanings stand in `scripts/settings_zh.py`.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from voicechat.config.deployment_defaults import HF_SPACE_DEFAULTS
from voicechat.config.settings import Settings

from .settings_zh import MEANINGS_ZH

ROOT = Path(__file__).resolve().parent.parent
BEGIN_MARKER, END_MARKER = "<!-- settings: python -m scripts.settings_table --write -->", "<!-- /settings -->"
MAX_DEFAULT_CHARS = 40
"""Characters of a default that still fit into its column."""


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    """The environment variable."""
    default: object
    meaning: str
    """English; goes on where the variable's name stands, so it may begin with a small letter."""


def field_docstrings(kind: type) -> dict[str, str]:
    """The docstring under each field of a class, on one line."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            said = ast.literal_eval(after.value)
            found[field.target.id] = " ".join(str(said).split())
    return found


def iter_settings(kind: type) -> Iterator[Setting]:
    """Every setting, in the order of the fields; a field that is a dataclass itself gives its own.

    Raises ValueError for a field whose docstring does not begin with its variable.
    """
    said = field_docstrings(kind)
    defaults = kind()
    for field in dataclasses.fields(kind):
        default = getattr(defaults, field.name)
        if field.name.startswith("_"):
            continue
        if dataclasses.is_dataclass(default):
            yield from iter_settings(type(default))
            continue
        name = field.name.upper()
        text = said.get(field.name, "")
        if not text.startswith(name):
            raise ValueError(f"The docstring of {field.name} must begin with {name}.")
        yield Setting(name, default, text.removeprefix(name).lstrip(",.: "))


def format_default(default: object) -> str:
    """A default as one would write it into `.env`."""
    if isinstance(default, Enum):
        default = default.value
    if default is None or default in ("", ()):
        return "–"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if isinstance(default, float):
        default = f"{default:g}"
    text = str(default)
    return f"`{text}`" if len(text) <= MAX_DEFAULT_CHARS else "…"


TABLE_HEADERS = {
    "README.md": ("| variable | default | meaning |", "on a Space"),
    "README.zh-TW.md": ("| 變數 | 預設值 | 意義 |", "Space 上"),
}


def render_table(readme: str, meanings_zh: Mapping[str, str] = MEANINGS_ZH) -> str:
    """The table for that README."""
    head, space = TABLE_HEADERS[readme]
    lines = [head, "|---|---|---|"]
    for setting in iter_settings(Settings):
        default = format_default(setting.default)
        if setting.name in HF_SPACE_DEFAULTS:
            default += f"; {space} `{HF_SPACE_DEFAULTS[setting.name]}`"
        meaning = setting.meaning if readme == "README.md" else meanings_zh[setting.name]
        meaning = meaning.replace("|", " / " if "`" not in meaning else "\\|")
        lines.append(f"| `{setting.name}` | {default} | {meaning} |")
    return "\n".join(lines)


def replace_table(readme: str, text: str) -> str:
    """The README's text with its table renewed. Raises ValueError when it has no markers."""
    before, begin, rest = text.partition(BEGIN_MARKER)
    _, end, after = rest.partition(END_MARKER)
    if not begin or not end:
        raise ValueError(f"{readme} lacks the markers {BEGIN_MARKER} and {END_MARKER}.")
    return f"{before}{BEGIN_MARKER}\n{render_table(readme)}\n{END_MARKER}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.settings_table", description=__doc__.split("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true")
    what.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    status = 0
    for readme in TABLE_HEADERS:
        path = ROOT / readme
        text = path.read_text("utf-8")
        wanted = replace_table(readme, text)
        if arguments.write:
            path.write_text(wanted, "utf-8")
        elif text != wanted:
            print(f"{readme} differs: python -m scripts.settings_table --write", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
