"""Two replicas behind HAProxy: a page whose replica is killed, frozen or drained goes on at the other one."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.browser.page_errors import LOST_SERVER_ERRORS
from tests.support.browser.page_scripts import HIDDEN_TAB_SCRIPT, NO_UDP_SCRIPT
from tests.support.browser.resumed_page import ShownSpeech
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer
from tests.support.scale.moved_page import MovedPage
from tests.support.scale.replica_set import ReplicaSet, ReplicaUnderTest, running_replicas

log = logging.getLogger(__name__)

pytestmark = [LOST_SERVER_ERRORS, pytest.mark.allowed_page_errors("status (of )?502")]

SPOKEN = "Tell me about the lighthouse."
SHORT_REPLY = "It stands on a rock."
LONG_REPLY = (
    "The lighthouse stands on a rock in the sea. Its keeper has a grey cat. Every evening they climb the stairs "
    "together, and the keeper lights the lamp. Then the cat sleeps beside it until the morning."
)
SHORT_REPLY_S = 1.0
LONG_REPLY_S = 30.0
"""Seconds of audio: such a reply is still played when a test ends it."""
HEARD_S = 4.0
"""Seconds of a long reply that are heard before a test ends it, at least."""
LOST_S = 1.5
"""Seconds of a reply that may count as not heard although they were: at most 0.5 s from one write to Redis to the next,
the way of the sound, and one word, which counts once it was heard whole."""
AHEAD_S = 0.5
"""Seconds of a reply that may count as heard although they were not: a part of the last word, and the jitter buffer."""
SAMPLE_RATE = 24_000
"""Samples per second of the recorded output."""
AUDIBLE = 0.01
"""Amplitude of the output that a reply exceeds, and silence does not."""
TYPED = "And the cat?"
DRAFT = "What is its name"


@pytest.fixture(scope="module")
def model() -> Iterator[ThreadedRealtimeServer]:
    """Yield the Realtime server of both replicas."""
    with ThreadedRealtimeServer(SPOKEN, SHORT_REPLY, SHORT_REPLY_S).running() as model:
        yield model


@pytest.fixture(scope="module")
def running_set(model: ThreadedRealtimeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    environment = {"REALTIME_URL": model.url, "REALTIME_API_KEY": "sk-test", "VANISHED_SECONDS": "3"}
    with running_replicas(tmp_path_factory.mktemp("replicas"), **environment) as replicas:
        yield replicas


@pytest.fixture
def replicas(running_set: ReplicaSet, model: ThreadedRealtimeServer) -> ReplicaSet:
    """Return the replicas, all of them ready and without calls. The model hears a turn and answers shortly."""
    running_set.restore()
    model.sessions.clear()
    model.hears_speech, model.reply_text, model.reply_s = True, SHORT_REPLY, SHORT_REPLY_S
    model.answers = True
    return running_set


def call_until_idle(page: MovedPage, model: ThreadedRealtimeServer) -> list[ShownSpeech]:
    """Call, wait until the reply has ended, and return the messages. Later calls hear nothing."""
    page.press_call_button()
    page.wait_for_stage("speaking")
    page.wait_for_stage("listening")
    model.hears_speech = False
    page.wait_until("() => voiceHistory.isSaved()")
    said = page.messages()
    assert said == [ShownSpeech("user", SPOKEN, ""), ShownSpeech("assistant", SHORT_REPLY, "")]
    return said


def call_into_long_reply(page: MovedPage, model: ThreadedRealtimeServer) -> float:
    """Call, and wait until the first words of a long reply were heard. Later calls hear nothing.

    Returns the beginning of its sound, by the page's audio clock.
    """
    model.reply_text, model.reply_s = LONG_REPLY, LONG_REPLY_S
    page.press_call_button()
    page.wait_for_stage("speaking")
    page.wait_for_messages(2)
    model.hears_speech = False
    page.wait_until("(t) => caller.now() > t", page.audio_clock_s() + HEARD_S + 1.0)
    audible = np.abs(page.recorded_output(0.0, page.audio_clock_s())) > AUDIBLE
    return int(audible.argmax()) / SAMPLE_RATE


def kill_in_reply(page: MovedPage, carrier: ReplicaUnderTest, begin_s: float) -> tuple[float, float]:
    """Kill the replica while a reply is played. Return how many seconds of it were heard then, at least and at most."""
    began = time.monotonic()
    played_s = page.audio_clock_s() - begin_s
    carrier.app.kill()
    return played_s - LOST_S, played_s + time.monotonic() - began + AHEAD_S


def assert_reply_is_cut(shown: list[ShownSpeech], least_s: float, most_s: float) -> None:
    """Assert that a long reply has only its heard part, and its rest struck out. `least_s`, `most_s`: length of it."""
    asked, answered = shown
    assert asked == ShownSpeech("user", SPOKEN, "")
    assert f"{answered.heard} {answered.unheard}" == LONG_REPLY
    heard_s = LONG_REPLY_S * len(answered.heard) / len(LONG_REPLY)
    log.info("scale: reply is cut heard_s=%.2f least_s=%.2f most_s=%.2f", heard_s, least_s, most_s)
    assert least_s < heard_s < most_s, answered


def assert_call_goes_on(page: MovedPage, said: list[ShownSpeech]) -> None:
    """Assert that a typed message is answered after what was said before, and end the call."""
    page.send_typed_message(TYPED)
    page.wait_for_messages(4)
    assert page.messages() == [*said, ShownSpeech("user", TYPED, ""), ShownSpeech("assistant", SHORT_REPLY, "")]
    page.hang_up()
    assert not page.errors
    page.close()


@pytest.mark.parametrize("before", ["", NO_UDP_SCRIPT], ids=["WebRTC", "web socket"])
def test_killed_replica_of_an_idle_call_is_replaced(
    replicas: ReplicaSet, model: ThreadedRealtimeServer, browser: Browser, before: str
) -> None:
    page = MovedPage(browser, replicas.proxy.url, before=before)
    said = call_until_idle(page, model)
    carrier, other = replicas.split(page.process_id())
    with page.expecting_move(with_call=True):
        carrier.app.kill()
    assert page.messages() == said
    assert model.messages_of(-1) == [("user", SPOKEN), ("assistant", SHORT_REPLY)]
    other.wait_for_calls(1)
    assert_call_goes_on(page, said)


@pytest.mark.parametrize("before", ["", NO_UDP_SCRIPT], ids=["WebRTC", "web socket"])
def test_killed_replica_of_a_call_in_a_background_tab_is_replaced(
    replicas: ReplicaSet, model: ThreadedRealtimeServer, browser: Browser, before: str
) -> None:
    page = MovedPage(browser, replicas.proxy.url, before=HIDDEN_TAB_SCRIPT + before)
    said = call_until_idle(page, model)
    carrier, other = replicas.split(page.process_id())
    page.page.evaluate("hiddenTab.set(true)")
    with page.expecting_move(with_call=True):
        carrier.app.kill()
    assert page.page.evaluate("document.hidden"), "it has come back without being looked at"
    assert model.messages_of(-1) == [("user", SPOKEN), ("assistant", SHORT_REPLY)]
    other.wait_for_calls(1)
    page.page.evaluate("hiddenTab.set(false)")
    page.wait_for_messages(len(said))
    assert page.messages() == said
    assert_call_goes_on(page, said)


@pytest.mark.parametrize("before", ["", NO_UDP_SCRIPT], ids=["WebRTC", "web socket"])
def test_killed_replica_in_a_reply_leaves_what_was_heard(
    replicas: ReplicaSet, model: ThreadedRealtimeServer, browser: Browser, before: str
) -> None:
    page = MovedPage(browser, replicas.proxy.url, before=before)
    begin_s = call_into_long_reply(page, model)
    carrier, other = replicas.split(page.process_id())
    with page.expecting_move(with_call=True):
        heard = kill_in_reply(page, carrier, begin_s)
    page.wait_for_stage("listening")
    shown = page.messages()
    assert_reply_is_cut(shown, *heard)
    assert model.messages_of(-1) == [("user", SPOKEN), ("assistant", shown[1].heard)]
    other.wait_for_calls(1)
    page.hang_up()
    page.close()


@pytest.mark.parametrize("is_typed", [False, True], ids=["spoken", "typed"])
def test_killed_replica_before_the_reply_leaves_a_question_that_is_answered(
    replicas: ReplicaSet, model: ThreadedRealtimeServer, browser: Browser, is_typed: bool
) -> None:
    model.answers, model.hears_speech = False, not is_typed
    page = MovedPage(browser, replicas.proxy.url)
    page.press_call_button()
    if is_typed:
        page.wait_for_stage("listening")
        page.send_typed_message(TYPED)
    asked = ShownSpeech("user", TYPED if is_typed else SPOKEN, "")
    page.wait_for_messages(1)
    page.wait_for_stage("thinking")
    page.wait_until("() => voiceHistory.isSaved()")
    carrier, _ = replicas.split(page.process_id())
    model.answers, model.hears_speech = True, False
    with page.expecting_move(with_call=True):
        carrier.app.kill()
    page.wait_for_messages(2)
    page.wait_for_stage("listening")
    assert page.messages() == [asked, ShownSpeech("assistant", SHORT_REPLY, "")]
    assert [event["type"] for event in model.sessions[-1]].count("response.create") == 1
    page.hang_up()
    page.close()


def test_frozen_replica_is_left_and_ends_its_call_when_it_wakes_up(
    replicas: ReplicaSet, model: ThreadedRealtimeServer, browser: Browser
) -> None:
    page = MovedPage(browser, replicas.proxy.url)
    said = call_until_idle(page, model)
    carrier, other = replicas.split(page.process_id())
    with page.expecting_move(with_call=True):
        carrier.freeze()
    assert page.messages() == said
    carrier.thaw()
    carrier.wait_for_calls(0)
    other.wait_for_calls(1)
    assert page.process_id() == other.process_id
    page.hang_up()
    page.close()


def test_drained_replica_hands_over_its_call_and_its_other_tab(
    replicas: ReplicaSet, model: ThreadedRealtimeServer, browser: Browser
) -> None:
    page = MovedPage(browser, replicas.proxy.url)
    said = call_until_idle(page, model)
    carrier, other = replicas.split(page.process_id())
    tab = MovedPage(page.context, replicas.proxy.url)
    assert tab.process_id() == carrier.process_id, "all tabs of a browser have one replica"
    tab.page.locator("#voice-input textarea").fill(DRAFT)
    page.page.bring_to_front()  # browsers run a hidden page's timers once a second
    sessions = len(model.sessions)
    with tab.expecting_move(with_call=False), page.expecting_move(with_call=True):
        carrier.drain()
    assert page.messages() == said
    assert [model.messages_of(number) for number in range(sessions, len(model.sessions))] == [
        [("user", SPOKEN), ("assistant", SHORT_REPLY)]
    ], "the call goes on once"
    assert carrier.app.process.wait(20) == 0
    other.wait_for_calls(1)
    assert {page.process_id(), tab.process_id()} == {other.process_id}
    assert tab.page.locator("#voice-input textarea").input_value() == DRAFT
    page.send_typed_message(TYPED)
    page.wait_for_messages(4)
    page.hang_up()
    page.close()


def open_program(replicas: ReplicaSet) -> ClientConnection:
    """Open a session of a program, and return its socket once it is served."""
    socket = connect(replicas.proxy.url.replace("http", "ws") + "/v1/realtime")
    assert json.loads(socket.recv(10))["type"] == "session.created"
    return socket


def test_programs_are_never_refused_while_a_replica_has_room(replicas: ReplicaSet) -> None:
    first, second = replicas.replicas
    programs = [open_program(replicas) for _ in range(2)]
    for each in replicas.replicas:
        each.wait_for_calls(1)
    first.drain()
    first.app.wait_for_health(lambda health: health["status"] == "draining")
    programs += [open_program(replicas) for _ in range(2)]  # HAProxy may still believe that both replicas have room
    second.wait_for_calls(3)
    first.app.process.wait(20)
    first.begin_start()
    first.wait_until_ready()
    replicas.proxy.wait_for_replicas(2)
    second.app.kill()
    for program in programs:
        with pytest.raises(ConnectionClosed):
            while True:
                program.recv(10)
    open_program(replicas).close()
