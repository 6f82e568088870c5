"""What Gradio 5.50.0 remembers of pages and of their events, with an end to it.

By itself it keeps every event with all that came with it (what was typed, a visitor's key) until the process ends, and
for each of the last 10,000 pages a copy of the page's description: 0.14 MB each, 1.4 GB in all. Here an event is
forgotten when its page has its outcome, a page an hour after it was closed, and sooner when there are very many.
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
"""Pages remembered, open or closed."""
MAX_CLOSED_SESSIONS = 200
"""Of them, pages that were closed: a browser that has slept comes back to the same page."""
CLOSED_SESSION_TTL = timedelta(hours=1)
"""How long a closed page is remembered after its last event. As Gradio's own measure, which empties it only."""
UNREAD_OUTCOME_TTL = timedelta(minutes=1)
"""After that nobody comes for the outcome of a closed page's events: what it asks for later has outcomes of its own."""

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
    """Gradio's notes on its events. It may write to one that has been forgotten."""

    def __missing__(self, _: str) -> dict[str, Any]:
        return {}


class BoundedStateHolder(StateHolder):  # type: ignore[misc]  # Gradio has no types of its own
    """Every page's session. Made and used by Gradio; all of it in the event loop of the page."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: Queue | None = None

    def set_blocks(self, blocks: gr.Blocks) -> None:
        """Gradio says whose pages these are."""
        super().set_blocks(blocks)
        self._queue = blocks._queue
        self._queue.event_analytics = PrunedEventAnalytics()

    def update(self, session_id: str) -> None:
        """Gradio uses this page's session."""
        if session_id in self.session_data:
            self.session_data.move_to_end(session_id)
        while len(self.session_data) > MAX_SESSIONS:
            self.evict(self._eviction_candidate())

    def _eviction_candidate(self) -> str:
        """Of all pages but the one just used, that which is missed least: a closed one; then one with no call or chat;
        of these the one not used for the longest time."""
        names: list[str] = list(self.session_data)[:-1]
        closed = (name for name in names if self.session_data[name].is_closed)
        idle = (name for name in names if not _has_active_session(self.session_data[name]))
        return next(closed, None) or next(idle, None) or names[0]

    def delete_all_expired_state(self) -> None:
        """Gradio calls this once a second."""
        now = datetime.now()
        closed = [name for name, state in self.session_data.items() if state.is_closed]
        unused = {name: now - self.time_last_used.get(name, now) for name in closed}
        for place, name in enumerate(closed):
            if place < len(closed) - MAX_CLOSED_SESSIONS or unused[name] > CLOSED_SESSION_TTL:
                self.evict(name)
        for name in list(self.session_data):
            self.delete_state(name, expired_only=True)
        if self._queue is not None:
            prune_events(self._queue, {name for name in closed if unused[name] > UNREAD_OUTCOME_TTL})

    def evict(self, session_id: str) -> None:
        """Nothing is left of this page."""
        self.delete_state(session_id)  # its states may have to do something about it
        self.session_data.pop(session_id, None)
        self.time_last_used.pop(session_id, None)
        if self._queue is not None:
            prune_events(self._queue, {session_id})


def _has_active_session(state: SessionState) -> bool:
    """A call or a chat is under way in this page."""
    visitors = (value for value in state.state_data.values() if isinstance(value, Visitor))
    return any(who.is_in_call or who.text_session is not None for who in visitors)


def prune_events(queue: Queue, closed_sessions: set[str]) -> None:
    """Forget the events that wait no more, run no more, and whose outcome the page has; or nobody will ask for, as of
    the pages `gone`."""
    at_work = [event for job in queue.active_jobs for event in job or ()]
    waiting = [event for each in queue.event_queue_per_concurrency_id.values() for event in each.queue]
    under_way = {event._id for event in (*at_work, *waiting)}
    outcomes, unread = queue.pending_messages_per_session, queue.pending_event_ids_session
    for name in [name for name in unread if name in closed_sessions or name not in outcomes]:
        if under_way.isdisjoint(unread[name]):  # else Gradio has something to say to it yet
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
