/* Outbox: typed messages on their way. Each stays in the tab's session storage until the server has acknowledged it, so
 * that a reload or a lost server loses none; the server ignores a message that it has had (outbox.py). What waits for a
 * connection is shown above the message box and can be taken back. A typed message outside a call starts one. */
(() => {
  "use strict";
  const text = window.voiceTexts;
  const STATES = { waiting: text.outbox_waiting, sending: text.outbox_sending, refused: text.outbox_refused, held: text.outbox_held };
  const LIVE = ["listening", "hearing", "thinking", "speaking"];
  const KEY = "voice-outbox";
  const DRAFTS = "voice-drafts"; // sessionStorage: what stood in the message boxes of a page that left by itself
  const SLOW_MS = 1000; // until a message on its way is shown, and the connection checked
  const RESEND_MS = 10000;
  const MAX_TRIES = 3; // unanswered, although the server answers otherwise
  const RETRY_MS = 1000; // after the server found no call
  const TABS = ["voice", "text"];
  const queues = { voice: [], text: [] }; // messages: { id, text, pictures, isRefused }
  const underway = { voice: null, text: null }; // { id, isSlow }: one message at a time keeps their order
  const tries = new Map(); // by id
  const { session, randomId } = window.voiceStorage;
  const isMessage = (each) => typeof each?.id === "string" && typeof each.text === "string";

  const store = () => session.write(KEY, TABS.some((tab) => queues[tab].length) ? JSON.stringify(queues) : null);
  const stage = (tab) => document.querySelector(tab === "voice" ? "#status [data-stage]" : "#text-status [data-stage]")?.dataset.stage ?? "";
  const isOnline = () => window.voiceConnection.isAlive();
  const canSend = (tab) => isOnline() && (tab === "text" ? stage("text") !== "" : LIVE.includes(stage("voice")));
  const box = (tab) => document.querySelector(`#${tab}-input textarea`);
  const setBox = (tab, value) => {
    const area = box(tab);
    if (!area) return;
    area.value = value;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const remove = (tab, id) => {
    queues[tab] = queues[tab].filter((each) => each.id !== id);
    tries.delete(id);
    store();
  };

  // ---------------------------------------------------------------- the list
  const takeBack = (tab, message) => {
    remove(tab, message.id);
    render(tab);
    const draft = box(tab)?.value;
    setBox(tab, draft ? `${message.text}\n${draft}` : message.text);
    window.voicePictures?.restore(tab, message.pictures ?? []);
    box(tab)?.focus();
  };
  const stateOf = (tab, message) => {
    if (message.isRefused) return "refused";
    if (window.voiceOwnKey.isLost()) return "held";
    const isSent = message.id === underway[tab]?.id;
    if (canSend(tab) && !underway[tab]?.isSlow) return ""; // it is in the conversation in a moment
    return isSent ? "sending" : "waiting";
  };
  const createRow = (tab, message, state) => {
    const row = document.createElement("li");
    row.append(
      Object.assign(document.createElement("span"), { textContent: message.text }),
      Object.assign(document.createElement("small"), { textContent: STATES[state] }),
    );
    if (state === "sending") return row; // it may have arrived
    row.append(Object.assign(document.createElement("button"), {
      type: "button",
      textContent: text.outbox_take_back,
      onclick: () => takeBack(tab, message),
    }));
    return row;
  };
  const render = (tab) => {
    const list = document.getElementById(`${tab}-outbox`);
    if (!list) return;
    const rows = queues[tab].map((message) => [message, stateOf(tab, message)]).filter(([, state]) => state);
    const shown = JSON.stringify(rows);
    if ((list.dataset.shown ?? "[]") === shown) return;
    list.dataset.shown = shown;
    list.replaceChildren(...rows.map(([message, state]) => createRow(tab, message, state)));
  };

  // ---------------------------------------------------------------- delivery
  let isReady = false; // the tab's session storage is complete, and the server has the conversation
  let isDelivering = false;
  /** Send the first message that waits. */
  const flush = (tab) => {
    const message = queues[tab].find((each) => !each.isRefused);
    const button = document.getElementById(`${tab}-send`);
    if (isReady && !window.voiceOwnKey.isLost() && message && button && !underway[tab] && canSend(tab)) {
      const sent = (underway[tab] = { id: message.id, isSlow: false });
      const whileUnderway = (ms, work) => setTimeout(() => underway[tab] === sent && work(), ms);
      whileUnderway(SLOW_MS, () => {
        sent.isSlow = true;
        window.voiceConnection.check();
        render(tab);
      });
      whileUnderway(RESEND_MS, () => {
        if (isOnline()) tries.set(sent.id, (tries.get(sent.id) ?? 0) + 1);
        finish(tab, sent.id, tries.get(sent.id) >= MAX_TRIES ? "refused" : "unanswered");
      });
      isDelivering = true;
      button.click(); // calls `next`
      isDelivering = false;
    }
    render(tab);
  };
  const finish = (tab, id, outcome) => {
    const message = queues[tab].find((each) => each.id === id);
    if (message && outcome === "accepted") remove(tab, id);
    else if (message && outcome === "refused") {
      if (box(tab)?.value === "") {
        remove(tab, id);
        setBox(tab, message.text);
        window.voicePictures?.restore(tab, message.pictures ?? []);
      } else { // a draft, or the composition of an input method, stays as it is
        message.isRefused = true;
        store();
      }
    }
    const next = () => {
      if (underway[tab]?.id === id) underway[tab] = null;
      flush(tab);
    };
    if (outcome === "waiting") setTimeout(next, RETRY_MS);
    else next();
  };
  let isDialHeld = false; // by the question for the visitor's key
  /** A message was typed: outside a call, start one. */
  const dial = () => {
    isDialHeld = window.voiceOwnKey.isLost();
    if (!isDialHeld && document.documentElement.dataset.call === "free" && isOnline() && !window.voiceCallControl.isWanted()) {
      document.querySelector('#voice-call button[aria-label="start stream"]')?.click();
    }
  };
  document.addEventListener("voice-own-key", () => {
    for (const tab of TABS) flush(tab);
    if (isDialHeld && queues.voice.length) dial();
  });
  /** Add a message. */
  const push = (tab, words, pictures = []) => {
    queues[tab].push({ id: randomId(16), text: words, pictures, isRefused: false });
    store();
    flush(tab);
    if (tab === "voice") dial();
  };
  window.voiceOutbox = {
    push,
    /** Return [text, id] of the message on its way, with pictures [text, JSON of both]; ["", ""] without one. */
    next: (tab) => {
      const message = queues[tab].find((each) => each.id === underway[tab]?.id);
      const { id, pictures } = message ?? { id: "" };
      return [message?.text ?? "", pictures?.length ? JSON.stringify({ id, pictures }) : id];
    },
    /** No message is on its way. */
    isIdle: () => TABS.every((tab) => underway[tab] === null),
    /** Keep what stands in the message boxes for the page that takes the place of this one. */
    keepDrafts: () => session.write(DRAFTS, JSON.stringify(TABS.map((tab) => box(tab)?.value ?? ""))),
    /** Forget all messages. */
    erase: () => {
      for (const tab of TABS) {
        queues[tab] = [];
        render(tab);
      }
      store();
    },
    /** Take the server's answer: "<id> <outcome>", see outbox.py. */
    acknowledge: (tab, answer) => {
      const [id, outcome] = String(answer ?? "").split(" ");
      if (id) finish(tab, id, outcome);
    },
  };

  // ---------------------------------------------------------------- the message box
  const submit = (event, tab) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    const pictures = window.voicePictures;
    const typed = box(tab)?.value ?? "";
    const words = typed.trim() || !pictures?.has(tab) ? typed : text.picture_question;
    if (!words.trim()) return;
    setBox(tab, "");
    if (!pictures?.has(tab)) return push(tab, words);
    pictures.whenReady(tab).then(() => {
      const taken = pictures.take(tab);
      if (typed.trim() || taken.length) push(tab, words, taken); // a picture that failed may have been all
    });
  };
  document.addEventListener(
    "keypress",
    (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || !(event.target instanceof HTMLTextAreaElement)) return;
      const tab = TABS.find((each) => event.target.closest(`#${each}-input`));
      if (tab) submit(event, tab);
    },
    true,
  );
  document.addEventListener(
    "click",
    (event) => {
      if (isDelivering || !(event.target instanceof Element)) return;
      const sending = TABS.find((each) => event.target.closest(`#${each}-send`));
      if (sending) return submit(event, sending);
      const cleared = TABS.find((each) => event.target.closest(`#${each}-clear`));
      if (!cleared) return;
      for (const { pictures = [] } of queues[cleared]) for (const { name } of pictures) window.voicePictures?.discard(name);
      queues[cleared] = [];
      store();
    },
    true,
  );

  // ---------------------------------------------------------------- start, and changes of the page
  const RESTORED_WITHIN_MS = 5000;
  const restoreDrafts = () => {
    const drafts = JSON.parse(session.read(DRAFTS) ?? "[]");
    session.write(DRAFTS, null);
    TABS.forEach((tab, i) => drafts[i] && box(tab)?.value === "" && setBox(tab, drafts[i]));
  };
  const start = async () => {
    await window.voiceOwnKey.looked;
    restoreDrafts();
    try {
      const kept = JSON.parse(session.read(KEY) ?? "{}");
      for (const tab of TABS) queues[tab].unshift(...(kept[tab] ?? []).filter(isMessage));
      store();
    } catch {
      // nothing waits
    }
    for (const tab of TABS) render(tab);
    // A lost conversation is given back to an empty page only.
    await Promise.race([window.voiceHistory?.restored, new Promise((resolve) => setTimeout(resolve, RESTORED_WITHIN_MS))]);
    isReady = true;
    for (const tab of TABS) flush(tab);
  };
  let isStarted = false;
  new MutationObserver(() => {
    if (!isStarted && stage("text")) { // the page is built, and all scripts are there
      isStarted = true;
      start();
    }
    for (const tab of TABS) flush(tab);
  }).observe(document, { childList: true, subtree: true, attributeFilter: ["data-stage"] });
  document.addEventListener("voice-connection", () => {
    for (const tab of TABS) {
      if (isOnline()) underway[tab] = null; // the answer may have been lost
      flush(tab);
    }
  });
})();
