"""A call whose language model is llama.cpp's own HTTP server, killed in the middle of an answer."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from tests.data.speech import load_clip
from tests.support.app.app_process import OPERATOR_KEY, running_app
from tests.support.browser.browser_page import EVENT_TIMEOUT_S, BrowserPage
from tests.support.browser.page_steps import wait_for_whole_reply
from tests.support.endpoints.llama_http_server import LlamaSettings, running_llama_server
from tests.support.speech_recognition import error_rate, transcribe

SENTENCES = (
    "The keeper of the lighthouse makes a pot of tea. ",
    "His old cat sleeps on the warm stones. ",
    "A small boat comes back to the harbour. ",
    "The children run down to the beach. ",
)
STORY = "root ::= (" + " ".join(f'"{sentence}"' for sentence in SENTENCES) + ")+"
"""Grammar of an answer that goes on until its limit of tokens, about a minute of speech."""
OPENER = "Let me think."
"""Said by the app where the first word is late, as on a busy machine."""
NOTICE = "The chosen language model cannot be reached: the built-in one answered."


def test_killed_language_model_ends_the_clause_and_the_built_in_one_takes_over(
    browser: Browser, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    with running_llama_server(LlamaSettings(grammar=STORY)) as llama:
        # LLM_URL decides, although there is a key for OpenAI.
        settings = {"LLM_URL": llama.url, "LLM_API_KEY": llama.key, "OPENAI_API_KEY": OPERATOR_KEY}
        with running_app(log, **settings) as app:
            app.wait_for_health(lambda health: health["http"] == 200, timeout=120)
            caller = BrowserPage(browser, app.url)
            caller.start_call()
            question = load_clip("en", "human", 1)
            speech = caller.play_speech(question.samples)
            caller.wait_until(f"() => document.getElementById('voice-chat').innerText.includes('{SENTENCES[0][:30]}')")
            caller.wait_until_loud(speech.end_s)
            llama.kill()

            # What was said before is heard to the end of its clause, and is what the page shows.
            caller.wait_for_stage("listening")
            caller.wait_until_quiet(1.0)
            said, answered = caller.voice_messages()
            assert error_rate(question.text, said.text) <= 0.34
            heard = transcribe(caller.recorded_output(speech.end_s, caller.audio_clock_s()))
            shown, mark, _ = answered.text.partition(" [broken off")
            assert mark and error_rate(shown, heard) <= 0.34
            story = shown.removeprefix(OPENER).strip()
            assert story and ("".join(SENTENCES) * 20).startswith(story)

            # The next turn is answered on this computer, and the page says why.
            second = caller.play_speech(load_clip("en", "human", 0).samples)
            caller.page.get_by_text(NOTICE).first.wait_for(timeout=EVENT_TIMEOUT_S * 1000)
            wait_for_whole_reply(caller, second.end_s)
            messages = caller.voice_messages()
            assert [message.role for message in messages] == ["user", "assistant"] * 2
            assert messages[-1].text and SENTENCES[1].strip() not in messages[-1].text
            caller.hang_up()
            errors = caller.errors
            caller.close()
            health = app.wait_for_health(lambda health: health["calls"] == 0, timeout=30)
            assert health["server"] == "offline"
    assert not errors
    text = log.read_text()
    assert "fault=broken_off" in text or "fault=unreachable" in text
    assert "Traceback" not in text
    assert not [secret for secret in (llama.key, OPERATOR_KEY, "keeper", "sleeps") if secret in text + str(health)]
