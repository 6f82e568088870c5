/* End of the page. Runs before Gradio's scripts.
 * Gradio ends its session on `beforeunload` and then reports the lost connection as an error. The browser closes the
 * connections of a page that it leaves, and it keeps the page when `beforeunload` belongs to a download. */
(() => {
  "use strict";
  window.addEventListener("beforeunload", (event) => event.stopImmediatePropagation());
})();
