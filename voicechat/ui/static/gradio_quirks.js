/* Corrections of Gradio's and fastrtc's components: Enter in an empty text box, details that close at every update, a
 * sound from another host, and the end of the session before the page is left. */
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

  // ---------------------------------------------------------------- requests and errors of every load
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

  // Gradio ends its session on `beforeunload` and then reports the lost connection as an error. The browser closes the
  // connections of a page that it leaves, and it keeps the page when `beforeunload` belongs to a download.
  window.addEventListener("beforeunload", (event) => event.stopImmediatePropagation());
})();
