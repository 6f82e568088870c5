/* Where Gradio's parts do something else than a visitor expects: Enter in an empty box, a picture that closes by itself. */
(() => {
  "use strict";

  // ---------------------------------------------------------------- typing
  // Gradio reads the box some time after Enter: a press in an empty box would send what is typed next.
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

  // ---------------------------------------------------------------- time and money
  // The lines are drawn anew with every answer; the picture behind them stays open when it was opened.
  document.addEventListener(
    "toggle",
    (event) => {
      const place = event.target instanceof HTMLDetailsElement && event.target.closest("#voice-figures");
      if (place && event.target.isConnected) place.dataset.open = String(event.target.open);
    },
    true,
  );
  const reopen = () => {
    const place = document.getElementById("voice-figures");
    const picture = place?.querySelector("details");
    if (picture && place.dataset.open === "true" && !picture.open) picture.open = true;
  };
  new MutationObserver(reopen).observe(document, { childList: true, subtree: true });
})();
