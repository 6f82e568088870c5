"""Settings panel: beside the conversation, on phones a sheet over it. settings_panel.js opens and closes it."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from voicechat.config.settings import Settings

from . import api_key, call_preferences, devices, display, model_note, tool_switches
from .group import group

TITLE_HTML = """
<div class="panel-title"><h2 id="settings-title" data-text="settings"></h2>
  <button id="settings-close" class="tool" type="button" data-name="settings_close">
    <i class="icon" data-icon="close"></i></button>
</div>
"""


@dataclass(frozen=True, slots=True)
class SettingsPanel:
    """Fields of the panel that have events on the server."""

    preferences: call_preferences.PreferenceFields
    key: api_key.KeyFields | None
    """None where visitors may not use a key of their own."""
    note: model_note.NoteFields | None
    """None without the embedded server."""
    forget: gr.Button
    """Erases everything that is kept of this visitor."""


def build(settings: Settings, *, has_tools: bool = False) -> SettingsPanel:
    """Lay out the panel in the current Blocks. `has_tools`: the operator has configured tools."""
    key_fields: api_key.KeyFields | None = None
    note_fields: model_note.NoteFields | None = None

    def build_model_note() -> None:
        nonlocal note_fields
        note_fields = model_note.build()

    def build_cost_group(cap_visible: bool) -> gr.Number:
        nonlocal key_fields
        devices.build()
        with group("key", visible=settings.allow_own_key or cap_visible):
            if settings.allow_own_key:
                key_fields = api_key.build_key_fields()
            return api_key.build_cost_cap(cap_visible)

    with gr.Column(elem_id="settings"):
        gr.HTML(TITLE_HTML, padding=False)
        with gr.Column(elem_id="settings-groups"):
            preferences = call_preferences.build_groups(
                settings, build_cost_group, build_model_note, lambda: tool_switches.build(visible=has_tools)
            )
            forget = display.build()
    return SettingsPanel(preferences, key_fields, note_fields, forget)
