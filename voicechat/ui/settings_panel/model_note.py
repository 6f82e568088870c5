"""Note on the models of the embedded server: which one answers, what leaves the server, and news of better ones.

It is rendered when the page loads, and again each time that the panel opens (settings_panel.js).
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from voicechat.config.groups.embedded_settings import EndpointScope
from voicechat.session.visitor import Visitor
from voicechat.ui.i18n import (
    MODEL_KINDS,
    MODEL_NEWS_TEXTS,
    MODEL_TEXTS,
    NOT_USED_REASONS,
    Locale,
    get_message,
)
from voicechat.ui.load_steps import LoadSteps
from voicechat.upstream.model_news import EmbeddedPart, ModelNews, ModelNewsStage


@dataclass(frozen=True, slots=True)
class EmbeddedModelStatus:
    """Models that a visitor's next call uses. It holds no address of an endpoint, which may be private."""

    built_in_model: str = ""
    """Name of the embedded server's language model; "" before it is loaded."""
    has_own_key: bool = False
    """Whether the visitor's own key leads to OpenAI instead."""
    llm: EndpointScope = EndpointScope.NONE
    llm_model: str = ""
    """Model that is asked of the language model's endpoint; "" for the only one that it offers."""
    stt: EndpointScope = EndpointScope.NONE
    tts: EndpointScope = EndpointScope.NONE
    news: tuple[ModelNews, ...] = ()
    fallbacks: frozenset[EmbeddedPart] = frozenset()
    """Parts that the embedded server does itself at present, because their endpoints fail."""
    voices: tuple[str, ...] = ()
    """Ids of the built-in voices to choose from; () before they are loaded."""


EmbeddedModelStatusProvider = Callable[[str], EmbeddedModelStatus]
"""Maps a visitor's own key, or "", to the present models."""


@dataclass(frozen=True, slots=True)
class NoteFields:
    """The note, and the hidden button that renders it again."""

    note: gr.HTML
    refresh: gr.Button


def render_model_note(status: EmbeddedModelStatus, locale: Locale) -> str:
    """Return the HTML of the note: a paragraph on the models in use, and one for each news."""
    if status.has_own_key:
        paragraphs = [get_message(MODEL_TEXTS, "own_key", locale)]
    else:
        in_use = [*_answering_sentences(status, locale), *_speech_sentences(status, locale)]
        paragraphs = [("" if locale == "zh-TW" else " ").join(in_use)]
        paragraphs += [_news_sentence(each, locale) for each in status.news]
    return "".join(f'<p class="note">{html.escape(each)}</p>' for each in paragraphs)


def _answering_sentences(status: EmbeddedModelStatus, locale: Locale) -> list[str]:
    if status.llm is EndpointScope.NONE:
        return [_named_sentence("built_in", status.built_in_model, locale)]
    return [
        _named_sentence("endpoint", status.llm_model, locale),
        get_message(MODEL_TEXTS, f"llm_{status.llm.value}", locale),
        _named_sentence(
            "llm_local" if EmbeddedPart.LLM in status.fallbacks else "fallback", status.built_in_model, locale
        ),
    ]


def _named_sentence(code: str, model: str, locale: Locale) -> str:
    return get_message(MODEL_TEXTS, code if model else f"{code}_unnamed", locale).format(model=model)


def _speech_sentences(status: EmbeddedModelStatus, locale: Locale) -> list[str]:
    sentences = []
    for part, scope in ((EmbeddedPart.STT, status.stt), (EmbeddedPart.TTS, status.tts)):
        if scope is not EndpointScope.NONE:
            sentences.append(get_message(MODEL_TEXTS, f"{part}_{scope.value}", locale))
            if part in status.fallbacks:
                sentences.append(get_message(MODEL_TEXTS, f"{part}_local", locale))
    return sentences


def _news_sentence(news: ModelNews, locale: Locale) -> str:
    is_unknown = news.stage is ModelNewsStage.NOT_USED and news.reason is None
    return get_message(MODEL_NEWS_TEXTS, "not_used_unknown" if is_unknown else news.stage, locale).format(
        kind=get_message(MODEL_KINDS, news.kind, locale),
        percent=news.percent,
        megabytes=news.megabytes,
        reason=get_message(NOT_USED_REASONS, news.reason, locale) if news.reason else "",
        processors=news.processors,
        needed_processors=news.needed_processors,
        model=news.model,
    )


def build() -> NoteFields:
    """Lay out the note in the current group."""
    note = gr.HTML(elem_id="model-note", padding=False)
    return NoteFields(note, gr.Button(elem_id="model-note-refresh"))  # pressed by settings_panel.js, never seen


def wire(
    fields: NoteFields,
    model_status: EmbeddedModelStatusProvider,
    visitor: gr.State,
    locale: gr.State,
    load_steps: LoadSteps,
) -> None:
    """Wire the note in the current Blocks. `locale` is known after the `load_steps`."""

    def render(session_visitor: Visitor, user_locale: Locale) -> str:
        return render_model_note(model_status(session_visitor.own_key), user_locale)

    async def on_refresh(session_visitor: Visitor, user_locale: Locale) -> str:
        return render(session_visitor, user_locale)

    load_steps.add(lambda session_visitor, user_locale: [render(session_visitor, user_locale)], [fields.note])
    fields.refresh.click(
        on_refresh,
        [visitor, locale],
        fields.note,
        show_progress="hidden",
        concurrency_limit=None,
        api_name=False,
    )
