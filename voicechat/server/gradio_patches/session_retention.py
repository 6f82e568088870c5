"""Bounded memory of Gradio's sessions and events.

Gradio by itself keeps every event until the process ends, with typed text and visitors' keys. It also keeps a copy of
the page's description for each of the last 10,000 pages: 0.14 MB each, 1.4 GB in all. Here an event is deleted when its
page has the outcome. A session is deleted an hour after its page was closed, and sooner when there are very many.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import gradio as gr
import gradio.routes
from gradio.queueing import Queue
from gradio.state_holder import SessionState, StateHolder

from voicechat.dependency_checks import DependencyChanged, find_target, require_names
from voicechat.session.visitor import Visitor

MAX_SESSIONS = 1000
"""Sessions kept, of open and closed pages."""
MAX_CLOSED_SESSIONS = 200
"""Sessions of closed pages among them: a browser that slept returns to the same session."""
CLOSED_SESSION_TTL = timedelta(hours=1)
"""Lifetime of a closed page's session after its last event, as in Gradio, which only empties it."""
UNREAD_OUTCOME_TTL = timedelta(minutes=1)
"""Time after which a closed page no longer fetches the outcome of its events."""

RELIED_ON = {
    "gradio.queueing:Queue.__init__": {
        "active_jobs",
        "event_queue_per_concurrency_id",
        "pending_messages_per_session",
        "pending_event_ids_session",
        "event_ids_to_events",
        "event_analytics",
        "_asyncio_tasks",
        "server_app",
    },
    "gradio.queueing:Event.__init__": {"_id"},
    "gradio.state_holder:StateHolder": {"session_data", "time_last_used", "delete_state"},
    "gradio.state_holder:SessionState.__init__": {"is_closed", "state_data"},
    "gradio.blocks:Blocks.queue": {"_queue"},
}
"""Attributes that the pruning uses, by the code that must know them."""


class PrunedEventAnalytics(dict[str, dict[str, Any]]):
    """Gradio's analytics by event. Gradio may write to an event that was deleted."""

    def __missing__(self, _: str) -> dict[str, Any]:
        return {}


class BoundedStateHolder(StateHolder):  # type: ignore[misc]  # Gradio has no types of its own
    """Sessions of all pages, created and used by Gradio in the page's event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: Queue | None = None

    def set_blocks(self, blocks: gr.Blocks) -> None:
        """Note the queue of the page. Called by Gradio."""
        super().set_blocks(blocks)
        self._queue = blocks._queue
        self._queue.event_analytics = PrunedEventAnalytics()

    def update(self, session_id: str) -> None:
        """Note a use of this session, and evict others when there are too many. Called by Gradio."""
        if session_id in self.session_data:
            self.session_data.move_to_end(session_id)
        while len(self.session_data) > MAX_SESSIONS:
            self.evict(self._eviction_candidate())

    def _eviction_candidate(self) -> str:
        """Return the session to evict, never the one just used.

        A closed page goes first, then one without a call or chat, and of equals the least recently used.
        """
        names: list[str] = list(self.session_data)[:-1]
        closed = (name for name in names if self.session_data[name].is_closed)
        idle = (name for name in names if not _has_active_session(self.session_data[name]))
        return next(closed, None) or next(idle, None) or names[0]

    def delete_all_expired_state(self) -> None:
        """Evict what has expired. Called by Gradio once a second."""
        now = datetime.now()
        closed = [name for name, state in self.session_data.items() if state.is_closed]
        unused = {name: now - self.time_last_used.get(name, now) for name in closed}
        for index, name in enumerate(closed):
            if index < len(closed) - MAX_CLOSED_SESSIONS or unused[name] > CLOSED_SESSION_TTL:
                self.evict(name)
        for name in list(self.session_data):
            self.delete_state(name, expired_only=True)
        if self._queue is not None:
            prune_events(self._queue, {name for name in closed if unused[name] > UNREAD_OUTCOME_TTL})

    def evict(self, session_id: str) -> None:
        """Delete a session and its events."""
        self.delete_state(session_id)  # the delete callbacks of its states run
        self.session_data.pop(session_id, None)
        self.time_last_used.pop(session_id, None)
        if self._queue is not None:
            prune_events(self._queue, {session_id})


def _has_active_session(state: SessionState) -> bool:
    """Return whether this page has a call or chat under way."""
    visitors = (value for value in state.state_data.values() if isinstance(value, Visitor))
    return any(visitor.is_in_call or visitor.text_session is not None for visitor in visitors)


def prune_events(queue: Queue, closed_sessions: set[str]) -> None:
    """Delete finished events whose page has the outcome, and those of `closed_sessions`, which fetch no outcome."""
    running = [event for job in queue.active_jobs for event in job or ()]
    waiting = [event for each in queue.event_queue_per_concurrency_id.values() for event in each.queue]
    under_way = {event._id for event in (*running, *waiting)}
    outcomes, unread = queue.pending_messages_per_session, queue.pending_event_ids_session
    for name in [name for name in unread if name in closed_sessions or name not in outcomes]:
        if under_way.isdisjoint(unread[name]):  # otherwise an outcome is still to come
            outcomes.pop(name, None)
            del unread[name]
    kept = under_way.union(*unread.values())
    _retain_only(kept, queue.event_ids_to_events)
    _retain_only(kept, queue.event_analytics)
    queue._asyncio_tasks[:] = [task for task in queue._asyncio_tasks if not task.done()]
    if queue.server_app is not None:
        queue.server_app.iterators_to_reset &= kept


def _retain_only(kept: Iterable[str], known: dict[str, Any]) -> None:
    for name in known.keys() - kept:
        del known[name]


def install() -> None:
    """Let Gradio keep sessions in `BoundedStateHolder`, in applications that are created from now on.

    A second call changes nothing. Raise DependencyChanged, with nothing replaced, when Gradio is not as expected.
    """
    current = find_target("gradio.routes:StateHolder")
    if current is BoundedStateHolder:
        return
    if current is not StateHolder:
        raise DependencyChanged("gradio.routes:StateHolder", "not Gradio's own")
    for target, names in RELIED_ON.items():
        require_names(target, names)
    gradio.routes.StateHolder = BoundedStateHolder
