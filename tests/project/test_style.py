"""Style rules of the project: lint, format, types, forbidden phrases, names and sizes."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections import Counter

import pytest

from tests.support.paths import ROOT
from tests.support.source_rules import (
    class_definitions,
    find_forbidden_names,
    find_forbidden_phrases,
    forbidden_phrases_in,
    function_definitions,
    imported_names,
    markdown_files,
    page_source_comments,
    page_source_files,
    python_files,
)
from voicechat import VERSION

MAX_FILE_LINES = 400
MAX_PAGE_SOURCE_LINE_CHARS = 200
"""Characters of a line of a script or a style sheet; the picture of the icons is data."""
MAX_MODULES_PER_FOLDER = 12
"""Python modules in one folder, `__init__.py` not counted."""
MAX_RECEIVE_DEFINITIONS = 5
"""Functions named `receive`; fastrtc prescribes the name for its handlers."""
REPEATED_CLASS_NAMES = {
    "Response": "the protocol's term, as the app's client receives it and as the embedded server produces it",
    "ToolCall": "the protocol's term, as the app runs it and as the embedded server writes it",
}
"""Class names with several definitions, and the reason for it."""


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=["ruff", "format", "mypy"],
)
def test_ruff_format_and_mypy_pass(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_version_in_package_equals_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == VERSION


def test_prose_has_no_forbidden_phrase() -> None:
    paths = (*python_files(), *markdown_files(), *page_source_files())
    found = [finding for path in paths for finding in find_forbidden_phrases(path)]
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/* One\n * and two. */ a {}", ["One and two."]),
        ("/** What it does. */", ["What it does."]),
        ("  // one\n  // and two\n  f(); // three", ["one and two", "three"]),
        ("f(\"wss://a\", '/* no */', `// no\n`); // yes", ["yes"]),
        ('a::before { content: "/*"; } /* yes */', ["yes"]),
        ("a /* yes */ b", ["yes"]),
        ("f(1 / 2, 3 / 4);", []),
    ],
)
def test_comments_of_scripts_and_styles_are_found(source: str, expected: list[str]) -> None:
    assert [" ".join(text.split()) for _, text in page_source_comments(source)] == expected


@pytest.mark.parametrize(
    ("phrase", "is_forbidden"),
    [
        ("there is none", True),
        ("Return the item, or None if it is None.", False),
        ("what is no event", True),
        ("There is no connection, and it is no longer open.", False),
        ("the visitors wait in line", True),
        ("the connection's line is closed", True),
        ("Reads one line of text; the line ends with a newline.", False),
        ("A visitor has a place and waits for its place.", True),
        ("Place the cursor at the place where the text was cut, in place of the old one.", False),
        ("the relay forwards events", True),
        ("a TURN server may relay the sound", False),
        ("the item is gone", True),
        ("the page is told of it", True),
        ("visitors who cannot be told apart", False),
        ("The line of one call of the house, so long as somebody is told.", True),
    ],
)
def test_forbidden_phrases_match_the_metaphor_only(phrase: str, is_forbidden: bool) -> None:
    assert bool(forbidden_phrases_in(phrase)) is is_forbidden


def test_identifiers_have_no_forbidden_word() -> None:
    found = [finding for path in python_files() for finding in find_forbidden_names(path)]
    assert not found, "\n".join(map(str, found))


def test_class_name_has_one_definition() -> None:
    places: dict[str, list[str]] = {}
    for path in python_files():
        for name, line in class_definitions(path):
            places.setdefault(name, []).append(f"{path.relative_to(ROOT)}:{line}")
    repeated = {name: where for name, where in places.items() if len(where) > 1 and name not in REPEATED_CLASS_NAMES}
    assert not repeated, repeated


def test_function_names_say_what_they_do() -> None:
    names = Counter(name for path in python_files() for name in function_definitions(path))
    assert names["receive"] <= MAX_RECEIVE_DEFINITIONS
    assert not {"say", "hear", "told"} & set(names)


def test_test_modules_do_not_import_each_other() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in python_files()
        for name in imported_names(path)
        if any(part.startswith("test_") for part in name.split("."))
    ]
    assert not found, "\n".join(found)


def test_files_have_at_most_400_lines() -> None:
    paths = (*python_files(), *page_source_files())
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert not {name: length for name, length in lengths.items() if length > MAX_FILE_LINES}


def test_lines_of_scripts_and_styles_are_readable() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {len(line)}"
        for path in page_source_files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if len(line) > MAX_PAGE_SOURCE_LINE_CHARS and "%3C" not in line
    ]
    assert not found, "\n".join(found)


def test_folders_have_at_most_twelve_modules() -> None:
    modules = Counter(path.parent.relative_to(ROOT).as_posix() for path in python_files() if path.stem != "__init__")
    assert not {folder: count for folder, count in modules.items() if count > MAX_MODULES_PER_FOLDER}
