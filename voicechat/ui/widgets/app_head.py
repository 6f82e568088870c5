"""Head of the page: skip link, brand, large captions, language and settings. frame.css puts the tabs into it."""

from __future__ import annotations

APP_HEAD_HTML = """
<a class="skip-link" href="#voice-chat" data-text="skip_link"></a>
<div class="brand">
  <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <circle cx="16" cy="16" r="14.5"/><circle cx="16" cy="16" r="10.5"/><circle cx="16" cy="16" r="6"/>
  </svg>
  <h1 id="app-title" data-text="app_title"></h1>
</div>
<div class="tools">
  <button id="large-captions" class="tool" type="button" aria-pressed="false" data-name="large_captions">Aa</button>
  <button id="other-language" class="tool" type="button" data-text="other_language"
    data-name="other_language_name"></button>
  <button id="settings-open" class="tool" type="button" aria-expanded="false" aria-controls="settings"
    data-name="settings"><i class="icon" data-icon="sliders"></i></button>
</div>
"""
