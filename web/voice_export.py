"""The voice tab's drawer for taking a conversation along: as Markdown, JSON, subtitles, and the call as sound."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from weakref import WeakValueDictionary

import gradio as gr
from gradio.events import Dependency

from realtime.export import to_json, to_markdown, to_srt
from realtime.items import Role, Utterance
from realtime.settings import Settings
from realtime_handler import Visitor

from .downloads import Download, Downloads
from .texts import EXPORT, Locale, label, sentence


class Kind(StrEnum):
    """What a conversation can be taken along as. The values are the endings of the files."""

    MARKDOWN = "md"
    JSON = "json"
    SUBTITLES = "srt"
    RECORDING = "wav"


MEDIA_TYPES = {
    Kind.MARKDOWN: "text/markdown; charset=utf-8",
    Kind.JSON: "application/json",
    Kind.SUBTITLES: "application/x-subrip; charset=utf-8",
    Kind.RECORDING: "audio/wav",
}

FETCH = """(where) => {
    if (!where) return [];
    const link = document.createElement("a");
    link.href = where;
    link.download = "";
    document.body.append(link);
    link.click();
    link.remove();
    return [];
}"""
"""Fetches the file without leaving the page."""


def text_of(kind: Kind, utterances: tuple[Utterance, ...], locale: Locale, when: datetime) -> Iterator[bytes]:
    """The file of a kind other than RECORDING, made when it is asked for: in the thread that sends it, since a long
    conversation takes longer than the calls may be kept waiting. Empty when nothing was said."""
    if not utterances:
        return
    names: dict[Role, str] = {
        "user": sentence(EXPORT, "user", locale),
        "assistant": sentence(EXPORT, "assistant", locale),
    }
    if kind is Kind.MARKDOWN:
        text = to_markdown(utterances, f"{sentence(EXPORT, 'title', locale)} {when:%Y-%m-%d %H:%M}", names)
    else:
        text = to_json(utterances, when) if kind is Kind.JSON else to_srt(utterances, names)
    yield text.encode()


def download_of(kind: Kind, who: Visitor, locale: Locale, when: datetime) -> Download | None:
    """What a visitor gets who asks for a file now; None when there is nothing in it yet."""

    body: Callable[[], Iterable[bytes]]
    if kind is Kind.RECORDING:
        recording = who.recording
        if recording is None or not recording.samples:
            return None
        body = recording.wav
    else:
        heard = [
            utterance for utterance in who.conversation.utterances() if utterance.span or kind is not Kind.SUBTITLES
        ]
        if not heard:
            return None

        def body() -> Iterable[bytes]:  # as it is when the file is fetched: Clear counts until then
            return text_of(kind, who.conversation.utterances(), locale, when)

    return Download(f"voice-chat-{when:%Y%m%d-%H%M%S}.{kind}", MEDIA_TYPES[kind], body)


def build(
    settings: Settings, downloads: Downloads, page: gr.Blocks, visitor: gr.State, locale: gr.State, begin: Dependency
) -> None:
    """Lay out the drawer inside the current Blocks and wire it. `begin` is the event after which `visitor` (a
    `Visitor`) and `locale` (a `Locale`) are known."""
    kinds = [kind for kind in Kind if settings.record_calls or kind is not Kind.RECORDING]
    with gr.Accordion(label("voice_export"), open=False, elem_id="voice-export"):
        with gr.Row(elem_id="voice-export-kinds"):
            buttons = {
                kind: gr.Button(label(f"voice_export_{kind}"), elem_id=f"voice-export-{kind}", size="sm", min_width=110)
                for kind in kinds
            }
        gr.Markdown(
            label("voice_export_note" if settings.record_calls else "voice_export_note_text"),
            elem_id="voice-export-note",
        )
        where = gr.Textbox(visible=False)

    def asked_for(kind: Kind) -> Callable[[Visitor, Locale], Awaitable[str]]:
        async def on_ask(who: Visitor, language: Locale) -> str:  # in the call's event loop
            download = download_of(kind, who, language, datetime.now().astimezone())
            if download is None:
                gr.Info(sentence(EXPORT, "nothing", language))
                return ""
            return downloads.offer(download)

        return on_ask

    for kind, button in buttons.items():
        button.click(
            asked_for(kind),
            [visitor, locale],
            where,
            show_progress="hidden",
            concurrency_limit=None,
            api_name=False,
        ).then(None, where, None, js=FETCH, api_name=False)

    # Gradio keeps a session for an hour after its page has gone; what was recorded goes with the page.
    open_pages: WeakValueDictionary[str, Visitor] = WeakValueDictionary()

    def on_begin(who: Visitor, request: gr.Request) -> None:
        if request.session_hash:
            open_pages[request.session_hash] = who

    async def on_gone(request: gr.Request) -> None:  # in the chat's event loop
        who = open_pages.pop(request.session_hash or "", None)
        if who is not None:
            who.page_gone()

    begin.then(on_begin, visitor, None, show_progress="hidden", api_name=False)
    page.unload(on_gone)
