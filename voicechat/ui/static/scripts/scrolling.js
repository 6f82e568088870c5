/* Scrolling of a conversation: the newest message stays in view, unless the reader has scrolled up; then a button leads
 * back. Gradio's own autoscroll is off, because it scrolls back a reader of earlier messages. */
(() => {
  "use strict";
  const NEAR_PX = 80; // closer to the end than this counts as reading the newest message
  for (const chat of ["voice", "text"]) {
    let list = null;
    let following = true;
    let height = 0;
    const button = () => document.getElementById(`${chat}-newest`);
    const distance = () => list.scrollHeight - list.clientHeight - list.scrollTop;
    const toEnd = () => {
      list.scrollTop = list.scrollHeight;
    };
    const showButton = () => {
      const shown = button();
      if (shown && shown.hidden !== following) shown.hidden = following;
    };
    const onScroll = () => {
      following = distance() < NEAR_PX || list.scrollHeight <= list.clientHeight;
      showButton();
    };
    const onGrowth = () => {
      if (following) toEnd();
      showButton();
    };
    const attach = () => {
      const found = document.querySelector(`#${chat}-chat .bubble-wrap`);
      if (!found || found === list) return;
      list = found;
      following = true;
      list.addEventListener("scroll", onScroll, { passive: true });
      new ResizeObserver(() => { // also once at the beginning
        if (list.clientHeight !== height) height = list.clientHeight;
        onGrowth();
      }).observe(list);
      new MutationObserver(onGrowth).observe(list, { childList: true, subtree: true, characterData: true });
    };
    new MutationObserver(attach).observe(document, { childList: true, subtree: true });
    document.addEventListener("voice-lines", () => list && onGrowth());
    document.addEventListener("click", ({ target }) => {
      if (!(target instanceof Element)) return;
      if (target.closest(`#${chat}-newest`)) {
        following = true;
        toEnd();
        showButton();
      } else if (list && target.closest(`#${chat}-send`)) following = true;
    });
    document.addEventListener("keypress", ({ key, shiftKey, target }) => {
      if (key === "Enter" && !shiftKey && target.closest?.(`#${chat}-input`)) following = true;
    });
  }
})();
