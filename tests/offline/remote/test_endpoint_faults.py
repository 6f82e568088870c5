"""Faults of the endpoints: named in the results of a turn, and reported while this computer does their work."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from offline.endpoints.errors import EndpointFault
from offline.remote.endpoint_faults import EndpointFaults
from tests.support.endpoints.endpoint_rig import REQUEST, OpenRig, failure
from tests.support.endpoints.fake_chat_client import FakeChatClient, answer
from tests.support.endpoints.remote_rig import RemoteRig, each_clause, speak
from tests.support.endpoints.scripted_audio_server import in_turn, json_reply, refusal

BROKEN, WORDS = refusal(500), json_reply({"text": "Hello, Bear."})


async def test_speech_fault_is_named_until_the_endpoint_speaks_again(rig: RemoteRig) -> None:
    rig.server.speech = each_clause(None, BROKEN)
    assert await rig.voices_and_fault("a") == (["remote", *["local"] * 3], "server_error")
    rig.server.speech = speak
    assert await rig.voices_and_fault("b") == (["local"] * 4, "server_error")
    await rig.clock.advance(31)
    assert await rig.voices_and_fault("c") == (["remote"] * 4, "")
    assert rig.reported_faults == [{"tts": "server_error"}, {}]


async def test_speech_fault_of_one_text_is_named_and_not_reported(rig: RemoteRig) -> None:
    rig.server.speech = in_turn(refusal(400))
    assert await rig.voices_and_fault() == (["local"] * 4, "rejected")
    assert rig.reported_faults == []


async def test_transcription_fault_is_named_until_the_endpoint_answers_again(rig: RemoteRig) -> None:
    rig.server.transcription = in_turn(BROKEN, WORDS)
    turns = [await rig.final_transcript() for _ in range(2)]
    await rig.clock.advance(31)
    turns.append(await rig.final_transcript())
    assert [(turn.text, turn.endpoint_fault) for turn in turns] == [
        ("Hello there.", "server_error"),
        ("Hello there.", "server_error"),
        ("Hello, Bear.", ""),
    ]
    assert rig.reported_faults == [{"stt": "server_error"}, {}]


@pytest.mark.parametrize("audio", [b"\x01\x00" * 24_000, b"\x01\x00" * 240], ids=["noise", "click"])
async def test_turn_without_words_has_no_transcription_fault(rig: RemoteRig, audio: bytes) -> None:
    rig.recognizer.transcript = ""
    rig.server.transcription = in_turn(BROKEN)
    assert [(await rig.final_transcript(audio)).endpoint_fault for _ in range(2)] == ["", ""]


async def test_chat_fault_is_reported_until_the_endpoint_answers_again(open_rig: OpenRig) -> None:
    opened = open_rig(FakeChatClient([failure(EndpointFault.UNREACHABLE)], answer("Here again."), is_private=False))
    await opened.reply_to(REQUEST)
    assert opened.reported_faults == [{"llm": "unreachable"}]
    await opened.clock.advance(31)
    await opened.reply_to(REQUEST)
    assert opened.reported_faults == [{"llm": "unreachable"}, {}]


def test_faults_that_a_watcher_has_missed_are_reported_once() -> None:
    faults, reports = EndpointFaults(), list[Mapping[str, str]]()
    note_voice, note_words = faults.noter("tts"), faults.noter("stt")
    note_voice(EndpointFault.TIMEOUT)
    note_words(None)
    faults.watch(reports.append)
    note_voice(EndpointFault.TIMEOUT)
    note_words(EndpointFault.UNREACHABLE)
    note_voice(None)
    assert reports == [{"tts": "timeout"}, {"tts": "timeout", "stt": "unreachable"}, {"stt": "unreachable"}]
