"""Full collections wait for moments without a conversation."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from gradio.routes import App

import app
from voicechat.config.settings import Settings
from voicechat.limits.admission import AdmissionKind, AdmissionState, AdmissionTicket, ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.server import gc_scheduler
from voicechat.server.application import build_asgi_app, gradio_app_kwargs
from voicechat.server.gc_scheduler import GcScheduler


class ReferenceCycle:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


class UnnotifiedListener:
    """Admission listener that ignores every change."""

    def on_admission_changed(self) -> None:
        raise AssertionError

    def on_shutdown(self, grace_s: float) -> None:
        raise AssertionError


@pytest.fixture(autouse=True)
def restored_gc() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.freeze()  # as the suite left it; see `tests/conftest.py`


def make_old_garbage(collections: int = gc_scheduler.IDLE_GEN1_COLLECTIONS) -> weakref.ref[ReferenceCycle]:
    """An object that every collection but a full one has seen alive, and that is garbage now."""
    ring = ReferenceCycle()
    for _ in range(collections):
        gc.collect(1)
    return weakref.ref(ring)


def test_startup_objects_are_frozen() -> None:
    gc_scheduler.disable_automatic_full_gc()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects(generation=2)) < 1000


def test_automatic_full_collections_are_disabled() -> None:
    gc_scheduler.disable_automatic_full_gc()
    before = gc.get_stats()[2]["collections"]
    rings = [ReferenceCycle() for _ in range(30 * gc_scheduler.GEN0_THRESHOLD * gc_scheduler.GEN1_THRESHOLD)]
    assert gc.get_stats()[2]["collections"] == before
    assert gc.get_count()[2] > gc_scheduler.IDLE_GEN1_COLLECTIONS and rings


class GcRig:
    """Scheduler with an admission controller, and garbage of ended calls."""

    def __init__(self) -> None:
        self.admission = AdmissionController(ConcurrencyLimits())
        self.scheduler = GcScheduler(self.admission)

    def admit(self) -> AdmissionTicket:
        return self.admission.request_admission(UnnotifiedListener(), AdmissionKind.CALL)


@pytest.fixture
def gc_rig() -> GcRig:
    gc_scheduler.disable_automatic_full_gc()
    return GcRig()


def test_collection_waits_for_an_idle_app(gc_rig: GcRig) -> None:
    ticket = gc_rig.admit()
    ring = make_old_garbage()
    assert not gc_rig.scheduler.collect_if_due()
    assert ring() is not None
    ticket.release()
    assert gc_rig.scheduler.collect_if_due()
    assert ring() is None


def test_collection_after_a_call_frees_its_garbage(gc_rig: GcRig) -> None:
    gc_rig.admit().release()
    ring = make_old_garbage(2)
    assert gc_rig.scheduler.collect_if_due()
    assert ring() is None
    assert not gc_rig.scheduler.collect_if_due(), "and then there is nothing to do"


def test_collection_runs_in_a_busy_app_after_many_collections_of_generation_1(gc_rig: GcRig) -> None:
    gc_rig.admit()
    ring = make_old_garbage(gc_scheduler.BUSY_GEN1_COLLECTIONS)
    assert gc_rig.scheduler.collect_if_due()
    assert ring() is None


def test_always_busy_app_does_not_grow(gc_rig: GcRig) -> None:
    staying = gc_rig.admit()
    ring = make_old_garbage(2)
    for _ in range(gc_scheduler.MAX_ENDED_CONVERSATIONS):
        assert not gc_rig.scheduler.collect_if_due()
        gc_rig.admit().release()
    assert gc_rig.scheduler.collect_if_due()
    assert ring() is None
    assert not gc_rig.scheduler.collect_if_due()
    assert staying.state is AdmissionState.ADMITTED


def test_collection_frees_garbage_that_was_frozen(gc_rig: GcRig) -> None:
    rings = [ReferenceCycle()]
    ring = weakref.ref(rings[0])
    make_old_garbage()
    assert gc_rig.scheduler.collect_if_due()
    rings.clear()
    make_old_garbage()
    assert gc_rig.scheduler.collect_if_due()
    assert ring() is None


async def test_scheduler_keeps_checking(gc_rig: GcRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc_scheduler, "CHECK_INTERVAL_S", 0.0)
    async with gc_rig.scheduler.run_in_background():
        for _ in range(2):
            collected, old = asyncio.Event(), make_old_garbage()()
            assert old is not None
            weakref.finalize(old, collected.set)
            del old
            await asyncio.wait_for(collected.wait(), 5)
    assert not is_watching()


def is_watching() -> bool:
    return any(task.get_name() == gc_scheduler.TASK_NAME for task in asyncio.all_tasks())


@pytest.mark.parametrize("served_by", ["gradio", "any server"])
async def test_scheduler_runs_however_the_page_is_served(served_by: str) -> None:
    """`python app.py` lets Gradio make the application, `uvicorn app:app` takes ours."""
    application = app.create_application(Settings.from_env({"OPENAI_API_KEY": "sk-none"}))
    if served_by == "gradio":
        served: FastAPI = App.create_app(application.page, app_kwargs=gradio_app_kwargs(application))
    else:
        served = build_asgi_app(application)
    before = gc.get_threshold()
    async with served.router.lifespan_context(served):
        assert is_watching()
        assert gc.get_threshold()[2] == gc_scheduler.GEN2_DISABLED
    assert not is_watching()
    assert gc.get_threshold() == before, "restored without the scheduler"
