/* Resume: the tab's token, by which the server gives a reloaded page what it had, and whether a call was up. */
(() => {
  "use strict";
  const TOKEN = "voice-resume";
  const CALL = "voice-call-up";
  const CONVERSATION = "voice-history-id"; // history.js
  const OUTBOX = "voice-outbox"; // outbox.js
  const RETRY_MS = 100;
  const RETRIES = 5; // a page that is being unloaded still holds its lock for a moment
  const { session, randomId } = window.voiceStorage; // blocked site data: nothing is resumed
  const ANSWER_MS = 150;
  /** Without locks (a page without https): ask the other pages who holds the name. Resolves to true when no page does. */
  const askOtherPages = (name) =>
    new Promise((resolve) => {
      if (!window.BroadcastChannel) return resolve(true);
      const channel = new BroadcastChannel(`voice-page-${name}`);
      const timer = setTimeout(() => {
        channel.onmessage = ({ data }) => data === "whose" && channel.postMessage("mine");
        resolve(true);
      }, ANSWER_MS);
      channel.onmessage = ({ data }) => {
        if (data !== "mine") return;
        clearTimeout(timer);
        channel.close();
        resolve(false);
      };
      channel.postMessage("whose");
    });
  /** Hold a lock on the token as long as this page lives. "Duplicate tab" copies the session storage: two tabs stay two. */
  const holdLock = (name) =>
    new Promise((resolve) => {
      if (!navigator.locks) return resolve(askOtherPages(name));
      navigator.locks
        .request(`voice-page-${name}`, { ifAvailable: true }, (lock) => {
          resolve(lock !== null);
          return lock === null ? undefined : new Promise(() => {});
        })
        .catch(() => resolve(true));
    });
  const chooseToken = async () => {
    await window.voiceLeftPages.adopt();
    const known = session.read(TOKEN);
    for (let i = 0; known && i <= RETRIES; i++) {
      if (await holdLock(known)) return known;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    const made = randomId(32);
    session.write(TOKEN, made);
    // A duplicated tab: the call, the entry among the past conversations and the messages on their way are the other
    // tab's. The copy of the conversation stays, and gets an entry of its own.
    if (known) for (const key of [CALL, CONVERSATION, OUTBOX]) session.write(key, null);
    await holdLock(made);
    return made;
  };
  let token = null;

  window.voiceResume = {
    /** Return the tab's token, once its session storage is complete. */
    token: () => (token ??= chooseToken()),
    /** Note that a call is up: its seconds so far, and whether it shall be dialled again by itself. */
    noteCall(seconds, redial) {
      session.write(CALL, seconds === null ? null : JSON.stringify({ seconds, redial, at: Date.now() }));
      if (seconds === null) window.voiceLeftPages.note(); // a hung-up call is not offered again
    },
    /** Return whether a call was up when the tab was left, or lost its server. Ask it once the token is there. */
    isCallNoted: () => session.read(CALL) !== null,
    /** Return the noted call; null without one. It is dialled by itself once, and offered until it goes on. */
    notedCall() {
      const noted = session.read(CALL);
      try {
        const call = noted ? JSON.parse(noted) : null;
        if (call) session.write(CALL, JSON.stringify({ ...call, redial: false }));
        return call;
      } catch {
        return null;
      }
    },
  };
})();
