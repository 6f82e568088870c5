/* Screen reader output: announces captions in whole phrases, each once. Gradio's own live region would read a caption
 * from its start at every new word. */
(() => {
  "use strict";
  const CHATS = ["#voice-chat", "#text-chat"];
  const WATCHED = "#voice-chat, #text-chat, #voice-figures, #text-figures";
  const MESSAGE = "[data-testid=user], [data-testid=bot]";
  const CHIP = ".tool-call";
  const LOGS = ':is(#voice-chat, #text-chat) [aria-live="polite"]';
  const PHRASE_END = /[.!?。！？…](?=\s|$|[^\s.!?。！？…\d])/g;
  const SETTLED_MS = 1500; // an unchanged text is announced after this time, also without a final stop
  const announced = new Map(); // by chat, for each message: its text and the announced length
  const spoken = new WeakMap(); // text of each message; forgotten when it changes
  let region = null;
  let lastWarning = "";
  let timer = 0;

  const endOfCompletePhrases = (text) => {
    let end = 0;
    for (const found of text.matchAll(PHRASE_END)) end = found.index + 1;
    return end;
  };
  /** Create the live region before its first text; a region inserted together with its text is not read. */
  const ensureLiveRegion = () => {
    if (!document.body || region?.isConnected) return;
    region ??= document.createElement("div");
    region.id = "read-aloud";
    region.setAttribute("aria-live", "polite");
    region.setAttribute("role", "log");
    document.body.append(region);
  };
  const announce = (words) => {
    if (!region || !words) return;
    region.append(Object.assign(document.createElement("p"), { textContent: words }));
    while (region.childElementCount > 20) region.firstElementChild.remove();
  };
  /** Return the text of a message without its unheard part and its notes. Reading a text makes the browser lay out the page,
   * so only changed ones are read again. */
  const spokenText = (message) => {
    if (!spoken.has(message)) spoken.set(message, readText(message));
    return spoken.get(message);
  };
  const readText = (message) => {
    const chip = message.querySelector(CHIP); // announced at each of its outcomes, without what it hides
    if (chip) return [...chip.querySelectorAll(".tool-title, .tool-outcome, .tool-heard")].map((each) => each.textContent).join(", ");
    let text = message.innerText;
    for (const each of message.querySelectorAll(".unheard, .note")) {
      const at = text.lastIndexOf(each.innerText);
      if (at >= 0) text = text.slice(0, at) + text.slice(at + each.innerText.length);
    }
    return text.replaceAll("\u2060", "").trim().replace(/…$/, "").trim();
  };
  /** Return how many of the oldest messages a long chat has dropped. */
  const countScrolledOut = (read, texts) => {
    const alignsAt = (k) => [0, 1, 2].every((i) => read[k + i]?.text === texts[i]);
    return texts.length > 3 && !alignsAt(0) ? Math.max(0, read.findIndex((_, k) => alignsAt(k))) : 0;
  };
  const announceNewText = (settled) => {
    const warning = document.querySelector(".figures .warning")?.textContent ?? "";
    if (warning && warning !== lastWarning) announce(warning);
    lastWarning = warning;
    for (const chat of CHATS) {
      const messages = [...document.querySelectorAll(`${chat} :is(${MESSAGE})`)];
      if (!messages.length) announced.delete(chat);
      if (!messages.length || !document.querySelector(chat).offsetParent) continue; // a hidden tab is not announced
      const texts = messages.map(spokenText);
      const before = announced.get(chat) ?? [];
      const read = before.slice(countScrolledOut(before, texts));
      announced.set(chat, texts.map((text, i) => {
        const isChip = messages[i].querySelector(CHIP) !== null;
        const from = isChip && read[i]?.text !== text ? 0 : read[i]?.end ?? 0;
        const end = isChip || settled || i + 1 < texts.length ? text.length : endOfCompletePhrases(text);
        if (end > from) announce(text.slice(from, end).trim());
        return { text, end: isChip ? end : Math.max(from, end) };
      }));
    }
  };
  new MutationObserver((changes) => {
    ensureLiveRegion();
    for (const log of document.querySelectorAll(LOGS)) log.setAttribute("aria-live", "off");
    let isWatched = false; // timer and status bar change all the time
    for (const { target } of changes) {
      const element = target.closest ? target : target.parentElement;
      isWatched ||= Boolean(element?.closest(WATCHED));
      const message = element?.closest(MESSAGE);
      if (message) spoken.delete(message);
    }
    if (!isWatched) return;
    announceNewText(false);
    clearTimeout(timer);
    timer = setTimeout(() => announceNewText(true), SETTLED_MS);
  }).observe(document, { childList: true, characterData: true, subtree: true });
})();
