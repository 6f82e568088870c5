/* Screen wake lock: the screen stays on during a call. A phone that locks its screen stops the microphone of the page,
 * while its visitor listens to a long reply. call_control.js owns the call and sends the events. */
(() => {
  "use strict";
  let callActive = false;
  let lock = null; // the granted lock; the system releases it when the page is hidden, or the battery is low
  let requesting = false;
  let requestAgain = false; // something changed while a request was under way

  // Chromium reports an error when a surrounding page does not allow the request, so it is not made. Other browsers only
  // reject it, and do not tell before.
  const isAllowed = () => document.featurePolicy?.allowsFeature("screen-wake-lock") ?? true;
  const releaseLock = (granted) => granted?.release().catch(() => {});
  const requestLock = async () => {
    if (!callActive || lock || document.visibilityState !== "visible" || !navigator.wakeLock || !isAllowed()) return;
    requestAgain = requesting;
    if (requesting) return;
    requesting = true;
    try {
      const granted = await navigator.wakeLock.request("screen");
      if (!callActive) releaseLock(granted);
      else if (!granted.released) {
        lock = granted;
        granted.addEventListener("release", () => {
          if (lock === granted) lock = null;
        });
      }
    } catch {
      // Refused, for example because the battery is low. The call works without the lock.
    }
    requesting = false;
    if (requestAgain) requestLock();
  };

  document.addEventListener("voice-microphone", () => {
    callActive = true;
    requestLock();
  });
  document.addEventListener("voice-call-ended", () => {
    callActive = false;
    releaseLock(lock);
    lock = null;
  });
  document.addEventListener("visibilitychange", requestLock);
})();
