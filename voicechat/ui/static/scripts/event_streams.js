/* Event streams: an event of Gradio's page that has lost its stream gets another.
 *
 * Gradio ends the stream of a page without events under way, and the page opens another for its next event. An event
 * that was acknowledged while the end of the stream was on its way to a slow page finds the stream still open there: its
 * outcome then waits at the server, and a call would show "connecting" to its end. Any further event opens a stream, and
 * all that waits comes through it. */
(() => {
  "use strict";
  const REOPEN_AFTER_MS = 1000; // without a stream, though an event is unanswered
  const MAX_REOPENINGS = 5; // in succession; events that the server has forgotten get no outcome
  const JOIN = /\/gradio_api\/queue\/join/;
  const DATA = /\/gradio_api\/queue\/data/;
  const CLOSE_MESSAGE = 'data: {"msg":"close_stream"}\n\n';
  const unanswered = new Set(); // ids of events without an outcome
  const early = new Set(); // ids of events whose outcome came before their acknowledgement; some get none
  const MAX_EARLY = 100;
  let streams = 0; // open ones
  let reopenings = 0;
  let timer = 0;

  const reopen = () => {
    if (!unanswered.size || streams) return;
    if (document.documentElement.matches("[data-draining], [data-offline]")) return check();
    if (reopenings >= MAX_REOPENINGS) return unanswered.clear();
    reopenings += 1;
    document.getElementById("events-reopen")?.click();
    check();
  };
  const check = () => {
    clearTimeout(timer);
    if (unanswered.size && !streams) timer = setTimeout(reopen, REOPEN_AFTER_MS * (1 + reopenings));
  };
  const settle = (id) => {
    reopenings = 0;
    if (unanswered.delete(id)) return;
    if (early.size >= MAX_EARLY) early.clear();
    early.add(id);
  };
  /** Note a line of a stream. Return whether it closes the stream. */
  const note = (line) => {
    if (!line.startsWith("data:")) return false;
    if (/"msg":\s*"process_completed"/.test(line)) {
      const id = /"event_id":\s*"(\w+)"/.exec(line)?.[1];
      if (id) settle(id);
    }
    if (/"msg":\s*"(unexpected_error|server_stopped)"/.test(line)) unanswered.clear();
    return /"msg":\s*"close_stream"/.test(line);
  };
  /** Return the same response; the messages in its body are noted. A stream that ends without a closing message gets one,
   * or Gradio would believe it open and never open another. */
  const watched = (response) => {
    if (!response.ok || !response.body) return response;
    streams += 1;
    let open = true;
    let closed = false;
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
            if (!closed) controller.enqueue(new TextEncoder().encode(CLOSE_MESSAGE));
            controller.close();
            return end();
          }
          const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
          rest = lines.pop();
          for (const line of lines) closed = note(line) || closed;
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

  let streamCount = 0;
  /** Return the request for a stream with a number of its own. With one address for all, the cache of the browser made a
   * stream wait for the end of the one before, and sent its request twice. */
  const numbered = (url, options) => {
    const request = new Request(url, { ...options, cache: "no-store" });
    const address = new URL(request.url);
    address.searchParams.set("stream", (streamCount += 1));
    return new Request(address, request);
  };
  const nativeFetch = window.fetch.bind(window);
  window.fetch = async (url, options) => {
    const address = String(url?.url ?? url);
    if (DATA.test(address)) return watched(await nativeFetch(numbered(url, options)));
    const response = await nativeFetch(url, options);
    if (JOIN.test(address) && response.ok) {
      const { event_id: id } = await response.clone().json().catch(() => ({}));
      if (id && !early.delete(id)) unanswered.add(id);
      setTimeout(check); // Gradio opens a stream when it sees none
    }
    return response;
  };
})();
