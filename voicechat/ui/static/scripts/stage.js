/* Stage of the page: attributes of <html> for the style sheets. Derived from the status bar and the call button, never the other way
 * round: data-call (free, wait, live, off), data-voice (user, model, wait, ""), data-tab, data-overlay (connecting,
 * waiting), data-invite, data-server (offline, offline_network, offline_text, offline_voice, other). */
(() => {
  "use strict";
  const root = document.documentElement;
  const text = window.voiceTexts;
  const BUTTON = '#voice-call button[aria-label="start stream"]';
  const VOICES = { hearing: "user", listening: "user", thinking: "model", speaking: "model", connecting: "wait", waiting: "wait", reconnecting: "wait" };
  const set = (name, value) => {
    if (value) {
      if (root.dataset[name] !== value) root.dataset[name] = value;
    } else if (name in root.dataset) delete root.dataset[name];
  };
  const update = () => {
    const status = document.querySelector("#status [data-stage]");
    const button = document.querySelector(BUTTON);
    const stage = status?.dataset.stage ?? "";
    const pressed = button?.dataset.state ?? "start"; // start, wait or stop (accessible_names.js)
    const isOffline = "offline" in root.dataset;
    const isDraining = "draining" in root.dataset && pressed === "start"; // a call goes on to its end
    const notReady = isDraining || isOffline || stage === "loading" || status?.dataset.notice === "models_missing";
    const call = pressed === "stop" ? (stage === "reconnecting" ? "wait" : "live") : pressed === "wait" ? "wait" : notReady ? "off" : "free";
    showOffline(isOffline);
    if (isDraining && !isOffline && status && stage !== "loading") {
      status.dataset.stage = "loading";
      status.querySelector(".sentence").textContent = text.server_draining;
    }
    for (const each of document.querySelectorAll(".status-bar .status")) window.voiceDrain.showMoving(each);
    set("call", call);
    set("server", status?.dataset.server);
    set("voice", call === "free" || call === "off" ? "" : VOICES[stage] ?? "");
    set("tab", document.querySelector("#text-tab-button[aria-selected=true]") ? "text" : "voice");
    const empty = !document.querySelector("#voice-chat [data-testid=user], #voice-chat [data-testid=bot]");
    const overlay = empty && call === "wait" && stage !== "reconnecting" ? (stage === "waiting" ? "waiting" : "connecting") : "";
    set("overlay", overlay);
    if (overlay) fillOverlay(overlay, status);
    set("invite", call === "free" && stage === "idle" ? "on" : "");
    const stop = document.getElementById("voice-stop");
    const canStop = call === "live" && (stage === "speaking" || stage === "thinking");
    if (stop && stop.disabled === canStop) stop.disabled = !canStop;
    for (const chat of ["voice", "text"]) {
      const shown = document.querySelector(chat === "voice" ? "#status [data-stage]" : "#text-status [data-stage]")?.dataset.stage;
      const log = document.getElementById(`${chat}-chat`);
      if (log) log.toggleAttribute("data-growing", shown === "speaking" || (chat === "voice" && shown === "hearing"));
    }
  };
  const CLOSING = "closing"; // the server has announced its stop
  const covered = new WeakMap(); // status -> its own stage and words
  /** The server does not answer: the page waits for it, and reloads (connection_monitor.js), unless it is the same as before. */
  const showOffline = (isOffline) => {
    for (const status of document.querySelectorAll(".status-bar .status")) {
      const sentence = status.querySelector(".sentence");
      if (isOffline && status.dataset.notice !== CLOSING && !covered.has(status)) {
        covered.set(status, [status.dataset.stage, sentence.textContent]);
        status.dataset.stage = "reconnecting";
        sentence.textContent = text.server_gone;
      } else if (!isOffline && covered.has(status)) {
        [status.dataset.stage, sentence.textContent] = covered.get(status);
        covered.delete(status);
      }
    }
  };
  document.addEventListener("voice-connection", () => schedule());
  const fillOverlay = (overlay, status) => {
    const box = document.querySelector("#voice-overlay .waiting");
    if (!box) return;
    const position = overlay === "waiting" ? status?.dataset.position ?? "" : "";
    const words = [position, (text[`overlay_${overlay}`] ?? "").replace("{position}", position), text[`overlay_${overlay}_note`]];
    ["b", "h2", "p"].forEach((tag, i) => {
      const element = box.querySelector(tag);
      if (element.textContent !== words[i]) element.textContent = words[i];
    });
  };
  document.addEventListener("DOMContentLoaded", () => {
    const aura = Object.assign(document.createElement("div"), { className: "aura" });
    aura.setAttribute("aria-hidden", "true");
    document.body.append(aura);
  });
  let scheduled = false;
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      update();
    });
  };
  new MutationObserver(schedule).observe(document, { childList: true, subtree: true, attributeFilter: ["data-state", "aria-selected", "data-stage"] });
})();
