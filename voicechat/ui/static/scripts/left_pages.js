/* Left pages: a page that ended without a sign is continued by the next tab. Its browser was killed, or its computer lost
 * power, and the session storage went with it. So each page keeps a note of its session storage in IndexedDB, which is
 * on the disk at once; local storage may take a minute. The note has the page's token as its id. A page that closes in
 * order marks its note as closed. Only where locks tell which pages are open. */
(() => {
  "use strict";
  const { local, session } = window.voiceStorage;
  const { request } = window.voiceDatabase;
  const CLOSED = "voice-closed-notes"; // localStorage: tokens of pages that were closed in order
  const KEEP = "voice-history-keep"; // localStorage: the switch of history.js
  const TOKEN = "voice-resume"; // sessionStorage: resume.js
  const CALL = "voice-call-up"; // sessionStorage: resume.js
  const COPY = "voice-history-copy"; // sessionStorage: history.js, which keeps it in IndexedDB too
  const NOTE_EVERY_MS = 1000;
  const RENEW_MS = 60000; // an unchanged note
  const maxAgeMs = window.voiceResumeMinutes * 60000; // older pages are past conversations
  const run = window.voiceDatabase("voice-left-pages", ["notes"]);
  const canTellOpenPages = Boolean(navigator.locks);

  const closedTokens = () => {
    try {
      return JSON.parse(local.read(CLOSED) ?? "[]");
    } catch {
      return [];
    }
  };
  const setClosed = (tokens) => local.write(CLOSED, tokens.length ? JSON.stringify(tokens) : null);
  const isKept = () => canTellOpenPages && maxAgeMs > 0 && local.read(KEEP) !== "off" && !window.voiceForget.isForgetting();
  /** Run `work` where the browser keeps site data. */
  const whereAllowed = (work) => async () => {
    try {
      return await work();
    } catch {
      return undefined; // blocked or full
    }
  };

  // ---------------------------------------------------------------- the note of this page
  let noted = "";
  let notedAt = 0;
  const note = async () => {
    const kept = Object.fromEntries(session.entries().filter(([key]) => key !== COPY));
    const token = kept[TOKEN];
    if (!token || !isKept()) return;
    const content = { id: token, session: kept, visible: document.visibilityState === "visible" };
    const now = JSON.stringify(content);
    if (now === noted && Date.now() - notedAt < RENEW_MS) return;
    if (!noted) setClosed(closedTokens().filter((each) => each !== token)); // this page before it was reloaded
    [noted, notedAt] = [now, Date.now()];
    await run("readwrite", (store) => !window.voiceForget.isForgetting() && request(store.put({ at: Date.now(), ...content })));
  };
  const markClosed = () => {
    const token = session.read(TOKEN);
    if (token && isKept()) setClosed([...closedTokens().filter((each) => each !== token), token]);
  };
  setInterval(whereAllowed(note), NOTE_EVERY_MS);
  document.addEventListener("visibilitychange", whereAllowed(note));
  addEventListener("pagehide", whereAllowed(markClosed));

  // ---------------------------------------------------------------- notes of other pages
  /** A hidden page is left to the browser, which may have put it to sleep; one with a call is not. */
  const isLeft = (each, closed, held) =>
    !closed.includes(each.id) && !held.has(`voice-page-${each.id}`) && (each.visible || CALL in each.session);
  const erase = whereAllowed(async () => {
    setClosed([]);
    await run("readwrite", (store) => request(store.clear()));
  });
  const adopt = async () => {
    if (!canTellOpenPages) return erase();
    const isNewTab = !session.read(TOKEN) && isKept();
    const closed = closedTokens();
    const held = new Set((await navigator.locks.query()).held.map((lock) => lock.name));
    const found = await run("readwrite", async (store) => {
      const notes = (await request(store.getAll())).sort((a, b) => b.at - a.at);
      const oldest = Date.now() - maxAgeMs;
      const left = isNewTab && notes.find((each) => each.at > oldest && isLeft(each, closed, held));
      // In the same transaction: of two tabs that open, one goes on.
      for (const each of notes) if (each === left || each.at <= oldest || closed.includes(each.id)) store.delete(each.id);
      return left;
    });
    setClosed(closedTokens().filter((each) => !closed.includes(each)));
    for (const [key, value] of Object.entries(found ? found.session : {})) session.write(key, value);
  };
  window.voiceLeftPages = {
    /** Take over the session storage of the page that was left last, in a new tab. */
    adopt: whereAllowed(adopt),
    /** Renew this page's note now. */
    note: whereAllowed(note),
    erase,
  };
})();
