"""Failures of the operator's computer: port, file, disk. Each is one sentence without a traceback."""

from __future__ import annotations

import errno
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import app
from offline.models import cli, store
from realtime_handler import CallStage
from tests.support.paths import ROOT
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_rtc_page import endpoint_at, running_call
from voicechat.audio.format import FRAME
from voicechat.audio.recording import Recording, RecordingState
from voicechat.audio.spooled_audio import MAX_MEMORY_BYTES
from voicechat.config.settings import Settings, SettingsError
from voicechat.server.launch import bind_reason


@contextmanager
def limited_disk(size: int) -> Iterator[None]:
    """Limit every file to `size` bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# -------------------------------------------------------------------- the port


def test_app_with_taken_port_exits_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(host="127.0.0.1", port=port, realtime_url="ws://127.0.0.1:1")
        monkeypatch.setattr(app, "settings", settings)
        application_under_test = app.create_application(settings)
        # signals are pytest's here
        monkeypatch.setattr(
            application_under_test.shutdown, "install_signal_handlers", lambda: None
        )  # signals are pytest's here
        monkeypatch.setattr(app, "application", application_under_test)
        with pytest.raises(SystemExit) as end:
            app.main()
    assert end.value.code == (
        f"The page cannot be served at 127.0.0.1 port {port}: Address already in use. "
        f"`PORT={port + 1} ./start.sh` uses another one."
    )


def test_unknown_host_has_a_reason_without_the_address_of_the_library() -> None:
    error = OSError(-2, "Name or service not known (while attempting to bind on address ('nohost.example', 7860))")
    assert bind_reason(error, 7860) == "Name or service not known"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--help"], 0), (["--port", "7861"], 1), (["start"], 1)],
)
@pytest.mark.parametrize("command", [[sys.executable, str(ROOT / "app.py")], ["bash", str(ROOT / "start.sh")]])
def test_argument_of_the_start_is_answered_at_once(
    command: list[str], arguments: list[str], status: int, tmp_path: Path
) -> None:
    # In a folder with an unusable .env, the settings would be reported in place of the arguments.
    (tmp_path / ".env").write_text("PORT=none\n")
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=tmp_path)
    output, nothing = (done.stdout, done.stderr)[:: -1 if status else 1]
    assert (done.returncode, "no arguments" in output, "docs/settings.md" in output) == (status, True, True)
    assert len(output.splitlines()) <= 2 and not nothing


# -------------------------------------------------------------------- .env


@pytest.mark.parametrize(
    "content",
    ["PORT=7861".encode("utf-16"), b"VOICE=caf\xe9\n", b"VOICE=a\x00b\n", None],
    ids=["UTF-16, as PowerShell writes it", "Latin-1", "a zero byte", "a folder"],
)
def test_env_file_unreadable_exits_with_one_sentence(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ".env"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as refusal:
        Settings.load()
    why = "Is a directory" if content is None else "it must be a text file in UTF-8"
    assert str(refusal.value) == f"The file .env cannot be read: {why}."


def test_env_file_with_byte_order_mark_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows' Notepad writes one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "")
    monkeypatch.delenv("PORT")
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfPORT=7861\n")
    assert Settings.load().port == 7861


# -------------------------------------------------------------------- the disk


@pytest.mark.parametrize("why", ["a file in its place", "no room"])
def test_model_folder_not_writable_is_reported(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "models"
    if why == "a file in its place":
        root.write_text("")
        words = {"Not a directory", "File exists"}
    else:
        words = {"No space left on device"}

        class Full:
            def __init__(self, _: Path) -> None:
                pass

            def fetch(self, _: object) -> list[str]:
                raise OSError(errno.ENOSPC, "No space left on device", str(root / "kokoro" / "voices.bin"))

        monkeypatch.setattr("offline.models.cli.ModelDownloader", Full)
    monkeypatch.setenv("OFFLINE_MODELS", str(root))
    assert cli.main(["fetch"]) == 1
    said = capsys.readouterr().err.strip()
    assert said in {f"The models cannot be kept in {root}: {word}." for word in words}


def test_model_folder_read_only_is_used(tmp_path: Path) -> None:
    path = tmp_path / "voices.bin"
    path.write_bytes(b"model")
    (tmp_path / "voices.bin.checked").mkdir()  # nothing can be written in its place
    file = store.ModelFile("voices.bin", 5, store.sha256_of(path), ())
    assert store.is_intact(path, file)


def test_model_folder_without_home_directory_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Simulate a container whose user id has no name."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("OFFLINE_MODELS", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cli.main(["check"]) == 1
    assert capsys.readouterr().err.strip() == "There is no home folder: set OFFLINE_MODELS to a folder for the models."


def test_recording_on_full_disk_ends() -> None:
    recording = Recording(60)
    frame = np.ones(FRAME, dtype=np.int16)
    with limited_disk(MAX_MEMORY_BYTES + 20_000):
        for number in range(2 * MAX_MEMORY_BYTES // frame.nbytes):
            recording.write_microphone(number * 0.02, frame)
        assert recording.state is RecordingState.CLOSED
        assert (recording.sample_count, list(recording.iter_wav())) == (0, [])
        recording.write_speaker(1.0, frame)
    recording.clear()
    recording.write_microphone(0.0, frame)
    assert recording.state is RecordingState.OPEN and recording.sample_count == FRAME


async def test_call_on_full_disk_continues_unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.audio.spooled_audio.MAX_MEMORY_BYTES", 2000)
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        with limited_disk(3000):
            await page.wait_until(
                lambda: page.visitor.recording is not None and page.visitor.recording.state is RecordingState.CLOSED
            )
            frames = len(page.frames)
            await page.wait_until(lambda: len(page.frames) > frames + 20)
        assert page.close_message is None and page.snapshots[-1].stage is CallStage.LISTENING
