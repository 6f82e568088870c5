/* Chips of tool calls in a conversation (ui/tools/chip.py): the seconds of a running call, its cancel button, and chips that
 * stay open. A chip's text changes with its outcome only; then the chatbot makes a new one, which is closed. */
(() => {
  "use strict";
  const CHATS = ["voice", "text"];
  const TICK_MS = 1000;
  const CHIP = "details.tool-call";
  const KEY = /(?:^| )call-([0-9a-f]+)/;
  const keyOf = (element) => KEY.exec(element.className)?.[1] ?? "";
  const tabOf = (element) => CHATS.find((chat) => element.closest(`#${chat}-chat, #${chat}-approval`)) ?? "";

  // ---------------------------------------------------------------- decisions, for the server
  const decisions = [];
  window.voiceTools = {
    /** Tell the server what the visitor wants with a call: allow, refuse or cancel. */
    decide(tab, verdict, key) {
      decisions.push(`${tab} ${verdict} ${key}`);
      document.getElementById("tool-decide")?.click();
    },
    /** Return the decision on its way; "" without one. */
    nextDecision: () => decisions.shift() ?? "",
  };
  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element && target.closest("button.tool-cancel");
    if (!button) return;
    button.disabled = true;
    window.voiceTools.decide(tabOf(button), "cancel", keyOf(button));
  });

  // ---------------------------------------------------------------- chips that stay open
  const opened = new Set(); // keys
  const seen = new WeakSet(); // chips that the visitor may have closed
  document.addEventListener(
    "toggle",
    ({ target }) => {
      if (!(target instanceof Element) || !target.matches(CHIP)) return;
      if (target.open) opened.add(keyOf(target));
      else if (target.isConnected) opened.delete(keyOf(target));
      document.dispatchEvent(new Event("voice-lines")); // scrolling.js: the list has another height
    },
    true,
  );
  const openAgain = () => {
    if (!opened.size) return;
    const chips = [...document.querySelectorAll(CHIP)];
    for (const chip of chips) if (!chip.open && !seen.has(chip) && opened.has(keyOf(chip))) chip.open = true;
    const keys = new Set(chips.map(keyOf));
    for (const key of opened) if (!keys.has(key)) opened.delete(key); // cleared
  };

  // ---------------------------------------------------------------- seconds of running calls
  const since = new Map(); // key -> the time at which this page first saw the call running
  let timer = 0;
  const count = () => {
    const running = [...document.querySelectorAll(`${CHIP}.running`)];
    for (const chip of running) {
      const key = keyOf(chip);
      if (!since.has(key)) since.set(key, performance.now());
      const seconds = Math.floor((performance.now() - since.get(key)) / 1000);
      const words = seconds ? JSON.stringify(window.voiceTexts.tool_seconds.replace("{seconds}", seconds)) : '""';
      if (chip.style.getPropertyValue("--seconds") !== words) chip.style.setProperty("--seconds", words);
    }
    if (running.length && !timer) timer = setInterval(count, TICK_MS);
    else if (!running.length && timer) {
      clearInterval(timer);
      timer = 0;
      since.clear();
    }
  };
  new MutationObserver(() => {
    openAgain();
    for (const chip of document.querySelectorAll(CHIP)) seen.add(chip);
    count();
  }).observe(document, { childList: true, subtree: true });
})();
