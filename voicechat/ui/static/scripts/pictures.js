/* Pictures of the message being written: pasted, dropped, chosen or taken. Each is uploaded at once and shown above the message
 * box; the message takes its name along (outbox.js). The server owns the file, and shows it again in the bubble. */
(() => {
  "use strict";
  const text = window.voiceTexts;
  const root = document.documentElement;
  const TABS = ["voice", "text"];
  const { mode, count: maxCount, embeddedServerIsBlind } = window.voicePictureSettings;
  const drafts = { voice: [], text: [] }; // { id, file, isFine, alt, name, url, state, ready }
  const { randomId } = window.voiceStorage;
  const UPLOAD_TIMEOUT_MS = 30000;

  const currentTab = () => (root.dataset.tab === "text" ? "text" : "voice");
  const server = (tab) => document.querySelector(tab === "voice" ? "#status [data-server]" : "#text-status [data-server]")?.dataset.server ?? "";
  const isBlind = (tab) => mode === "auto" && embeddedServerIsBlind && server(tab).startsWith("offline"); // the built-in models only read
  const note = (tab, words) => {
    const line = document.querySelector(`#${tab}-pictures p`);
    if (line && line.textContent !== words) line.textContent = words;
  };

  // ---------------------------------------------------------------- drafts
  const upload = async (blob) => {
    const response = await fetch(new URL("voice-image", document.baseURI), {
      method: "POST",
      headers: { "Content-Type": blob.type },
      body: blob,
      signal: AbortSignal.timeout(UPLOAD_TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(String(response.status));
    return (await response.json()).name;
  };
  const discard = (name) => {
    if (name) fetch(new URL(`voice-image/${name}`, document.baseURI), { method: "DELETE", keepalive: true }).catch(() => {}); // it expires
  };
  const release = (draft) => {
    if (draft.url?.startsWith("blob:")) URL.revokeObjectURL(draft.url);
  };
  const prepare = async (tab, draft) => {
    draft.state = "working";
    render(tab);
    const isFine = draft.isFine;
    discard(draft.name); // of the other size
    draft.name = "";
    let blob;
    try {
      blob = await window.voiceEncodePicture(draft.file, isFine);
    } catch {
      note(tab, text.picture_unreadable);
      return remove(tab, draft);
    }
    try {
      draft.name = await upload(blob);
    } catch {
      note(tab, text.picture_failed);
      return remove(tab, draft);
    }
    if (!drafts[tab].includes(draft)) return discard(draft.name); // removed meanwhile
    if (isFine !== draft.isFine) return prepare(tab, draft);
    release(draft);
    draft.url = URL.createObjectURL(blob);
    draft.state = "ready";
    render(tab);
  };
  const add = (tab, files) => {
    note(tab, "");
    for (const file of files) {
      if (isBlind(tab)) note(tab, text.picture_blind);
      else if (drafts[tab].length >= maxCount) note(tab, text.picture_too_many.replace("{count}", maxCount));
      else {
        const draft = { id: randomId(8), file, isFine: false, alt: "", name: "", url: "" };
        drafts[tab].push(draft);
        draft.ready = prepare(tab, draft);
      }
    }
  };
  const remove = (tab, draft) => {
    const at = drafts[tab].indexOf(draft);
    if (at >= 0) drafts[tab].splice(at, 1);
    release(draft);
    render(tab);
  };
  const drop = (tab, draft) => {
    discard(draft.name);
    remove(tab, draft);
  };
  const erase = (tab) => {
    for (const draft of [...drafts[tab]]) drop(tab, draft);
    note(tab, "");
  };

  // ---------------------------------------------------------------- the strip above the message box
  const createThumbnail = (tab, draft) => {
    const row = document.createElement("li");
    row.dataset.id = draft.id;
    row.dataset.state = draft.state;
    const open = Object.assign(document.createElement("button"), { type: "button", className: "thumbnail" });
    open.setAttribute("aria-label", draft.alt || text.picture_details);
    open.title = text.picture_details;
    open.disabled = draft.state !== "ready";
    open.onclick = () => window.voicePictureDialogs.showDetails(tab, draft);
    if (draft.url) open.append(Object.assign(document.createElement("img"), { src: draft.url, alt: draft.alt }));
    const cross = Object.assign(document.createElement("button"), { type: "button", className: "drop", title: text.picture_remove });
    cross.setAttribute("aria-label", text.picture_remove);
    cross.append(Object.assign(document.createElement("i"), { className: "icon tiny" }));
    cross.firstChild.dataset.icon = "close";
    cross.onclick = () => {
      drop(tab, draft);
      document.querySelector(`#${tab}-input textarea`)?.focus();
    };
    row.append(open, cross);
    return row;
  };
  const render = (tab) => {
    const list = document.querySelector(`#${tab}-pictures ul`);
    if (!list) return;
    list.replaceChildren(...drafts[tab].map((draft) => createThumbnail(tab, draft)));
    list.parentElement.toggleAttribute("data-filled", drafts[tab].length > 0);
  };

  window.voicePictures = {
    add,
    discard,
    note,
    currentTab,
    render,
    /** Encode and upload a draft again, after its size was changed. */
    prepareAgain: (tab, draft) => {
      draft.ready = prepare(tab, draft);
    },
    has: (tab) => drafts[tab].length > 0,
    isReady: (tab) => drafts[tab].every((draft) => draft.state === "ready"),
    whenReady: (tab) => Promise.all(drafts[tab].map((draft) => draft.ready)),
    /** Return the pictures of a message, and empty the strip. */
    take: (tab) => {
      const taken = drafts[tab].map(({ name, alt }) => ({ name, alt }));
      for (const draft of [...drafts[tab]]) remove(tab, draft); // a note about a failed one stays
      return taken;
    },
    /** Put back the pictures of a message that was taken back. */
    restore: (tab, pictures) => {
      for (const { name, alt } of pictures) {
        const url = new URL(`voice-image/${name}`, document.baseURI).href;
        drafts[tab].push({ id: randomId(8), file: null, isFine: false, alt, name, url, state: "ready", ready: Promise.resolve() });
      }
      render(tab);
    },
    eraseAll: () => TABS.forEach(erase),
  };
  if (mode === "off") return;

  // ---------------------------------------------------------------- paste, drop, and where pictures are possible
  document.addEventListener(
    "paste",
    (event) => {
      const files = window.voiceImageFiles(event.clipboardData);
      const field = event.target instanceof Element ? event.target.closest("input, textarea, [contenteditable]") : null;
      if (!files.length || (field && !field.closest(".typing")) || document.querySelector("dialog[open]")) return;
      if (!event.clipboardData.types.includes("text/plain")) event.preventDefault();
      add(currentTab(), files);
    },
    true,
  );
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  let leaving = 0;
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    root.dataset.dropping = "";
    clearTimeout(leaving);
    leaving = setTimeout(() => delete root.dataset.dropping, 300); // it comes many times a second
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    delete root.dataset.dropping;
    add(currentTab(), window.voiceImageFiles(event.dataTransfer));
  });
  document.addEventListener(
    "click",
    ({ target }) => {
      const cleared = target instanceof Element && TABS.find((tab) => target.closest(`#${tab}-clear`));
      if (cleared) erase(cleared);
      if (target instanceof Element && target.closest("#forget-me")) window.voicePictures.eraseAll();
    },
    true,
  );
  const update = () => {
    for (const tab of TABS) document.getElementById(`${tab}-picture`)?.toggleAttribute("hidden", isBlind(tab) || !server(tab));
  };
  new MutationObserver(update).observe(document, { childList: true, subtree: true, attributeFilter: ["data-server"] });
})();
