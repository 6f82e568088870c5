/* Autoplay: a page that came back by itself may not be allowed to play sound before a press. Its call would be silent, and its
 * replies count as heard. So call_view.js asks here before it dials by itself, and ends such a call when its sound is
 * refused after all (event `voice-sound-blocked`): the visitor presses the button. */
(() => {
  "use strict";
  const CALL = "#voice-call";
  const START_WITHIN_MS = 5000; // for an audio context that is allowed to run, on a busy computer
  const isRefusal = (error) => error?.name === "NotAllowedError";

  const nativePlay = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () { // fastrtc's component ignores a refusal
    const played = nativePlay.call(this);
    played?.catch((error) => isRefusal(error) && this.closest(CALL) && document.dispatchEvent(new Event("voice-sound-blocked")));
    return played;
  };

  const whenRunning = (context) =>
    new Promise((resolve) => {
      const look = () => context.state === "running" && resolve(true);
      context.addEventListener("statechange", look);
      setTimeout(() => resolve(context.state === "running"), START_WITHIN_MS);
      context.resume().catch(() => {});
      look();
    });
  window.voiceAutoplay = {
    /** Return whether the page may play sound now: with an audio context, and with a media element. */
    async isAllowed() {
      const context = new AudioContext();
      const audio = new Audio();
      try {
        audio.srcObject = context.createMediaStreamDestination().stream; // silence
        const refused = new Promise((resolve) => nativePlay.call(audio).catch((error) => isRefusal(error) && resolve(false)));
        return await Promise.race([refused, whenRunning(context)]);
      } finally {
        audio.srcObject = null;
        context.close();
      }
    },
  };
})();
