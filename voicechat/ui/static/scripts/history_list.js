/* List of past conversations (history.js): search, going on from one, export and delete. */
(() => {
  "use strict";
  const text = window.voiceTexts;
  const history = window.voiceHistory;
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  /** Return a call of a tool as one line of Markdown code, which shows it literally. */
  const toolLine = ({ name, arguments: asked, result, state }) => {
    const words = `${name} ${asked} → ${result || state}`.replace(/\s+/g, " ");
    const fence = "`".repeat(1 + Math.max(0, ...(words.match(/`+/g) ?? []).map((each) => each.length)));
    return `${fence} ${words} ${fence}`;
  };
  const download = async ({ id, title }) => {
    const record = JSON.parse((await history.find(id)) ?? "null");
    if (!record) return;
    const lines = history.itemsOf(record).map((item) => (item.tool_use ? toolLine(item.tool_use) : `**${text[item.kind === "user" ? "history_you" : "history_model"]}:** ${history.textOf(item)}`));
    const link = element("a", { href: URL.createObjectURL(new Blob([`# ${title}\n\n${lines.join("\n\n")}\n`], { type: "text/markdown" })), download: "conversation.md" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  /** Ask before something is lost: a recording, or a conversation that is not kept. */
  const mayReplacePresent = () => {
    const lost = history.isKept() && !history.isFull() ? "#voice-chat [data-testid]" : "#voice-chat [data-testid], #text-chat [data-testid]";
    return !document.querySelector(lost) || confirm(text.history_open_confirm);
  };
  const show = window.voiceCreateDialog("history-dialog", "history_title", (body, dialog) => {
    let listings = []; // read once per opening
    const note = element("p", { className: "history-note", role: "status", textContent: text[history.isFull() ? "history_full" : "history_keep_note"] });
    const list = element("ul", { className: "history-list" });
    const search = element("input", { type: "search", className: "history-search", placeholder: text.history_search, ariaLabel: text.history_search });
    const date = new Intl.DateTimeFormat(window.voiceLocale, { dateStyle: "medium", timeStyle: "short" });
    const open = async ({ id }) => {
      if (window.voiceCallControl.isWanted()) note.textContent = text.history_in_call;
      else if (mayReplacePresent()) {
        if (await history.goOnFrom(id)) dialog.close();
        else note.textContent = text.history_refused;
      }
    };
    const renderRow = (each) => {
      const title = each.title || text.history_untitled;
      const openButton = element("button", { type: "button", className: "history-open", onclick: () => open(each) },
        element("b", { textContent: title }), element("small", { textContent: date.format(each.updated) }));
      const save = element("button", { type: "button", className: "button history-export", textContent: text.history_export, onclick: () => download({ id: each.id, title }) });
      const erase = element("button", { type: "button", className: "button history-delete", textContent: text.history_delete });
      erase.onclick = async () => {
        listings = listings.filter(({ id }) => id !== each.id);
        await history.remove(each.id);
        render();
      };
      return element("li", {}, openButton, save, erase);
    };
    const render = () => {
      const words = history.plain(search.value);
      const rows = listings.filter((each) => each.search.includes(words)).map(renderRow);
      list.replaceChildren(...(rows.length ? rows : [element("li", { className: "empty", textContent: text[history.isKept() ? "history_empty" : "history_off"] })]));
    };
    search.oninput = render;
    body.replaceChildren(note, search, list);
    history.listAll().then((found) => {
      listings = found;
      render();
    });
  });
  document.addEventListener("click", ({ target }) => target instanceof Element && target.closest("#history-open") && show());
})();
