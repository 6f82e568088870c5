"""Group of the settings panel: a section that opens. While closed it shows its values (settings_panel.js)."""

from __future__ import annotations

import gradio as gr

from voicechat.ui.i18n import label


def group(name: str, *, is_open: bool = False, visible: bool = True, elem_id: str | None = None) -> gr.Accordion:
    """Return a group; its title is the label `group_<name>`, and `group-<name>` its class."""
    return gr.Accordion(
        label(f"group_{name}"),
        open=is_open,
        visible=visible,
        elem_id=elem_id or f"group-{name}",
        elem_classes=["group", f"group-{name}"],
    )
