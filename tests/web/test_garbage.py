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
from realtime.places import Kind, Limits, Place, Places, State
from realtime.settings import Settings
from web import garbage
from web.garbage import Garbage


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.me = self


class Guest:
    """Whom a place tells."""

    def place_changed(self) -> None:
        raise AssertionError

    def closing(self, seconds: float) -> None:
        raise AssertionError


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def grown_old(collections: int = garbage.QUIET) -> weakref.ref[Ring]:
    """An object that every collection but a full one has seen alive, and that is garbage now."""
    ring = Ring()
    for _ in range(collections):
        gc.collect(1)
    return weakref.ref(ring)


def test_all_that_was_there_at_the_beginning_is_looked_through_no_more() -> None:
    garbage.begin()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects(generation=2)) < 1000


def test_python_itself_never_looks_through_everything() -> None:
    garbage.begin()
    before = gc.get_stats()[2]["collections"]
    rings = [Ring() for _ in range(200_000)]
    assert gc.get_stats()[2]["collections"] == before
    assert gc.get_count()[2] > garbage.QUIET and rings


class House:
    """Places, the garbage of those who leave them, and somebody who may be in."""

    def __init__(self) -> None:
        self.places = Places(Limits())
        self.garbage = Garbage(self.places)

    def somebody(self) -> Place:
        return self.places.enter(Guest(), Kind.CALL)


@pytest.fixture
def house() -> House:
    garbage.begin()
    return House()


def test_garbage_waits_for_a_quiet_moment(house: House) -> None:
    somebody = house.somebody()
    ring = grown_old()
    assert not house.garbage.look()
    assert ring() is not None
    somebody.leave()
    assert house.garbage.look()
    assert ring() is None


def test_what_one_call_leaves_is_found_when_it_is_over(house: House) -> None:
    house.somebody().leave()
    ring = grown_old(2)
    assert house.garbage.look()
    assert ring() is None
    assert not house.garbage.look(), "and then there is nothing to do"


def test_garbage_does_not_wait_for_ever(house: House) -> None:
    house.somebody()
    ring = grown_old(garbage.BUSY)
    assert house.garbage.look()
    assert ring() is None


def test_a_house_that_is_never_quiet_does_not_grow(house: House) -> None:
    staying = house.somebody()
    ring = grown_old(2)
    for _ in range(garbage.MOST_ENDED):
        assert not house.garbage.look()
        house.somebody().leave()
    assert house.garbage.look()
    assert ring() is None
    assert not house.garbage.look()
    assert staying.state is State.IN


def test_garbage_is_found_that_has_lived_through_a_quiet_moment(house: House) -> None:
    rings = [Ring()]
    ring = weakref.ref(rings[0])
    grown_old()
    assert house.garbage.look()
    rings.clear()
    grown_old()
    assert house.garbage.look()
    assert ring() is None


async def test_the_watch_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "LOOK_S", 0.0)
    async with house.garbage.watched():
        for _ in range(2):
            gone, old = asyncio.Event(), grown_old()()
            assert old is not None
            weakref.finalize(old, gone.set)
            del old
            await asyncio.wait_for(gone.wait(), 5)
    assert not watching()


def watching() -> bool:
    return any(task.get_name() == garbage.WATCH for task in asyncio.all_tasks())


@pytest.mark.parametrize("served_by", ["gradio", "any server"])
async def test_somebody_watches_however_the_page_is_served(served_by: str) -> None:
    """`python app.py` lets Gradio make the application, `uvicorn app:app` takes ours."""
    home = app.House(Settings.from_env({"OPENAI_API_KEY": "sk-none"}))
    if served_by == "gradio":
        served: FastAPI = App.create_app(home.page, app_kwargs=app.launched(home))
    else:
        served = app.build(home)
    before = gc.get_threshold()
    async with served.router.lifespan_context(served):
        assert watching()
        assert gc.get_threshold()[2] == garbage.NEVER
    assert not watching()
    assert gc.get_threshold() == before, "nobody is without full collections whom nobody watches"
