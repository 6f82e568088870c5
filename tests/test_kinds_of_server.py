"""A call and a chat with every kind of server: what differs from one to the next is not the visitor's business."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.snapshot import Stage

from .persons import BOTH, At, call, discreet, listening, said, tidy  # noqa: F401  (two are fixtures)
from .realtime import kinds, script

pytestmark = pytest.mark.timeout(30)

KINDS = [kinds.Official, kinds.LocalAI, kinds.SpeechToSpeech, kinds.Beta, kinds.SecretiveBeta, kinds.Speaches]


@pytest.mark.parametrize("kind", KINDS)
@BOTH
async def test_a_message_is_answered_by_every_kind(kind: type[kinds.Official], person_at: At) -> None:
    there = kind()
    async with there.running() as url, person_at(url, ready_seconds=kind.patience) as person:
        assert (await person.shows(listening)).notice is None
        assert await person.types(kinds.TYPED)
        last = await person.shows(said(kinds.TYPED, kinds.REPLY))
        assert last.notice is None
        assert there.updates[-1]["instructions"] == kinds.PROMPT
    assert there.visits == 1
    assert there.complaints == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_voice_is_answered_by_every_kind(kind: type[kinds.Official]) -> None:
    there = kind()
    async with there.running() as url, call(url, ready_seconds=kind.patience) as person:
        await person.shows(listening)
        await there.hear()
        last = await person.shows(said(kinds.SPOKEN, kinds.REPLY))
        assert last.notice is None
        assert np.count_nonzero(np.concatenate(person.page.frames)) == kinds.REPLY_MS * 24
    assert there.complaints == []


@pytest.mark.parametrize("kind", [kinds.Beta, kinds.SecretiveBeta, kinds.Speaches])
async def test_a_conversation_is_told_again_in_beta(kind: type[kinds.Official]) -> None:
    there = kind()
    async with there.running() as url, call(url, ready_seconds=kind.patience) as person:
        await person.shows(listening)
        await there.hear()
        await person.shows(said(kinds.SPOKEN, kinds.REPLY))
        there.sockets[-1].transport.abort()
        await person.shows(lambda snapshot: listening(snapshot) and there.visits == 2 and len(there.got) == 2)
    assert [event["item"]["content"][0] for event in there.got] == [
        {"type": "input_text", "text": kinds.SPOKEN},
        {"type": "text", "text": kinds.REPLY},
    ]
    assert there.complaints == []


@pytest.mark.parametrize("kind", [kinds.Official, kinds.SpeechToSpeech, kinds.Speaches])
async def test_a_reply_is_interrupted_also_where_truncating_is_unknown(kind: type[kinds.Official]) -> None:
    there = kind()
    async with there.running() as url, call(url, ready_seconds=kind.patience) as person:
        await person.shows(listening)
        await there.say(*script.reply_begins("r7", "a7"), *script.clause("r7", "a7", kinds.REPLY, 5000))
        await person.shows(lambda snapshot: snapshot.stage is Stage.SPEAKING)
        await there.say(script.speech_started("u1"))
        await person.shows(lambda snapshot: snapshot.stage is Stage.HEARING)
        await there.say(*script.turn_over("u1"), script.heard("u1", kinds.SPOKEN), *there.reply(1))
        last = await person.shows(lambda snapshot: listening(snapshot) and snapshot.bubbles[-1].text == kinds.REPLY)
        assert last.notice is None
        assert last.bubbles[0].unheard
    assert set(there.complaints) <= {"conversation.item.truncate"}
    assert there.complaints or [event["type"] for event in there.got] == ["conversation.item.truncate"]
