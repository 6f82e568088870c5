"""ASCII paths: a second name for files and folders with other letters, for as long as it is needed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.models import ascii_path as module
from offline.models.ascii_path import ascii_path, link_folders
from tests.support.offline.model_folders import NAMES

FILE_NAMES = ("model.bin", "a b.ort", "模型.gguf", "😀.onnx", "模型.模", "-x y.gguf")


@pytest.mark.parametrize("folder_name", NAMES)
@pytest.mark.parametrize("file_name", FILE_NAMES)
def test_file_in_a_folder_with_other_letters_gets_an_ascii_path(
    tmp_path: Path, folder_name: str, file_name: str
) -> None:
    file = tmp_path / folder_name / file_name
    file.parent.mkdir()
    file.write_bytes(b"weights")
    with ascii_path(file) as path:
        assert path is not None and str(path).isascii()
        assert path.read_bytes() == b"weights" and path.samefile(file)
        assert path.suffix == (file.suffix if file.suffix.isascii() else "")
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not path.exists() and file.read_bytes() == b"weights"


@pytest.mark.parametrize("folder_name", NAMES)
def test_folder_keeps_its_files(tmp_path: Path, folder_name: str) -> None:
    folder = tmp_path / folder_name / "whisper"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"weights")
    with pytest.raises(ZeroDivisionError), ascii_path(folder) as path:
        assert path is not None and (path / "model.bin").read_bytes() == b"weights"
        raise ZeroDivisionError
    assert (folder / "model.bin").read_bytes() == b"weights", "removing the link must not remove the models"


def test_ascii_path_of_an_ascii_path_is_itself(tmp_path: Path) -> None:
    with ascii_path(tmp_path / "not there") as path:
        assert path == tmp_path / "not there"


def test_without_a_usable_folder_there_is_no_ascii_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / NAMES[0]
    folder.mkdir()
    for folders in ([], [tmp_path / "missing"]):
        monkeypatch.setattr(module, "link_folders", lambda folders=folders: folders)
        with ascii_path(folder) as path:
            assert path is None


def test_first_folder_that_works_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / NAMES[0]
    folder.mkdir()
    monkeypatch.setattr(module, "link_folders", lambda: [tmp_path / "missing", tmp_path])
    with ascii_path(folder) as path:
        assert path is not None and path.parent.parent == tmp_path
    assert [each.name for each in tmp_path.iterdir()] == [NAMES[0]]


def test_link_folders_have_ascii_paths_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", r"C:\Users\王小明\AppData\Local\Temp")
    windows = {"PROGRAMDATA": r"C:\ProgramData", "PUBLIC": r"C:\Users\公用", "SYSTEMDRIVE": ""}
    assert link_folders(windows, "win32") == [Path(r"C:\ProgramData")]
    assert link_folders({}, "win32") == []
    assert link_folders({"SYSTEMDRIVE": "C:"}, "win32") == [Path("C:\\")]
    assert link_folders({}, "linux") == [Path("/tmp")]


@given(st.dictionaries(st.sampled_from(["PROGRAMDATA", "PUBLIC", "SYSTEMDRIVE", "TEMP"]), st.text(max_size=20)))
def test_link_folders_of_any_environment_are_ascii(environ: dict[str, str]) -> None:
    assert all(str(each).isascii() for each in link_folders(environ, "win32"))
