/* Approval bar above the dock (ui/tools/approval_bar.py): takes the focus, unless the visitor is writing, and gives it back.
 * Esc means no. The server removes the bar once the call is decided. A press that comes just after another call is shown was
 * meant for what was there before: it decides nothing. */
(() => {
  "use strict";
  const TABS = ["voice", "text"];
  const WRITING_MS = 1500; // keys go to the text field until a pause of this length
  const READING_MS = 500; // buttons are off for this long after another call is shown
  let shown = null; // the bar that has been announced
  let shownCall = "";
  let pressableAt = -Infinity;
  let before = null; // what had the focus
  let wroteAt = -Infinity;
  let isComposing = false;
  let timer = 0;

  const barOf = (tab) => document.querySelector(`#${tab}-approval .approval`);
  const visibleBar = () => TABS.map(barOf).find((bar) => bar?.checkVisibility()) ?? null;
  const isTextField = (element) => element instanceof HTMLElement && element.matches("textarea, input:not([type=checkbox], [type=radio], [type=range])");
  const takeFocus = (bar) => {
    clearTimeout(timer);
    if (!bar.isConnected || shown !== bar || bar.contains(document.activeElement)) return;
    if (document.querySelector("dialog[open]")) return void (timer = setTimeout(takeFocus, WRITING_MS, bar));
    const left = wroteAt + WRITING_MS - performance.now();
    if (isTextField(document.activeElement) && (isComposing || left > 0)) {
      timer = setTimeout(takeFocus, Math.max(left, WRITING_MS / 4), bar);
      return;
    }
    before = document.activeElement;
    bar.focus({ preventScroll: true });
  };
  const giveFocusBack = () => {
    const isLost = document.activeElement === null || document.activeElement === document.body;
    if (before?.isConnected && before !== document.body && isLost) before.focus({ preventScroll: true });
    else if (isLost) document.querySelector(`#${document.documentElement.dataset.tab}-input textarea`)?.focus({ preventScroll: true });
    before = null;
  };
  const isPressable = (bar) => bar === shown && performance.now() >= pressableAt && !bar.hasAttribute("data-decided");
  const setEnabled = (bar) => {
    for (const button of bar.querySelectorAll("button")) button.disabled = !isPressable(bar);
  };
  const pauseButtons = (bar) => {
    const call = bar.dataset.call;
    if (call !== shownCall) pressableAt = performance.now() + READING_MS;
    shownCall = call;
    setEnabled(bar);
    const left = pressableAt - performance.now();
    if (left > 0) setTimeout(setEnabled, left + 1, bar); // a timer may be early by a fraction of a millisecond
  };
  const decide = (bar, verdict) => {
    if (!isPressable(bar)) return;
    bar.setAttribute("data-decided", verdict);
    setEnabled(bar);
    const tab = TABS.find((each) => bar.closest(`#${each}-approval`));
    window.voiceTools.decide(tab, verdict, bar.dataset.call);
  };

  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element && target.closest(".approval [data-decision]");
    if (button) decide(button.closest(".approval"), button.dataset.decision);
  });
  document.addEventListener(
    "keydown",
    (event) => {
      const bar = visibleBar();
      if (event.key !== "Escape" || !bar || !isPressable(bar) || event.isComposing || document.querySelector("dialog[open], [data-panel=open] #settings:focus-within")) return;
      event.preventDefault();
      event.stopImmediatePropagation(); // Esc also stops the voice
      decide(bar, "refuse");
    },
    true,
  );
  document.addEventListener("input", () => (wroteAt = performance.now()), true);
  document.addEventListener("compositionstart", () => (isComposing = true), true);
  document.addEventListener("compositionend", () => (isComposing = false), true);
  new MutationObserver(() => {
    const bar = visibleBar();
    if (bar === shown) return;
    const had = shown;
    shown = bar;
    document.dispatchEvent(new Event("voice-lines")); // scrolling.js: the conversation has another height
    if (bar) {
      pauseButtons(bar);
      takeFocus(bar);
    } else if (had) giveFocusBack();
  }).observe(document, { childList: true, subtree: true, attributeFilter: ["data-tab"] });
})();
