"""Documentation of the settings, written from their declarations in `voicechat/config/`.

    python -m scripts.settings_docs --check    exit code 1 when a file differs
    python -m scripts.settings_docs --write    write docs/settings.md, docs/settings.zh-TW.md and .env.example

Types, bounds, defaults and Chinese meanings come from the fields. English meanings come from the docstrings under them.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from enum import Enum
from pathlib import Path
from typing import get_args, get_origin

from annotated_types import MaxLen
from pydantic.fields import FieldInfo

from voicechat.config.deployment_defaults import HF_SPACE_DEFAULTS
from voicechat.config.env_values import notes_of
from voicechat.config.groups.app_settings import PageSettings, UpstreamSettings
from voicechat.config.groups.call_settings import CallSettings, SpeechSettings
from voicechat.config.groups.embedded_settings import EmbeddedServerSettings
from voicechat.config.groups.ice_settings import IceSettings
from voicechat.config.groups.image_settings import ImageSettings
from voicechat.config.groups.limit_settings import LimitSettings
from voicechat.config.groups.scale_settings import ScaleSettings
from voicechat.config.groups.security_settings import SecuritySettings
from voicechat.config.groups.tools_settings import ToolsSettings
from voicechat.config.settings_base import SettingsBase, bounds_of, choices_of

ROOT = Path(__file__).resolve().parent.parent
COMMAND = "python -m scripts.settings_docs --write"
GROUPS: tuple[type[SettingsBase], ...] = (
    UpstreamSettings,
    EmbeddedServerSettings,
    PageSettings,
    SecuritySettings,
    SpeechSettings,
    CallSettings,
    ToolsSettings,
    LimitSettings,
    ImageSettings,
    IceSettings,
    ScaleSettings,
)
"""Groups in the order of the pages."""
MAX_DEFAULT_CHARS = 40
"""Characters of a default that fits into its column."""
EXAMPLE_FILE_COLUMNS = 100
"""Characters in a line of `.env.example`."""


@dataclass(frozen=True, slots=True)
class PageLanguage:
    """Words of a page in one language."""

    index: int
    """Index of the language in `SettingsBase.TITLES`."""
    introduction: str
    table_header: str
    on_a_space: str
    example: str
    """Template of the sentence with a setting's example."""
    values: dict[str, str]
    """Descriptions of values without choices or bounds, by type."""


ENGLISH = PageLanguage(
    index=0,
    introduction="""\
# Settings

**English** · [繁體中文](settings.zh-TW.md)

All settings are optional. Set them as environment variables or in a file `.env` beside `app.py`. Environment variables
take precedence. [.env.example](../.env.example) is a template for that file. Empty values count as not set. A change
needs a restart. The app does not start with unusable values, and names all of them at once.

"On a Space" is the default on a Hugging Face Space. The embedded server has a few settings of its own:
[offline_protocol.md](offline_protocol.md). `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` count as for other
programs: [deployment.md](deployment.md#networks-with-a-proxy-for-outgoing-connections).
""",
    table_header="| variable | values | default | meaning |",
    on_a_space="on a Space",
    example=" Example: `{}`.",
    values={"text": "text", "limited": "text of up to {} characters", "list": "list", "json": "JSON list"},
)
CHINESE = PageLanguage(
    index=1,
    introduction="""\
# 設定

[English](settings.md) · **繁體中文**

所有設定都可以不填。寫在環境變數，或 `app.py` 旁邊的 `.env`；兩邊都有時以環境變數為準。`.env` 可以從
[.env.example](../.env.example) 複製。留空等於沒設定，修改後要重新啟動。只要有不能用的值，程式就不會啟動，並一次列出
所有錯誤。

「Space 上」是在 Hugging Face Space 執行時的預設值。內建伺服器自己的幾項設定在
[offline_protocol.md](offline_protocol.md)。`http_proxy`、`https_proxy`、`all_proxy`、`no_proxy` 和其他程式的用法
相同：[使用與架設說明](guide.zh-TW.md#架設)。
""",
    table_header="| 變數 | 可用的值 | 預設值 | 意義 |",
    on_a_space="Space 上",
    example="例如 `{}`。",
    values={"text": "文字", "limited": "文字，最多 {} 字", "list": "清單", "json": "JSON 清單"},
)


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it is documented."""

    name: str
    """Environment variable."""
    field: FieldInfo
    meanings: tuple[str, str]
    """Meaning in English and in Traditional Chinese."""
    example: str


def field_docstrings(kind: type) -> dict[str, str]:
    """Return the docstring under each field of a class, on one line."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    docstrings = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            docstrings[field.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    return docstrings


