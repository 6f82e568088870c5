/* The page's own part of a call: when the microphone may be open, what happens when the tab goes, and how loud it is.
 *
 * fastrtc's component (0.0.34) asks for the microphone as soon as the page is loaded, and again after every hang-up, and
 * stays on "connecting" for ever when the visitor says no. This file owns one truth, `wanted`: whether the visitor wants
 * a call. The microphone is real only while that is true; at any other time the component is given an empty stream.
 */
(() => {
  "use strict";
  const CALL = "#voice-call";
  const BUTTON = `${CALL} button[aria-label="start stream"]`;
  const connections = new Set();
  const microphones = new Set();
  let wanted = false;
  let current = null; // the connection of the call that is wanted; events of older ones mean nothing any more
  let volume = Number(localStorage.getItem("voice-volume") ?? 100);

  // ---------------------------------------------------------------- hints: what only the browser can know
  const HINTS = {
    denied: [
      "The microphone is blocked. Allow it for this page in the browser's address bar, then press the button again.",
      "麥克風被封鎖了。請在瀏覽器網址列允許這個網頁使用麥克風，再按一次按鈕。",
    ],
    missing: [
      "No microphone was found. Connect one, then press the button again.",
      "找不到麥克風。請接上麥克風，再按一次按鈕。",
    ],
    busy: [
      "The microphone could not be opened. Close other programs that use it, then press the button again.",
      "無法開啟麥克風。請關閉其他正在使用麥克風的程式，再按一次按鈕。",
    ],
    insecure: [
      "Browsers give the microphone only to https pages and to localhost. Open this page there.",
      "瀏覽器只允許 https 網頁或 localhost 使用麥克風，請改用這樣的網址。",
    ],
    lost: ["The connection was lost. Press the button to call again.", "連線中斷了，請再按一次按鈕重新通話。"],
    unplugged: ["The microphone went away. Press the button to call again.", "麥克風已中斷，請再按一次按鈕重新通話。"],
  };
  const chinese = (navigator.language || "").toLowerCase().startsWith("zh");
  document.documentElement.dataset.voiceLanguage = chinese ? "zh" : "en"; // the style sheet words the button with it
  const hint = (code) => {
    const place = document.getElementById("voice-hint");
    if (place) place.textContent = code ? HINTS[code][chinese ? 1 : 0] : "";
  };

  // ---------------------------------------------------------------- peer connections
  const Native = window.RTCPeerConnection;
  if (Native) {
    window.RTCPeerConnection = class extends Native {
      constructor(...args) {
        super(...args);
        connections.add(this);
        if (wanted) current = this;
        else setTimeout(() => giveUp(this)); // the visitor changed their mind before there was anything to give up
        this.addEventListener("connectionstatechange", () => {
          const state = super.connectionState;
          if (this === current && (state === "failed" || state === "disconnected")) endUnasked("lost");
        });
      }
      get connectionState() {
        return this.given_up ? "disconnected" : super.connectionState;
      }
      close() {
        super.close();
        connections.delete(this);
        if (this === current) end(); // closed from the server's side
      }
    };
  }
  /** Bring the component's button back to green: it listens for nothing but this event. */
  const giveUp = (connection) => {
    if (!connection) return;
    connection.given_up = true;
    connection.dispatchEvent(new Event("connectionstatechange"));
    connection.close();
  };
  const end = () => {
    wanted = false;
    current = null;
    for (const stream of microphones) for (const track of stream.getTracks()) track.stop();
    microphones.clear();
  };
  /** The call ended here and nobody pressed the red button: the server's status bar has to be told. */
  const endUnasked = (code) => {
    hint(code);
    end();
    document.getElementById("voice-released")?.click();
  };

  // ---------------------------------------------------------------- microphone
  const devices = navigator.mediaDevices;
  if (devices && devices.getUserMedia) {
    const open = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (constraints) => {
      if (!wanted) return new MediaStream();
      let stream;
      try {
        stream = await open(constraints).catch((error) => {
          if (error.name !== "OverconstrainedError") throw error;
          return open({ audio: true });
        });
      } catch (error) {
        const refused = current;
        endUnasked({ NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing" }[error.name] || "busy");
        setTimeout(() => giveUp(refused)); // after the component has seen the refusal
        return Promise.reject(new DOMException("", "AbortError"));
      }
      microphones.add(stream);
      if (!wanted) end(); // hung up while the visitor was being asked
      for (const track of stream.getTracks()) {
        track.addEventListener("ended", () => {
          if (!wanted || !microphones.has(stream)) return;
          const deaf = current;
          endUnasked("unplugged");
          giveUp(deaf);
        });
      }
      return stream;
    };
  }
  window.addEventListener("unhandledrejection", (event) => {
    // The refusal above: already told in the hint, and the component does not catch it.
    if (event.reason instanceof DOMException && event.reason.name === "AbortError" && !event.reason.message) {
      event.preventDefault();
    }
  });

  // ---------------------------------------------------------------- the button, seen before the component sees it
  document.addEventListener(
    "click",
    (event) => {
      const button = event.target instanceof Element && event.target.closest(BUTTON);
      if (!button) return;
      hint("");
      if (button.querySelector('[title="start recording"]')) {
        if (!devices) {
          hint("insecure");
          event.stopImmediatePropagation();
          return;
        }
        wanted = true;
      } else if (button.querySelector('[title="spinner"]')) {
        // A second press while connecting means "never mind". The component would start a second call.
        event.stopImmediatePropagation();
        const unanswered = current;
        endUnasked("");
        giveUp(unanswered);
      } else {
        end();
      }
    },
    true,
  );
  // A tab that goes must not hold its place in the line for the half minute ICE needs to notice.
  window.addEventListener("pagehide", () => {
    end();
    for (const connection of [...connections]) connection.close();
  });

  // ---------------------------------------------------------------- volume: 0-100, kept for the next visit
  const loudness = () => {
    for (const audio of document.querySelectorAll(`${CALL} audio`)) {
      if (audio.volume !== volume / 100) audio.volume = volume / 100;
    }
  };
  window.voiceVolume = (percent) => {
    volume = Math.min(100, Math.max(0, Number(percent)));
    localStorage.setItem("voice-volume", String(volume));
    loudness();
  };
  window.voiceVolumeNow = () => volume;
  // The component sets the volume to 1 for every new track; these events do not bubble, so they are captured.
  for (const name of ["play", "loadedmetadata", "volumechange"]) document.addEventListener(name, loudness, true);
})();
