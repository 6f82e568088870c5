"""Note on the models: who answers, what leaves the server, and the news, in both languages and without an address."""

from __future__ import annotations

import html
import re

import pytest

import app
from voicechat.config.groups.embedded_settings import EndpointScope
from voicechat.config.settings import Settings
from voicechat.ui.i18n import NOT_USED_REASONS, Locale
from voicechat.ui.settings_panel.model_note import EmbeddedModelStatus, render_model_note
from voicechat.upstream.model_news import EmbeddedPart, ModelKind, ModelNews, ModelNewsStage, NotUsedReason

LOCALES: tuple[Locale, ...] = ("en", "zh-TW")
STT = ModelKind.STT


def paragraphs(status: EmbeddedModelStatus, locale: Locale) -> list[str]:
    """Return the text of the note's paragraphs."""
    found = re.findall(r'<p class="note">([^<]*)</p>', render_model_note(status, locale))
    return [html.unescape(each) for each in found]


@pytest.mark.parametrize(
    ("news", "english", "chinese"),
    [
        (
            ModelNews(ModelNewsStage.FETCHING, percent=40, megabytes=986),
            "A better language model is being downloaded: 40 % of 986 MB.",
            "正在下載更好的語言模型（986 MB），已完成 40%。",
        ),
        (
            ModelNews(ModelNewsStage.LOADING, STT),
            "A better speech recognition model is being loaded.",
            "正在載入更好的語音辨識模型。",
        ),
        (
            ModelNews(ModelNewsStage.AFTER_CALL),
            "A better language model is loaded, and waits until nobody is talking.",
            "更好的語言模型已經載入，會等到沒有人在對話時再試用。",
        ),
        (
            ModelNews(ModelNewsStage.NOT_USED, STT, reason=NotUsedReason.NO_MEMORY),
            "A better speech recognition model is not used, because it needs more free memory.",
            "沒有使用更好的語音辨識模型，因為可用的記憶體不夠。",
        ),
        (
            ModelNews(ModelNewsStage.NOT_USED),
            "A better language model is not used.",
            "目前沒有使用更好的語言模型。",
        ),
        (
            ModelNews(ModelNewsStage.FEW_PROCESSORS, processors=2, needed_processors=4),
            "A better language model needs 4 processor cores, and this server has 2.",
            "更好的語言模型需要 4 個處理器核心，這台伺服器只有 2 個。",
        ),
        (
            ModelNews(ModelNewsStage.CHOSEN_MISSING, model="qwen"),
            "The chosen model qwen is missing. The administrator has to run: python -m offline.models fetch.",
            "缺少指定的模型 qwen，請管理員執行：python -m offline.models fetch。",
        ),
    ],
    ids=lambda value: value.stage if isinstance(value, ModelNews) else "",
)
def test_news_follow_the_model_in_use(news: ModelNews, english: str, chinese: str) -> None:
    status = EmbeddedModelStatus("small", news=(news,))
    assert paragraphs(status, "en") == ["The built-in language model answers: small.", english]
    assert paragraphs(status, "zh-TW") == ["由內建的語言模型回答：small。", chinese]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("reason", NotUsedReason)
def test_every_reason_is_named(reason: NotUsedReason, locale: Locale) -> None:
    note = render_model_note(
        EmbeddedModelStatus("small", news=(ModelNews(ModelNewsStage.NOT_USED, reason=reason),)), locale
    )
    assert NOT_USED_REASONS[reason][locale == "zh-TW"] in note


