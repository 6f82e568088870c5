/* Page in a frame of another site, and on a Hugging Face Space, which is shown in one. Runs before Gradio's scripts.
 * The page fills its frame and scrolls inside it (page.css): its conversation takes the height that the frame leaves, so a
 * frame that followed the height of the page would grow without end. */
(() => {
  "use strict";
  const outer = window.parent;
  if (outer !== window) {
    document.documentElement.dataset.framed = "";
    // Svelte measures elements with a frame of its own. It takes one with a script, which the page's policy refuses,
    // where it cannot read `window.parent.document`.
    window.parent = { document: null, postMessage: (...message) => outer.postMessage(...message) };
  }

  // At a Space's address Gradio asks Hugging Face whether the Space runs. The page is there, so it does; the page's policy
  // refuses requests to other hosts, and Gradio would report an error.
  const STATUS_URL = "https://huggingface.co/api/spaces/by-subdomain/";
  const nativeFetch = window.fetch.bind(window);
  window.fetch = async (url, options) => {
    if (!String(url?.url ?? url).startsWith(STATUS_URL)) return nativeFetch(url, options);
    return Response.json({ runtime: { stage: "RUNNING" } });
  };
})();
