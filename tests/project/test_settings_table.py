"""What the READMEs and .env.example say of the settings is what the settings are."""

from __future__ import annotations

import re

import pytest

from scripts.settings_table import (
    BEGIN_MARKER,
    END_MARKER,
    ROOT,
    TABLE_HEADERS,
    format_default,
    iter_settings,
    render_table,
    replace_table,
)
from scripts.settings_zh import MEANINGS_ZH
from voicechat.config.settings import Settings

NAMES = [setting.name for setting in iter_settings(Settings)]


@pytest.mark.parametrize("readme", TABLE_HEADERS)
def test_the_table_in_the_readme_is_the_newest(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    assert text == replace_table(readme, text), "run: python -m scripts.settings_table --write"


@pytest.mark.parametrize("readme", TABLE_HEADERS)
def test_every_setting_has_one_row_of_three_cells(readme: str) -> None:
    rows = render_table(readme).splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == NAMES
    assert all(len(re.split(r"(?<!\\)\|", row)) == 5 and "|  |" not in row for row in rows)


def test_no_chinese_meaning_is_missing_or_left_over() -> None:
    assert set(MEANINGS_ZH) == set(NAMES)


def test_every_setting_is_in_the_example_file() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    assert [name for name in NAMES if f"\n#{name}=" not in example] == []


def test_a_default_is_shown_as_one_would_write_it() -> None:
    said = {setting.name: format_default(setting.default) for setting in iter_settings(Settings)}
    assert (said["PORT"], said["METRICS"], said["LANGUAGE"], said["SPEED"]) == ("`7860`", "`true`", "`auto`", "`1`")
    assert (said["VOICE"], said["KEYWORDS"], said["TRANSCRIPTION_DELAY"], said["INSTRUCTIONS"]) == ("–", "–", "–", "…")


def test_a_field_without_its_own_docstring_is_noticed() -> None:
    from dataclasses import dataclass

    @dataclass
    class Forgotten:
        one: int = 1
        """ONE. Said."""
        two: int = 2

    with pytest.raises(ValueError, match="two must begin with TWO"):
        list(iter_settings(Forgotten))


@pytest.mark.parametrize("readme", TABLE_HEADERS)
def test_the_readmes_stay_readable_and_name_each_other(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    before, _, rest = text.partition(BEGIN_MARKER)
    assert len((before + rest.partition(END_MARKER)[2]).splitlines()) <= 220, (
        "besides the table, a line for each setting"
    )
    (other,) = set(TABLE_HEADERS) - {readme}
    assert f"]({other})" in text
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / path).exists(), path
