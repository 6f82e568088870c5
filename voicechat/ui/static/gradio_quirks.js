/* Corrections of Gradio's and fastrtc's components: Enter in an empty text box, details that close at every update, and a
 * sound from another host. */
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

  // ---------------------------------------------------------------- a sound from another host
  // fastrtc's component loads a sound for stop words from another host, which the page's policy refuses. Calls have none.
  const NativeAudio = window.Audio;
  const isOwnUrl = (url) => {
    const { origin, protocol } = new URL(url, document.baseURI);
    return origin === location.origin || ["data:", "blob:"].includes(protocol);
  };
  window.Audio = function Audio(...url) {
    return url.length && isOwnUrl(url[0]) ? new NativeAudio(url[0]) : new NativeAudio();
  };
  window.Audio.prototype = NativeAudio.prototype;
})();