def iter_settings(group: type[SettingsBase]) -> Iterator[Setting]:
    """Yield the settings of a group. Raise ValueError for a setting without a meaning in both languages."""
    docstrings = field_docstrings(group)
    for field_name, field in group.model_fields.items():
        notes = notes_of(field)
        meanings = (docstrings.get(field_name, ""), notes.meaning_zh)
        if not all(meanings):
            raise ValueError(f"{field_name} needs a docstring and a Chinese meaning.")
        yield Setting(field_name.upper(), field, meanings, notes.example)


def format_default(default: object) -> str:
    """Return a default as text for `.env`; "" for none."""
    if isinstance(default, Enum):
        default = default.value
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def format_values(field: FieldInfo, language: PageLanguage) -> str:
    """Return the values that a setting may have."""
    low, high = bounds_of(field)
    if stated := notes_of(field).values:
        return stated
    if choices := choices_of(field):
        return ", ".join(f"`{choice}`" for choice in choices)
    if low is not None and high is not None:
        return f"{low}–{high}"
    if field.annotation is bool:
        return "`true`, `false`"
    if get_origin(field.annotation) is tuple:
        element = get_args(field.annotation)[0]
        return language.values["json" if get_origin(element) is dict or is_dataclass(element) else "list"]
    max_chars = next((item.max_length for item in field.metadata if isinstance(item, MaxLen)), None)
    return language.values["limited"].format(max_chars) if max_chars else language.values["text"]


def render_row(setting: Setting, language: PageLanguage) -> str:
    """Return the row of a setting in its table."""
    default = format_default(setting.field.default)
    shown = f"`{default}`" if default else "–"
    if len(default) > MAX_DEFAULT_CHARS:
        shown = "…"
    if setting.name in HF_SPACE_DEFAULTS:
        shown += f"; {language.on_a_space} `{HF_SPACE_DEFAULTS[setting.name]}`"
    meaning = setting.meanings[language.index]
    if setting.example:
        meaning += language.example.format(setting.example)
    cells = (f"`{setting.name}`", format_values(setting.field, language), shown, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def render_page(language: PageLanguage, groups: Sequence[type[SettingsBase]] = GROUPS) -> str:
    """Return the page of all settings in one language."""
    parts = [f"<!-- Written by: {COMMAND} -->\n{language.introduction}"]
    for group in groups:
        rows = [render_row(setting, language) for setting in iter_settings(group)]
        table = "\n".join([language.table_header, "|---|---|---|---|", *rows])
        parts.append(f"## {group.TITLES[language.index]}\n\n{table}\n")
    return "\n".join(parts)


def render_example_file() -> str:
    """Return `.env.example`: every setting with its default, commented out."""
    lines = [
        "# Copy to .env. Every setting is optional: without a key the embedded server answers.",
        f"# docs/settings.md has the details. Written by: {COMMAND}",
    ]
    for group in GROUPS:
        lines += ["", f"# ---- {group.TITLES[0]}"]
        for setting in iter_settings(group):
            summary = re.split(r"(?<=\.) (?=[A-Z0-9`])", setting.meanings[0])[0]
            lines += textwrap.wrap(summary, EXAMPLE_FILE_COLUMNS, initial_indent="# ", subsequent_indent="# ")
            if setting.example:
                lines.append(f"# Example: {setting.example}")
            default = format_default(setting.field.default)
            lines.append(f"#{setting.name}=" + (default if len(default) <= MAX_DEFAULT_CHARS else ""))
    return "\n".join(lines) + "\n"


FILES: dict[str, Callable[[], str]] = {
    "docs/settings.md": lambda: render_page(ENGLISH),
    "docs/settings.zh-TW.md": lambda: render_page(CHINESE),
    ".env.example": render_example_file,
}
"""Generated files, and the functions that return their texts."""


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.settings_docs", description=__doc__.split("\n")[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true")
    action.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    status = 0
    for name, render in FILES.items():
        path, text = ROOT / name, render()
        if arguments.write:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            print(f"{name} differs: {COMMAND}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
