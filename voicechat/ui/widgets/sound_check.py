"""Sound check: the strip of a first visit, and the list of a running check. sound_check.js runs it.

The strip is part of the welcome; a running check takes the conversation's place, so that nothing else moves.
"""

from __future__ import annotations

SECTION_HTML = """
<section id="voice-check" data-state="closed" hidden aria-labelledby="voice-check-title">
  <div class="strip">
    <i class="icon" data-icon="shield"></i><p data-text="check_privacy" class="when-remote"></p>
    <p data-text="check_privacy_offline" class="when-offline"></p>
    <p data-text="check_privacy_network" class="when-network"></p>
    <p data-text="check_privacy_text" class="when-text"></p>
    <div class="actions">
      <button id="voice-check-start" class="button soft" type="button" data-text="check_start"></button>
      <button id="voice-check-close" class="button" type="button"></button>
    </div>
  </div>
  <h2 id="voice-check-title" data-text="check_title"></h2>
  <ul aria-live="polite">
    <li data-row="microphone"></li><li data-row="level"></li><li data-row="echo"></li><li data-row="network"></li>
  </ul>
</section>
"""
