"""Replicas killed one after the other under one call: no slot, key, task or file is left behind."""

from __future__ import annotations

import logging
import os
import statistics
from collections import Counter
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser

from tests.support.browser.page_errors import LOST_SERVER_ERRORS
from tests.support.browser.resumed_page import ShownSpeech
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer
from tests.support.scale.moved_page import MovedPage
from tests.support.scale.replica_inspection import inspect_replica, temporary_files, wait_until
from tests.support.scale.replica_set import ReplicaUnderTest, running_replicas
from tests.support.shared_state.redis_census import RedisCensus

pytestmark = [LOST_SERVER_ERRORS, pytest.mark.allowed_page_errors("status (of )?502"), pytest.mark.timeout(900)]

log = logging.getLogger(__name__)

KILLS = 20 if os.environ.get("LONG") else 4
SPARE = KILLS - 1
"""Tasks, files and connections of one kind that may come and go. A leak leaves one for each kill."""
SPOKEN = "Are you still there?"
REPLY = "Yes, I am here."
SITE_DATA_JS = """async () => {
  const stored = { local: localStorage.length, session: sessionStorage.length };
  for (const { name, version } of await indexedDB.databases()) {
    const done = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const database = await done(indexedDB.open(name, version));
    for (const store of database.objectStoreNames)
      stored[`${name}.${store}`] = await done(database.transaction(store).objectStore(store).count());
    database.close();
  }
  return stored;
}"""
"""Counts what the browser keeps of the page."""


def wait_for_turns(page: MovedPage, turns: int) -> None:
    """Wait until the page shows that many turns with their replies, and both it and Redis have them."""
    page.wait_for_messages(2 * turns)
    page.wait_for_stage("listening")
    page.wait_until("() => voiceHistory.isSaved()")
    said = [ShownSpeech("user", SPOKEN, ""), ShownSpeech("assistant", REPLY, "")]
    assert page.messages() == said * turns


def kill(replica: ReplicaUnderTest) -> None:
    """Kill a replica. None of its processes is left."""
    processes = psutil.Process(replica.app.process.pid).children(recursive=True)
    replica.app.kill()
    assert not psutil.wait_procs(processes, 10)[1]


def test_kills_in_a_row_leave_nothing_behind(browser: Browser, tmp_path: Path) -> None:
    command = ("-m", "tests.support.scale.inspected_app")
    with (
        ThreadedRealtimeServer(SPOKEN, REPLY, 1.0).running() as model,
        running_replicas(
            tmp_path, command, takes_slow_for_dead=False, REALTIME_URL=model.url, REALTIME_API_KEY="sk-test"
        ) as replicas,
    ):
        replicas.start()
        replicas.bystander.start()
        redis = RedisCensus(replicas.redis)
        replicas.bystander.app.wait_for_health(lambda health: health["replicas"] == 3)
        untouched, own_files = inspect_replica(replicas.bystander), temporary_files(replicas.bystander)
        page = MovedPage(browser, replicas.proxy.url)
        page.press_call_button()
        wait_for_turns(page, 1)
        carrier, other = replicas.split(page.process_id())
        with_call, files = inspect_replica(carrier), temporary_files(carrier)
        connections = redis.count_connections()
        site_data: object = None
        keys: Counter[str] = Counter()
        moves_s = []
        for number in range(1, KILLS + 1):
            replicas.proxy.wait_for_replicas(2)
            with page.expecting_move(with_call=True):
                kill(carrier)
            moves_s.append(page.move_s)
            wait_for_turns(page, number + 1)
            carrier.start()
            carrier, other = replicas.split(page.process_id())
            if number == 1:
                wait_until(redis.count_replicas, 3)
                site_data, keys = page.page.evaluate(SITE_DATA_JS), redis.count_keys()
        log.info("scale: moves median_s=%.2f max_s=%.2f", statistics.median(moves_s), max(moves_s))

        wait_until(redis.admission_entries, 1)
        wait_until(redis.count_replicas, 3)
        wait_until(redis.count_keys, keys)
        assert redis.count_connections() <= connections + SPARE
        wait_until(lambda: page.page.evaluate(SITE_DATA_JS), site_data)
        carrier.wait_for_calls(1)
        other.wait_for_calls(0)
        assert model.open_connections == 1
        wait_until(lambda: inspect_replica(carrier).excess(with_call, SPARE), {})
        wait_until(lambda: inspect_replica(replicas.bystander).excess(untouched, SPARE), {})
        for each in replicas.replicas:
            assert set(temporary_files(each)) <= set(files)
        assert temporary_files(replicas.bystander) == own_files

        page.hang_up()
        carrier.wait_for_calls(0)
        assert not page.errors
        page.close()
        wait_until(redis.admission_entries, 0)
        wait_until(lambda: model.open_connections, 0)
        wait_until(lambda: inspect_replica(carrier).excess(untouched, SPARE), {})
