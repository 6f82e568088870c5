"""Sound check section of the page, with a privacy note for the first visit. sound_check.js runs the check.

The section is above the conversation. A running check replaces the conversation, so the call button does not move.
"""

from __future__ import annotations

import gradio as gr

SECTION_HTML = """
<section id="voice-check" data-state="closed" hidden>
  <p data-text="check_privacy"></p>
  <div class="actions">
    <button id="voice-check-start" type="button" data-text="check_start"></button>
    <button id="voice-check-close" type="button"></button>
  </div>
  <ul aria-live="polite">
    <li data-row="microphone"></li><li data-row="level"></li><li data-row="echo"></li><li data-row="network"></li>
  </ul>
</section>
"""


def build() -> None:
    """Lay out the section in the current Blocks."""
    gr.HTML(SECTION_HTML, elem_id="voice-check-place", padding=False)
