/* What is said, for screen readers: in whole phrases, each once. Gradio's own live region would read a caption from its
 * beginning at every word that comes. */
(() => {
  "use strict";
  const CHATS = ["#voice-chat", "#text-chat"];
  const PLACES = "#voice-chat, #text-chat, #voice-figures, #text-figures";
  const LOGS = ':is(#voice-chat, #text-chat) [aria-live="polite"]';
  const PHRASE = /[.!?。！？…](?=\s|$|[^\s.!?。！？…\d])/g;
  const SETTLED_MS = 1500; // so long unchanged, a text is read though it has no end
  const told = new Map(); // of each chat and message: its text, and how much of it was read
  let region = null;
  let warned = "";
  let timer = 0;

  const wholePhrases = (text) => {
    let end = 0;
    for (const found of text.matchAll(PHRASE)) end = found.index + 1;
    return end;
  };
  /** There before anything is said: a region that comes with its words is not read. Gradio may draw the page anew. */
  const prepare = () => {
    if (!document.body || region?.isConnected) return;
    region ??= document.createElement("div");
    region.id = "read-aloud";
    region.setAttribute("aria-live", "polite");
    region.setAttribute("role", "log");
    document.body.append(region);
  };
  const say = (words) => {
    if (!region || !words) return;
    region.append(Object.assign(document.createElement("p"), { textContent: words }));
    while (region.childElementCount > 20) region.firstElementChild.remove();
  };
  /** What a message says; what was never heard of it is not said here either. */
  const spoken = (message) => {
    let text = message.innerText;
    for (const each of message.querySelectorAll(".unheard")) {
      const at = text.lastIndexOf(each.innerText);
      if (at >= 0) text = text.slice(0, at) + text.slice(at + each.innerText.length);
    }
    return text.replaceAll("\u2060", "").trim().replace(/…$/, "").trim();
  };
  /** A long chat loses its oldest messages as new ones come: by how many the rest has moved up. */
  const moved = (read, texts) => {
    const begins = (k) => [0, 1, 2].every((i) => read[k + i]?.text === texts[i]);
    return texts.length > 3 && !begins(0) ? Math.max(0, read.findIndex((_, k) => begins(k))) : 0;
  };
  const look = (settled) => {
    const warning = document.querySelector(".figures .warning")?.textContent ?? "";
    if (warning && warning !== warned) say(warning);
    warned = warning;
    for (const chat of CHATS) {
      const place = document.querySelector(chat);
      if (!place || !place.offsetParent) continue; // the other tab is not read
      const messages = [...place.querySelectorAll("[data-testid=user], [data-testid=bot]")];
      const texts = messages.map(spoken);
      const before = told.get(chat) ?? [];
      const read = before.slice(moved(before, texts));
      told.set(chat, texts.map((text, i) => {
        const from = read[i]?.end ?? 0;
        const end = settled || i + 1 < texts.length ? text.length : wholePhrases(text);
        if (end > from) say(text.slice(from, end).trim());
        return { text, end: Math.max(from, end) };
      }));
    }
  };
  new MutationObserver((changes) => {
    prepare();
    for (const log of document.querySelectorAll(LOGS)) log.setAttribute("aria-live", "off");
    // The call's timer, the status bar and much else change all the time.
    if (!changes.some(({ target }) => (target.closest ? target : target.parentElement)?.closest(PLACES))) return;
    look(false);
    clearTimeout(timer);
    timer = setTimeout(() => look(true), SETTLED_MS);
  }).observe(document, { childList: true, characterData: true, subtree: true });
})();
