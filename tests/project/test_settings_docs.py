"""Documentation of the settings: generated files, both languages, and the READMEs."""

from __future__ import annotations

import re

import pytest

from scripts.settings_docs import (
    CHINESE,
    COMMAND,
    ENGLISH,
    FILES,
    GROUPS,
    ROOT,
    PageLanguage,
    format_default,
    format_values,
    iter_settings,
    render_page,
    render_row,
)
from voicechat.config.deployment_defaults import HF_SPACE_DEFAULTS, PUBLIC_LINK_DEFAULTS
from voicechat.config.env_values import setting
from voicechat.config.settings import Settings
from voicechat.config.settings_base import SettingsBase, group_of

SETTINGS = {setting.name: setting for group in GROUPS for setting in iter_settings(group)}
READMES = ("README.md", "README.zh-TW.md")
LANGUAGES = pytest.mark.parametrize("language", [ENGLISH, CHINESE], ids=["English", "Chinese"])


def field_names(kind: type[SettingsBase]) -> set[str]:
    """Return the names of all fields of a settings class, and of its groups."""
    names: set[str] = set()
    for name, field in kind.model_fields.items():
        group = group_of(field)
        names |= field_names(group) if group else {name}
    return names


@pytest.mark.parametrize("name", FILES)
def test_generated_file_is_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == FILES[name](), f"run: {COMMAND}"


def test_groups_hold_every_setting_once() -> None:
    assert set(SETTINGS) == {name.upper() for name in field_names(Settings)}
    assert len(SETTINGS) == sum(len(group.model_fields) for group in GROUPS)


@LANGUAGES
def test_page_has_one_row_of_four_cells_for_every_setting(language: PageLanguage) -> None:
    rows = [line for line in render_page(language).splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(SETTINGS)
    assert all(len(re.split(r"(?<!\\)\|", row)) == 6 and "|  |" not in row for row in rows)


def test_every_meaning_is_in_both_languages() -> None:
    for name, documented in SETTINGS.items():
        english, chinese = documented.meanings
        assert english[0].isupper() and english.endswith("."), name
        assert not re.search("[\u4e00-\u9fff]", english), name
        assert re.search("[\u4e00-\u9fff]", chinese) and chinese.endswith("。"), name


def test_every_setting_is_in_the_example_file() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    assert [name for name in SETTINGS if f"\n#{name}=" not in example] == []


def test_every_example_is_a_usable_value() -> None:
    examples = {name: documented.example for name, documented in SETTINGS.items() if documented.example}
    settings = Settings.from_env(examples)
    assert (settings.root_path, settings.keywords) == ("/voice", ("Node.js", "Acme Cloud"))
    assert settings.realtime_url.startswith(examples["REALTIME_URL"])
    assert settings.ice.ice_servers[0]["username"] == "voice"


def test_default_is_shown_as_in_an_env_file() -> None:
    shown = {name: format_default(documented.field.default) for name, documented in SETTINGS.items()}
    assert (shown["PORT"], shown["METRICS"], shown["LANGUAGE"], shown["SPEED"]) == ("7860", "true", "auto", "1")
    assert (shown["VOICE"], shown["KEYWORDS"], shown["TRANSCRIPTION_DELAY"]) == ("", "", "")
    rows = {name: render_row(documented, ENGLISH).split(" | ")[2] for name, documented in SETTINGS.items()}
    assert (rows["PORT"], rows["VOICE"], rows["INSTRUCTIONS"]) == ("`7860`", "–", "…")
    assert rows["MAX_CALLS"] == "`8`; on a Space `2`"


def test_values_are_bounds_or_choices_or_a_type() -> None:
    values = {name: format_values(documented.field, ENGLISH) for name, documented in SETTINGS.items()}
    assert (values["PORT"], values["SPEED"], values["DEBUG"]) == ("0–65535", "0.25–1.5", "`true`, `false`")
    assert (values["LANGUAGE"], values["KEYWORDS"]) == ("`auto`, `en`, `zh`", "list")
    assert values["TRANSCRIPTION_DELAY"] == "`minimal`, `low`, `medium`, `high`, `xhigh`"
    assert (values["ICE_SERVERS"], values["HOST"]) == ("JSON list", "text of up to 255 characters")


def test_deployment_defaults_name_settings() -> None:
    assert {*HF_SPACE_DEFAULTS, *PUBLIC_LINK_DEFAULTS} <= set(SETTINGS)


def test_setting_without_a_docstring_is_an_error() -> None:
    class WithoutDocstring(SettingsBase):
        one: int = setting(1, "一。")
        """Number."""
        two: int = setting(2, "二。")

    with pytest.raises(ValueError, match="two needs a docstring"):
        list(iter_settings(WithoutDocstring))


def test_setting_without_a_chinese_meaning_is_an_error() -> None:
    class WithoutChineseMeaning(SettingsBase):
        one: int = setting(1, "")
        """Number."""

    with pytest.raises(ValueError, match="one needs a docstring and a Chinese meaning"):
        list(iter_settings(WithoutChineseMeaning))


@pytest.mark.parametrize("readme", READMES)
def test_readme_is_short_and_its_links_work(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    assert len(text.splitlines()) <= 150
    (other,) = set(READMES) - {readme}
    assert f"]({other})" in text
    assert f"]({'docs/settings.md' if readme == 'README.md' else 'docs/settings.zh-TW.md'})" in text
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("readme", READMES)
def test_readme_names_settings_that_exist_with_their_defaults(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    _, _, table = text.partition("|---|---|---|\n")
    rows = [line.split("|")[1:3] for line in table.split("\n\n")[0].splitlines()]
    assert len(rows) >= 12
    for names, defaults in rows:
        shown = re.findall(r"`([^`]+)`", defaults)
        for name in re.findall(r"`(\w+)`", names):
            default = format_default(SETTINGS[name].field.default)
            assert not default or len(default) > 40 or default in shown, name
