"""Set-up by start.sh, start.bat and test.sh: each failure is one sentence, and nothing is half installed."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from offline.engines import COMMON_ENGINES, ENGINES, LANGUAGE_ENGINES
from scripts import environment, start
from scripts.environment import SetupFailed, explain_pip_failure, remedy, require_python
from tests.support.missing_packages import environment_without
from tests.support.paths import ROOT

NO_INDEX = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_INDEX_URL": "", "PIP_EXTRA_INDEX_URL": ""}
CLOSED_INDEX = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_RETRIES": "1",
    "PIP_FIND_LINKS": "",
}


def run_python(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new virtual environment without packages."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    environment.create_environment(folder)
    return folder


def install(folder: Path, requirement: str, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "wanted.txt").write_text(f"--only-binary :all:\n{requirement}\n", encoding="utf-8")
    return run_python("-m", "scripts.environment", str(folder), str(tmp_path / "wanted.txt"), **variables)


def write_wheel(folder: Path, name: str, tag: str) -> None:
    """Write a wheel without code, version 1.0."""
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{name}-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}\n"
        )
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")


def is_one_sentence(text: str) -> bool:
    return len(text.strip().splitlines()) == 1 and text.strip().endswith(".")


# -------------------------------------------------------------------- the environment and its packages


@pytest.mark.parametrize("tag", ["cp311-cp311-win_arm64", "cp39-cp39-macosx_14_0_arm64", "py3-none-linux_s390x"])
def test_install_without_a_build_names_the_package_and_the_system(
    tag: str, empty_environment: Path, tmp_path: Path
) -> None:
    write_wheel(tmp_path, "engine", tag)
    done = install(empty_environment, "engine==1.0", tmp_path, **NO_INDEX, PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1
    assert "engine has no build for this system (" in done.stderr and "docs/compatibility.md" in done.stderr
    assert is_one_sentence(done.stderr)
    assert not (empty_environment / environment.STAMP_NAME).exists()


def test_install_with_a_source_only_package_compiles_nothing(empty_environment: Path, tmp_path: Path) -> None:
    (tmp_path / "engine-1.0.tar.gz").write_bytes(b"")
    done = install(empty_environment, "engine==1.0", tmp_path, **NO_INDEX, PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1 and "engine has no build" in done.stderr and is_one_sentence(done.stderr)


def test_install_without_a_network_says_so(empty_environment: Path, tmp_path: Path) -> None:
    done = install(empty_environment, "engine==1.0", tmp_path, **CLOSED_INDEX)
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "The packages cannot be downloaded, because the package index cannot be reached: check the network.",
    )


def test_install_a_second_time_does_nothing(empty_environment: Path, tmp_path: Path) -> None:
    write_wheel(tmp_path, "thing", "py3-none-any")
    settings = {**NO_INDEX, "PIP_FIND_LINKS": str(tmp_path)}
    first = install(empty_environment, "thing==1.0", tmp_path, **settings)
    assert (first.returncode, first.stderr) == (0, "") and "Installing" in first.stdout
    second = install(empty_environment, "thing==1.0", tmp_path, **settings)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n", "disk is full"),
        ("ERROR: Hash mismatch\nERROR: Something else.\n", "cannot be installed: Something else. "),
        ("", "cannot be installed: pip failed. "),
        ("Traceback\nInvalidSchema: Missing dependencies for SOCKS support.\n", "pip cannot use a SOCKS proxy"),
        (
            "WARNING: Retrying (Retry(total=0\nERROR: Could not find a version (from versions: none)\n"
            "ERROR: No matching distribution found for x==2\n",
            "check the network",
        ),
        (
            "WARNING: Retrying (Retry(total=4\nERROR: Could not find a version (from versions: 1.0, 1.1)\n"
            "ERROR: No matching distribution found for x==2\n",
            "The package x has no build",
        ),
    ],
)
def test_explain_pip_failure_is_one_line(output: str, said: str) -> None:
    sentence = explain_pip_failure(output, "Linux", Path(".venv/install.log"))
    assert said in sentence and "\n" not in sentence and sentence.endswith(".")


@pytest.mark.parametrize(
    ("system", "machine", "said"),
    [("win32", "ARM64", "Install the 64-bit Python"), ("darwin", "arm64", "macOS 14"), ("linux", "riscv64", "")],
)
def test_remedy_says_what_helps(system: str, machine: str, said: str) -> None:
    assert said in remedy(system, machine)
    assert bool(remedy(system, machine)) is bool(said)


@pytest.mark.parametrize("version", [(2, 7), (3, 10, 14), (3, 14, 0), (4, 0)])
def test_require_python_of_another_version_raises_one_sentence(version: tuple[int, ...]) -> None:
    with pytest.raises(SetupFailed, match=rf"3\.13 is needed, and this is Python {version[0]}\.{version[1]}\.$"):
        require_python(version)


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_require_python_accepts_supported_versions(minor: int) -> None:
    require_python((3, minor, 1))


def test_environment_without_venv_says_what_to_install(tmp_path: Path) -> None:
    blocked = environment_without(tmp_path, ["venv"])
    done = run_python("-m", "scripts.environment", str(tmp_path / "venv"), str(ROOT / "requirements.txt"), **blocked)
    assert done.returncode == 1 and "lacks venv (Debian: apt install python3." in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "venv").exists()


def test_environment_in_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_python("-m", "scripts.environment", str(tmp_path / "file" / "venv"), str(ROOT / "requirements.txt"))
    assert done.returncode == 1 and "cannot be" in done.stderr and is_one_sentence(done.stderr)


def test_environment_with_a_requirements_file_that_is_missing_names_that_file(
    empty_environment: Path, tmp_path: Path
) -> None:
    done = run_python("-m", "scripts.environment", str(empty_environment), str(tmp_path / "missing.txt"))
    assert done.returncode == 1 and is_one_sentence(done.stderr)
    assert "missing.txt cannot be" in done.stderr and str(empty_environment) not in done.stderr


def test_benchmark_with_an_unusable_proxy_says_so_in_one_sentence() -> None:
    done = run_python("-c", "import benchmarks", http_proxy="http://user:secret@[bad", https_proxy="", all_proxy="")
    assert done.returncode == 1 and is_one_sentence(done.stderr) and "secret" not in done.stderr


# -------------------------------------------------------------------- the scripts


def fake_python(folder: Path, name: str, version: tuple[int, int, int]) -> None:
    """Write a command that runs this Python as if it had another version."""
    code = f"import sys; sys.version_info = {version}; exec(sys.argv[1])"
    (folder / name).write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$2\"\n")
    (folder / name).chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="start.sh")
@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ({}, "found none"),
        ({"python3": (3, 14, 0)}, "found only Python 3.14"),
        ({"python3": (3, 10, 2), "python": (2, 7, 18)}, "found only Python 3.10"),
        ({"python3.12": (3, 14, 0), "python3": (3, 13, 1)}, ""),
        ({"python3.13": (3, 13, 0)}, ""),
    ],
)
def test_start_script_with_other_pythons_is_one_sentence(
    versions: Mapping[str, tuple[int, int, int]], found: str, tmp_path: Path
) -> None:
    for name, version in versions.items():
        fake_python(tmp_path, name, version)
    script = f". '{ROOT}/scripts/environment.sh'; find_python"
    done = subprocess.run(["/bin/bash", "-c", script], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, found in done.stderr) == (1 if found else 0, True)
    assert len(done.stderr.splitlines()) == (1 if found else 0)


@pytest.mark.skipif(os.name == "nt", reason="start.sh")
@pytest.mark.parametrize("intact", [True, False], ids=["intact", "none"])
def test_intact_environment_needs_no_python_on_the_path(intact: bool, empty_environment: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    write_wheel(tmp_path, "thing", "py3-none-any")
    (tmp_path / "wanted.txt").write_text("thing==1.0\n", encoding="utf-8")
    folder = empty_environment if intact else tmp_path / "venv"
    script = f". scripts/environment.sh; make_environment '{folder}' '{tmp_path}/wanted.txt'"
    settings = {**NO_INDEX, "PIP_FIND_LINKS": str(tmp_path), "PATH": str(tmp_path / "bin")}
    done = subprocess.run(["/bin/bash", "-c", script], cwd=ROOT, env=settings, capture_output=True, text=True)
    assert (done.returncode, done.stderr == "") == ((0, True) if intact else (1, False))
    assert intact or ("found none" in done.stderr and is_one_sentence(done.stderr))


@pytest.mark.parametrize("script", ["start.sh", "start.bat", "scripts/environment.sh"])
def test_start_scripts_accept_the_same_versions(script: str) -> None:
    text = (ROOT / script).read_text("utf-8")
    if "version_info" in text:
        assert f"{environment.MIN_PYTHON} <= sys.version_info[:2] <= {environment.MAX_PYTHON}" in text
        assert "3.11, 3.12 or 3.13" in text
    assert "scripts.environment" in text or "make_environment .venv requirements.txt" in text


@pytest.mark.parametrize(("key", "url"), [("", ""), ("sk-x", ""), ("", "ws://10.0.0.5:8765")])
def test_start_fetches_models_only_for_the_embedded_server(key: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OFFLINE_URL", url)
    monkeypatch.setenv("REALTIME_URL", "")
    monkeypatch.setattr(start.models_cli, "main", lambda arguments: steps.append(*arguments) or 0)
    assert start.main(lambda: steps.append("app") or 0) == 0
    assert steps == (["app"] if key or url else ["fetch", "app"])


@pytest.mark.parametrize("config", ["", "mcp.json"])
def test_start_installs_mcp_only_when_servers_are_set(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("MCP_CONFIG", config)
    monkeypatch.setattr(start, "install", lambda folder, files, stamp: steps.extend([files[-1].name, stamp]))
    assert start.main(lambda: steps.append("app") or 0) == 0
    assert steps == ([*(["requirements-mcp.txt", ".requirements-mcp"] if config else []), "app"])


def test_start_ends_when_models_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("REALTIME_URL", "")
    monkeypatch.setattr(start.models_cli, "main", lambda _: 1)
    assert start.main(lambda: pytest.fail("the app was run")) == 1


@pytest.mark.parametrize("missing", [[name] for name in COMMON_ENGINES] + [list(ENGINES)], ids="+".join)
def test_start_without_engines_asks_for_a_key_and_goes_on(missing: list[str], tmp_path: Path) -> None:
    code = "from scripts.start import main; raise SystemExit(main(lambda: print('app') or 7))"
    settings = {**environment_without(tmp_path, missing), "OPENAI_API_KEY": "", "REALTIME_URL": ""}
    done = run_python("-c", code, **settings)
    assert (done.returncode, done.stdout) == (7, "app\n")
    assert all(name in done.stderr for name in missing) and "A key is needed" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("missing", list(LANGUAGE_ENGINES.values()), ids="+".join)
def test_start_without_the_engines_of_one_language_fetches_the_models(missing: tuple[str, ...], tmp_path: Path) -> None:
    code = (
        "from scripts import start; start.models_cli.main = lambda arguments: print(*arguments) or 0; "
        "raise SystemExit(start.main(lambda: print('app') or 7))"
    )
    settings = {**environment_without(tmp_path, missing), "OPENAI_API_KEY": "", "REALTIME_URL": ""}
    done = run_python("-c", code, **settings)
    assert (done.returncode, done.stdout, done.stderr) == (7, "fetch\napp\n", "")


# -------------------------------------------------------------------- Ctrl+C before the page is served

INTERRUPTER = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it

class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupter())
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("name", ["pandas", "numpy", "gradio", "aiortc", "voicechat.patches"])
def test_app_interrupted_while_it_imports_is_silent(name: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTER.format(name=name), encoding="utf-8")
    done = run_python("app.py", PYTHONPATH=str(tmp_path), OPENAI_API_KEY="sk-x")
    assert (done.returncode, done.stdout, done.stderr) == (-2, "", "")  # a shell reports 130
