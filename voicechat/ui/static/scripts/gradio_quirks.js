/* Corrections of Gradio's and fastrtc's components: details that close at every update, a hidden wave and a hidden
 * pulse that are computed all the time, and a sound from another host. */
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

  // ---------------------------------------------------------------- wave and pulse
  // dock.css hides fastrtc's wave and pulse. The component would compute both in every frame, also in an idle page, and
  // keep an AudioContext running for each: 13 % of a slow processor. Neither is ever drawn.
  const nextFrame = window.requestAnimationFrame.bind(window);
  const drawings = new WeakMap(); // callback: whether it draws the wave or the pulse
  const drawsWave = (callback) => {
    if (!drawings.has(callback)) {
      const source = Function.prototype.toString.call(callback);
      const again = source.includes("requestAnimationFrame");
      drawings.set(callback, again && (source.includes("getByteFrequencyData") || source.includes("Math.sin")));
    }
    return drawings.get(callback);
  };
  window.requestAnimationFrame = (callback) => (drawsWave(callback) ? 0 : nextFrame(callback));
  AnalyserNode.prototype.getByteFrequencyData = function () {
    this.context.suspend(); // only fastrtc's component reads these values
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
