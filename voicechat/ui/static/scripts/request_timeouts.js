/* Timeouts for the requests that start a call: the list of ICE servers, the offer, and its answer. fastrtc's component
 * would wait for ever, or fail on a rejected request. */
(() => {
  "use strict";
  const ICE_SERVERS_TIMEOUT_MS = 8000; // for the list of ICE servers
  const OFFER_TIMEOUT_MS = 10000; // from the offer to its answer
  const pending = new Set(); // functions that abort the requests of the starting call

  const nativeFetch = window.fetch.bind(window);
  /** Return "turn" or "offer" for a request that starts a call, else "". */
  const requestKind = (url, options) => {
    if (typeof options?.body !== "string" || !String(url?.url ?? url).includes("/component_server")) return "";
    try {
      const { fn_name: name, data } = JSON.parse(options.body);
      return name === "turn" || (name === "offer" && data?.type === "offer") ? name : "";
    } catch {
      return "";
    }
  };
  // Replaces the list of ICE servers: a call may also succeed without them.
  const emptyResponse = () => new Response("{}", { headers: { "Content-Type": "application/json" } });
  window.fetch = async (url, options) => {
    const name = requestKind(url, options);
    if (!name) return nativeFetch(url, options);
    const controller = new AbortController();
    const abort = () => controller.abort();
    pending.add(abort);
    const timer = name === "turn" ? setTimeout(abort, ICE_SERVERS_TIMEOUT_MS) : 0;
    try {
      const response = await nativeFetch(url, { ...options, signal: controller.signal });
      return name === "offer" || response.ok ? response : emptyResponse();
    } catch (error) {
      if (name === "offer") throw error;
      return emptyResponse();
    } finally {
      clearTimeout(timer);
      pending.delete(abort);
    }
  };

  window.voiceRequestTimeouts = {
    watchConnection(connection) {
      let timer = 0;
      connection.addEventListener("signalingstatechange", () => {
        clearTimeout(timer);
        if (connection.signalingState !== "have-local-offer") return;
        timer = setTimeout(() => {
          const unanswered = connection.signalingState === "have-local-offer" && window.voiceCallControl.isCurrent(connection);
          if (unanswered) window.voiceCallControl.connectionLost(connection);
        }, OFFER_TIMEOUT_MS);
      });
    },
    /** Abort all requests, so that a late response cannot disturb the next call. */
    abortAll() {
      for (const abort of [...pending]) abort();
    },
  };
})();
