/* Page texts: fills the app's own elements in the page's language. `data-text` is the code of a visible text, `data-name`
 * of an accessible name with a tooltip; `data-en` and `data-zh` hold both wordings of a text that the operator set. */
(() => {
  "use strict";
  const text = window.voiceTexts;
  const wording = window.voiceLocale === "zh-TW" ? "zh" : "en";
  const fill = () => {
    for (const each of document.querySelectorAll("[data-text]:empty")) each.textContent = text[each.dataset.text];
    for (const each of document.querySelectorAll("[data-en]:empty")) if (each.dataset[wording]) each.textContent = each.dataset[wording];
    for (const each of document.querySelectorAll("[data-name]:not([aria-label])")) {
      each.setAttribute("aria-label", text[each.dataset.name]);
      if (each instanceof HTMLButtonElement) each.title = text[each.dataset.name];
    }
  };
  /** Change the accessible name of an element. */
  window.voiceSetName = (element, code) => {
    if (!element || element.dataset.name === code) return;
    element.dataset.name = code;
    element.setAttribute("aria-label", text[code]);
    if (element instanceof HTMLButtonElement) element.title = text[code];
  };
  new MutationObserver(fill).observe(document, { childList: true, subtree: true });
})();
