"""Where the sound check stands in the page, and what a first visitor is told of the microphone. sound_check.js does the rest.

It stands above the conversation; while it runs it takes the conversation's place, so that the button stays where it is.
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
    """Lay it out inside the current Blocks."""
    gr.HTML(SECTION_HTML, elem_id="voice-check-place", padding=False)
