"""Export drawer: downloads of a conversation as Markdown, JSON or subtitles, and of the recording as WAV."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from weakref import WeakValueDictionary

import gradio as gr
from gradio.events import Dependency

from voicechat.config.settings import Settings
from voicechat.conversation.export import to_json, to_markdown, to_srt
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.conversation.items import Role, Utterance
from voicechat.session.visitor import Visitor
from voicechat.ui.downloads import Download, Downloads
from voicechat.ui.i18n import EXPORT_TEXTS, INCOMPLETE_MARKS, Locale, get_message, label


class ExportFormat(StrEnum):
    """File format of a download. The values are the file extensions."""

    MARKDOWN = "md"
    JSON = "json"
    SUBTITLES = "srt"
    RECORDING = "wav"


MEDIA_TYPES = {
    ExportFormat.MARKDOWN: "text/markdown; charset=utf-8",
    ExportFormat.JSON: "application/json",
    ExportFormat.SUBTITLES: "application/x-subrip; charset=utf-8",
    ExportFormat.RECORDING: "audio/wav",
}

DOWNLOAD_JS = """(url) => {
    if (!url) return [];
    const link = document.createElement("a");
    link.href = url;
    link.download = "";
    document.body.append(link);
    link.click();
    link.remove();
    return [];
}"""
"""Starts the download without leaving the page."""


def render_transcript(
    export_format: ExportFormat, utterances: tuple[Utterance, ...], locale: Locale, exported_at: datetime
) -> Iterator[bytes]:
    """Yield the file of a transcript format; nothing when the conversation is empty.

    Runs in the thread that sends the file: a long conversation would block the event loop of the calls.
    """
    if not utterances:
        return
    names: dict[Role, str] = {
        "user": get_message(EXPORT_TEXTS, "user", locale),
        "assistant": get_message(EXPORT_TEXTS, "assistant", locale),
    }
    if export_format is ExportFormat.MARKDOWN:
        text = to_markdown(
            utterances,
            f"{get_message(EXPORT_TEXTS, 'title', locale)} {exported_at:%Y-%m-%d %H:%M}",
            names,
            {reason: get_message(INCOMPLETE_MARKS, reason, locale) for reason in IncompleteReason},
        )
    else:
        text = to_json(utterances, exported_at) if export_format is ExportFormat.JSON else to_srt(utterances, names)
    yield text.encode()


def create_download(
    export_format: ExportFormat, session_visitor: Visitor, locale: Locale, exported_at: datetime
) -> Download | None:
    """Return the download of a visitor's conversation; None while it would be empty."""
    body: Callable[[], Iterable[bytes]]
    if export_format is ExportFormat.RECORDING:
        recording = session_visitor.recording
        if recording is None or not recording.sample_count:
            return None
        body = recording.iter_wav
    else:
        exported = [
            utterance
            for utterance in session_visitor.conversation.utterances()
            if utterance.span or export_format is not ExportFormat.SUBTITLES
        ]
        if not exported:
            return None

        def body() -> Iterable[bytes]:  # evaluated at the download, so that Clear still takes effect
            return render_transcript(export_format, session_visitor.conversation.utterances(), locale, exported_at)

    return Download(f"voice-chat-{exported_at:%Y%m%d-%H%M%S}.{export_format}", MEDIA_TYPES[export_format], body)


def build(
    settings: Settings,
    downloads: Downloads,
    page: gr.Blocks,
    visitor: gr.State,
    locale: gr.State,
    load_event: Dependency,
) -> None:
    """Lay out and wire the drawer in the current Blocks. `visitor` and `locale` are known after `load_event`."""
    formats = [each for each in ExportFormat if settings.record_calls or each is not ExportFormat.RECORDING]
    with gr.Accordion(label("voice_export"), open=False, elem_id="voice-export"):
        with gr.Row(elem_id="voice-export-kinds"):
            buttons = {
                each: gr.Button(label(f"voice_export_{each}"), elem_id=f"voice-export-{each}", size="sm", min_width=110)
                for each in formats
            }
        gr.Markdown(
            label("voice_export_note" if settings.record_calls else "voice_export_note_text"),
            elem_id="voice-export-note",
        )
        url = gr.Textbox(visible=False)

    def make_export_handler(export_format: ExportFormat) -> Callable[[Visitor, Locale], Awaitable[str]]:
        async def on_export(session_visitor: Visitor, user_locale: Locale) -> str:  # in the call's event loop
            download = create_download(export_format, session_visitor, user_locale, datetime.now().astimezone())
            if download is None:
                gr.Info(get_message(EXPORT_TEXTS, "nothing", user_locale))
                return ""
            return downloads.create_url(download)

        return on_export

    for export_format, button in buttons.items():
        button.click(
            make_export_handler(export_format),
            [visitor, locale],
            url,
            show_progress="hidden",
            concurrency_limit=None,
            api_name=False,
        ).then(None, url, None, js=DOWNLOAD_JS, api_name=False)

    # Gradio keeps a session for an hour after its page was closed. The recording is deleted at once.
    open_pages: WeakValueDictionary[str, Visitor] = WeakValueDictionary()

    def on_load(session_visitor: Visitor, request: gr.Request) -> None:
        if request.session_hash:
            open_pages[request.session_hash] = session_visitor

    async def on_unload(request: gr.Request) -> None:  # in the chat's event loop
        session_visitor = open_pages.pop(request.session_hash or "", None)
        if session_visitor is not None:
            session_visitor.on_page_closed()

    load_event.then(on_load, visitor, None, show_progress="hidden", api_name=False)
    page.unload(on_unload)
