"""Speech and recognition by an endpoint: order, fall-back to this computer, and cancellation, in a session worker."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from offline.endpoints.circuit_breaker import BreakerState
from offline.endpoints.speech_client import SpeechEndpoint
from offline.protocol.worker_messages import (
    Generate,
    ProvisionalTranscript,
    RecognitionFailed,
    Recognize,
    ReplyDone,
    ReplySpeech,
    SpeechPaused,
    SpeechResumed,
    StopGeneration,
)
from offline.remote import remote_speech
from offline.remote.remote_speech import accepted_result
from offline.stt.recognition_rules import RecognitionResult
from tests.support.endpoints.remote_rig import (
    AUDIO,
    BASE_REQUEST,
    CLAUSES,
    KEY,
    REQUEST,
    RemoteRig,
    clause_number,
    each_clause,
    speak,
    voice_of,
)
from tests.support.endpoints.scripted_audio_server import (
    AudioRequest,
    ScriptedAudioReply,
    in_turn,
    json_reply,
    refusal,
)

# ------------------------------------------------------------------ speech


async def test_reply_is_spoken_by_the_endpoint(rig: RemoteRig) -> None:
    assert await rig.voices() == ["remote"] * 4
    assert rig.synthesizer.spoken_texts == [] and rig.failures == []


async def test_clauses_are_delivered_in_order_with_two_requests_in_flight(rig: RemoteRig) -> None:
    first_may_end = asyncio.Event()
    slow = ScriptedAudioReply(b"\x07\x07" * len(CLAUSES[0]), begin=first_may_end)
    rig.server.speech = each_clause(slow)
    rig.worker.submit(Generate("r", REQUEST))
    await rig.server.wait_for(lambda server: len(server.requests) == 4)
    assert rig.results.empty(), "the first clause is not there yet"
    first_may_end.set()
    spoken = [result.text for result in await rig.results_until_done() if isinstance(result, ReplySpeech)]
    assert spoken == CLAUSES
    assert rig.server.most_in_flight == 2


@pytest.mark.parametrize(
    "failure",
    [
        refusal(429),
        refusal(500),
        ScriptedAudioReply(b"\x07\x07" * 99, cut_at=50),
        ScriptedAudioReply(b"ID3" + bytes(99), "audio/mpeg"),
        ScriptedAudioReply(b"<html>", "text/html"),
        json_reply({"error": {"message": "x"}}),
    ],
    ids=["429", "500", "cut", "mp3", "page", "json error"],
)
async def test_rest_of_a_reply_is_spoken_here_after_a_failure(
    failure: ScriptedAudioReply, rig: RemoteRig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rig.server.speech = each_clause(None, failure)
    assert await rig.voices() == ["remote", "local", "local", "local"]
    (line,) = [each.getMessage() for each in caplog.records if each.name == remote_speech.__name__]
    assert line.startswith(f"speech: endpoint failed host={rig.speech.client.host} fault=")
    assert len(rig.failures) == 1
    assert KEY not in caplog.text and "thing" not in caplog.text


async def test_clause_after_a_failed_one_does_not_change_the_voice_back(rig: RemoteRig) -> None:
    second_asked = asyncio.Event()

    def answer(request: AudioRequest) -> ScriptedAudioReply:
        if clause_number(request) == 0:
            return refusal(500, begin=second_asked)
        second_asked.set()
        return speak(request)

    rig.server.speech = answer
    assert await rig.voices() == ["local"] * 4


async def test_failure_of_a_later_clause_keeps_the_voice_of_an_earlier_one(rig: RemoteRig) -> None:
    first_may_end = asyncio.Event()
    slow = ScriptedAudioReply(b"\x07\x07" * len(CLAUSES[0]), begin=first_may_end)
    rig.server.speech = each_clause(slow, refusal(500))
    rig.worker.submit(Generate("r", REQUEST))
    while not rig.failures:
        await rig.server.wait_for(lambda server: len(server.requests) == 2)
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    first_may_end.set()
    spoken = [voice_of(result) for result in await rig.results_until_done() if isinstance(result, ReplySpeech)]
    assert spoken == ["remote", "local", "local", "local"]
    assert len(rig.server.requests) == 2, "no request after a failure"
    assert rig.speech.health.breaker.state is BreakerState.OPEN


async def test_endpoint_rests_after_a_failure_and_is_tried_again(rig: RemoteRig) -> None:
    rig.server.speech = in_turn(refusal(500))
    assert await rig.voices("a") == ["local"] * 4
    asked = len(rig.server.requests)
    rig.server.speech = speak
    assert await rig.voices("b") == ["local"] * 4
    assert len(rig.server.requests) == asked and len(rig.failures) == 1
    await rig.clock.advance(31)
    assert await rig.voices("c") == ["remote"] * 4
    assert rig.speech.health.breaker.state is BreakerState.CLOSED


async def test_refused_text_does_not_stop_later_replies(rig: RemoteRig) -> None:
    rig.server.speech = in_turn(refusal(400))
    assert await rig.voices("a") == ["local"] * 4
    rig.server.speech = speak
    assert await rig.voices("b") == ["remote"] * 4


async def test_barge_in_closes_both_requests(rig: RemoteRig) -> None:
    rig.server.speech = in_turn(ScriptedAudioReply(b"", begin=asyncio.Event()))
    rig.worker.submit(Generate("r", REQUEST))
    await rig.server.wait_for(lambda server: len(server.requests) == 2)
    rig.worker.submit(StopGeneration("r"))
    (done,) = await rig.results_until_done()
    assert isinstance(done, ReplyDone) and done.reason == "stopped"
    await rig.server.wait_for(lambda server: server.clients_left == 2)
    assert rig.synthesizer.spoken_texts == [] and rig.failures == []


async def test_barge_in_on_trial_leaves_the_trial_to_the_next_reply(rig: RemoteRig) -> None:
    rig.server.speech = in_turn(refusal(500))
    await rig.voices("a")
    await rig.clock.advance(31)
    asked = len(rig.server.requests)
    rig.server.speech = in_turn(ScriptedAudioReply(b"", begin=asyncio.Event()))
    rig.worker.submit(Generate("b", REQUEST))
    await rig.server.wait_for(lambda server: len(server.requests) > asked)
    rig.worker.submit(StopGeneration("b"))
    await rig.results_until_done()
    await rig.server.wait_for(lambda server: server.clients_left)
    rig.server.speech = speak
    assert await rig.voices("c") == ["remote"] * 4


async def test_failure_of_the_language_model_ends_the_reply_and_its_requests(rig: RemoteRig) -> None:
    rig.language_model.fails_after_pieces = True
    rig.language_model.piece_permits = threading.Semaphore(2)
    rig.server.speech = in_turn(ScriptedAudioReply(b"", begin=asyncio.Event()))
    rig.worker.submit(Generate("r", REQUEST))
    await rig.server.wait_for(lambda server: server.requests)
    rig.language_model.piece_permits.release(10)
    (done,) = await rig.results_until_done()
    assert isinstance(done, ReplyDone) and done.reason == "failed"
    await rig.server.wait_for(lambda server: server.clients_left == len(server.requests))
    assert rig.synthesizer.spoken_texts == []


@pytest.mark.parametrize("is_private", [True, False])
async def test_only_a_private_endpoint_speaks_a_reply_that_may_be_discarded(
    is_private: bool, rig: RemoteRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SpeechEndpoint, "is_private", is_private)
    rig.worker.submit(SpeechPaused("i", AUDIO, None, BASE_REQUEST))
    rig.server.transcription = in_turn(json_reply({"text": "Hello there."}))
    await rig.server.wait_for(lambda server: server.requests)
    while not rig.language_model.completed_count:
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    asked = 5 if is_private else 1  # the transcript, and the clauses
    await rig.server.wait_for(lambda server: len(server.requests) == asked)
    assert await rig.voices() == ["remote"] * 4
    assert len(rig.language_model.prompts) == 1, "the speculative reply is used"


# ------------------------------------------------------------------ final words


async def test_final_words_are_those_of_the_endpoint(rig: RemoteRig) -> None:
    rig.server.transcription = in_turn(json_reply({"text": "Hello, Bear."}))
    assert await rig.final_words() == ("Hello, Bear.", "en")


async def test_mandarin_of_the_endpoint_is_written_in_traditional_characters(rig: RemoteRig) -> None:
    rig.server.transcription = in_turn(json_reply({"text": "台湾很美,对吗?"}))
    assert await rig.final_words() == ("台灣很美，對嗎？", "zh")


@pytest.mark.parametrize(
    "reply",
    [refusal(429), refusal(500), json_reply({"words": 1}), json_reply({"text": "Hi."}, cut_at=5)],
    ids=["429", "500", "garbage", "cut"],
)
async def test_own_words_are_used_when_the_endpoint_fails(
    reply: ScriptedAudioReply, rig: RemoteRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.server.transcription = in_turn(reply)
    assert await rig.final_words() == ("Hello there.", "en")
    assert len(rig.failures) == 1
    assert f"transcription: endpoint failed host={rig.transcription.client.host}" in caplog.text
    assert KEY not in caplog.text and "Hello" not in caplog.text


async def test_own_words_are_used_when_the_endpoint_is_late(rig: RemoteRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_speech, "MAX_WAIT_AFTER_LOCAL_S", 0.05)
    rig.server.transcription = in_turn(json_reply({"text": "Hi."}, begin=asyncio.Event()))
    assert await rig.final_words() == ("Hello there.", "en")
    (line,) = rig.failures
    assert line.endswith(f"fault=timeout reason={rig.transcription.client.host} did not answer in time.")
    assert rig.transcription.health.breaker.state is BreakerState.OPEN
    assert await rig.final_words() == ("Hello there.", "en")
    await rig.server.wait_for(lambda server: (len(server.requests), server.clients_left) in ((1, 1), (0, 0)))


async def test_noise_and_the_shortest_turns_have_no_words(rig: RemoteRig) -> None:
    rig.recognizer.transcript = ""
    rig.server.transcription = in_turn(json_reply({"text": "Thank you for watching."}))
    assert await rig.final_words() == ("", "en")
    asked = len(rig.server.requests)
    assert await rig.final_words(AUDIO[:4000]) == ("", "en")
    assert len(rig.server.requests) == asked and rig.failures == []


async def test_failed_recognition_here_is_reported(rig: RemoteRig) -> None:
    rig.recognizer.transcript = None
    rig.worker.submit(Recognize("i", AUDIO, None))
    assert isinstance(await rig.next_result(), RecognitionFailed)


async def test_own_words_decide_the_end_of_a_turn_before_the_endpoint_answers(rig: RemoteRig) -> None:
    may_end = asyncio.Event()
    rig.server.transcription = in_turn(json_reply({"text": "Hello, Bear."}, begin=may_end))
    rig.worker.submit(SpeechPaused("i", AUDIO, None, None))
    while not rig.provisional:
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    assert rig.provisional == [ProvisionalTranscript("i", "Hello there.")]
    may_end.set()
    assert await rig.final_words() == ("Hello, Bear.", "en")
    assert len(rig.provisional) == 1


async def test_resumed_speech_closes_the_request(rig: RemoteRig) -> None:
    rig.server.transcription = in_turn(json_reply({"text": "Hi."}, begin=asyncio.Event()))
    rig.worker.submit(SpeechPaused("i", AUDIO, None, None))
    await rig.server.wait_for(lambda server: server.requests)
    rig.worker.submit(SpeechResumed("i"))
    await rig.server.wait_for(lambda server: server.clients_left == 1)
    assert rig.failures == [] and rig.transcription.health.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("text", ["", "♪ ♪", "ha " * 40, "Thank you so much for watching."])
def test_implausible_words_of_the_endpoint_are_not_used(text: str) -> None:
    own = RecognitionResult("Hello.", "en")
    assert accepted_result(text, None, own, 1.0) == own
