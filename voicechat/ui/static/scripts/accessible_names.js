/* Accessible names of the page's controls, in the page's language. Gradio names parts of a slider in English. fastrtc's
 * component always names the main button "start stream", also while it hangs up. The style sheet and the scripts find the
 * buttons by these names, so they stay. aria-labelledby takes precedence over them. */
(() => {
  "use strict";
  const CALL = "#voice-call";
  const text = window.voiceTexts; // voicechat/ui/i18n/script_texts.py, in the page's language (language.js)
  const MUTES = {
    "mute mic": "name_mute_microphone",
    "unmute mic": "name_unmute_microphone",
    "mute audio": "name_mute_speaker",
    "unmute audio": "name_unmute_speaker",
  };

  /** Return the id of a hidden element that contains the text `code`. */
  const ensureLabelElement = (code) => {
    const id = `voice-${code}`;
    if (!document.getElementById(id)) {
      document.body.append(Object.assign(document.createElement("span"), { id, hidden: true, textContent: text[code] }));
    }
    return id;
  };
  const setAccessibleName = (button, code) => {
    if (button.title === text[code]) return;
    button.title = text[code];
    button.setAttribute("aria-labelledby", ensureLabelElement(code));
  };
  const updateAccessibleNames = () => {
    // Gradio replaces the content of these elements, and keeps the elements.
    for (const id of ["status", "text-status"]) document.getElementById(id)?.setAttribute("aria-live", "polite");
    // Gradio measures the tabs on a hidden copy, which must not take the keyboard focus.
    for (const copy of document.querySelectorAll(".tab-container[aria-hidden=true]:not([inert])")) copy.inert = true;
    // A scrolling list has to be reachable by keyboard.
    for (const log of document.querySelectorAll(".bubble-wrap:not([tabindex])")) log.tabIndex = 0;
    // Gradio's lists to choose from: an input cannot be a list box, but can open one.
    for (const box of document.querySelectorAll("input[role=listbox]")) box.role = "combobox";
    for (const part of document.querySelectorAll('[aria-label^="number input for "], [aria-label^="range slider for "]')) {
      part.ariaLabel = part.ariaLabel.replace(/^(number input|range slider) for /, "");
    }
    for (const reset of document.querySelectorAll('[aria-label="Reset to default value"]')) {
      if (reset.ariaLabel !== text.name_reset) reset.ariaLabel = text.name_reset;
    }
    for (const mute of document.querySelectorAll(`${CALL} .mute-button`)) {
      const code = MUTES[mute.getAttribute("aria-label")];
      if (code) setAccessibleName(mute, code);
      const word = text[mute.getAttribute("aria-label").startsWith("unmute") ? "word_muted" : "word_mute"];
      if (mute.dataset.word !== word) mute.dataset.word = word; // shown under the button by the style sheet
    }
    const button = document.querySelector(`${CALL} button[aria-label="start stream"]`);
    if (!button) return;
    const stop = button.querySelector('[title="stop recording"]');
    // For the component a queued call is already connected.
    const inQueue = stop && document.querySelector('#status [data-stage="waiting"]');
    const state = inQueue || button.querySelector('[title="spinner"]') ? "wait" : stop ? "stop" : "start";
    const wording = inQueue ? "queue" : state;
    button.dataset.word = text[`word_${wording}`]; // shown under the button by the style sheet
    setAccessibleName(button, `name_${wording}`);
    const before = button.dataset.state;
    if (before === state) return;
    button.dataset.state = state;
    document.dispatchEvent(new CustomEvent("voice-button-state", { detail: { before, state } }));
  };
  new MutationObserver(updateAccessibleNames).observe(document, {
    childList: true,
    subtree: true,
    attributeFilter: ["aria-label"], // a mute button changes its name with its icon
  });
})();
