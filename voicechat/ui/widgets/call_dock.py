"""Call dock: HTML of the controls that only the browser needs. The page's scripts wire them."""

from __future__ import annotations

HINT_HTML = """
<div id="voice-hint" role="alert" hidden><i class="icon" data-icon="alert"></i><p></p>
  <button id="voice-hint-check" class="button" type="button" data-text="check_short"></button></div>
<div id="voice-resume" role="status" hidden><i class="icon" data-icon="phone"></i><p data-text="resume_cut"></p>
  <button id="voice-resume-call" class="button" type="button" data-text="resume_go_on"></button></div>
"""
"""Cards above the dock: a failure that only the browser notices, with the sound check as its remedy, and the offer to
continue a call that was cut off."""

AUDIO_CONTROLS_HTML = """
<button id="voice-test" class="slot" type="button" data-name="check_name">
  <span class="disc"><i class="icon" data-icon="headset"></i></span>
  <span class="word" data-text="check_word"></span></button>
<div id="voice-volume">
  <button id="voice-speaker" class="slot" type="button" aria-pressed="false" data-name="name_mute_speaker">
    <span class="disc"><i class="icon" data-icon="loudspeaker"></i></span></button>
  <button id="voice-volume-open" class="slot" type="button" aria-expanded="false" data-popover="voice-volume-range"
    data-name="volume">
    <span class="disc"><i class="icon" data-icon="loudspeaker"></i></span>
  <span class="word" data-text="volume"></span></button>
  <span id="voice-volume-range"><input type="range" min="0" max="100" step="1" value="100" data-name="volume"></span>
  <output class="word"></output>
</div>
"""
"""Sound check, and the volume: in the dock, or on phones in a popover."""

MORE_BUTTON_HTML = """
<button id="voice-more" class="slot" type="button" aria-haspopup="dialog" aria-expanded="false"
  data-popover="voice-more-menu">
  <span class="disc"><i class="icon" data-icon="more"></i></span>
  <span class="word" data-text="more"></span></button>
"""

TYPING_HTML = """
<button id="voice-type-instead" class="mini" type="button" data-name="type_instead">
  <i class="icon" data-icon="keyboard"></i></button>
<button id="voice-hold" type="button" data-text="hold_to_talk"></button>
"""
"""Push-to-talk: takes the place of the message box during a call."""

OVERLAY_HTML = """
<div class="waiting"><div class="place" aria-hidden="true"><b id="waiting-position"></b></div><h2></h2><p></p>
  <button class="button soft" type="button" data-tab="text" data-text="write_meanwhile"></button></div>
"""
"""While connecting or in the queue; stage.js fills it, in the place of an empty conversation."""


def own_key_html(tab: str) -> str:
    """Return the question to a visitor whose own key was lost with the page before. own_key.js shows it."""
    return (
        f'<div id="{tab}-own-key" class="own-key-lost" role="status" hidden><i class="icon" data-icon="key"></i>'
        '<p data-text="own_key_lost"></p>'
        '<button class="button soft" type="button" data-enter-key data-text="own_key_enter"></button>'
        '<button class="button" type="button" data-go-on data-text="own_key_go_on"></button></div>'
    )


def outbox_html(tab: str) -> str:
    """Return the list of typed messages that wait for a connection. outbox.js fills it."""
    return f'<ul id="{tab}-outbox" class="outbox" aria-live="polite" data-name="outbox_title"></ul>'


def newest_button_html(tab: str) -> str:
    """Return the button that scrolls to the newest message. scrolling.js shows it."""
    return (
        f'<button id="{tab}-newest" class="newest" type="button" data-name="newest" hidden>'
        '<i class="icon" data-icon="down"></i></button>'
    )
