"""Gradio page: theme, style sheet, scripts and tabs."""

from __future__ import annotations

import json
import time
from typing import Any

import gradio as gr

from voicechat import TITLE
from voicechat.config.call_preferences import CallPreferences
from voicechat.config.settings import Settings
from voicechat.security.visitor_key import visitor_key
from voicechat.session.audio_socket_call import AudioSocketRegistry
from voicechat.session.call_handler import CallHandler
from voicechat.session.page_resume import PageResume
from voicechat.session.picture_store import PictureStore
from voicechat.session.visitor import Visitor
from voicechat.transport.ice_servers import RtcConfigurationProvider
from voicechat.ui.widgets.chatbox import STATIC_DIR, queue_concurrency_limit
from voicechat.ui.widgets.status_bar import ServerStatusProvider

from . import history, web_app
from .downloads import Downloads
from .i18n import label, negotiate_locale, parse_locale, parse_timezone, script_texts_by_locale
from .load_steps import LoadSteps
from .page_sessions import PageSessions
from .settings_panel import api_key, call_preferences, model_note, panel
from .settings_panel.tool_switches import ToolsProvider, no_tools
from .settings_panel.voice_menu import embedded_voice_menu
from .tabs import text_tab, voice_tab
from .tools import decisions
from .widgets import more_menu
from .widgets.app_head import APP_HEAD_HTML
from .widgets.pictures import picture_settings_script

# Fonts: tokens of styles/tokens.css. Gradio's default theme loads some from another host, and without it the page stays
# blank.
THEME = gr.themes.Base(
    font=["var(--typeface)"],
    font_mono=["var(--typeface-mono)"],
).set(
    # Fields of the settings panel, by the design tokens (styles/tokens.css).
    body_background_fill="var(--canvas)",
    body_background_fill_dark="var(--canvas)",
    body_text_color="var(--ink)",
    body_text_color_dark="var(--ink)",
    body_text_color_subdued="var(--ink-3)",
    body_text_color_subdued_dark="var(--ink-3)",
    background_fill_primary="var(--paper)",
    background_fill_primary_dark="var(--paper)",
    background_fill_secondary="var(--paper-2)",
    background_fill_secondary_dark="var(--paper-2)",
    border_color_primary="var(--edge)",
    border_color_primary_dark="var(--edge)",
    block_background_fill="transparent",
    block_background_fill_dark="transparent",
    block_border_width="0",
    block_shadow="none",
    block_padding="0",
    block_title_background_fill="transparent",
    block_title_background_fill_dark="transparent",
    block_title_border_width="0",
    block_title_padding="0",
    block_title_text_color="var(--ink-2)",
    block_title_text_color_dark="var(--ink-2)",
    block_title_text_size="*text_sm",
    block_title_text_weight="600",
    input_background_fill="var(--paper)",
    input_background_fill_dark="var(--paper)",
    input_border_color="var(--control-edge)",
    input_border_color_dark="var(--control-edge)",
    input_radius="12px",
    slider_color="var(--ink-2)",
    slider_color_dark="var(--ink-2)",
    button_secondary_background_fill="var(--paper-3)",
    button_secondary_background_fill_dark="var(--paper-3)",
    button_secondary_text_color="var(--ink)",
    button_secondary_text_color_dark="var(--ink)",
    button_border_width="0",
)


SCRIPT_FILES = (
    "storage.js",
    "language.js",
    "appearance.js",
    "page_texts.js",
    "database.js",
    "forget.js",
    "left_pages.js",
    "resume.js",
    "connection_monitor.js",
    "drain.js",
    "event_streams.js",
    "call_control.js",
    "request_timeouts.js",
    "accessible_names.js",
    "gradio_quirks.js",
    "web_audio.js",
    "websocket_fallback.js",
    "autoplay.js",
    "call_view.js",
    "wake_lock.js",
    "audio_measurements.js",
    "sound_check.js",
    "screen_reader.js",
    "tool_chips.js",
    "stage.js",
    "popovers.js",
    "settings_panel.js",
    "approval.js",
    "scrolling.js",
    "picture_files.js",
    "pictures.js",
    "picture_dialogs.js",
    "own_key.js",
    "outbox.js",
    "welcome.js",
    "conversation_lines.js",
    "history.js",
    "history_list.js",
)
"""Scripts of the page, in loading order. Gradio adds them before it builds the page."""
EARLY_SCRIPT_FILES = ("frame.js", "page_unload.js", "hidden_tab.js")
"""Scripts that run before Gradio's own: the document contains them."""

