"""What the READMEs and .env.example say of the settings is what the settings are."""

from __future__ import annotations

import re

import pytest

from realtime.settings import Settings
from scripts.settings_table import BEGIN, END, HEADS, ROOT, settings_of, shown, table, with_table
from scripts.settings_zh import MEANINGS

NAMES = [setting.name for setting in settings_of(Settings)]


@pytest.mark.parametrize("readme", HEADS)
def test_the_table_in_the_readme_is_the_newest(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    assert text == with_table(readme, text), "run: python -m scripts.settings_table --write"


@pytest.mark.parametrize("readme", HEADS)
def test_every_setting_has_one_row_of_three_cells(readme: str) -> None:
    rows = table(readme).splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == NAMES
    assert all(len(re.split(r"(?<!\\)\|", row)) == 5 and "|  |" not in row for row in rows)


def test_no_chinese_meaning_is_missing_or_left_over() -> None:
    assert set(MEANINGS) == set(NAMES)


def test_every_setting_is_in_the_example_file() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    assert [name for name in NAMES if f"\n#{name}=" not in example] == []


def test_a_default_is_shown_as_one_would_write_it() -> None:
    said = {setting.name: shown(setting.default) for setting in settings_of(Settings)}
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
        list(settings_of(Forgotten))


@pytest.mark.parametrize("readme", HEADS)
def test_the_readmes_stay_readable_and_name_each_other(readme: str) -> None:
    text = (ROOT / readme).read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    assert len((before + rest.partition(END)[2]).splitlines()) <= 220, "besides the table, a line for each setting"
    (other,) = set(HEADS) - {readme}
    assert f"]({other})" in text
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / path).exists(), path
