/* Event streams: an event of Gradio's page that has lost its stream gets another.
 *
 * Gradio ends the stream of a page without events under way, and the page opens another for its next event. An event
 * that was acknowledged while the end of the stream was on its way to a slow page finds the stream still open there: its
 * outcome then waits at the server, and a call would show "connecting" to its end. Any further event opens a stream, and
 * all that waits comes through it. */
(() => {
  "use strict";
  const REOPEN_AFTER_MS = 1000; // without a stream, though an event is unanswered
  const JOIN = /\/gradio_api\/queue\/join/;
  const DATA = /\/gradio_api\/queue\/data/;
  const unanswered = new Set(); // ids of events without an outcome
  let streams = 0; // open ones
  let timer = 0;

  const check = () => {
    clearTimeout(timer);
    if (!unanswered.size || streams) return;
    timer = setTimeout(() => {
      if (!unanswered.size || streams || document.documentElement.matches("[data-draining], [data-offline]")) return;
      unanswered.clear(); // of those that the server has forgotten, nothing will come
      document.getElementById("events-reopen")?.click();
    }, REOPEN_AFTER_MS);
  };
  const note = (line) => {
    if (!line.startsWith("data:")) return;
    if (/"msg":\s*"process_completed"/.test(line)) {
      for (const [, id] of line.matchAll(/"event_id":\s*"(\w+)"/g)) unanswered.delete(id);
    }
    if (/"msg":\s*"(unexpected_error|server_stopped)"/.test(line)) unanswered.clear();
  };
  /** Return the same response; the messages in its body are noted. */
  const watched = (response) => {
    if (!response.ok || !response.body) return response;
    streams += 1;
    let open = true;
    const end = () => {
      if (open) streams -= 1;
      open = false;
      check();
    };
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    const body = new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) {
            controller.close();
            return end();
          }
          const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
          rest = lines.pop();
          lines.forEach(note);
          controller.enqueue(value);
        } catch (error) {
          controller.error(error);
          end();
        }
      },
      cancel: (reason) => {
        end();
        return reader.cancel(reason);
      },
    });
    return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers });
  };

  const nativeFetch = window.fetch.bind(window);
  window.fetch = async (url, options) => {
    const address = String(url?.url ?? url);
    const response = await nativeFetch(url, options);
    if (DATA.test(address)) return watched(response);
    if (JOIN.test(address) && response.ok) {
      const { event_id: id } = await response.clone().json().catch(() => ({}));
      if (id) unanswered.add(id);
      setTimeout(check); // Gradio opens a stream when it sees none
    }
    return response;
  };
})();
