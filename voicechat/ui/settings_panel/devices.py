"""Devices group: microphone, loudspeaker, push-to-talk, calls without a microphone, web connection only.

call_view.js fills it and keeps the choices in the browser. The server never receives them.
`data-when` says when a change takes effect; settings_panel.js shows it.
"""

from __future__ import annotations

import gradio as gr

from .group import group

DEVICES_HTML = """
<div id="voice-devices" class="fields">
  <label class="field" data-when="now"><span class="name" data-text="device_microphone"></span>
    <select id="voice-device-microphone"></select></label>
  <label class="field" data-when="now"><span class="name" data-text="device_speaker"></span>
    <select id="voice-device-speaker"></select></label>
  <label class="switch" data-when="now">
    <span><span data-text="push_to_talk"></span><small data-text="push_to_talk_note"></small></span>
    <input id="voice-push-to-talk" type="checkbox"><i></i></label>
  <label class="switch" data-when="next_call">
    <span><span data-text="no_microphone"></span><small data-text="no_microphone_note"></small></span>
    <input id="voice-no-microphone" type="checkbox"><i></i></label>
  <label class="switch" data-when="next_call">
    <span><span data-text="web_only"></span><small data-text="web_only_note"></small></span>
    <input id="voice-web-only" type="checkbox"><i></i></label>
  <button id="voice-check-open" class="button soft" type="button" data-text="check_start"></button>
</div>
"""


def build() -> None:
    """Lay out the group in the current Blocks."""
    with group("devices", elem_id="voice-devices-group"):
        gr.HTML(DEVICES_HTML, padding=False)
