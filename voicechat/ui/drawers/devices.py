"""Devices drawer: microphone, loudspeaker, push-to-talk, web connection only, and the sound check.

call_view.js fills the drawer and keeps the choices in the browser. The server never receives them.
"""

from __future__ import annotations

import gradio as gr

from voicechat.ui.i18n import label

DEVICES_HTML = """
<div id="voice-devices">
  <label><span data-text="device_microphone"></span><select id="voice-device-microphone"></select></label>
  <label><span data-text="device_speaker"></span><select id="voice-device-speaker"></select></label>
  <label class="tick"><input id="voice-push-to-talk" type="checkbox"><span data-text="push_to_talk"></span></label>
  <label class="tick"><input id="voice-web-only" type="checkbox"><span data-text="web_only"></span></label>
  <button id="voice-check-open" type="button" data-text="check_start"></button>
  <p data-text="keys"></p>
</div>
"""


def build() -> None:
    """Lay out the drawer in the current Blocks."""
    with gr.Accordion(label("devices_title"), open=False, elem_id="voice-devices-drawer"):
        gr.HTML(DEVICES_HTML, padding=False)
