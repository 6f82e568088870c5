"""Export of a conversation: the files match the call, and no temporary file remains."""

from __future__ import annotations

import io
import json
import os
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Download

from tests.data.speech import load_clip
from tests.support.app.app_process import AppProcess, running_app
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_steps import wait_for_whole_reply
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer
from tests.support.speech_recognition import error_rate, transcribe

REPLY_S = 30.0
"""Seconds of a long reply: it is still played when the page closes."""


def save(caller: BrowserPage, kind: str) -> Download:
    caller.open_more_menu()
    with caller.page.expect_download() as waiting:
        caller.page.locator(f"#voice-export-{kind}").click()
    return waiting.value


def read_download(download: Download) -> bytes:
    return Path(download.path()).read_bytes()


def read_stereo(data: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels()) == (24_000, 2)
        both = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    left, right = (both.astype(np.float32) / 32768).T
    return left, right


def unlinked_files(app: AppProcess) -> int:
    """Return the unnamed temporary files that the app holds open."""
    found = 0
    for entry in os.scandir(f"/proc/{app.process.pid}/fd"):
        try:
            found += "(deleted)" in str(Path(entry.path).readlink())
        except FileNotFoundError:  # closed in the meantime
            continue
    return found


def test_exported_conversation_matches_the_call(caller: BrowserPage, app: AppProcess) -> None:
    files_before = unlinked_files(app)
    caller.open_more_menu()
    caller.page.locator("#voice-export-md").click()
    caller.page.get_by_text("There is nothing to save yet.").wait_for()

    question = load_clip("en", "human", 1)
    caller.start_call()
    speech = caller.play_speech(question.samples)
    end = wait_for_whole_reply(caller, speech.end_s)
    shown = caller.voice_messages()
    caller.hang_up()

    markdown = save(caller, "md")
    assert markdown.suggested_filename.startswith("voice-chat-")
    assert markdown.suggested_filename.endswith(".md")
    text = read_download(markdown).decode()
    assert "**You** (0:0" in text
    assert "**Model** (0:" in text

    messages = json.loads(read_download(save(caller, "json")))["messages"]
    assert [(m["role"], m["text"]) for m in messages] == [(message.role, message.text) for message in shown]
    mine, reply = messages
    assert 0 < mine["start"] < mine["end"] < reply["start"] < reply["end"]
    assert "\nModel: " in read_download(save(caller, "srt")).decode()

    left, right = read_stereo(read_download(save(caller, "wav")))
    assert error_rate(question.text, transcribe(left)) <= 0.34, "the visitor is on the left"
    assert error_rate(reply["text"], transcribe(right)) <= 0.34, "the model is on the right"
    begin, finish = round(reply["start"] * 24_000), round(reply["end"] * 24_000)
    assert not right[: begin - 2400].any(), "the times in the text match the recording"
    assert not right[finish + 2400 :].any()
    assert np.abs(right[begin : begin + 12_000]).max() > 0.01
    heard = caller.recorded_output(speech.end_s, end)
    assert np.count_nonzero(np.abs(right) > 0.02) > 0.5 * np.count_nonzero(np.abs(heard) > 0.02), (
        "as loud as it was heard"
    )

    caller.page.locator("#voice-clear").click()
    caller.wait_until("() => document.querySelectorAll('#voice-chat [data-testid=bot]').length === 0")
    caller.open_more_menu()
    caller.page.locator("#voice-export-wav").click()
    caller.page.get_by_text("There is nothing to save yet.").first.wait_for()
    assert unlinked_files(app) <= files_before


@pytest.fixture
def forgetful_app(tmp_path: Path) -> Iterator[AppProcess]:
    """Yield an app that keeps nothing of a page that is closed. Its server answers every call at length."""
    with ThreadedRealtimeServer(
        "Tell me a story.", "Once upon a time there was a lighthouse.", REPLY_S
    ).running() as server:
        settings = {"REALTIME_URL": server.url, "REALTIME_API_KEY": "sk-test", "RESUME_MINUTES": "0"}
        with running_app(tmp_path / "log.txt", **settings) as forgetful:
            forgetful.wait_for_health(lambda health: health["http"] == 200)
            yield forgetful


@pytest.mark.beside
def test_closed_page_deletes_its_recording(forgetful_app: AppProcess, browser: Browser) -> None:
    app = forgetful_app
    before = unlinked_files(app)
    caller = BrowserPage(browser, app.url)
    caller.press_call_button()
    caller.wait_for_stage("speaking")
    caller.wait_until("(t) => caller.now() > t", caller.audio_clock_s() + 7.0)  # longer than the part kept in memory
    assert unlinked_files(app) > before
    caller.close()
    app.wait_for_health(lambda health: health["calls"] == 0 and unlinked_files(app) <= before, timeout=30)


def test_hang_up_during_a_reply_strikes_through_the_rest_and_records_the_heard_part_only(caller: BrowserPage) -> None:
    caller.start_call()
    asked = caller.audio_clock_s()
    caller.send_typed_message("Please tell me a long story about a lighthouse keeper and his cat, in many sentences.")
    caller.wait_until_loud(asked)
    caller.hang_up()
    caller.page.wait_for_selector("#voice-chat .unheard", state="attached")
    reply = json.loads(read_download(save(caller, "json")))["messages"][-1]
    assert reply["state"] == "interrupted"
    assert reply["unheard"]
    subtitles = read_download(save(caller, "srt")).decode().partition("\nModel: ")[2]
    assert subtitles, "only the end is compared: the unheard part may be one word that was said before"
    assert not subtitles.strip().endswith(reply["unheard"].strip())
    _, right = read_stereo(read_download(save(caller, "wav")))
    assert len(right) / 24_000 < reply["end"] + 1.0, "unheard audio is not recorded"
