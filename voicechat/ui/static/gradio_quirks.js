/* Corrections of Gradio's components: Enter in an empty text box, and details that close at every update. */
(() => {
  "use strict";

  // ---------------------------------------------------------------- typing
  // Gradio reads the box some time after Enter: pressed in an empty box, Enter would send the text that follows.
  document.addEventListener(
    "keypress",
    (event) => {
      if (event.key !== "Enter" || event.shiftKey || !(event.target instanceof HTMLTextAreaElement)) return;
      if (!event.target.closest("#voice-input, #text-input") || event.target.value.trim()) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );

  // ---------------------------------------------------------------- usage panel
  // Gradio renders the panel after every reply. Open details have to stay open.
  document.addEventListener(
    "toggle",
    (event) => {
      const panel = event.target instanceof HTMLDetailsElement && event.target.closest("#voice-figures");
      if (panel && event.target.isConnected) panel.dataset.open = String(event.target.open);
    },
    true,
  );
  const restoreOpenDetails = () => {
    const panel = document.getElementById("voice-figures");
    const details = panel?.querySelector("details");
    if (details && panel.dataset.open === "true" && !details.open) details.open = true;
  };
  new MutationObserver(restoreOpenDetails).observe(document, { childList: true, subtree: true });
})();
