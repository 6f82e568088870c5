"""Full collections of garbage wait until nobody is in a conversation."""

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
from voicechat.limits.waiting_queue import (
    AdmissionController,
    AdmissionKind,
    AdmissionState,
    AdmissionTicket,
    ConcurrencyLimits,
)
from voicechat.server import gc_scheduler
from voicechat.server.application import build_asgi_app, gradio_app_kwargs
from voicechat.server.gc_scheduler import GcScheduler


class ReferenceCycle:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


class UnnotifiedListener:
    """Whom a place tells."""

    def on_admission_changed(self) -> None:
        raise AssertionError

    def on_shutdown(self, grace_s: float) -> None:
        raise AssertionError


@pytest.fixture(autouse=True)
def restored_gc() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


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
    rings = [ReferenceCycle() for _ in range(200_000)]
    assert gc.get_stats()[2]["collections"] == before
    assert gc.get_count()[2] > gc_scheduler.IDLE_GEN1_COLLECTIONS and rings


class GcRig:
    """Places, the garbage of those who leave them, and somebody who may be in."""

    def __init__(self) -> None:
        self.places = AdmissionController(ConcurrencyLimits())
        self.scheduler = GcScheduler(self.places)

    def admit(self) -> AdmissionTicket:
        return self.places.request_admission(UnnotifiedListener(), AdmissionKind.CALL)


@pytest.fixture
def gc_rig() -> GcRig:
    gc_scheduler.disable_automatic_full_gc()
    return GcRig()


def test_garbage_waits_for_a_quiet_moment(gc_rig: GcRig) -> None:
    somebody = gc_rig.admit()
    ring = make_old_garbage()
    assert not gc_rig.scheduler.collect_if_due()
    assert ring() is not None
    somebody.release()
    assert gc_rig.scheduler.collect_if_due()
    assert ring() is None


def test_what_one_call_leaves_is_found_when_it_is_over(gc_rig: GcRig) -> None:
    gc_rig.admit().release()
    ring = make_old_garbage(2)
    assert gc_rig.scheduler.collect_if_due()
    assert ring() is None
    assert not gc_rig.scheduler.collect_if_due(), "and then there is nothing to do"


def test_garbage_does_not_wait_for_ever(gc_rig: GcRig) -> None:
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


def test_garbage_is_found_that_has_lived_through_a_quiet_moment(gc_rig: GcRig) -> None:
    rings = [ReferenceCycle()]
    ring = weakref.ref(rings[0])
    make_old_garbage()
    assert gc_rig.scheduler.collect_if_due()
    rings.clear()
    make_old_garbage()
    assert gc_rig.scheduler.collect_if_due()
    assert ring() is None


async def test_the_watch_goes_on(gc_rig: GcRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc_scheduler, "CHECK_INTERVAL_S", 0.0)
    async with gc_rig.scheduler.run_in_background():
        for _ in range(2):
            gone, old = asyncio.Event(), make_old_garbage()()
            assert old is not None
            weakref.finalize(old, gone.set)
            del old
            await asyncio.wait_for(gone.wait(), 5)
    assert not is_watching()


def is_watching() -> bool:
    return any(task.get_name() == gc_scheduler.TASK_NAME for task in asyncio.all_tasks())


@pytest.mark.parametrize("served_by", ["gradio", "any server"])
async def test_scheduler_runs_however_the_page_is_served(served_by: str) -> None:
    """`python app.py` lets Gradio make the application, `uvicorn app:app` takes ours."""
    home = app.create_application(Settings.from_env({"OPENAI_API_KEY": "sk-none"}))
    if served_by == "gradio":
        served: FastAPI = App.create_app(home.page, app_kwargs=gradio_app_kwargs(home))
    else:
        served = build_asgi_app(home)
    before = gc.get_threshold()
    async with served.router.lifespan_context(served):
        assert is_watching()
        assert gc.get_threshold()[2] == gc_scheduler.GEN2_DISABLED
    assert not is_watching()
    assert gc.get_threshold() == before, "nobody is without full collections whom nobody watches"
