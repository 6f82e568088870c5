/* Welcome: a suggestion is said for the visitor, in a new call or chat; a persona card chooses whom they talk to. The
 * settings panel owns the choice; the cards press its radio buttons and show it. */
(() => {
  "use strict";
  const press = (key) => document.querySelector(`#wish-persona input[value="${CSS.escape(key)}"]`)?.click();
  const showChoice = () => {
    const checked = document.querySelector("#wish-persona input:checked")?.value;
    if (!checked) return;
    for (const card of document.querySelectorAll("[data-persona]")) {
      const isChosen = String(card.dataset.persona === checked);
      if (card.getAttribute("aria-checked") !== isChosen) card.setAttribute("aria-checked", isChosen);
      card.tabIndex = isChosen === "true" ? 0 : -1;
    }
  };
  document.addEventListener("click", ({ target }) => {
    if (!(target instanceof Element)) return;
    const chip = target.closest(".chip");
    if (chip) window.voiceOutbox.push(chip.closest("#text-welcome") ? "text" : "voice", chip.textContent);
    const card = target.closest("[data-persona]");
    if (card) press(card.dataset.persona);
  });
  // A group of radio buttons is one stop of the Tab key; the arrow keys move within it.
  document.addEventListener("keydown", (event) => {
    const card = event.target instanceof Element && event.target.closest("[data-persona]");
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!card || !step) return;
    event.preventDefault();
    const cards = [...card.parentElement.children];
    const next = cards[(cards.indexOf(card) + step + cards.length) % cards.length];
    next.focus();
    press(next.dataset.persona);
  });
  document.addEventListener("change", showChoice);
  new MutationObserver(showChoice).observe(document, { childList: true, subtree: true, attributeFilter: ["class"] });
})();