STYLE_FILES = (
    "tokens.css",
    "icons.css",
    "frame.css",
    "conversation.css",
    "tool_chip.css",
    "welcome.css",
    "dock.css",
    "call_button.css",
    "message_box.css",
    "pictures.css",
    "dock_status.css",
    "dock_small.css",
    "approval.css",
    "popovers.css",
    "settings.css",
    "tool_switches.css",
    "captions.css",
    "media_preferences.css",
)
"""Style sheets of the page, in the order of the cascade."""

LOAD_JS = """async (visitor) =>
    [visitor, window.voiceLocale, await window.voiceResume.token(), window.voiceResume.isCallNoted(),
     window.voicePreferences.kept(), Intl.DateTimeFormat().resolvedOptions().timeZone ?? ""]"""
"""Inputs of the load event."""
SPARE_QUEUE_WORKERS = 16
"""Queue workers for events that finish at once."""


def early_script() -> str:
    """Return what the document runs before Gradio's scripts."""
    return "\n".join((STATIC_DIR / "scripts" / name).read_text("utf-8") for name in EARLY_SCRIPT_FILES)


def render_head(settings: Settings) -> str:
    """Return the HTML of the page's head: texts, scripts and style sheet.

    Gradio's `css=` cannot be used: it rewrites the rules to apply inside the container only.
    """
    texts = json.dumps(script_texts_by_locale(), ensure_ascii=False).replace("<", "\\u003c")
    scripts = [
        f"window.voiceTextsByLocale = {texts}; window.voiceResumeMinutes = {settings.resume_minutes};",
        picture_settings_script(settings),
        *((STATIC_DIR / "scripts" / name).read_text("utf-8") for name in SCRIPT_FILES),
    ]
    style = "\n".join((STATIC_DIR / "styles" / name).read_text("utf-8") for name in STYLE_FILES)
    return "\n".join(
        [
            web_app.HEAD_HTML,
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
    model_status: model_note.EmbeddedModelStatusProvider,
    downloads: Downloads,
    audio_sockets: AudioSocketRegistry,
    *,
    page_resume: PageResume,
    picture_store: PictureStore,
    offered_tools: ToolsProvider = no_tools,
    rtc_configuration: RtcConfigurationProvider | None = None,
) -> gr.Blocks:
    """Build the page.

    `prototype`: handler that fastrtc copies for every call. `server_status`: state of the server between calls.
    `model_status`: models of the embedded server. `downloads`: tickets of the more menu. `audio_sockets`: WebSocket
    fallback of calls. `page_resume`: closed pages that may come back. `picture_store`: uploaded pictures.
    `offered_tools`: tools of the operator.
    `rtc_configuration`: provides the ICE servers of each call; None for none.
    """
    settings = prototype.settings

    sessions, load_steps = PageSessions(page_resume), LoadSteps()

    async def on_load(
        session_visitor: Visitor,
        browser_locale: str,
        token: object,
        is_call_noted: object,
        kept: object,
        zone: object,
        request: gr.Request,
    ) -> list[Any]:  # async: in the event loop of the calls
        session_visitor.visitor_key = visitor_key(request)
        session_visitor.timezone = parse_timezone(zone)
        session_visitor.goes_on_with_call = is_call_noted is not False
        await sessions.open(session_visitor, token, request)
        if session_visitor.preferences == CallPreferences():  # not of a page that goes on
            session_visitor.preferences = call_preferences.parse_kept_preferences(kept) or CallPreferences()
        user_locale = parse_locale(browser_locale) or negotiate_locale(request.headers.get("accept-language"))
        return [user_locale, *load_steps.values(session_visitor, user_locale)]

    async def on_unload(request: gr.Request) -> None:
        sessions.close(request)

    async def on_forget(session_visitor: Visitor) -> None:
        sessions.forget(session_visitor)

    async def on_reopen() -> None:
        pass  # the page opens an event stream for it

    with gr.Blocks(
        title=TITLE,
        theme=THEME,
        head=render_head(settings),
        analytics_enabled=False,
    ) as page:
        visitor = gr.State(Visitor(settings.remember_items))  # Gradio gives every session a deep copy
        locale = gr.State("en")
        browser_locale, kept_preferences = gr.Textbox(visible=False), gr.Textbox(visible=False)
        timezone = gr.Textbox(visible=False)
        token = gr.Textbox(visible=False, elem_id="page-token")  # in no URL and no log
        call_noted = gr.Checkbox(visible=False)
        reopen = gr.Button(elem_id="events-reopen")  # pressed by event_streams.js, never seen
        reopen.click(on_reopen, None, None, show_progress="hidden", concurrency_limit=None, api_name=False)
        gr.HTML(APP_HEAD_HTML, elem_id="app-head", padding=False)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(label("voice_tab"), id="voice", elem_id="voice-tab"):
                voice = voice_tab.build(
                    prototype,
                    server_status,
                    audio_sockets,
                    picture_store,
                    visitor,
                    locale,
                    load_steps,
                    rtc_configuration=rtc_configuration,
                    build_more_menu=lambda: more_menu.build(settings, downloads, visitor, locale),
                )
            with gr.Tab(label("text_tab"), id="text", elem_id="text-tab"):
                text = text_tab.build(prototype, server_status, picture_store, visitor, locale, load_steps)
        decisions.build(visitor)
        fields = panel.build(settings, has_tools=bool(settings.tools.tools or settings.tools.mcp_config))
        history.build(
            visitor,
            locale,
            time.monotonic,
            [voice.chat, text.chat],
            lambda each, user_locale: (voice.render(each, user_locale), text.render(each, user_locale)),
        )
        page.unload(on_unload)
        fields.forget.click(on_forget, visitor, None, concurrency_limit=None, api_name=False).success(
            None,
            None,
            None,
            js="async () => { await window.voiceForget.finish(); return []; }",
            api_name=False,
        )
        if fields.note is None:
            call_preferences.wire(
                fields.preferences, settings, visitor, locale, load_steps, offered_tools=offered_tools
            )
        else:
            menu = embedded_voice_menu(model_status)
            call_preferences.wire(
                fields.preferences,
                settings,
                visitor,
                locale,
                load_steps,
                menu,
                fields.note.refresh,
                offered_tools=offered_tools,
            )
            model_note.wire(fields.note, model_status, visitor, locale, load_steps)
        if fields.key is not None:
            api_key.wire(fields.key, visitor, locale, [voice.status, text.status])
        page.load(
            on_load,
            [visitor, browser_locale, token, call_noted, kept_preferences, timezone],
            [locale, *load_steps.seal()],
            js=LOAD_JS,
            show_progress="hidden",
            api_name=False,
        ).then(
            None,
            None,
            None,
            js="() => { window.voiceForget.tellServerIfDue(); window.voiceHistory.clearIfDue(); return []; }",
            api_name=False,
        )
    # With its id Gradio's page would ask Hugging Face for the Space's owner, which the Content-Security-Policy refuses.
    page.space_id = None
    # Each call or chat occupies a queue worker with its generator. Without spare workers no other event would run: no
    # Send, no Stop, no hang-up.
    page.max_threads = count_queue_workers(settings)
    page.queue(default_concurrency_limit=settings.max_calls)
    return page
