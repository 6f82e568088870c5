"""More menu of the dock: saving, past conversations and other rare actions.

Its upper part saves a conversation: as Markdown, JSON or subtitles, and the recording as WAV.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum

import gradio as gr

from voicechat.config.settings import Settings
from voicechat.conversation.export import to_json, to_markdown, to_srt
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.conversation.shown.bubble import Role, Utterance
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


MENU_ROWS_HTML = """
<hr><button class="row" type="button" data-press="#large-captions"><b class="letters" aria-hidden="true">Aa</b><span
  data-text="large_captions"></span></button>
<button class="row" type="button" data-press="#voice-test"><i class="icon" data-icon="headset"></i><span
  data-text="check_name"></span></button>
<button class="row" type="button" data-press="#history-open"><i class="icon" data-icon="history"></i><span
  data-text="history_title"></span></button>
<button class="row" type="button" data-press="#keys-open"><i class="icon" data-icon="keyboard"></i><span
  data-text="keys_title"></span><kbd>?</kbd></button>
<hr><button class="row bad" type="button" data-press="#voice-clear"><i class="icon" data-icon="trash"></i><span
  data-text="clear_conversation"></span></button>
"""
"""Each row presses another button of the page (popovers.js)."""


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


def build(settings: Settings, downloads: Downloads, visitor: gr.State, locale: gr.State) -> None:
    """Lay out and wire the menu in the current Blocks."""
    formats = [each for each in ExportFormat if settings.record_calls or each is not ExportFormat.RECORDING]
    with gr.Column(elem_id="voice-more-menu", elem_classes="popover"):
        gr.HTML('<h2 data-text="save_title"></h2>', padding=False)
        with gr.Row(elem_id="voice-export"):
            buttons = {
                each: gr.Button(label(f"voice_export_{each}"), elem_id=f"voice-export-{each}", min_width=110)
                for each in formats
            }
        gr.Markdown(
            label("voice_export_note" if settings.record_calls else "voice_export_note_text"),
            elem_id="voice-export-note",
        )
        gr.HTML(MENU_ROWS_HTML, padding=False)
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
