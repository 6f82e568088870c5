/* Lines of a conversation: whom it is with and since when, at its start; at its end, how long the call was, or since when
 * the connection is lost. conversation.css shows them; they are no messages. */
(() => {
  "use strict";
  const root = document.documentElement;
  const text = window.voiceTexts;
  const SINCE = "voice-conversation-since"; // sessionStorage
  const timeOf = (date) => new Intl.DateTimeFormat(window.voiceLocale, { hour: "numeric", minute: "2-digit" }).format(date);
  const shown = {};
  const show = (name, words) => {
    if (words === (shown[name] ?? "")) return;
    shown[name] = words;
    root.style.setProperty(`--line-${name}`, JSON.stringify(words));
    root.toggleAttribute(`data-line-${name}`, words !== "");
    if (name === "start") document.dispatchEvent(new Event("voice-lines")); // scrolling.js: the list has another height
  };
  const { session } = window.voiceStorage;
  let sinceHere = 0; // where the browser keeps nothing
  const readSince = () => Number(session.read(SINCE)) || sinceHere; // a tab may take over another one's storage
  const setSince = (at) => {
    sinceHere = at;
    session.write(SINCE, at ? String(at) : null);
  };
  let lostAt = 0;
  let lasted = "";
  const update = () => {
    const stage = document.querySelector("#status [data-stage]")?.dataset.stage ?? "";
    const hasMessages = document.querySelector("#voice-chat [data-testid=user], #voice-chat [data-testid=bot]") !== null;
    if (hasMessages && !readSince()) setSince(Date.now());
    const since = readSince();
    if (!hasMessages && since && stage === "idle") setSince(0); // not before a reloaded page has its messages
    const persona = document.querySelector("[data-persona][aria-checked=true] b")?.textContent ?? "";
    show("start", hasMessages && since ? [persona, timeOf(since)].filter(Boolean).join(" · ") : "");

    const duration = document.getElementById("voice-timer")?.textContent ?? "";
    if (duration) lasted = duration;
    if (stage === "reconnecting") lostAt ||= Date.now();
    else lostAt = 0;
    const end = lostAt ? text.line_lost.replace("{time}", timeOf(lostAt)) : stage === "ended" && lasted ? text.line_ended.replace("{time}", lasted) : "";
    if (["idle", "connecting", "listening"].includes(stage)) lasted = duration;
    show("end", hasMessages ? end : "");
  };
  document.addEventListener("click", ({ target }) => target instanceof Element && target.closest("#voice-clear") && setSince(0), true);
  document.addEventListener("voice-conversation-replaced", () => setSince(0));
  let scheduled = false;
  new MutationObserver(() => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      update();
    });
  }).observe(document, { childList: true, subtree: true, attributeFilter: ["data-stage", "aria-checked"] });
})();
