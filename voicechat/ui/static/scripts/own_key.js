/* Own key: the server keeps a visitor's key with the page alone, so a page that was loaded again has it no longer. What costs
 * the visitor's money shall not cost the operator's: both tabs ask, and outbox.js sends nothing before the answer. The
 * question stays over further reloads. The button of a call beside the question is an answer too. */
(() => {
  "use strict";
  const NOTE = "voice-own-key"; // sessionStorage: "yes" while the page uses a key of the visitor, or asks for it; never the key
  const CARDS = ".own-key-lost";
  const FOCUS_FRAMES = 100; // until the settings panel, and its group, are open
  const { session } = window.voiceStorage;
  let isLost = false;

  const show = () => {
    for (const card of document.querySelectorAll(CARDS)) if (card.hidden === isLost) card.hidden = !isLost;
  };
  const settle = (inUse) => {
    session.write(NOTE, inUse ? "yes" : null);
    if (!isLost) return;
    isLost = false;
    show();
    document.dispatchEvent(new Event("voice-own-key"));
  };
  const looked = window.voiceResume.token().then(() => {
    isLost = session.read(NOTE) !== null;
    show();
  });
  new MutationObserver(show).observe(document, { childList: true, subtree: true });

  /** `isOpening`: the panel moves the focus to its own button first. */
  const focusField = (isOpening, frames) => {
    const field = document.querySelector("#own-key-input input");
    const waits = isOpening && document.activeElement?.id !== "settings-close";
    if (!waits) field?.focus();
    if (document.activeElement !== field && frames > 0) requestAnimationFrame(() => focusField(waits, frames - 1));
  };
  const openField = () => {
    const isOpening = document.documentElement.dataset.panel !== "open";
    if (isOpening) document.getElementById("settings-open")?.click();
    const title = document.querySelector("#settings .group-key > .label-wrap");
    if (title?.classList.contains("open") === false) title.click();
    focusField(isOpening, FOCUS_FRAMES);
  };
  // Registered after call_control.js: it has decided whether the press begins a call.
  document.addEventListener("click", (event) => {
    const { target } = event;
    if (!isLost || !(target instanceof Element)) return;
    const card = target.closest(CARDS);
    if (card && target.closest("[data-enter-key]")) openField();
    const begins = target.closest('#voice-call button[aria-label="start stream"]') && window.voiceCallControl.isWanted();
    if (begins || (card && target.closest("[data-go-on]"))) settle(false);
    if (target.closest("#text-connect")) { // as an answer, it would send what waits, and then end that chat
      event.stopImmediatePropagation();
      document.querySelector("#text-own-key [data-go-on]")?.focus();
    }
  }, true);

  window.voiceOwnKey = {
    /** Resolves once it is known whether the page before used a key of the visitor. */
    looked,
    /** The visitor has not answered yet. */
    isLost: () => isLost,
    /** Note whether the page uses a key of the visitor. A key that was refused is not an answer. */
    note: (inUse) => (inUse || !isLost) && settle(inUse),
  };
})();
