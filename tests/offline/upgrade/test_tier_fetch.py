"""Better models from a fake hub, in the background: resumed, cut, wrong, slow, away."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from offline.models import downloader, store
from offline.upgrade.tier_files import TierFiles, TierProgress
from offline.upgrade.tier_upgrade import BUSY_PAUSE_S, MAX_FRUITLESS, RETRY_PAUSE_S
from offline.upgrade.upgrade_news import UpgradeOutcome
from tests.support.models.fake_hub import HUB_DATA, hub_models, running_hub, silent_hub
from tests.support.models.fake_upgrade import UpgradeRig, make_rig
from tests.support.offline.fake_models import RESULT_TIMEOUT_S, wait_until


def make_hub_rig(root: Path, url: str, *tiers: str) -> UpgradeRig:
    listed = hub_models(root, url)
    return make_rig(root, [listed[tier] for tier in tiers])


async def test_model_of_the_hub_is_fetched_with_progress_and_takes_over(tmp_path: Path) -> None:
    with running_hub() as hub:
        rig = make_hub_rig(tmp_path, hub.url, "medium", "small")
        assert await rig.upgrade.run() == [UpgradeOutcome.INSTALLED]
        assert hub.requested_tiers == ["medium"], "a smaller one is not fetched too"
    assert (tmp_path / "model-medium" / "medium.gguf").read_bytes() == HUB_DATA["medium"]
    assert rig.models.installed == "model-medium"
    assert "Fetching a better language model: 100 % of 1 MB." in rig.sentences


async def test_cut_download_is_resumed(tmp_path: Path) -> None:
    with running_hub(cut_after=[300_000, 300_000]) as hub:
        rig = make_hub_rig(tmp_path, hub.url, "medium")
        assert await rig.upgrade.run() == [UpgradeOutcome.INSTALLED]
        ranges = [asked for _, asked in hub.requests]
    assert ranges[0] is None and all(asked is not None for asked in ranges[1:]) and len(ranges) == 3
    assert rig.pauses == [RETRY_PAUSE_S] * 2
    assert (tmp_path / "model-medium" / "medium.gguf").read_bytes() == HUB_DATA["medium"]


async def test_hub_that_leaves_in_the_middle_is_asked_a_few_times(tmp_path: Path) -> None:
    with running_hub(cut_after=[300_000, *[0] * 100]) as hub:
        rig = make_hub_rig(tmp_path, hub.url, "medium")
        assert await rig.upgrade.run() == [UpgradeOutcome.NOT_FETCHED]
    assert rig.pauses == [RETRY_PAUSE_S * 2**n for n in range(MAX_FRUITLESS + 1)]
    assert rig.models.events == []


async def test_download_of_an_earlier_start_is_resumed(tmp_path: Path) -> None:
    with running_hub() as hub:
        rig = make_hub_rig(tmp_path, hub.url, "medium")
        model = hub_models(tmp_path, hub.url)["medium"]
        (tmp_path / model.name).mkdir()
        (tmp_path / model.name / f"medium.gguf.{model.files[0].sha256[:8]}.partial").write_bytes(
            HUB_DATA["medium"][:500_000]
        )
        assert await rig.upgrade.run() == [UpgradeOutcome.INSTALLED]
        assert [asked for _, asked in hub.requests] == ["bytes=500000-"]


async def test_wrong_bytes_are_fetched_once_and_never_loaded(tmp_path: Path) -> None:
    with running_hub(wrong_bytes=True) as hub:
        rig = make_hub_rig(tmp_path, hub.url, "medium")
        assert await rig.upgrade.run() == [UpgradeOutcome.NOT_FETCHED]
        assert len(hub.requests) == 1
    assert rig.models.events == []
    assert list((tmp_path / "model-medium").iterdir()) == []
    assert "could not be fetched: the present one stays" in rig.sentences[-1]


async def test_hub_that_refuses_connections_changes_nothing(tmp_path: Path) -> None:
    rig = make_hub_rig(tmp_path, "http://127.0.0.1:9", "large", "medium", "small")
    assert await rig.upgrade.run() == [UpgradeOutcome.HUB_AWAY] * 3
    assert (rig.models.events, rig.sentences, rig.pauses) == ([], [""], [])


async def test_silent_hub_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts: list[float] = []
    real = downloader.run_with_timeout

    def run_with_timeout(seconds: float, ask: object) -> object:
        timeouts.append(seconds)
        return real(0.05, ask)  # type: ignore[arg-type]

    monkeypatch.setattr(downloader, "run_with_timeout", run_with_timeout)
    with silent_hub() as url:
        rig = make_hub_rig(tmp_path, url, "large", "medium", "small")
        assert await rig.upgrade.run() == [UpgradeOutcome.HUB_AWAY] * 3
    assert timeouts == [downloader.SOURCE_TIMEOUT_S]
    assert rig.sentences == [""]


async def test_hub_away_uses_a_model_that_is_there(tmp_path: Path) -> None:
    rig = make_hub_rig(tmp_path, "http://127.0.0.1:9", "large", "medium")
    (tmp_path / "model-medium").mkdir()
    (tmp_path / "model-medium" / "medium.gguf").write_bytes(HUB_DATA["medium"])
    assert await rig.upgrade.run() == [UpgradeOutcome.HUB_AWAY, UpgradeOutcome.INSTALLED]
    assert rig.models.installed == "model-medium"


async def test_session_stops_a_slow_download_which_goes_on_after_it(tmp_path: Path) -> None:
    with running_hub(pauses_after=300_000) as hub:
        rig = make_hub_rig(tmp_path, hub.url, "medium")
        running = asyncio.create_task(rig.upgrade.run())
        await wait_until(lambda: rig.sentences)
        await wait_until(hub.paused.is_set)
        rig.gate.enter()
        hub.resume.set()
        await wait_until(lambda: not rig.gate._interrupts)
        asked = len(hub.requests)
        assert rig.models.installed == "carried" and not running.done()
        rig.gate.leave()
        assert await running == [UpgradeOutcome.INSTALLED]
        assert len(hub.requests) == asked + 1
        assert hub.requests[-1][1] is not None, "it continues where it was"


async def test_model_that_another_process_downloads_is_awaited(tmp_path: Path) -> None:
    with running_hub() as hub:
        rig = make_hub_rig(tmp_path, hub.url, "medium", "small")
        lock = FileLock(tmp_path / ".model-medium.lock", is_singleton=False)
        lock.acquire()

        def finish_download(_: float) -> None:
            if len(rig.pauses) == 2:
                (tmp_path / "model-medium").mkdir()
                (tmp_path / "model-medium" / "medium.gguf").write_bytes(HUB_DATA["medium"])
                lock.release()

        rig.on_pause = finish_download
        assert await rig.upgrade.run() == [UpgradeOutcome.INSTALLED]
        assert hub.requests == []
    assert (rig.pauses, rig.models.installed) == ([BUSY_PAUSE_S] * 2, "model-medium")
    assert rig.models.fetched == [], "it is the other process's"


async def test_model_that_cannot_keep_up_is_not_fetched(tmp_path: Path) -> None:
    with running_hub() as hub:
        rig = make_hub_rig(tmp_path, hub.url, "medium", "small")
        rig.models.hopeless = {"model-medium"}
        assert await rig.upgrade.run() == [UpgradeOutcome.TOO_SLOW, UpgradeOutcome.INSTALLED]
        assert hub.requested_tiers == ["small"]
    assert rig.models.fetched == ["model-small"]
    assert rig.sentences[-1].endswith("it is too slow for this computer: a smaller one answers.")


async def test_session_before_the_checksum_postpones_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_hub() as hub:
        rig = make_hub_rig(tmp_path, hub.url, "medium")
        loop, opened_event, summed_beside_session = asyncio.get_running_loop(), threading.Event(), list[bool]()
        real = store.sha256_of

        def open_session() -> None:
            rig.gate.enter()
            opened_event.set()

        def update(progress: TierProgress, label: str, done: int, total: int) -> None:
            if done == total and not opened_event.is_set():
                loop.call_soon_threadsafe(open_session)
                assert opened_event.wait(RESULT_TIMEOUT_S)

        def sha256_of(path: Path) -> str:
            summed_beside_session.append(not rig.gate.is_idle)
            return real(path)

        monkeypatch.setattr(TierProgress, "update", update)
        monkeypatch.setattr(downloader, "sha256_of", sha256_of)
        running = asyncio.create_task(rig.upgrade.run())
        await wait_until(lambda: opened_event.is_set() and not rig.gate._interrupts)
        rig.gate.leave()
        assert await running == [UpgradeOutcome.INSTALLED]
    assert summed_beside_session == [False]


def test_files_are_read_ahead_completely_or_until_interrupted(tmp_path: Path) -> None:
    model = hub_models(tmp_path, "http://127.0.0.1:9")["medium"]
    (tmp_path / model.name).mkdir()
    (tmp_path / model.name / "medium.gguf").write_bytes(HUB_DATA["medium"])
    interrupted = threading.Event()
    assert TierFiles(tmp_path).read_ahead(model, interrupted) == len(HUB_DATA["medium"])
    interrupted.set()
    assert TierFiles(tmp_path).read_ahead(model, interrupted) is None


async def test_full_disk_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with running_hub() as hub:
        rig = make_hub_rig(tmp_path, hub.url, "medium")
        assert await rig.upgrade.run() == [UpgradeOutcome.NO_DISK]
        assert hub.requests == []


async def test_folder_that_cannot_be_made_fetches_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    listed = hub_models(tmp_path, "http://127.0.0.1:9")
    rig = make_rig(tmp_path / "file" / "models", [listed["medium"]])
    assert await rig.upgrade.run() == [UpgradeOutcome.NOT_FETCHED]
