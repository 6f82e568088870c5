/* Corrections of Gradio's and fastrtc's components: details that close at every update, a hidden wave that is computed
 * all the time, and a sound from another host. */
(() => {
  "use strict";

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

  // ---------------------------------------------------------------- wave
  // dock.css hides fastrtc's wave, but the component would compute its curves in every frame, and make the browser style
  // the page for each of them. It draws the curves that it finds.
  const removeWave = () => {
    for (const curve of document.querySelectorAll("#voice-call .wave-path")) curve.remove();
  };

  new MutationObserver(() => {
    restoreOpenDetails();
    removeWave();
  }).observe(document, { childList: true, subtree: true });

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
