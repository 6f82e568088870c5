"""Display group: appearance, large captions, past conversations. settings_panel.js and appearance.js keep the
choices in the browser."""

from __future__ import annotations

import gradio as gr

from voicechat.ui.i18n import label

from .group import group

DISPLAY_HTML = """
<div id="page-display" class="fields">
  <fieldset class="field"><legend class="name" data-text="appearance"></legend><div class="segments">
    <label><input type="radio" name="appearance" value="auto"><span data-text="appearance_auto"></span></label>
    <label><input type="radio" name="appearance" value="light"><span data-text="appearance_light"></span></label>
    <label><input type="radio" name="appearance" value="dark"><span data-text="appearance_dark"></span></label>
  </div></fieldset>
  <label class="switch">
    <span><span data-text="large_captions"></span><small data-text="large_captions_note"></small></span>
    <input id="display-captions" type="checkbox"><i></i></label>
  <label class="switch"><span><span data-text="history_keep"></span><small data-text="history_keep_note"></small></span>
    <input id="history-keep" type="checkbox"><i></i></label>
  <button id="history-open" class="button soft" type="button" data-text="history_title"></button>
  <button id="keys-open" class="button soft" type="button" data-text="keys_title"></button>
</div>
"""


def build() -> gr.Button:
    """Lay out the group in the current Blocks. Return the button that erases everything."""
    with group("display"):
        gr.HTML(DISPLAY_HTML, padding=False)
        forget = gr.Button(label("forget_me"), elem_id="forget-me", elem_classes="button")
        gr.HTML('<p class="note" data-text="forget_me_note"></p>', padding=False)
    return forget
