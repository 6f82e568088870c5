"""The PERSONAS setting: every value that an operator may write, and the sentence for every mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.call_preferences import CallPreferences
from voicechat.config.env_values import SettingsError
from voicechat.config.personas import BUILT_IN, ICONS, Persona, load_personas
from voicechat.config.personas.loading import MAX_FILE_BYTES, MAX_PERSONAS
from voicechat.config.settings import Settings

CANARY = "Qx7CanaryPrompt0Yb"
GUIDE: dict[str, Any] = {"name": "Guide", "instructions": CANARY}


def mistake(*rows: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        load_personas(json.dumps(list(rows)))
    (sentence,) = raised.value.sentences
    assert CANARY not in sentence and raised.value.__cause__ is None
    return sentence


def test_built_in_personas_satisfy_their_own_rules() -> None:
    rows = [
        {
            "key": persona.key,
            "icon": persona.icon,
            "name": dict(zip(("en", "zh-TW"), persona.name, strict=True)),
            "note": dict(zip(("en", "zh-TW"), persona.note, strict=True)),
            "instructions": persona.instructions,
        }
        for persona in BUILT_IN
    ]
    assert load_personas(json.dumps(rows)) == BUILT_IN
    assert BUILT_IN[0].instructions == "", "the operator's instructions"


@pytest.mark.parametrize("setting", ["", "  ", "\ufeff"])
def test_empty_setting_keeps_the_built_in_personas(setting: str) -> None:
    assert load_personas(setting) == BUILT_IN


def test_shortest_persona_has_defaults() -> None:
    assert load_personas('[{"name": "Guide"}]') == (Persona("persona-1", "person", ("Guide", "Guide"), ("", ""), ""),)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Guide", ("Guide", "Guide")),
        ({"en": "Guide", "zh-TW": "導遊"}, ("Guide", "導遊")),
        ({"en": "Guide"}, ("Guide", "Guide")),
        ({"zh-TW": "導遊"}, ("導遊", "導遊")),
        ({"en": "Guide", "zh-TW": " "}, ("Guide", "Guide")),
        ({"en": "", "zh-TW": "導遊"}, ("導遊", "導遊")),
        ("  A \n guide ", ("A guide", "A guide")),
    ],
)
def test_name_and_note_have_both_languages(name: Any, expected: tuple[str, str]) -> None:
    (persona,) = load_personas(json.dumps([{"name": name, "note": name}]))
    assert persona.name == persona.note == expected


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], f"a list of 1 to {MAX_PERSONAS} personas"),
        ([GUIDE] * (MAX_PERSONAS + 1), f"a list of 1 to {MAX_PERSONAS} personas"),
        ([GUIDE, CANARY], "persona 2 is not an object"),
        ([[CANARY]], "persona 1 is not an object"),
        ([{**GUIDE, CANARY: 1}], "persona 1 has a field that does not exist; the fields are key, icon, name, note, "),
        ([{"instructions": CANARY}], "persona 1 needs a name"),
        ([{**GUIDE, "name": " "}], "persona 1 needs a name"),
        ([{**GUIDE, "name": {"en": "", "zh-TW": " "}}], "persona 1 needs a name"),
        ([{**GUIDE, "name": None}], "persona 1: name must be text, or"),
        ([{**GUIDE, "name": {}}], "persona 1: name must be text, or"),
        ([{**GUIDE, "name": {"fr": CANARY}}], "persona 1: name must be text, or"),
        ([{**GUIDE, "name": {"en": 5}}], "persona 1: name must be text of at most 60 characters"),
        ([{**GUIDE, "name": CANARY * 9}], "persona 1: name must be text of at most 60 characters"),
        ([{**GUIDE, "name": "\ud83d"}], "persona 1: name must be text of at most 60 characters"),
        ([{**GUIDE, "note": [CANARY]}], "persona 1: note must be text, or"),
        ([{**GUIDE, "note": {"zh-TW": CANARY * 9}}], "persona 1: note must be text of at most 120 characters"),
        ([{**GUIDE, "icon": CANARY}], "persona 1: icon must be one of spark, book"),
        ([{**GUIDE, "icon": [CANARY]}], "persona 1: icon must be one of"),
        ([{**GUIDE, "icon": None}], "persona 1: icon must be one of"),
        *(
            ([{**GUIDE, "key": key}], "persona 1: key must be 1 to 40")
            for key in ("", "a b", "é", '"', "a" * 41, 5, None)
        ),
        ([{**GUIDE, "instructions": [CANARY]}], "persona 1: instructions must be text of at most 4000 characters"),
        ([{**GUIDE, "instructions": CANARY * 300}], "persona 1: instructions must be text of at most 4000 characters"),
        ([{**GUIDE, "instructions": CANARY + "\udead"}], "persona 1: instructions must be text of at most 4000"),
        ([{**GUIDE, "key": "a"}, {**GUIDE, "key": "a"}], "two personas have the same key"),
        ([GUIDE, {**GUIDE, "key": "persona-1"}], "two personas have the same key"),
    ],
)
def test_mistake_has_one_sentence_without_the_text(rows: list[Any], sentence: str) -> None:
    assert mistake(*rows).startswith("PERSONAS: ") and sentence in mistake(*rows)


@pytest.mark.parametrize("text", ["[", f'["{CANARY}', "[" * 100_000, f'{{"name": "{CANARY}"', "{}"])
def test_text_that_is_no_json_list_has_one_sentence(text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_personas(text)
    assert "list" in str(raised.value) and CANARY not in str(raised.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.just(CANARY) | st.text(max_size=80),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*GUIDE, "key", "icon", "note", "en", "zh-TW"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=4))
def test_any_json_list_is_usable_or_has_one_sentence(rows: list[Any]) -> None:
    try:
        personas = load_personas(json.dumps(rows))
    except SettingsError as error:
        assert CANARY not in str(error) and len(error.sentences) == 1
        return
    for persona in personas:
        assert all(persona.name) and persona.key and persona.icon in ICONS
        "".join((*persona.name, *persona.note, persona.instructions)).encode()


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_file_is_read_with_and_without_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "our personas.json"
    path.write_text(json.dumps([{"name": "導遊"}], ensure_ascii=False), encoding)
    assert load_personas(f" {path} ")[0].name == ("導遊", "導遊")
    assert load_personas("\ufeff" + path.read_text(encoding))[0].name[0] == "導遊"


def test_file_in_the_home_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "personas.json").write_text('[{"name": "Guide"}]')
    assert load_personas("~/personas.json")[0].name[0] == "Guide"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (json.dumps([GUIDE]).encode("utf-16"), "cannot be read as UTF-8 text"),
        (b"\xff" + CANARY.encode(), "cannot be read as UTF-8 text"),
        (b" " * (MAX_FILE_BYTES + 1), "larger than 256 KiB"),
        (CANARY.encode(), "not a JSON list"),
        (b"", "not a JSON list"),
        (json.dumps({"personas": [GUIDE]}).encode(), "a list of 1 to"),
        (json.dumps([{**GUIDE, "icon": "x"}]).encode(), "persona 1: icon must be"),
    ],
)
def test_unusable_file_has_one_sentence_without_its_text(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "personas.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        load_personas(str(path))
    assert sentence in str(raised.value) and CANARY not in str(raised.value)


@pytest.mark.parametrize("name", ["missing.json", ".", "/dev/zero", "~no-such-user/x.json", "a\0b", "x" * 5000, CANARY])
def test_path_without_a_file_has_one_sentence(name: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_personas(name)
    assert str(raised.value).startswith("PERSONAS: ") and CANARY not in str(raised.value)


# ---------------------------------------------------------------- as a setting


def test_setting_is_read_from_the_environment() -> None:
    settings = Settings.from_env({"PERSONAS": json.dumps([GUIDE])})
    assert [persona.name[0] for persona in settings.personas] == ["Guide"]
    assert CANARY not in repr(settings)
    with pytest.raises(SettingsError) as raised:
        Settings.from_env({"PERSONAS": json.dumps([{**GUIDE, "icon": "x"}])})
    assert "PERSONAS: persona 1: icon" in str(raised.value) and CANARY not in str(raised.value)


def test_first_persona_counts_until_another_one_is_chosen() -> None:
    rows = [GUIDE, {"name": "Plain", "key": "plain"}]
    settings = Settings.from_env({"PERSONAS": json.dumps(rows), "INSTRUCTIONS": "The operator's."})
    assert CallPreferences().apply_to(settings).instructions == CANARY
    assert CallPreferences(persona="plain").apply_to(settings).instructions == "The operator's."
    assert CallPreferences(persona="plain", instructions="Mine.").apply_to(settings).instructions == "Mine."
    assert CallPreferences().apply_to(Settings(instructions="The operator's.")).instructions == "The operator's."
