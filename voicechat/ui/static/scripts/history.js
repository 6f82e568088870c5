/* History of conversations. Past ones are kept in this browser only (IndexedDB); the server gets one when the visitor goes on
 * from it. The present one is also kept in the tab's session storage: the server gets that copy when it has lost its own. */
(() => {
  "use strict";
  const { local, session, randomId } = window.voiceStorage;
  const { request } = window.voiceDatabase;
  const KEEP = "voice-history-keep"; // localStorage: on or off
  const CURRENT = "voice-history-id"; // sessionStorage: id of this tab's conversation
  const COPY = "voice-history-copy"; // sessionStorage: its newest record
  const SEEN = "voice-history-seen"; // sessionStorage: when this tab was last open
  const CLEARING = "voice-history-clearing"; // sessionStorage: conversations that the server has not cleared yet
  const NAMES = ["voice", "text"];
  const MAX_KEPT = 200;
  const SETTLED = ["listening", "ended", "failed", "idle"];
  const SAVE_EVERY_MS = 2000; // during a reply: what was heard of it so far
  const MS_PER_CHARACTER = 1 / 50; // the records of long conversations are asked for less often
  const SEEN_EVERY_MS = 5000;
  const DRAWN_WITHIN_MS = 400; // from the status to the messages that came with it
  const maxAgeMs = window.voiceResumeMinutes * 60000; // since this tab was last open; 0: no copy is kept
  const MESSAGES = "#voice-chat [data-testid=user], #voice-chat [data-testid=bot], #text-chat [data-testid=user], #text-chat [data-testid=bot]";

  const isKept = () => local.read(KEEP) !== "off";
  /** The server counts characters; the strings of a script count an emoji twice. */
  const textOf = (item) => item.parts.map(([words, heard]) => (heard === null ? words : [...words].slice(0, heard).join(""))).join("").trim();
  /** Return the words by which a call of a tool is found; its arguments are no words of the conversation. */
  const wordsOf = (item) => (item.tool_use ? [item.tool_use.name, ...item.tool_use.titles.map(([, title]) => title)].join(" ") : textOf(item));
  const itemsOf = (record) => NAMES.flatMap((name) => record[name].items);
  const plain = (words) => words.toLowerCase().replace(/\s+/g, " ").trim();
  /** Return what the list shows of a conversation, and the text that it searches. */
  const listingOf = (id, updated, record) => {
    const items = itemsOf(record);
    const first = items.find((item) => item.kind === "user") ?? items.find((item) => !item.tool_use);
    return { id, updated, title: first ? textOf(first).slice(0, 120) : "", search: plain(items.map(wordsOf).join(" ")) };
  };

  // ---------------------------------------------------------------- database
  const run = window.voiceDatabase("voice-history", ["conversations", "listings"], {
    version: 2,
    upgrade: (conversations, listings) =>
      (conversations.getAll().onsuccess = ({ target }) => {
        for (const { id, updated, record } of target.result) listings.put(listingOf(id, updated, JSON.parse(record)));
      }),
  });
  const find = async (id) => (await run("readonly", (conversations) => request(conversations.get(id))).catch(() => null))?.record;
  const listAll = async () => (await run("readonly", (_, listings) => request(listings.getAll())).catch(() => [])).sort((a, b) => b.updated - a.updated);
  const remove = (...ids) =>
    run("readwrite", (conversations, listings) => {
      for (const id of ids) for (const store of [conversations, listings]) store.delete(id);
    }).catch(() => {});
  const eraseAll = () => run("readwrite", (...stores) => stores.forEach((store) => store.clear())).catch(() => {});
  let isFull = false; // the browser has no room for the present conversation
  /** Keep the present conversation `id`. Where the browser has no room, the oldest one makes some. */
  const keep = async (id, record, dumped) => {
    const listing = listingOf(id, Date.now(), record);
    for (;;) {
      try {
        const count = await run("readwrite", (conversations, listings) => {
          if (session.read(CURRENT) !== id || !isKept() || window.voiceForget.isForgetting()) return 0; // cleared meanwhile
          conversations.put({ id, record: dumped });
          listings.put(listing);
          return request(listings.count());
        });
        isFull = false;
        if (count > MAX_KEPT) await remove(...(await listAll()).slice(MAX_KEPT).map((each) => each.id));
        return;
      } catch (error) {
        const oldest = error?.name === "QuotaExceededError" && (await listAll()).filter((each) => each.id !== id).at(-1);
        isFull = !oldest;
        if (!oldest) return;
        await remove(oldest.id);
      }
    }
  };

  // ---------------------------------------------------------------- the present conversation
  const NOTHING = { token: "", voice: null, text: null };
  let present = NOTHING; // this page's copy of the present record
  let restoring = null; // a record that the server is to take, until it has answered
  let hasLooked = false; // for a conversation that the server has lost
  const readClearing = () => JSON.parse(session.read(CLEARING) ?? "[]");
  /** The server's conversation is not, or not yet, the one that the page has chosen. */
  const isChanging = () => !hasLooked || restoring !== null || readClearing().length > 0 || window.voiceForget.isForgetting();
  const currentId = () => {
    if (!session.read(CURRENT)) session.write(CURRENT, randomId(16));
    return session.read(CURRENT) ?? "";
  };
  /** Join the changes that the server sends (record_changes.py) to the copy. Return the record; null if they belong to
   * another copy. */
  const join = ({ token, base, ...changes }) => {
    if (base && base !== present.token) return null;
    const joined = (name) => {
      const { drop, keep: kept, items, ...rest } = changes[name];
      return { ...rest, items: [...(present[name]?.items ?? []).slice(drop, drop + kept), ...items] };
    };
    present = { token, voice: joined("voice"), text: joined("text") };
    return { voice: present.voice, text: present.text };
  };
  /** Keep the copy. An older one would bring back what has changed. */
  const writeCopy = (record) => session.write(COPY, record) || session.write(COPY, null);
  /** Take the answer to a save. One that was asked for before the conversation changed is dropped. */
  const put = async (answer) => {
    answered = asked;
    const { asked_for: id, ...changes } = answer ? JSON.parse(answer) : {};
    if (!id || id !== session.read(CURRENT) || isChanging()) return;
    const record = join(changes);
    if (!record) return;
    const dumped = JSON.stringify(record);
    if (maxAgeMs) writeCopy(dumped);
    if (isKept()) await keep(id, record, dumped);
  };
  let savedFor = "";
  let savedAt = 0;
  let asked = 0; // saves that the server was asked for
  let answered = 0; // of these, those before the newest answer
  /** Ask the server for the record when a message has come, when a turn is over, and again and again during a reply. */
  const stateOf = () => {
    const stages = ["#status [data-stage]", "#text-status [data-stage]"].map((each) => document.querySelector(each)?.dataset.stage ?? "");
    const messages = document.querySelectorAll(MESSAGES).length;
    const isSettled = stages.every((stage) => stage === "" || SETTLED.includes(stage));
    return { messages, isSettled, state: `${isSettled} ${messages}` };
  };
  const saveWhenSettled = () => {
    if (isChanging()) return;
    const { messages, isSettled, state } = stateOf();
    const every = Math.max(SAVE_EVERY_MS, (session.read(COPY)?.length ?? 0) * MS_PER_CHARACTER);
    if (state === savedFor && (isSettled || performance.now() - savedAt < every)) return;
    savedFor = state;
    if (!messages || !window.voiceConnection.isAlive()) return;
    savedAt = performance.now();
    asked += 1;
    document.getElementById("history-save")?.click();
  };
  setInterval(saveWhenSettled, SAVE_EVERY_MS / 4);
  let timer = 0;
  new MutationObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(saveWhenSettled, 150);
    if (!isLooking && document.querySelector("#status [data-stage]") && document.querySelector("#text-status [data-stage]")) restoreLost();
  }).observe(document, { childList: true, subtree: true, attributeFilter: ["data-stage"] });

  // ---------------------------------------------------------------- a record for the server
  /** Give the server a record. Resolves to whether it has taken it. `ifLost`: only if it has no conversation. */
  const restore = (record, ifLost) =>
    new Promise((resolve) => {
      restoring = { key: randomId(8), record, ifLost, resolve };
      document.getElementById("history-restore")?.click();
    });
  /** Take the answer to a restore: its key if the record was taken. */
  const takeAnswer = (key) => {
    if (!restoring) return;
    const { resolve, key: expected } = restoring;
    restoring = null;
    resolve(key === expected);
  };
  let isLooking = false;
  let setLooked = () => {};
  const looked = new Promise((resolve) => {
    setLooked = resolve;
  });
  const noteSeen = () => hasLooked && session.write(SEEN, String(Date.now()));
  setInterval(noteSeen, SEEN_EVERY_MS);
  addEventListener("pagehide", noteSeen);
  const isShown = () => document.querySelector("#voice-chat [data-testid], #text-chat [data-testid]") !== null;
  /** Resolves to whether messages of the server are shown, which come with the status, and are drawn a little later. */
  const isShownSoon = () =>
    new Promise((resolve) => {
      const end = () => {
        clearTimeout(deadline);
        drawing.disconnect();
        resolve(isShown());
      };
      const drawing = new MutationObserver(() => isShown() && end());
      const deadline = setTimeout(end, DRAWN_WITHIN_MS);
      drawing.observe(document, { childList: true, subtree: true });
      if (isShown()) end();
    });
  /** The server knows nothing of this tab's conversation (it was restarted): give it the copy. */
  const restoreLost = async () => {
    isLooking = true;
    await window.voiceResume.token();
    const isOld = Date.now() - Number(session.read(SEEN) ?? 0) >= maxAgeMs;
    const id = session.read(CURRENT);
    const copy = isOld || window.voiceForget.isForgetting() ? null : (session.read(COPY) ?? (id && (await find(id))));
    const isGoneOn = copy ? (await isShownSoon()) || (await restore(copy, true)) || isShown() : isShown();
    if (!isGoneOn) for (const key of [CURRENT, COPY]) session.write(key, null); // a new conversation overwrites no other one
    hasLooked = true;
    noteSeen();
    setLooked();
  };
  /** Go on from a past conversation. Resolves to false when the server does not take it; then nothing changes. */
  const goOnFrom = async (id) => {
    const record = await find(id);
    if (!record || isChanging() || !(await restore(record, false))) return false;
    present = NOTHING;
    savedFor = "";
    session.write(CURRENT, id);
    if (maxAgeMs) writeCopy(record);
    document.dispatchEvent(new Event("voice-conversation-replaced"));
    return true;
  };

  // ---------------------------------------------------------------- Clear
  /** Erase one of both conversations here, while the server is asked to do the same. */
  const clear = (name) => {
    session.write(CLEARING, JSON.stringify([...new Set([...readClearing(), name])]));
    const id = session.read(CURRENT);
    session.write(CURRENT, null);
    if (id) remove(id);
    present = NOTHING;
    const copy = JSON.parse(session.read(COPY) ?? "null");
    if (!copy) return;
    copy[name] = { ...copy[name], elapsed_s: 0, items: [] };
    session.write(COPY, itemsOf(copy).length ? JSON.stringify(copy) : null);
  };
  /** The server has cleared it. What the other conversation has is saved again. */
  const finishClear = (name) => {
    const left = readClearing().filter((each) => each !== name);
    session.write(CLEARING, left.length ? JSON.stringify(left) : null);
    savedFor = "";
  };
  /** Called with every load: clear again what was cleared while the server did not answer. */
  const clearIfDue = () => {
    for (const name of readClearing()) document.getElementById(`${name}-clear`)?.click();
  };
  document.addEventListener(
    "click",
    ({ target }) => {
      const button = target instanceof Element && target.closest("#voice-clear, #text-clear");
      if (button) clear(button.id.split("-")[0]);
    },
    true,
  );

  // ---------------------------------------------------------------- the switch in the settings
  document.addEventListener("change", ({ target }) => {
    if (target.id !== "history-keep") return;
    local.write(KEEP, target.checked ? "on" : "off");
    if (target.checked) return;
    eraseAll();
    window.voiceLeftPages.erase();
  });
  let box = null;
  new MutationObserver(() => {
    const found = document.getElementById("history-keep");
    if (!found || found === box) return;
    box = found;
    box.checked = isKept();
  }).observe(document, { childList: true, subtree: true });

  window.voiceHistory = {
    /** Return the token of the page's copy, and the id of the conversation; "" while it changes. */
    known: () => [present.token, isChanging() ? "" : currentId()],
    put,
    chosen: () => [restoring?.record ?? "", restoring?.ifLost ?? false, restoring?.key ?? ""],
    takeAnswer,
    finishClear,
    clearIfDue,
    /** Resolves once the server has this tab's conversation: a call before would begin without it. */
    restored: looked,
    isKept,
    isFull: () => isFull,
    /** The browser's copy has all that was said. */
    isSaved: () => answered === asked && savedFor === stateOf().state,
    listAll,
    find,
    remove,
    goOnFrom,
    eraseAll,
    textOf,
    itemsOf,
    plain,
  };
})();
