/* Settings panel: opens and closes; closed groups show their values; a changed field shows from when it counts. */
(() => {
  "use strict";
  const root = document.documentElement;
  const { local } = window.voiceStorage;
  const NARROW_PX = 720; // narrower screens have a sheet over the page; narrower pages have a phone's layout
  const isOpen = () => root.dataset.panel === "open";
  /** The page's own width counts, not the screen's: the open panel takes some of it. */
  const setPageWidth = () => {
    const panel = isOpen() && innerWidth >= NARROW_PX ? parseFloat(getComputedStyle(root).getPropertyValue("--panel")) : 0;
    root.dataset.page = innerWidth - panel < NARROW_PX ? "narrow" : "wide";
  };
  setPageWidth();
  addEventListener("resize", setPageWidth);
  const FOCUS_FRAMES = 10;
  /** A button of the panel cannot be focused before its own transition to visible has begun, a frame or two later. */
  const moveFocus = (button, frames) => {
    button?.focus({ preventScroll: true });
    if (button && document.activeElement !== button && frames > 0) requestAnimationFrame(() => moveFocus(button, frames - 1));
  };
  const setOpen = (open) => {
    root.dataset.panel = open ? "open" : "closed";
    setPageWidth();
    if (open) document.getElementById("model-note-refresh")?.click(); // news since the page was loaded
    document.getElementById("settings-open")?.setAttribute("aria-expanded", String(open));
    moveFocus(document.getElementById(open ? "settings-close" : "settings-open"), FOCUS_FRAMES);
  };
  document.addEventListener("click", ({ target }) => {
    if (!(target instanceof Element)) return;
    if (target.closest("#settings-open")) setOpen(!isOpen());
    else if (target.closest("#settings-close")) setOpen(false);
    else if (isOpen() && innerWidth < NARROW_PX && target.matches(".gradio-container")) setOpen(false); // the scrim
  });
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !isOpen() || document.querySelector("dialog[open], #settings .options")) return;
      setOpen(false);
      event.stopImmediatePropagation();
    },
    true,
  );

  // ---------------------------------------------------------------- values of closed groups
  const valueOf = (field) => {
    const radio = field.querySelector("label.selected span, .segments input:checked + span");
    if (radio) return radio.textContent;
    const select = field.querySelector("select");
    if (select) return select.selectedOptions[0]?.textContent ?? "";
    const range = field.querySelector("input[type=range]");
    if (range) return `${Number(range.value).toFixed(2).replace(/0$/, "")}×`;
    return field.querySelector(".wrap-inner input")?.value ?? "";
  };
  const summarize = () => {
    for (const group of document.querySelectorAll("#settings .group")) {
      const title = group.querySelector(":scope > .label-wrap");
      const fields = group.querySelectorAll("#wish-model, #wish-voice, #wish-speed, #wish-language, #wish-pace, #wish-noise, #wish-persona, label.field, fieldset.field");
      const now = [...fields].map(valueOf).filter(Boolean).join(" · ") || (title?.closest(".group-key") ? window.voiceTexts.key_summary : "");
      if (title && title.dataset.now !== now) title.dataset.now = now;
      if (title && !title.getAttribute("aria-expanded")) title.setAttribute("aria-expanded", String(title.classList.contains("open")));
    }
  };

  // ---------------------------------------------------------------- when a change counts
  const COUNTS = { now: "counts_now", next_call: "counts_next_call" }; // fields that the browser keeps; the server says the others
  let changed = null;
  for (const name of ["input", "change", "focusout"]) {
    document.addEventListener(name, ({ target }) => {
      const field = target instanceof Element && target.closest('#settings [id^="wish-"]');
      if (field) changed = field;
      const device = name === "change" && target instanceof Element && target.closest("#settings [data-when]");
      if (device) changed = device;
      summarize();
      if (device) showCounts();
    });
  }
  const showCounts = () => {
    const words = changed?.dataset.when
      ? window.voiceTexts[COUNTS[changed.dataset.when]]
      : document.getElementById("wishes-status")?.textContent.trim();
    const name = changed?.querySelector('[data-testid="block-info"], .name, .switch [data-text]');
    if (!words || !name) return;
    for (const each of document.querySelectorAll("#settings [data-counts]")) if (each !== name) each.removeAttribute("data-counts");
    if (name.dataset.counts !== words) name.dataset.counts = words;
  };
  const applyDisplay = () => {
    const choice = window.voiceAppearance();
    const radio = document.querySelector(`#page-display input[value="${choice}"]`);
    if (radio && !document.querySelector("#page-display input[name=appearance]:checked")) radio.checked = true;
  };
  new MutationObserver(() => {
    applyDisplay();
    summarize();
    showCounts();
  }).observe(document, { childList: true, subtree: true, characterData: true });

  // ---------------------------------------------------------------- values of the calls' settings, for the next visit
  const PREFERENCES = "voice-preferences";
  window.voicePreferences = {
    keep: (values) => local.write(PREFERENCES, values),
    kept: () => local.read(PREFERENCES) ?? "",
  };

  // ---------------------------------------------------------------- large captions
  const KEY = "voice-captions";
  let captions = local.read(KEY) === "on";
  const applyCaptions = () => {
    root.dataset.captions = captions ? "on" : "off";
    document.getElementById("large-captions")?.setAttribute("aria-pressed", String(captions));
    const box = document.getElementById("display-captions");
    if (box) box.checked = captions;
  };
  const setCaptions = (on) => {
    captions = on;
    local.write(KEY, on ? "on" : "off");
    applyCaptions();
  };
  document.addEventListener("click", ({ target }) => target instanceof Element && target.closest("#large-captions") && setCaptions(!captions));
  document.addEventListener("change", ({ target }) => target.id === "display-captions" && setCaptions(target.checked));
  let seen = null;
  new MutationObserver(() => {
    const button = document.getElementById("large-captions");
    if (!button || button === seen) return;
    seen = button;
    applyCaptions();
  }).observe(document, { childList: true, subtree: true });
})();
