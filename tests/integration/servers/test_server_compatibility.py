"""Calls and chats with every kind of server."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.realtime import fake_server_variants, server_events
from tests.support.sessions.session_users import (
    IN_CALL_AND_CHAT,
    SessionFactory,
    is_listening,
    is_shown,
    running_call_user,
)
from voicechat.turn_taking.snapshot import CallStage

pytestmark = [pytest.mark.timeout(30), pytest.mark.usefixtures("no_secrets_logged", "no_tasks_left")]

KINDS = [
    fake_server_variants.OfficialServer,
    fake_server_variants.LocalAiServer,
    fake_server_variants.SpeechToSpeechServer,
    fake_server_variants.BetaServer,
    fake_server_variants.UnannouncedBetaServer,
    fake_server_variants.SpeachesServer,
]


@pytest.mark.parametrize("kind", KINDS)
@IN_CALL_AND_CHAT
async def test_message_is_answered_by_every_server(
    kind: type[fake_server_variants.OfficialServer], start_session: SessionFactory
) -> None:
    there = kind()
    async with there.running() as url, start_session(url, ready_seconds=kind.confirm_timeout_s) as person:
        assert (await person.wait_for_snapshot(is_listening)).notice is None
        assert await person.send_text(fake_server_variants.TYPED)
        last = await person.wait_for_snapshot(is_shown(fake_server_variants.TYPED, fake_server_variants.REPLY))
        assert last.notice is None
        assert there.settings["instructions"] == fake_server_variants.PROMPT
    assert there.connection_count == 1
    assert there.rejected_types == []


@pytest.mark.parametrize("kind", KINDS)
async def test_speech_is_answered_by_every_server(kind: type[fake_server_variants.OfficialServer]) -> None:
    there = kind()
    async with there.running() as url, running_call_user(url, ready_seconds=kind.confirm_timeout_s) as person:
        await person.wait_for_snapshot(is_listening)
        await there.simulate_spoken_turn()
        last = await person.wait_for_snapshot(is_shown(fake_server_variants.SPOKEN, fake_server_variants.REPLY))
        assert last.notice is None
        assert np.count_nonzero(np.concatenate(person.page.frames)) == fake_server_variants.REPLY_MS * 24
    assert there.rejected_types == []


CONFIRMING_KINDS = [
    fake_server_variants.OfficialServer,
    fake_server_variants.LocalAiServer,
    fake_server_variants.BetaServer,
    fake_server_variants.UnannouncedBetaServer,
    fake_server_variants.SpeachesServer,
    fake_server_variants.LateConfirmingServer,
]
OTHER_KINDS = [
    fake_server_variants.SpeechToSpeechServer,
    fake_server_variants.StrippingServer,
    fake_server_variants.StubbornServer,
]


@pytest.mark.parametrize(
    ("kind", "confirms"), [*((kind, True) for kind in CONFIRMING_KINDS), *((kind, False) for kind in OTHER_KINDS)]
)
async def test_sound_over_reply_is_ducked_where_the_server_confirms_that_the_client_decides(
    kind: type[fake_server_variants.OfficialServer], confirms: bool
) -> None:
    """Echo of the reply in the microphone is such a sound. Elsewhere the first sound stops the reply."""
    there = kind()
    async with there.running() as url, running_call_user(url, ready_seconds=kind.confirm_timeout_s) as person:
        page = person.page
        await person.wait_for_snapshot(is_listening)
        await there.finish_confirming()
        await there.send_in_dialect(
            *server_events.response_started("r7", "a7"),
            *server_events.clause_deltas("r7", "a7", fake_server_variants.REPLY, 5000),
        )
        await person.wait_for_snapshot(lambda snapshot: snapshot.stage is CallStage.SPEAKING)
        await there.send_in_dialect(server_events.speech_started("u1"))
        start = len(page.frames)

        def peak() -> int:
            return int(np.abs(page.frames[-1]).max()) if len(page.frames) > start + 2 else -1

        await page.wait_until(lambda: peak() in (0, 200))
        assert peak() == (200 if confirms else 0)


@pytest.mark.parametrize(
    ("kind", "confirms"),
    [*((kind, True) for kind in CONFIRMING_KINDS), *((kind, False) for kind in OTHER_KINDS[:2])],
)
async def test_first_reply_is_guarded_against_echo_where_the_server_confirms_the_threshold(
    kind: type[fake_server_variants.OfficialServer], confirms: bool
) -> None:
    there = kind()
    async with there.running() as url, running_call_user(url, ready_seconds=kind.confirm_timeout_s) as person:
        await person.wait_for_snapshot(is_listening)
        await there.finish_confirming()
        opening_updates = len(there.session_updates)
        await there.simulate_spoken_turn()
        await person.wait_for_snapshot(is_shown(fake_server_variants.SPOKEN, fake_server_variants.REPLY))
        await person.wait_for_snapshot(is_listening)
        if confirms:
            await person.page.wait_until(lambda: len(there.session_updates) == opening_updates + 2)
        else:  # what was sent before this message has arrived before it
            assert await person.send_text(fake_server_variants.TYPED)
            await person.wait_for_snapshot(lambda snapshot: len(snapshot.bubbles) == 4)
    thresholds = [
        (update.get("turn_detection") or update["audio"]["input"]["turn_detection"])["threshold"]
        for update in there.session_updates[opening_updates:]
    ]
    assert thresholds == ([0.8, 0.5] if confirms else [])


@pytest.mark.parametrize(
    "kind",
    [fake_server_variants.BetaServer, fake_server_variants.UnannouncedBetaServer, fake_server_variants.SpeachesServer],
)
async def test_conversation_is_replayed_in_beta_dialect(kind: type[fake_server_variants.OfficialServer]) -> None:
    there = kind()
    async with there.running() as url, running_call_user(url, ready_seconds=kind.confirm_timeout_s) as person:
        await person.wait_for_snapshot(is_listening)
        await there.simulate_spoken_turn()
        await person.wait_for_snapshot(is_shown(fake_server_variants.SPOKEN, fake_server_variants.REPLY))
        there.sockets[-1].transport.abort()
        await person.wait_for_snapshot(
            lambda snapshot: is_listening(snapshot) and there.connection_count == 2 and len(there.received) == 2
        )
    assert [event["item"]["content"][0] for event in there.received] == [
        {"type": "input_text", "text": fake_server_variants.SPOKEN},
        {"type": "text", "text": fake_server_variants.REPLY},
    ]
    assert there.rejected_types == []


@pytest.mark.parametrize(
    "kind",
    [
        fake_server_variants.OfficialServer,
        fake_server_variants.SpeechToSpeechServer,
        fake_server_variants.SpeachesServer,
    ],
)
async def test_reply_is_interrupted_without_truncate_support(
    kind: type[fake_server_variants.OfficialServer],
) -> None:
    there = kind()
    async with there.running() as url, running_call_user(url, ready_seconds=kind.confirm_timeout_s) as person:
        await person.wait_for_snapshot(is_listening)
        await there.send_in_dialect(
            *server_events.response_started("r7", "a7"),
            *server_events.clause_deltas("r7", "a7", fake_server_variants.REPLY, 5000),
        )
        await person.wait_for_snapshot(lambda snapshot: snapshot.stage is CallStage.SPEAKING)
        await there.send_in_dialect(server_events.speech_started("u1"))
        await person.wait_for_snapshot(lambda snapshot: snapshot.stage is CallStage.USER_SPEAKING)
        await there.send_in_dialect(
            *server_events.turn_committed("u1"),
            server_events.transcription_completed("u1", fake_server_variants.SPOKEN),
            *there.reply_events(1),
        )
        last = await person.wait_for_snapshot(
            lambda snapshot: is_listening(snapshot) and snapshot.bubbles[-1].text == fake_server_variants.REPLY
        )
        assert last.notice is None
        assert last.bubbles[0].unheard
    sent_types = there.rejected_types or [event["type"] for event in there.received]
    assert sent_types == ["conversation.item.truncate", "response.cancel"]
