"""The page: theme, style sheet, script and tabs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from realtime.book import CallBook
from realtime_handler import Visitor, VoiceCall

from . import own_key, text_tab, voice_export, voice_tab
from .chatbox import STATIC
from .downloads import Downloads
from .status import ServerLine
from .texts import Locale, label, locale_of

# Plain font names: with Gradio's default theme the page waits for a font host, and where the network answers nothing
# it stays blank.
THEME = gr.themes.Soft(
    primary_hue="violet",
    font=["system-ui", "-apple-system", "Noto Sans TC", "Microsoft JhengHei", "sans-serif"],
    font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
)

# Whatever a model manages to write, the page fetches no picture from another host: that would tell it who is reading.
POLICY = "img-src 'self' data: blob:; media-src 'self' data: blob:"


def build_page(
    call: VoiceCall,
    chats: CallBook,
    server: ServerLine,
    downloads: Downloads,
    *,
    rtc_configuration: dict[str, Any] | None = None,
) -> gr.Blocks:
    """The whole page. `call` is the prototype of a voice call, `chats` the book of text chats, `server` says what they
    would talk to, `downloads` hands out what visitors save."""
    settings = call.settings

    def on_load(request: gr.Request) -> Locale:
        return locale_of(request.headers.get("accept-language"))

    # The style sheet goes into the head too: `css=` would be rewritten to apply inside the container only.
    style, script = ((STATIC / name).read_text("utf-8") for name in ("page.css", "page.js"))
    with gr.Blocks(
        title="Realtime Voice Chat",
        theme=THEME,
        head=f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<style>{style}</style>\n<script>{script}</script>",
        analytics_enabled=False,
    ) as page:
        visitor = gr.State(Visitor(settings.remember_items))  # a blank: Gradio gives every session a deep copy
        locale = gr.State("en")
        begin = page.load(on_load, None, locale, show_progress="hidden", api_name=False)
        gr.Markdown(label("app_title"), elem_id="app-title")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(label("voice_tab"), id="voice", elem_id="voice-tab"):
                voice = voice_tab.build(call, server, visitor, locale, begin, rtc_configuration=rtc_configuration)
                voice_export.build(settings, downloads, page, visitor, locale, begin)
            with gr.Tab(label("text_tab"), id="text", elem_id="text-tab"):
                text = text_tab.build(settings, call.endpoint, chats, call.accounts, server, visitor, locale, begin)
        if settings.allow_own_key:
            own_key.build(visitor, locale, [voice, text])
    page.queue(default_concurrency_limit=settings.max_calls)
    return page
