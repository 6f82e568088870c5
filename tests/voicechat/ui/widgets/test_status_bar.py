"""Status bar: the sentence of a notice, and the server's words after it, as text."""

from __future__ import annotations

import pytest

from voicechat.config.settings import Settings
from voicechat.protocol.failures import Failure
from voicechat.ui.tabs import text_tab, voice_tab
from voicechat.ui.widgets.status_bar import render_status_bar


@pytest.mark.parametrize("render", [voice_tab.render_status, text_tab.render_status], ids=["call", "chat"])
def test_server_words_follow_the_sentence_in_both_languages(render: object) -> None:
    assert callable(render)
    english = render("failed", Failure.REFUSED, "custom", "en", server_words="No pirates {0}.")
    assert (
        "because of its rules. The administrator has to check the account. The server says: “No pirates {0}.”"
        in english
    )
    chinese = render("failed", Failure.REFUSED, "custom", "zh-TW", server_words="不行")
    assert "請管理員檢查帳戶。伺服器的說明是：「不行」" in chinese
    own_key = render("failed", Failure.REFUSED_OWN_KEY, "custom_own_key", "en", server_words="No pirates.")
    assert "or continue without the key. The server says: “No pirates.”" in own_key
    assert "says" not in render("failed", Failure.REFUSED, "custom", "en")


def test_server_words_are_text_and_never_html() -> None:
    shown = render_status_bar("failed", Failure.REFUSED, "Refused.", "custom", "en", '<img src=x onerror="alert(1)">')
    assert "<img" not in shown and "&lt;img" in shown


@pytest.mark.parametrize(
    ("variables", "server", "title"),
    [
        ({}, "offline", "Your voice goes nowhere else."),
        ({"LLM_URL": "http://127.0.0.1:11434"}, "offline_network", "addresses in the operator&#x27;s own network"),
        ({"LLM_URL": "https://api.groq.com/openai/v1"}, "offline_text", "Your voice stays on this server. Text"),
        ({"TTS_URL": "https://api.openai.com"}, "offline_text", "Your voice stays on this server. Text"),
        ({"STT_URL": "https://api.openai.com", "LLM_URL": "http://10.0.0.5"}, "offline_voice", "Your voice goes to"),
        ({"OFFLINE_URL": "ws://127.0.0.1:8765, ws://localhost:8766, ws://[::1]:8767"}, "offline", "goes nowhere else."),
        ({"OFFLINE_URL": "ws://10.0.0.5:8765"}, "offline_network", "operator&#x27;s own network"),
        ({"OFFLINE_URL": "ws://127.0.0.1:8765,ws://offline:8765"}, "offline_network", "operator&#x27;s own network"),
        ({"OFFLINE_URL": "ws://198.51.100.9.example:8765"}, "offline_voice", "services that its operator has chosen"),
        ({"OFFLINE_URL": "ws://127.0.0.1:1,wss://voice.example"}, "offline_voice", "Your voice goes to this page"),
        ({"OFFLINE_URL": "ws://8.8.8.8:8765", "LLM_URL": "http://10.0.0.5"}, "offline_voice", "Your voice goes to"),
        ({"OFFLINE_URL": "ws://10.0.0.5:8765", "LLM_URL": "https://api.groq.com"}, "offline_voice", "Your voice goes"),
        ({"STT_URL": "http://10.0.0.5", "LLM_URL": "https://api.groq.com"}, "offline_voice", "Your voice goes to"),
        ({"STT_URL": "http://127.0.0.1:1", "LLM_URL": "https://api.groq.com"}, "offline_text", "Your voice stays on"),
        ({"OPENAI_API_KEY": "sk-operator"}, "other", "Your voice goes to this page"),
    ],
)
def test_title_tells_what_leaves_the_server(variables: dict[str, str], server: str, title: str) -> None:
    name = Settings.from_env(variables).endpoint("ws://127.0.0.1:1").name
    shown = render_status_bar("idle", None, "Ready.", name, "en")
    assert f'data-server="{server}"' in shown and title in shown
    assert all(host not in shown for host in ("127.0.0.1", "groq", "10.0.0.5", "8.8.8.8", "voice.example"))
