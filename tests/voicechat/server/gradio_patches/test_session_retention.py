"""Pages and events that Gradio keeps in memory, and for how long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace

import gradio as gr
import gradio.routes
import httpx
import pytest

from voicechat.server.gradio_patches import session_retention
from voicechat.server.gradio_patches.session_retention import BoundedStateHolder
from voicechat.session.visitor import Visitor


@pytest.fixture
def state_holder(monkeypatch: pytest.MonkeyPatch) -> BoundedStateHolder:
    """Of a page with one state, room for three of which two are closed."""
    monkeypatch.setattr(session_retention, "MAX_SESSIONS", 3)
    monkeypatch.setattr(session_retention, "MAX_CLOSED_SESSIONS", 2)
    deleted: list[object] = []
    with gr.Blocks() as page:
        state = gr.State(Visitor(), delete_callback=deleted.append)
        state.change(lambda _: None, state, None)
    made = BoundedStateHolder()
    made.set_blocks(page)
    made.__dict__.update(deleted=deleted, state=state._id)
    return made


def open_session(pages: BoundedStateHolder, name: str, **visitor: object) -> Visitor:
    who = Visitor()
    who.__dict__.update(visitor)
    pages[name][pages.__dict__["state"]] = who
    return who


def test_eviction_takes_closed_pages_first_and_idle_ones_next(
    state_holder: BoundedStateHolder,
) -> None:
    talking = open_session(state_holder, "talking", text_session=object())
    looking = open_session(state_holder, "looking")
    closed = open_session(state_holder, "closed")
    state_holder["closed"].is_closed = True
    open_session(state_holder, "fourth")
    assert list(state_holder.session_data) == ["talking", "looking", "fourth"]
    open_session(state_holder, "fifth")
    assert list(state_holder.session_data) == ["talking", "fourth", "fifth"]
    assert state_holder.__dict__["deleted"] == [closed, looking]  # their callbacks ran
    for name in ("fourth", "fifth"):
        open_session(state_holder, name, text_session=object())
    open_session(state_holder, "sixth")
    assert list(state_holder.session_data) == ["fourth", "fifth", "sixth"]
    assert state_holder.__dict__["deleted"][-1] is talking
    assert set(state_holder.time_last_used) == set(state_holder.session_data)


def test_eviction_spares_a_page_in_use(state_holder: BoundedStateHolder) -> None:
    for name in ("one", "two", "three"):
        open_session(state_holder, name)
    state_holder["one"]
    open_session(state_holder, "four")
    assert list(state_holder.session_data) == ["three", "one", "four"]


def test_closed_page_is_evicted_after_its_lifetime_or_beyond_the_limit(
    state_holder: BoundedStateHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        open_session(state_holder, name)
        state_holder[name].is_closed = True
    state_holder.delete_all_expired_state()
    assert list(state_holder.session_data) == ["two", "three"]
    state_holder.time_last_used["two"] -= session_retention.CLOSED_SESSION_TTL
    state_holder.delete_all_expired_state()
    assert list(state_holder.session_data) == ["three"]
    open_session(state_holder, "open")
    state_holder.time_last_used["open"] -= timedelta(days=9)
    state_holder.delete_all_expired_state()
    assert list(state_holder.session_data) == ["three", "open"]


def test_analytics_of_a_pruned_event_are_dropped() -> None:
    analytics = session_retention.PrunedEventAnalytics()
    analytics["closed"]["status"] = "success"
    assert not analytics


# ---------------------------------------------------------------- in a page that is served


@pytest.fixture
def served_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[gr.Blocks, httpx.Client]]:
    monkeypatch.setattr(gradio.routes, "StateHolder", gradio.routes.StateHolder)  # put back what is installed here
    session_retention.install()
    with gr.Blocks(analytics_enabled=False) as page:
        said = gr.Textbox()
        said.submit(str.upper, said, said)
    page.queue().launch(prevent_thread_lock=True, server_name="127.0.0.1", quiet=True, ssr_mode=False)
    with httpx.Client(base_url=f"{page.local_url}gradio_api", timeout=20) as http:
        yield page, http
    page.close(verbose=False)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_event_is_pruned_once_the_page_has_its_outcome(
    served_page: tuple[gr.Blocks, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    page, http = served_page
    queue, held = page._queue, page.state_holder
    assert isinstance(held, BoundedStateHolder)

    def ask(session: str, text: str) -> None:
        http.post("/queue/join", json={"data": [text], "fn_index": 0, "session_hash": session}).raise_for_status()

    def answers(session: str) -> list[str]:
        with http.stream("GET", "/queue/data", params={"session_hash": session}) as stream:
            found = [json.loads(line[5:]) for line in stream.iter_lines() if line]
        return [one["output"]["data"][0] for one in found if one["msg"] == "process_completed"]

    for number in range(3):
        ask("reads", f"secret {number}")
        assert answers("reads") == [f"SECRET {number}"]
    wait_until(lambda: not queue.event_ids_to_events and not queue.event_analytics and not queue._asyncio_tasks)
    assert not any(queue.pending_event_ids_session.values())

    ask("slow", "patience")
    looks = SimpleNamespace(count=0)
    sweep = held.delete_all_expired_state

    def counted() -> None:
        sweep()
        looks.count += 1

    monkeypatch.setattr(held, "delete_all_expired_state", counted)
    wait_until(lambda: looks.count >= 2)
    assert answers("slow") == ["PATIENCE"]  # the page may take its time

    ask("closed", "never read")
    wait_until(lambda: [one["status"] for one in queue.event_analytics.values()] == ["success"])
    held.session_data["closed"].is_closed = True
    held.time_last_used["closed"] -= session_retention.UNREAD_OUTCOME_TTL
    wait_until(lambda: not queue.event_ids_to_events)
    assert "closed" in held.session_data
    assert "closed" not in queue.pending_messages_per_session
