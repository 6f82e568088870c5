"""Upgrade to better models: never beside a session, never two loads, one tier down when too slow."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.models.store import ModelSpec
from offline.pipeline import thread_priority
from offline.pipeline.session_gate import SessionGate
from offline.upgrade.tier_files import TierFiles
from offline.upgrade.tier_upgrade import Verdict, quiet_before_loading
from offline.upgrade.upgrade_news import UpgradeKind, UpgradeNews, UpgradeOutcome, UpgradeStage
from tests.support.models.fake_hub import HUB_DATA, hub_models
from tests.support.models.fake_upgrade import FakeModels, make_machine, make_rig
from tests.support.offline.fake_models import RESULT_TIMEOUT_S, wait_until

AFTER_CALL = UpgradeNews(UpgradeStage.AFTER_CALL, UpgradeKind.LLM)


def present_models(root: Path) -> list[ModelSpec]:
    """Return the models of the fake hub, best first, with all files in `root`."""
    models = hub_models(root, "http://127.0.0.1:9")
    for tier, model in models.items():
        (root / model.name).mkdir()
        (root / model.name / f"{tier}.gguf").write_bytes(HUB_DATA[tier])
    return [models[tier] for tier in ("large", "medium", "small")]


async def test_best_model_that_keeps_up_is_installed(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path))
    assert await rig.upgrade.run() == [UpgradeOutcome.INSTALLED]
    assert rig.models.events == ["load model-large", "probe model-large", "install model-large"]
    assert rig.news == [UpgradeNews(UpgradeStage.LOADING, UpgradeKind.LLM), None]


async def test_slow_model_gives_way_to_the_next_tier_and_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path))
    rig.models.verdicts = {"model-large": Verdict.TOO_SLOW}
    with caplog.at_level("INFO"):
        assert await rig.upgrade.run() == [UpgradeOutcome.TOO_SLOW, UpgradeOutcome.INSTALLED]
    assert rig.models.installed == "model-medium"
    assert rig.sentences[-1].endswith("it is too slow for this computer: a smaller one answers.")
    assert "kind=llm model=model-large outcome=too_slow" in caplog.text


async def test_slow_computer_keeps_its_model(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path))
    rig.models.verdicts = dict.fromkeys(("model-large", "model-medium", "model-small"), Verdict.TOO_SLOW)
    assert await rig.upgrade.run() == [UpgradeOutcome.TOO_SLOW] * 3
    assert rig.models.installed == "carried"
    assert rig.models.discarded == ["model-large", "model-medium", "model-small"]
    assert rig.sentences[-1].endswith("too slow for this computer: the present one stays.")


async def test_model_known_as_unusable_is_not_loaded(tmp_path: Path) -> None:
    known = {"model-large": UpgradeOutcome.TOO_SLOW, "model-medium": UpgradeOutcome.FAILED}
    rig = make_rig(tmp_path, present_models(tmp_path), known=known)
    assert await rig.upgrade.run() == [*known.values(), UpgradeOutcome.INSTALLED]
    assert rig.models.events[0] == "load model-small"


async def test_model_that_cannot_be_loaded_gives_way_to_the_next_tier(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path))
    rig.models.failing = {"model-large"}
    assert await rig.upgrade.run() == [UpgradeOutcome.FAILED, UpgradeOutcome.INSTALLED]
    assert rig.models.installed == "model-medium"


async def test_too_little_memory_loads_nothing(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path), free_bytes=10**9)
    assert await rig.upgrade.run() == [UpgradeOutcome.NO_MEMORY] * 3
    assert rig.models.events == []
    assert "needs more free memory" in rig.sentences[-1]


async def test_memory_taken_before_loading_stops_the_upgrade(tmp_path: Path) -> None:
    free = iter([10**12, 0])
    models = present_models(tmp_path)[:1]
    rig = make_rig(tmp_path, models, files=TierFiles(tmp_path, lambda: make_machine(next(free))))
    assert await rig.upgrade.run() == [UpgradeOutcome.NO_MEMORY]
    assert rig.models.events == []


@pytest.mark.parametrize("step", ["is_complete", "read_ahead", "fits_in_memory"])
async def test_file_that_cannot_be_read_gives_way_to_the_next_tier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path)[:2])
    real = getattr(rig.files, step)

    def fail_once(model: ModelSpec, *rest: object) -> object:
        if model.name == "model-large":
            raise OSError("the disk is broken")
        return real(model, *rest)

    monkeypatch.setattr(rig.files, step, fail_once)
    assert await rig.upgrade.run() == [UpgradeOutcome.FAILED, UpgradeOutcome.INSTALLED]
    assert rig.models.installed == "model-medium"


@pytest.mark.parametrize("step", ["is_complete", "read_ahead"])
async def test_files_are_read_beside_no_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path)[:1])
    real, beside_session = getattr(rig.files, step), list[bool]()

    def read(*arguments: object) -> object:
        beside_session.append(not rig.gate.is_idle)
        return real(*arguments)

    monkeypatch.setattr(rig.files, step, read)
    rig.gate.enter()
    running = asyncio.create_task(rig.upgrade.run())
    for _ in range(5):  # more steps than lie before the reading
        await asyncio.to_thread(rig.upgrade._executor.submit(lambda: None).result)
    assert not beside_session
    rig.gate.leave()
    assert await running == [UpgradeOutcome.INSTALLED]
    assert beside_session == [False]


async def test_reading_ahead_interrupted_by_a_session_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path)[:1])
    loop, interruptions, real = asyncio.get_running_loop(), list[bool](), rig.files.read_ahead

    def read_ahead(model: ModelSpec, interrupted: threading.Event) -> int | None:
        if not interruptions:
            loop.call_soon_threadsafe(rig.gate.enter)
            interruptions.append(interrupted.wait(RESULT_TIMEOUT_S))
        return real(model, interrupted)

    monkeypatch.setattr(rig.files, "read_ahead", read_ahead)
    running = asyncio.create_task(rig.upgrade.run())
    await wait_until(lambda: interruptions and not rig.gate._interrupts)
    assert rig.models.events == []
    rig.gate.leave()
    assert await running == [UpgradeOutcome.INSTALLED]
    assert interruptions == [True]


def test_quiet_time_before_loading_grows_with_the_file() -> None:
    seconds = [quiet_before_loading(size) for size in (10**6, 5 * 10**8, 11 * 10**8, 25 * 10**8, 10**10)]
    assert seconds == [5.0, 5.0, 11.0, 25.0, 30.0]


async def test_session_interrupts_the_probe_which_is_repeated_after_it(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path)[:1])
    rig.models.probe_permits = threading.Semaphore(0)
    running = asyncio.create_task(rig.upgrade.run())
    await wait_until(rig.models.probe_started.is_set)
    rig.gate.enter()
    await wait_until(lambda: "interrupted model-large" in rig.models.events)
    await wait_until(lambda: AFTER_CALL in rig.news)
    assert rig.models.installed == "carried"
    rig.models.probe_permits.release()
    rig.gate.leave()
    assert await running == [UpgradeOutcome.INSTALLED]
    assert rig.models.events.count("probe model-large") == 2


async def test_session_during_loading_keeps_the_former_model_until_its_end(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path)[:1])
    rig.models.load_permits = threading.Semaphore(0)
    running = asyncio.create_task(rig.upgrade.run())
    await wait_until(rig.models.load_started.is_set)
    rig.gate.enter()
    rig.models.load_permits.release()
    await wait_until(lambda: AFTER_CALL in rig.news)
    assert rig.models.installed == "carried" and not running.done()
    rig.gate.leave()
    assert await running == [UpgradeOutcome.INSTALLED]


async def test_session_that_opens_at_the_end_of_the_probe_keeps_its_model(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path)[:1])
    loop, candidate = asyncio.get_running_loop(), rig.upgrade._candidates[0]

    def try_out(loaded: str, interrupted: threading.Event) -> Verdict:
        loop.call_soon_threadsafe(rig.gate.enter)
        return Verdict.KEEPS_UP

    rig.upgrade._candidates = (replace(candidate, try_out=try_out),)
    running = asyncio.create_task(rig.upgrade.run())
    await wait_until(lambda: AFTER_CALL in rig.news or running.done())
    assert rig.models.installed == "carried"
    rig.gate.leave()
    assert await running == [UpgradeOutcome.INSTALLED]
    assert not rig.models.swapped_beside_session


async def test_cancelled_upgrade_interrupts_its_probe(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, present_models(tmp_path)[:1])
    rig.models.probe_permits = threading.Semaphore(0)
    running = asyncio.create_task(rig.upgrade.run())
    await wait_until(rig.models.probe_started.is_set)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await wait_until(lambda: "interrupted model-large" in rig.models.events)
    assert rig.models.installed == "carried"


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux do priorities belong to threads")
@pytest.mark.parametrize(("kind", "is_low"), [(UpgradeKind.LLM, True), (UpgradeKind.STT, False)])
async def test_only_language_models_are_loaded_at_low_priority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: UpgradeKind, is_low: bool
) -> None:
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    monkeypatch.setattr(thread_priority, "LLM_NICENESS", niceness + 1)
    rig = make_rig(tmp_path, present_models(tmp_path)[:1], kind=kind)
    await rig.upgrade.run()
    assert rig.models.load_niceness == niceness + is_low


async def test_gate_waits_for_a_time_without_sessions() -> None:
    gate = SessionGate()
    gate.enter()
    waiting = asyncio.create_task(gate.wait_until_idle(0.01))
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.leave()
    await waiting
    with gate.interrupted_by_session() as interrupted:
        gate.enter()
        assert interrupted.is_set()


async def test_session_within_the_quiet_time_starts_it_anew() -> None:
    now, asked = 0.0, 0

    def clock() -> float:
        nonlocal asked
        asked += 1
        return now

    gate = SessionGate(clock)
    waiting = asyncio.create_task(gate.wait_until_idle(0.01))
    await wait_until(lambda: asked >= 2)
    now = 0.005
    gate.enter()
    gate.leave()
    now, before = 0.014, asked
    await wait_until(lambda: asked >= before + 2)
    assert not waiting.done(), "the time is counted from the last session"
    now = 0.016
    await waiting


STEPS = st.lists(st.sampled_from(["open", "close", "load", "probe", "turn"]), max_size=40)


@given(steps=STEPS, slow=st.sets(st.sampled_from(["model-large", "model-medium"])))
def test_generated_sessions_never_meet_a_swap_or_two_loads(steps: list[str], slow: set[str]) -> None:
    async def run(root: Path) -> tuple[FakeModels, list[UpgradeOutcome]]:
        rig = make_rig(root, present_models(root))
        rig.models.verdicts = dict.fromkeys(slow, Verdict.TOO_SLOW)
        rig.models.load_permits, rig.models.probe_permits = threading.Semaphore(0), threading.Semaphore(0)
        running = asyncio.create_task(rig.upgrade.run())
        open_sessions = 0
        for step in steps:
            before = rig.models.installed
            if step == "open":
                rig.gate.enter()
                open_sessions += 1
            elif step == "close" and open_sessions:
                rig.gate.leave()
                open_sessions -= 1
            elif step == "load":
                rig.models.load_permits.release()
            elif step == "probe":
                rig.models.probe_permits.release()
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
            assert not open_sessions or rig.models.installed == before
        while open_sessions:
            rig.gate.leave()
            open_sessions -= 1
        rig.models.load_permits.release(100)
        rig.models.probe_permits.release(100)
        return rig.models, await running

    # Hundreds of collections of all of pytest's objects would take minutes.
    with tempfile.TemporaryDirectory() as folder, patch("gc.collect"):
        models, outcomes = asyncio.run(run(Path(folder)))
    assert not models.swapped_beside_session
    assert models.most_loading <= 1
    best = next(name for name in ("model-large", "model-medium", "model-small") if name not in slow)
    assert (models.installed, outcomes[-1]) == (best, UpgradeOutcome.INSTALLED)
