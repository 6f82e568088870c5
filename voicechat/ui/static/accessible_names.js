/* What the call's buttons are called, for those who do not see their colours. fastrtc's component calls the main button
 * "start stream" also while it hangs up, and speaks English only. Its own names stay: the style sheet and this page's
 * scripts find the buttons by them; ours go before them (aria-labelledby). */
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

  /** The id of a hidden element that says `code`. */
  const word = (code) => {
    const id = `voice-${code}`;
    if (!document.getElementById(id)) {
      document.body.append(Object.assign(document.createElement("span"), { id, hidden: true, textContent: text[code] }));
    }
    return id;
  };
  const call = (button, code) => {
    if (button.title === text[code]) return;
    button.title = text[code];
    button.setAttribute("aria-labelledby", word(code));
  };
  const describe = () => {
    // The content of these is replaced, they stay.
    for (const id of ["status", "text-status"]) document.getElementById(id)?.setAttribute("aria-live", "polite");
    // Gradio measures the tabs on a hidden copy of them, which the keyboard would stop at.
    for (const copy of document.querySelectorAll(".tab-container[aria-hidden=true]:not([inert])")) copy.inert = true;
    // A list that scrolls has to be reached by the keyboard.
    for (const log of document.querySelectorAll(".bubble-wrap:not([tabindex])")) log.tabIndex = 0;
    for (const mute of document.querySelectorAll(`${CALL} .mute-button`)) {
      const code = MUTES[mute.getAttribute("aria-label")];
      if (code) call(mute, code);
    }
    const button = document.querySelector(`${CALL} button[aria-label="start stream"]`);
    if (!button) return;
    const stop = button.querySelector('[title="stop recording"]');
    // To the component a call stands that waits in line; nobody listens to it yet.
    const inLine = stop && document.querySelector('#status [data-stage="waiting"]');
    const state = inLine || button.querySelector('[title="spinner"]') ? "wait" : stop ? "stop" : "start";
    const word = inLine ? "line" : state;
    button.dataset.word = text[`word_${word}`]; // the style sheet writes it under the button
    call(button, `name_${word}`);
    const before = button.dataset.state;
    if (before === state) return;
    button.dataset.state = state;
    document.dispatchEvent(new CustomEvent("voice-button", { detail: { before, state } }));
  };
  new MutationObserver(describe).observe(document, {
    childList: true,
    subtree: true,
    attributeFilter: ["aria-label"], // a mute button changes its name with its picture
  });
})();
