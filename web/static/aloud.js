/* What is said, for screen readers: in whole phrases, each once. Gradio's own live region would read a caption from its
 * beginning at every word that comes. */
(() => {
  "use strict";
  const CHATS = ["#voice-chat", "#text-chat"];
  const PHRASE = /[.!?。！？…](?=\s|$|[^\s.!?。！？…\d])/g;
  const SETTLED_MS = 1500; // so long unchanged, a text is read though it has no end
  const told = new Map(); // of each chat: how much of each message was read
  let region = null;
  let timer = 0;

  const wholePhrases = (text) => {
    let end = 0;
    for (const found of text.matchAll(PHRASE)) end = found.index + 1;
    return end;
  };
  const say = (words) => {
    if (!region) {
      region = document.createElement("div");
      region.id = "read-aloud";
      region.setAttribute("aria-live", "polite");
      region.setAttribute("role", "log");
      document.body.append(region);
    }
    region.append(Object.assign(document.createElement("p"), { textContent: words }));
    while (region.childElementCount > 20) region.firstElementChild.remove();
  };
  const look = (settled) => {
    for (const chat of CHATS) {
      const place = document.querySelector(chat);
      if (!place || !place.offsetParent) continue; // the other tab is not read
      for (const log of place.querySelectorAll('[aria-live="polite"]')) log.setAttribute("aria-live", "off");
      const messages = [...place.querySelectorAll("[data-testid=user], [data-testid=bot]")];
      const read = told.get(chat) ?? [];
      if (messages.length < read.length) read.length = messages.length;
      messages.forEach((message, i) => {
        const text = message.innerText.replaceAll("\u2060", "").replace(/…$/, "").trim();
        const end = settled || i + 1 < messages.length ? text.length : wholePhrases(text);
        if (end > (read[i] ?? 0)) {
          say(text.slice(read[i] ?? 0, end).trim());
          read[i] = end;
        }
      });
      told.set(chat, read);
    }
  };
  new MutationObserver((changes) => {
    if (changes.every((change) => region?.contains(change.target) || change.target === document.body)) return;
    look(false);
    clearTimeout(timer);
    timer = setTimeout(() => look(true), SETTLED_MS);
  }).observe(document, { childList: true, characterData: true, subtree: true });
})();
