"""A call and a chat with every kind of server: what differs from one to the next is not the visitor's business."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.snapshot import CallStage

from .persons import (  # noqa: F401  (two are fixtures)
    IN_CALL_AND_CHAT,
    SessionFactory,
    is_listening,
    is_shown,
    no_secrets_logged,
    no_tasks_left,
    running_call_user,
)
from .realtime import kinds, script

pytestmark = pytest.mark.timeout(30)

KINDS = [
    kinds.OfficialServer,
    kinds.LocalAiServer,
    kinds.SpeechToSpeechServer,
    kinds.BetaServer,
    kinds.UnannouncedBetaServer,
    kinds.SpeachesServer,
]


@pytest.mark.parametrize("kind", KINDS)
@IN_CALL_AND_CHAT
async def test_a_message_is_answered_by_every_kind(
    kind: type[kinds.OfficialServer], start_session: SessionFactory
) -> None:
    there = kind()
    async with there.running() as url, start_session(url, ready_seconds=kind.confirm_timeout_s) as person:
        assert (await person.wait_for_snapshot(is_listening)).notice is None
        assert await person.send_text(kinds.TYPED)
        last = await person.wait_for_snapshot(is_shown(kinds.TYPED, kinds.REPLY))
        assert last.notice is None
        assert there.session_updates[-1]["instructions"] == kinds.PROMPT
    assert there.connection_count == 1
    assert there.rejected_types == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_voice_is_answered_by_every_kind(kind: type[kinds.OfficialServer]) -> None:
    there = kind()
    async with there.running() as url, running_call_user(url, ready_seconds=kind.confirm_timeout_s) as person:
        await person.wait_for_snapshot(is_listening)
        await there.simulate_spoken_turn()
        last = await person.wait_for_snapshot(is_shown(kinds.SPOKEN, kinds.REPLY))
        assert last.notice is None
        assert np.count_nonzero(np.concatenate(person.page.frames)) == kinds.REPLY_MS * 24
    assert there.rejected_types == []


@pytest.mark.parametrize("kind", [kinds.BetaServer, kinds.UnannouncedBetaServer, kinds.SpeachesServer])
async def test_a_conversation_is_told_again_in_beta(kind: type[kinds.OfficialServer]) -> None:
    there = kind()
    async with there.running() as url, running_call_user(url, ready_seconds=kind.confirm_timeout_s) as person:
        await person.wait_for_snapshot(is_listening)
        await there.simulate_spoken_turn()
        await person.wait_for_snapshot(is_shown(kinds.SPOKEN, kinds.REPLY))
        there.sockets[-1].transport.abort()
        await person.wait_for_snapshot(
            lambda snapshot: is_listening(snapshot) and there.connection_count == 2 and len(there.received) == 2
        )
    assert [event["item"]["content"][0] for event in there.received] == [
        {"type": "input_text", "text": kinds.SPOKEN},
        {"type": "text", "text": kinds.REPLY},
    ]
    assert there.rejected_types == []


@pytest.mark.parametrize("kind", [kinds.OfficialServer, kinds.SpeechToSpeechServer, kinds.SpeachesServer])
async def test_a_reply_is_interrupted_also_where_truncating_is_unknown(kind: type[kinds.OfficialServer]) -> None:
    there = kind()
    async with there.running() as url, running_call_user(url, ready_seconds=kind.confirm_timeout_s) as person:
        await person.wait_for_snapshot(is_listening)
        await there.send_in_dialect(
            *script.response_started("r7", "a7"), *script.clause_deltas("r7", "a7", kinds.REPLY, 5000)
        )
        await person.wait_for_snapshot(lambda snapshot: snapshot.stage is CallStage.SPEAKING)
        await there.send_in_dialect(script.speech_started("u1"))
        await person.wait_for_snapshot(lambda snapshot: snapshot.stage is CallStage.USER_SPEAKING)
        await there.send_in_dialect(
            *script.turn_committed("u1"), script.transcription_completed("u1", kinds.SPOKEN), *there.reply_events(1)
        )
        last = await person.wait_for_snapshot(
            lambda snapshot: is_listening(snapshot) and snapshot.bubbles[-1].text == kinds.REPLY
        )
        assert last.notice is None
        assert last.bubbles[0].unheard
    assert set(there.rejected_types) <= {"conversation.item.truncate"}
    assert there.rejected_types or [event["type"] for event in there.received] == ["conversation.item.truncate"]
