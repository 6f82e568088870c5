/* Popovers of the dock and dialogs: one is open at a time; Esc and a click outside close it and give the focus back. */
(() => {
  "use strict";
  const text = window.voiceTexts;
  let opener = null;
  const target = () => (opener ? document.getElementById(opener.dataset.popover) : null);
  const close = (giveFocusBack) => {
    const button = opener;
    target()?.removeAttribute("data-open");
    button?.setAttribute("aria-expanded", "false");
    opener = null;
    if (giveFocusBack) button?.focus();
  };
  const open = (button) => {
    close(false);
    opener = button;
    button.setAttribute("aria-expanded", "true");
    const shown = target();
    shown.setAttribute("data-open", "");
    shown.querySelector("button, input")?.focus();
  };
  const closeFigures = () => {
    const figures = document.querySelectorAll("details.figures[open]");
    for (const each of figures) each.open = false;
    return figures.length > 0;
  };
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const button = event.target.closest("[data-popover]");
    if (button) return button === opener ? close(true) : open(button);
    const row = event.target.closest("[data-press]");
    if (row) {
      close(true);
      document.querySelector(row.dataset.press)?.click();
      return;
    }
    const tab = event.target.closest("[data-tab]");
    if (tab) document.getElementById(`${tab.dataset.tab}-tab-button`)?.click();
    if (!event.isTrusted) return; // the page's own scripts press hidden buttons, which closes nothing
    if (opener && !event.target.closest("[data-open]")) close(false);
    if (!event.target.closest("details.figures")) closeFigures();
  });
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape") return;
      if (opener) close(true);
      else if (document.querySelector("details.figures[open]")) {
        const summary = document.querySelector("details.figures[open] > summary");
        closeFigures();
        summary.focus();
      } else return;
      event.stopImmediatePropagation(); // Esc also stops the voice
      event.preventDefault();
    },
    true,
  );

  // ---------------------------------------------------------------- dialogs
  /** Create a dialog with a title and a close button; `fill(body)` makes its content each time it is opened. */
  window.voiceCreateDialog = (id, title, fill) => {
    const show = () => {
      let dialog = document.getElementById(id);
      if (!dialog) {
        dialog = Object.assign(document.createElement("dialog"), { id, className: "sheet" });
        const header = document.createElement("header");
        const heading = Object.assign(document.createElement("h2"), { id: `${id}-title`, textContent: text[title] });
        const button = Object.assign(document.createElement("button"), { type: "button", className: "tool", title: text.close });
        button.setAttribute("aria-label", text.close);
        button.append(Object.assign(document.createElement("i"), { className: "icon" }));
        button.firstChild.dataset.icon = "close";
        button.onclick = () => dialog.close();
        header.append(heading, button);
        dialog.append(header, document.createElement("div"));
        dialog.setAttribute("aria-labelledby", heading.id);
        dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
        (document.querySelector(".gradio-container") ?? document.body).append(dialog);
      }
      fill(dialog.querySelector("div"), dialog);
      if (!dialog.open) dialog.showModal();
    };
    return show;
  };
  const showKeys = window.voiceCreateDialog("keys-dialog", "keys_title", (body) => {
    const list = document.createElement("dl");
    for (const [keys, code] of [["M", "key_mute"], ["Esc", "key_stop"], ["Space", "key_talk"], ["Enter", "key_send"], ["Shift+Enter", "key_line"], ["?", "key_help"]]) {
      const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
      term.append(Object.assign(document.createElement("kbd"), { textContent: keys === "Space" ? text.key_space : keys }));
      meaning.textContent = text[code];
      list.append(term, meaning);
    }
    body.replaceChildren(list);
  });
  document.addEventListener("click", ({ target: clicked }) => clicked instanceof Element && clicked.closest("#keys-open") && showKeys());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    showKeys();
  });
})();
