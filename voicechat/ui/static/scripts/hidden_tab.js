/* Animation frames of a hidden tab, which browsers do not give. Gradio begins each event and shows each update in one, so
 * that the call of a hidden tab would not be dialled again after the death of its server until the tab is shown. A timer
 * stands for the frame there. This runs before Gradio's scripts, which keep the function that they find. */
(() => {
  "use strict";
  const HIDDEN_FRAME_MS = 250; // a few times a second are enough for what is not seen
  const nextFrame = window.requestAnimationFrame.bind(window);
  const cancelFrame = window.cancelAnimationFrame.bind(window);
  const frames = new Map(); // number: the browser's own number, and what the frame runs once
  let lastNumber = 0;
  let timer = 0;
  /** Run all frames that wait, in their order. */
  const runFrames = () => {
    timer = 0;
    for (const { run } of [...frames.values()]) {
      try {
        run(performance.now());
      } catch (error) {
        reportError(error); // the others run, as in a frame
      }
    }
  };
  const runLater = () => {
    if (document.hidden && frames.size) timer ||= setTimeout(runFrames, HIDDEN_FRAME_MS);
  };
  window.requestAnimationFrame = (callback) => {
    const number = ++lastNumber;
    const run = (time) => frames.delete(number) && callback(time);
    frames.set(number, { run, native: nextFrame(run) });
    runLater();
    return number;
  };
  window.cancelAnimationFrame = (number) => {
    cancelFrame(frames.get(number)?.native ?? 0);
    frames.delete(number);
  };
  document.addEventListener("visibilitychange", runLater);
})();
