"""The voice tab's drawer for taking a conversation along: as Markdown, JSON, subtitles, and the call as sound."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from weakref import WeakValueDictionary

import gradio as gr
from gradio.events import Dependency

from voicechat.config.settings import Settings
from voicechat.conversation.export import to_json, to_markdown, to_srt
from voicechat.conversation.items import Role, Utterance
from voicechat.session.visitor import Visitor
from voicechat.ui.downloads import Download, Downloads
from voicechat.ui.i18n import EXPORT_TEXTS, Locale, get_message, label


class ExportFormat(StrEnum):
    """What a conversation can be taken along as. The values are the endings of the files."""

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

DOWNLOAD_JS = """(where) => {
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


def render_transcript(
    export_format: ExportFormat, utterances: tuple[Utterance, ...], locale: Locale, exported_at: datetime
) -> Iterator[bytes]:
    """The file of a kind other than RECORDING, made when it is asked for: in the thread that sends it, since a long
    conversation takes longer than the calls may be kept waiting. Empty when nothing was said."""
    if not utterances:
        return
    names: dict[Role, str] = {
        "user": get_message(EXPORT_TEXTS, "user", locale),
        "assistant": get_message(EXPORT_TEXTS, "assistant", locale),
    }
    if export_format is ExportFormat.MARKDOWN:
        text = to_markdown(
            utterances, f"{get_message(EXPORT_TEXTS, 'title', locale)} {exported_at:%Y-%m-%d %H:%M}", names
        )
    else:
        text = to_json(utterances, exported_at) if export_format is ExportFormat.JSON else to_srt(utterances, names)
    yield text.encode()


def create_download(
    export_format: ExportFormat, who: Visitor, locale: Locale, exported_at: datetime
) -> Download | None:
    """What a visitor gets who asks for a file now; None when there is nothing in it yet."""

    body: Callable[[], Iterable[bytes]]
    if export_format is ExportFormat.RECORDING:
        recording = who.recording
        if recording is None or not recording.sample_count:
            return None
        body = recording.iter_wav
    else:
        heard = [
            utterance
            for utterance in who.conversation.utterances()
            if utterance.span or export_format is not ExportFormat.SUBTITLES
        ]
        if not heard:
            return None

        def body() -> Iterable[bytes]:  # as it is when the file is fetched: Clear counts until then
            return render_transcript(export_format, who.conversation.utterances(), locale, exported_at)

    return Download(f"voice-chat-{exported_at:%Y%m%d-%H%M%S}.{export_format}", MEDIA_TYPES[export_format], body)


def build(
    settings: Settings,
    downloads: Downloads,
    page: gr.Blocks,
    visitor: gr.State,
    locale: gr.State,
    load_event: Dependency,
) -> None:
    """Lay out the drawer inside the current Blocks and wire it. `begin` is the event after which `visitor` (a
    `Visitor`) and `locale` (a `Locale`) are known."""
    kinds = [kind for kind in ExportFormat if settings.record_calls or kind is not ExportFormat.RECORDING]
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

    def make_export_handler(export_format: ExportFormat) -> Callable[[Visitor, Locale], Awaitable[str]]:
        async def on_export(who: Visitor, user_locale: Locale) -> str:  # in the call's event loop
            download = create_download(export_format, who, user_locale, datetime.now().astimezone())
            if download is None:
                gr.Info(get_message(EXPORT_TEXTS, "nothing", user_locale))
                return ""
            return downloads.create_url(download)

        return on_export

    for kind, button in buttons.items():
        button.click(
            make_export_handler(kind),
            [visitor, locale],
            where,
            show_progress="hidden",
            concurrency_limit=None,
            api_name=False,
        ).then(None, where, None, js=DOWNLOAD_JS, api_name=False)

    # Gradio keeps a session for an hour after its page has gone; what was recorded goes with the page.
    open_pages: WeakValueDictionary[str, Visitor] = WeakValueDictionary()

    def on_load(who: Visitor, request: gr.Request) -> None:
        if request.session_hash:
            open_pages[request.session_hash] = who

    async def on_unload(request: gr.Request) -> None:  # in the chat's event loop
        who = open_pages.pop(request.session_hash or "", None)
        if who is not None:
            who.on_page_closed()

    load_event.then(on_load, visitor, None, show_progress="hidden", api_name=False)
    page.unload(on_unload)
