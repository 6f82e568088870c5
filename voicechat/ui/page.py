"""Gradio page: theme, style sheet, scripts and tabs."""

from __future__ import annotations

import json

import gradio as gr

from voicechat import TITLE
from voicechat.config.settings import Settings
from voicechat.security.visitor_key import visitor_key
from voicechat.session.audio_socket_call import AudioSocketRegistry
from voicechat.session.call_handler import CallHandler
from voicechat.session.visitor import Visitor
from voicechat.transport.ice_servers import RtcConfigurationProvider
from voicechat.ui.widgets.chatbox import STATIC_DIR, queue_concurrency_limit
from voicechat.ui.widgets.status_bar import ServerStatusProvider

from .downloads import Downloads
from .drawers import api_key, call_preferences, devices, export, sound_check
from .i18n import Locale, label, negotiate_locale, parse_locale, script_texts_by_locale
from .tabs import text_tab, voice_tab

# Local font names only: Gradio's default theme loads fonts from another host, and without it the page stays blank.
THEME = gr.themes.Soft(
    primary_hue="violet",
    font=["system-ui", "-apple-system", "Noto Sans TC", "Microsoft JhengHei", "sans-serif"],
    font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
).set(
    # The colours of the theme have too little contrast (the minimum is 4.5:1).
    body_text_color_subdued="#57647a",
    body_text_color_subdued_dark="#a3b1c6",
    block_title_text_color="*primary_700",
    block_title_text_color_dark="*primary_100",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
)


SCRIPT_FILES = (
    "language.js",
    "call_control.js",
    "request_timeouts.js",
    "accessible_names.js",
    "gradio_quirks.js",
    "web_audio.js",
    "websocket_fallback.js",
    "call_view.js",
    "wake_lock.js",
    "audio_measurements.js",
    "sound_check.js",
    "screen_reader.js",
)
"""Scripts of the page, in loading order. Gradio adds them before it builds the page."""
EARLY_SCRIPT_FILES = ("frame.js", "page_unload.js")
"""Scripts that run before Gradio's own: the document contains them."""

SPARE_QUEUE_WORKERS = 16
"""Queue workers for events that finish at once."""


def early_script() -> str:
    """Return what the document runs before Gradio's scripts."""
    return "\n".join((STATIC_DIR / name).read_text("utf-8") for name in EARLY_SCRIPT_FILES)


def render_head() -> str:
    """Return the HTML of the page's head: texts, scripts and style sheet.

    Gradio's `css=` cannot be used: it rewrites the rules to apply inside the container only.
    """
    texts = json.dumps(script_texts_by_locale(), ensure_ascii=False).replace("<", "\\u003c")
    scripts = [
        f"window.voiceTextsByLocale = {texts};",
        *((STATIC_DIR / name).read_text("utf-8") for name in SCRIPT_FILES),
    ]
    style = (STATIC_DIR / "page.css").read_text("utf-8")
    return "\n".join(
        [
            f"<style>{style}</style>",
            *(f"<script>{script}</script>" for script in scripts),
        ]
    )


def count_queue_workers(settings: Settings) -> int:
    """Return the number of queue workers: two generators per call (WebRTC and WebSocket), one per chat."""
    calls = queue_concurrency_limit(settings.max_calls, settings)
    chats = queue_concurrency_limit(settings.max_chats, settings)
    return 2 * calls + chats + SPARE_QUEUE_WORKERS


def build_page(
    prototype: CallHandler,
    server_status: ServerStatusProvider,
    downloads: Downloads,
    audio_sockets: AudioSocketRegistry,
    *,
    rtc_configuration: RtcConfigurationProvider | None = None,
) -> gr.Blocks:
    """Build the page.

    `prototype`: handler that fastrtc copies for every call. `server_status`: state of the server between calls.
    `downloads`: tickets of the export drawer. `audio_sockets`: WebSocket fallback of calls.
    `rtc_configuration`: provides the ICE servers of each call; None for none.
    """
    settings = prototype.settings

    def on_load(session_visitor: Visitor, browser_locale: str, request: gr.Request) -> Locale:
        session_visitor.visitor_key = visitor_key(request)
        return parse_locale(browser_locale) or negotiate_locale(request.headers.get("accept-language"))

    with gr.Blocks(
        title=TITLE,
        theme=THEME,
        head=render_head(),
        analytics_enabled=False,
    ) as page:
        visitor = gr.State(Visitor(settings.remember_items))  # Gradio gives every session a deep copy
        locale = gr.State("en")
        browser_locale = gr.Textbox(visible=False)
        load_event = page.load(
            on_load,
            [visitor, browser_locale],
            locale,
            js="(visitor) => [visitor, window.voiceLocale]",
            show_progress="hidden",
            api_name=False,
        )
        with gr.Row(elem_id="app-head"):
            gr.Markdown(label("app_title"), elem_id="app-title")
            switch_language = gr.Button(
                label("other_language"), elem_id="other-language", size="sm", scale=0, min_width=80
            )
        switch_language.click(None, js="() => { window.voiceSwitchLanguage(); return []; }", api_name=False)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(label("voice_tab"), id="voice", elem_id="voice-tab"):
                sound_check.build()
                voice = voice_tab.build(
                    prototype,
                    server_status,
                    audio_sockets,
                    visitor,
                    locale,
                    load_event,
                    rtc_configuration=rtc_configuration,
                )
                call_preferences.build(settings, visitor, locale, load_event)
                devices.build()
                export.build(settings, downloads, page, visitor, locale, load_event)
            with gr.Tab(label("text_tab"), id="text", elem_id="text-tab"):
                text = text_tab.build(prototype, server_status, visitor, locale, load_event)
        if settings.allow_own_key:
            api_key.build(visitor, locale, [voice, text])
    # With its id Gradio's page would ask Hugging Face for the Space's owner, which the Content-Security-Policy refuses.
    page.space_id = None
    # Each call or chat occupies a queue worker with its generator. Without spare workers no other event would run: no
    # Send, no Stop, no hang-up.
    page.max_threads = count_queue_workers(settings)
    page.queue(default_concurrency_limit=settings.max_calls)
    return page