@pytest.mark.parametrize(
    ("status", "english", "chinese"),
    [
        (EmbeddedModelStatus(), "The built-in language model is not loaded yet.", "內建的語言模型還沒有載入。"),
        (
            EmbeddedModelStatus("small", llm=EndpointScope.PRIVATE, llm_model="qwen3:4b"),
            "A language model that the operator has chosen answers: qwen3:4b. Its address is in the operator's own "
            "network. When it cannot answer, the built-in one does: small.",
            "由管理員指定的語言模型回答：qwen3:4b。它的位址在管理員自己的網路裡。它無法回答時，改由內建的語言模型回答：small。",
        ),
        (
            EmbeddedModelStatus(llm=EndpointScope.PUBLIC),
            "A language model that the operator has chosen answers. It is an outside service, which receives the text "
            "of the conversation. When it cannot answer, the built-in one does.",
            "由管理員指定的語言模型回答。它是外部服務，對話的文字會傳到那裡。它無法回答時，改由內建的語言模型回答。",
        ),
        (
            EmbeddedModelStatus("small", stt=EndpointScope.PUBLIC, tts=EndpointScope.PRIVATE),
            "The built-in language model answers: small. Speech is recognised by an outside service that the operator "
            "has chosen. It receives the sound of your voice. The voice comes from a service in the operator's own "
            "network.",
            "由內建的語言模型回答：small。語音辨識由管理員指定的外部服務負責，你的聲音會傳到那裡。"
            "說話的聲音由管理員自己網路裡的服務產生。",
        ),
        (
            EmbeddedModelStatus("small", stt=EndpointScope.PRIVATE, tts=EndpointScope.PUBLIC),
            "The built-in language model answers: small. Speech is recognised by a service in the operator's own "
            "network. The voice comes from an outside service that the operator has chosen. It receives the text of "
            "the answers.",
            "由內建的語言模型回答：small。語音辨識由管理員自己網路裡的服務負責。"
            "說話的聲音由管理員指定的外部服務產生，回答的文字會傳到那裡。",
        ),
        (
            EmbeddedModelStatus(
                "small", llm=EndpointScope.PRIVATE, llm_model="qwen3:4b", fallbacks=frozenset({EmbeddedPart.LLM})
            ),
            "A language model that the operator has chosen answers: qwen3:4b. Its address is in the operator's own "
            "network. At the moment it cannot answer, and the built-in one does: small.",
            "由管理員指定的語言模型回答：qwen3:4b。它的位址在管理員自己的網路裡。它目前無法回答，暫時由內建的語言模型回答：small。",
        ),
        (
            EmbeddedModelStatus(
                "small", stt=EndpointScope.PRIVATE, tts=EndpointScope.PRIVATE, fallbacks=frozenset(EmbeddedPart)
            ),
            "The built-in language model answers: small. Speech is recognised by a service in the operator's own "
            "network. At the moment it does not work, and the built-in recognition takes its place. The voice comes "
            "from a service in the operator's own network. At the moment it does not work, and the built-in voice "
            "takes its place.",
            "由內建的語言模型回答：small。語音辨識由管理員自己網路裡的服務負責。它目前無法使用，暫時改用內建的語音辨識。"
            "說話的聲音由管理員自己網路裡的服務產生。它目前無法使用，暫時改用內建的聲音。",
        ),
        (
            EmbeddedModelStatus("small", has_own_key=True, news=(ModelNews(ModelNewsStage.LOADING),)),
            "With your own key a model of OpenAI answers, not the one of this server.",
            "使用你的金鑰時，由 OpenAI 的模型回答，不使用這台伺服器上的模型。",
        ),
    ],
    ids=[
        "not loaded",
        "private endpoint",
        "public endpoint",
        "public recognition",
        "public voice",
        "model fails",
        "speech fails",
        "own key",
    ],
)
def test_note_says_who_answers_and_what_leaves_the_server(
    status: EmbeddedModelStatus, english: str, chinese: str
) -> None:
    assert paragraphs(status, "en") == [english]
    assert paragraphs(status, "zh-TW") == [chinese]


@pytest.mark.parametrize("locale", LOCALES)
def test_names_are_text_and_never_html(locale: Locale) -> None:
    name = '<img src=x onerror="alert(1)">{0}'
    news = (ModelNews(ModelNewsStage.CHOSEN_MISSING, model=name),)
    note = render_model_note(EmbeddedModelStatus(name, llm=EndpointScope.PRIVATE, llm_model=name, news=news), locale)
    assert "<img" not in note
    assert note.count(html.escape(name)) == 3


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("host", "scope"), [("192.0.2.7", "private"), ("llm.example.com", "public")])
def test_endpoints_of_the_settings_are_shown_without_their_addresses(host: str, scope: str, locale: Locale) -> None:
    settings = Settings.from_env(
        {
            "LLM_URL": f"http://{host}:4321/secret/v1",
            "LLM_MODEL": "qwen3:4b",
            "LLM_API_KEY": "sk-canary",
            "STT_URL": f"http://{host}:4321/secret/v1",
            "TTS_URL": f"http://{host}:4321/secret/v1",
        }
    )
    status = app.create_application(settings).model_status()
    assert {status.llm, status.stt, status.tts} == {EndpointScope(scope)}
    note = render_model_note(status, locale)
    assert "qwen3:4b" in note
    assert not [word for word in (host, "4321", "secret", "canary") if word in note + repr(status)]


def test_own_key_of_a_visitor_counts_where_it_is_allowed() -> None:
    assert app.create_application(Settings()).model_status("sk-visitor").has_own_key
    assert not app.create_application(Settings(allow_own_key=False)).model_status("sk-visitor").has_own_key
    assert not app.create_application(Settings()).model_status().has_own_key
