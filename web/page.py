"""The page: theme, style sheet, script and tabs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from realtime_handler import VoiceCall

from . import voice_tab
from .texts import label

# Plain font names: with Gradio's default theme the page waits for a font host, and where the network answers nothing
# it stays blank.
THEME = gr.themes.Soft(
    primary_hue="violet",
    font=["system-ui", "-apple-system", "Noto Sans TC", "Microsoft JhengHei", "sans-serif"],
    font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
)


def build_page(
    call: VoiceCall,
    server: voice_tab.ServerLine,
    *,
    rtc_configuration: dict[str, Any] | None = None,
) -> gr.Blocks:
    """The whole page. `call` is the prototype of a voice call, `server` says what it would talk to."""
    # The style sheet goes into the head too: `css=` would be rewritten to apply inside the container only.
    style, script = ((voice_tab.STATIC / name).read_text("utf-8") for name in ("page.css", "page.js"))
    with gr.Blocks(
        title="Realtime Voice Chat",
        theme=THEME,
        head=f"<style>{style}</style>\n<script>{script}</script>",
        analytics_enabled=False,
    ) as page:
        gr.Markdown(label("app_title"), elem_id="app-title")
        voice_tab.build(call, server, rtc_configuration=rtc_configuration)
    page.queue(default_concurrency_limit=call.settings.max_calls)
    return page
