/* Drain: a server that ends finishes its open conversations first. Where it is one of several replicas behind a proxy, the
 * page moves to another one at a quiet moment, and its call goes on there. The page knows that there is another when
 * `page-connection?again=1` is answered by a process that is not its own: the proxy sends that question to any replica
 * that takes new visitors (deploy/haproxy.cfg). Without such a proxy its own server answers, and the page stays. */
(() => {
  "use strict";
  const ASK_AFTER_MS = 1000; // by then the proxy gives the ending replica no new pages
  const SPREAD_MS = 500; // the pages of a replica do not all move at once
  const MAX_ASK_MS = 10000; // between two questions; one server alone has the same answer to each
  const ANSWER_WITHIN_MS = 2000;
  const CHECK_MS = 100;
  const TYPING_MS = 1500; // since the last key
  const SAVE_WITHIN_MS = 1500; // for the browser's copy of the conversation
  const MAX_HOLD_MS = 5000; // of the lock, until a page that opens another address is away
  const BUSY = ["connecting", "thinking", "speaking", "hearing", "reconnecting"];
  const CLOSING = '[data-notice="closing"], [data-notice="closing_soon"]';
  const AGAIN = "again";
  const LOCK = "voice-move";
  const root = document.documentElement;
  const nativeFetch = window.fetch.bind(window);

  const here = new URL(location.href);
  if (here.searchParams.has(AGAIN)) { // the proxy has read it
    here.searchParams.delete(AGAIN);
    history.replaceState(history.state, "", here);
  }

  // ---------------------------------------------------------------- another replica
  /** Return whether another replica answers. `again`: any that takes new visitors; else the one of this browser's cookie. */
  const isAnotherAt = async (again) => {
    const address = new URL("page-connection", document.baseURI);
    if (again) address.searchParams.set(AGAIN, "1");
    try {
      const response = await nativeFetch(address, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      if (!response.ok) return false;
      const { process, draining } = await response.json();
      return !draining && process !== window.voiceConnection.processId();
    } catch {
      return false;
    }
  };
  let askAfterMs = ASK_AFTER_MS + Math.random() * SPREAD_MS;
  let hasAsked = false;
  const ask = async () => {
    const isAnother = window.voiceConnection.isAlive() && (await isAnotherAt(true));
    hasAsked = true;
    if (isAnother) {
      root.toggleAttribute("data-moving", true);
      document.dispatchEvent(new Event("voice-connection"));
      return;
    }
    document.dispatchEvent(new Event("voice-connection")); // the words about the end come back
    askAfterMs = Math.min(2 * askAfterMs, MAX_ASK_MS);
    setTimeout(ask, askAfterMs);
  };

  // ---------------------------------------------------------------- the quiet moment
  let lastKeyAt = -TYPING_MS;
  document.addEventListener("keydown", () => (lastKeyAt = performance.now()), true);
  /** Nothing is said, typed or on its way. The server ends a call, and a chat, at such a moment itself. */
  const isQuiet = () => {
    const stages = [...document.querySelectorAll("#status [data-stage], #text-status [data-stage]")];
    const isInCall = window.voiceCallControl.isWanted() && !document.querySelector('#status [data-notice="closing"]');
    if (isInCall || stages.some((each) => BUSY.includes(each.dataset.stage))) return false;
    return window.voiceOutbox.isIdle() && performance.now() - lastKeyAt >= TYPING_MS;
  };
  // All tabs of a browser share the cookie that names their replica: none moves while another one is in a call, and one
  // after the other. Only where the browser has locks.
  let releaseSharedLock = null;
  const holdSharedLock = (on) => {
    if (on && !releaseSharedLock) {
      const released = new Promise((resolve) => (releaseSharedLock = resolve));
      navigator.locks?.request(LOCK, { mode: "shared" }, () => released).catch(() => {});
    } else if (!on && releaseSharedLock) {
      releaseSharedLock();
      releaseSharedLock = null;
    }
  };
  const withExclusiveLock = (work) =>
    navigator.locks ? navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => lock && work()).catch(() => {}) : work();
  const move = async () => {
    const hasCookieOfAnother = await isAnotherAt(false); // another tab has moved
    const address = new URL(location.href);
    address.searchParams.set(AGAIN, "1");
    if (!window.voiceConnection.moveTo(hasCookieOfAnother ? null : address)) return;
    // Hold the lock until the answer has brought the cookie. Where the page stays, the other tabs must not wait for it.
    await new Promise((resolve) => setTimeout(resolve, MAX_HOLD_MS));
  };
  let quietSince = 0;
  const check = async () => {
    const now = performance.now();
    quietSince = isQuiet() ? quietSince || now : 0;
    holdSharedLock(!quietSince);
    const isSaved = window.voiceHistory.isSaved() || now - quietSince >= SAVE_WITHIN_MS;
    if (quietSince && isSaved && root.hasAttribute("data-moving")) await withExclusiveLock(move);
    setTimeout(check, CHECK_MS);
  };

  let isDraining = false;
  document.addEventListener("voice-connection", () => {
    if (isDraining || !root.hasAttribute("data-draining")) return;
    isDraining = true;
    setTimeout(ask, askAfterMs);
    check();
  });

  window.voiceDrain = {
    /** Show in a status that the conversation only changes its server, in place of the words about its end. Until the
     * page has asked for another server, believe the replica that there is one. */
    showMoving: (status) => {
      const sentence = status.querySelector(".sentence");
      const words = window.voiceTexts.server_moving;
      if (root.hasAttribute("data-moving") || (root.dataset.draining === "moving" && !hasAsked)) {
        if (!status.matches(CLOSING) || sentence.textContent === words) return;
        sentence.dataset.closing = sentence.textContent;
        sentence.textContent = words;
      } else if (sentence?.dataset.closing) {
        if (sentence.textContent === words) sentence.textContent = sentence.dataset.closing;
        delete sentence.dataset.closing;
      }
    },
  };
})();
