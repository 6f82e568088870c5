/* Connection monitor: notices that the page's server does not answer, waits for it, reloads and lets the page resume.
 * It takes two seconds, and four where no WebSocket can be held. Gradio's page believes a broken event stream open: what
 * is pressed then is never answered. */
(() => {
  "use strict";
  const RETRY_MS = 500;
  const FIRST_RETRY_MS = 50; // behind a proxy, another replica answers at once
  const POLL_MS = 2000; // where no WebSocket can be held
  const ANSWER_WITHIN_MS = 2000;
  const LEAVE_WITHIN_MS = 5000; // until a page that is still there tries again; doubled with each attempt
  const TOO_MANY_PAGES = 1013; // page_connection.py
  const DRAINING = ["draining", "moving"]; // page_connection.py
  const root = document.documentElement;
  const nativeFetch = window.fetch.bind(window);
  let processId = null; // of the server that this page was loaded from
  let socket = null;
  let hasOpened = false; // a WebSocket, once: this network has them
  let poller = 0;
  let alive = true;
  let broken = false; // an event stream has broken: only a reload repairs the page
  let leaving = false;

  const setAlive = (now) => {
    if (alive === now) return;
    alive = now;
    root.toggleAttribute("data-offline", !now);
    document.dispatchEvent(new Event("voice-connection"));
  };
  let leaveWithinMs = LEAVE_WITHIN_MS; // a slow server shall not be asked again before it has answered
  /** Load the page again, which resumes: from the same address, or from another one. Return whether the page leaves now. */
  const reload = (address = null) => {
    if (leaving) return false;
    leaving = true;
    window.voiceResume.noteRedial?.();
    window.voiceOutbox?.keepDrafts();
    if (address) location.replace(address);
    else location.reload();
    setTimeout(stay, leaveWithinMs);
    leaveWithinMs *= 2;
    return true;
  };
  /** The address did not open: no page came in the place of this one. */
  const stay = () => {
    leaving = false; // call_view.js keeps its note of the call: the next page may only be late
    ask().then((isThere) => isThere || reconnect());
  };
  const url = () => new URL("page-connection", document.baseURI);
  /** The server has said who it is. */
  const learn = (answered) => {
    if (processId !== null && (answered !== processId || broken)) return reload();
    processId = answered;
    setAlive(true);
  };
  const learnDraining = (how) => { // it finishes open conversations, takes no new ones, and ends
    if (root.hasAttribute("data-draining")) return;
    root.dataset.draining = how;
    document.dispatchEvent(new Event("voice-connection"));
  };
  const connect = () => {
    if (leaving || poller) return;
    const address = url();
    address.protocol = address.protocol.replace("http", "ws");
    try {
      socket = new WebSocket(address);
    } catch {
      return poll();
    }
    socket.onmessage = ({ data }) => {
      hasOpened = true;
      if (DRAINING.includes(data)) learnDraining(data);
      else learn(data);
    };
    socket.onclose = ({ code }) => {
      if (code === TOO_MANY_PAGES || !hasOpened) return poll();
      const wasAlive = alive;
      setAlive(false);
      setTimeout(connect, wasAlive ? FIRST_RETRY_MS : RETRY_MS);
    };
  };
  /** Ask over HTTP who the server is. Return whether it answered. */
  const ask = async () => {
    try {
      const response = await nativeFetch(url(), { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      if (!response.ok) return false;
      const { process, draining } = await response.json();
      learn(process);
      if (draining) learnDraining(draining);
      return true;
    } catch {
      return false;
    }
  };
  /** Ask again and again: this network has no WebSockets, or the server watches as many pages as it can. */
  const poll = () => {
    if (poller || leaving) return;
    const again = async () => {
      if (!(await ask()) && !leaving) setAlive(false);
      poller = setTimeout(again, alive ? POLL_MS : RETRY_MS);
    };
    poller = setTimeout(again, processId === null ? 0 : POLL_MS);
  };
  let checking = null;
  /** Find out now whether the server answers: a network that has vanished leaves its sockets open. */
  const check = () => {
    if (leaving || !alive || processId === null) return;
    checking ??= ask().then((isThere) => {
      checking = null;
      if (!isThere) reconnect();
    });
  };
  const reconnect = () => {
    if (leaving) return;
    setAlive(false);
    if (poller) return; // it goes on asking
    if (socket) socket.onclose = socket.onmessage = null;
    socket?.close();
    connect();
  };

  // ---------------------------------------------------------------- Gradio's event streams
  /** Return the same response, with its body watched: an error in it means that the server or the way to it was lost. */
  const watchBody = (response) => {
    if (!response.ok || !response.body) return response;
    const reader = response.body.getReader();
    const body = new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          if (error.name !== "AbortError" && !leaving) {
            broken = true;
            if (poller || socket?.readyState === WebSocket.OPEN) reconnect(); // else it is under way
          }
          controller.error(error);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    });
    return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers });
  };
  /** Wait until the same server answers again. A reload ends the waiting: what is pressed in this page, or ends here,
   * means nothing to a server that was restarted. */
  const untilAlive = async () => {
    while (!alive || leaving) await new Promise((resolve) => document.addEventListener("voice-connection", resolve, { once: true }));
  };
  window.fetch = async (url, options) => {
    if (/\/gradio_api\/queue\/join/.test(String(url?.url ?? url))) await untilAlive();
    const response = await nativeFetch(url, options);
    return /\/gradio_api\/(queue\/data|heartbeat)/.test(String(url?.url ?? url)) ? watchBody(response) : response;
  };

  window.addEventListener("pagehide", () => {
    leaving = true;
    socket?.close();
  });
  window.addEventListener("pageshow", () => {
    leaving = false;
  });
  window.addEventListener("offline", check); // perhaps another network remains
  window.addEventListener("online", check);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && check());
  document.addEventListener("resume", check);
  window.voiceConnection = { isAlive: () => alive, check, processId: () => processId, moveTo: reload };
  connect();
})();
