/* What a call begins with may stay unanswered: its two requests, and then the answer to its offer. fastrtc's component
 * would wait for ever, or trip over a request that failed; here each of them comes to an end. */
(() => {
  "use strict";
  const TURN_MS = 8000;
  const OFFER_MS = 10000; // from the offer to its answer
  const beginning = new Set(); // what ends the requests of the call that begins

  const native = window.fetch.bind(window);
  /** "turn" or "offer" for a request that a call begins with. */
  const kind = (where, given) => {
    if (typeof given?.body !== "string" || !String(where?.url ?? where).includes("/component_server")) return "";
    try {
      const { fn_name: name, data } = JSON.parse(given.body);
      return name === "turn" || (name === "offer" && data?.type === "offer") ? name : "";
    } catch {
      return "";
    }
  };
  // In place of the list of servers: a call without them may succeed, and one that does not ends as any other.
  const nothing = () => new Response("{}", { headers: { "Content-Type": "application/json" } });
  window.fetch = async (where, given) => {
    const name = kind(where, given);
    if (!name) return native(where, given);
    const control = new AbortController();
    const stop = () => control.abort();
    beginning.add(stop);
    const timer = name === "turn" ? setTimeout(stop, TURN_MS) : 0;
    try {
      const answer = await native(where, { ...given, signal: control.signal });
      return name === "offer" || answer.ok ? answer : nothing();
    } catch (error) {
      if (name === "offer") throw error;
      return nothing();
    } finally {
      clearTimeout(timer);
      beginning.delete(stop);
    }
  };

  window.voicePatience = {
    watch(connection) {
      let timer = 0;
      connection.addEventListener("signalingstatechange", () => {
        clearTimeout(timer);
        if (connection.signalingState !== "have-local-offer") return;
        timer = setTimeout(() => {
          const unanswered = connection.signalingState === "have-local-offer" && window.voiceCall.is(connection);
          if (unanswered) window.voiceCall.lost(connection);
        }, OFFER_MS);
      });
    },
    /** The call is over: a late answer to it must not disturb the next one. */
    stop() {
      for (const each of [...beginning]) each();
    },
  };
})();
