"""The page: theme, style sheet, script and tabs."""

from __future__ import annotations

import json

import gradio as gr

from voicechat.config.settings import Settings
from voicechat.security.visitor_cookie import visitor_key
from voicechat.session.call_handler import CallHandler
from voicechat.session.visitor import Visitor
from voicechat.session.websocket_call import AudioSocketRegistry
from voicechat.transport.ice_servers import RtcConfigurationProvider
from voicechat.ui.widgets.chatbox import STATIC_DIR, queue_concurrency_limit
from voicechat.ui.widgets.status_bar import ServerStatusProvider

from .downloads import Downloads
from .drawers import api_key, call_settings, devices, export, sound_check
from .i18n import Locale, label, negotiate_locale, parse_locale, script_texts_by_locale
from .tabs import text_tab, voice_tab

# Plain font names: with Gradio's default theme the page waits for a font host, and where the network answers nothing
# it stays blank.
THEME = gr.themes.Soft(
    primary_hue="violet",
    font=["system-ui", "-apple-system", "Noto Sans TC", "Microsoft JhengHei", "sans-serif"],
    font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
).set(
    # The theme's own are too faint to read for many people (4.5:1 is the least).
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
    "audio_measurements.js",
    "sound_check.js",
    "screen_reader.js",
)
"""In this order, before anything of Gradio's runs."""


SPARE_QUEUE_WORKERS = 16
"""For what is answered at once."""


def render_head() -> str:
    """What stands in the page's head: the words, the scripts and the style sheet, which is here too because
    `css=` would be rewritten to apply inside the container only."""
    words = json.dumps(script_texts_by_locale(), ensure_ascii=False).replace("<", "\\u003c")
    scripts = [f"window.voiceTables = {words};", *((STATIC_DIR / name).read_text("utf-8") for name in SCRIPT_FILES)]
    style = (STATIC_DIR / "page.css").read_text("utf-8")
    return "\n".join(
        [
            f"<style>{style}</style>",
            *(f"<script>{script}</script>" for script in scripts),
        ]
    )


def count_queue_workers(settings: Settings) -> int:
    """Workers of Gradio's queue: a call may have two generators (WebRTC's and the web socket's), a chat one."""
    calls, chats = (queue_concurrency_limit(most, settings) for most in (settings.max_calls, settings.max_chats))
    return 2 * calls + chats + SPARE_QUEUE_WORKERS


def build_page(
    prototype: CallHandler,
    server_status: ServerStatusProvider,
    downloads: Downloads,
    audio_sockets: AudioSocketRegistry,
    *,
    rtc_configuration: RtcConfigurationProvider | None = None,
) -> gr.Blocks:
    """The whole page. `call` is the prototype of a voice call, `server` says what calls and chats would talk to,
    `downloads` hands out what visitors save, `sockets` carries calls that WebRTC cannot.
    `rtc_configuration` is asked before every call; None: nobody is."""
    settings = prototype.settings

    def on_load(who: Visitor, browser_locale: str, request: gr.Request) -> Locale:
        who.visitor_key = visitor_key(request)
        return parse_locale(browser_locale) or negotiate_locale(request.headers.get("accept-language"))

    with gr.Blocks(
        title="Realtime Voice Chat",
        theme=THEME,
        head=render_head(),
        analytics_enabled=False,
    ) as page:
        visitor = gr.State(Visitor(settings.remember_items))  # a blank: Gradio gives every session a deep copy
        locale = gr.State("en")
        spoken = gr.Textbox(visible=False)
        begin = page.load(
            on_load,
            [visitor, spoken],
            locale,
            js="(who) => [who, window.voiceLanguage]",
            show_progress="hidden",
            api_name=False,
        )
        with gr.Row(elem_id="app-head"):
            gr.Markdown(label("app_title"), elem_id="app-title")
            other = gr.Button(label("other_language"), elem_id="other-language", size="sm", scale=0, min_width=80)
        other.click(None, js="() => { window.voiceOtherLanguage(); return []; }", api_name=False)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(label("voice_tab"), id="voice", elem_id="voice-tab"):
                sound_check.build()
                voice = voice_tab.build(
                    prototype, server_status, audio_sockets, visitor, locale, begin, rtc_configuration=rtc_configuration
                )
                call_settings.build(settings, visitor, locale, begin)
                devices.build()
                export.build(settings, downloads, page, visitor, locale, begin)
            with gr.Tab(label("text_tab"), id="text", elem_id="text-tab"):
                text = text_tab.build(prototype, server_status, visitor, locale, begin)
        if settings.allow_own_key:
            api_key.build(visitor, locale, [voice, text])
    # What a call or a chat shows comes from a generator that lasts as long as it does and takes a worker of Gradio's
    # queue. With all of them taken nothing else would be answered: no Send, no Stop, no hanging up.
    page.max_threads = count_queue_workers(settings)
    page.queue(default_concurrency_limit=settings.max_calls)
    return page
