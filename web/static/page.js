/* The page's own part of a call: when the microphone may be open, what happens when the tab goes, and how loud it is.
 *
 * fastrtc's component (0.0.34) asks for the microphone as soon as the page is loaded, and again after every hang-up, and
 * stays on "connecting" for ever when the visitor says no. This file owns one truth, `wanted`: whether the visitor wants
 * a call. The microphone is real only while that is true; at any other time the component is given an empty stream.
 */
(() => {
  "use strict";
  const CALL = "#voice-call";
  const NOBODY = '#status [data-stage="loading"], #status [data-notice="models_missing"]';
  const BUTTON = `${CALL} button[aria-label="start stream"]`;
  const connections = new Set();
  const microphones = new Set();
  let wanted = false;
  let current = null; // the connection of the call that is wanted; events of older ones mean nothing any more
  let microphoneMuted = false; // the component keeps its icons from call to call, but not what they stand for
  let speakerMuted = false;
  let gateOpen = true; // push-to-talk lets sound through only while something is pressed (stage.js)

  // Reading or writing throws where the visitor has blocked site data.
  const remember = (percent) => {
    try {
      localStorage.setItem("voice-volume", String(percent));
    } catch {
      // then it counts for this page only
    }
  };
  const bounded = (percent) => (Number.isFinite(percent) ? Math.min(100, Math.max(0, percent)) : 100);
  let volume = 100;
  try {
    volume = bounded(Number(localStorage.getItem("voice-volume") ?? 100));
  } catch {
    // as above
  }

  // ---------------------------------------------------------------- hints: what only the browser can know
  const text = window.voiceTexts; // web/texts.py, in the page's language (language.js)
  const hint = (code) => {
    const place = document.getElementById("voice-hint");
    if (place) place.textContent = code ? text[`hint_${code}`] : "";
  };

  // ---------------------------------------------------------------- peer connections
  const Native = window.RTCPeerConnection;
  window.voicePeer = Native; // for what is no call (check.js)
  if (Native) {
    window.RTCPeerConnection = class extends Native {
      constructor(...args) {
        super(...args);
        connections.add(this);
        if (wanted) current = this;
        else setTimeout(() => giveUp(this)); // the visitor changed their mind before there was anything to give up
        window.voiceWay.watch(this, () => super.connectionState); // fallback.js
      }
      get connectionState() {
        return this.given_up ? "disconnected" : window.voiceWay.state(this, super.connectionState);
      }
      // What a web socket carries is over here; the component would trip over the closed connection's parts.
      getTransceivers() {
        return window.voiceWay.carries(this) ? [] : super.getTransceivers();
      }
      getSenders() {
        return window.voiceWay.carries(this) ? [] : super.getSenders();
      }
      close() {
        super.close();
        connections.delete(this);
        if (this === current && !window.voiceWay.carries(this)) end(); // closed from the server's side
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
    window.voiceWay.stop();
    if (microphones.size) document.dispatchEvent(new Event("voice-over"));
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
    untilTold(5);
  };
  /** For fallback.js: whether this is the call that is wanted, and its two ends that nobody asked for. */
  window.voiceCall = {
    is: (connection) => wanted && connection === current,
    lost: (connection) => {
      endUnasked("lost");
      giveUp(connection);
    },
    over: (connection) => {
      end();
      giveUp(connection);
    },
  };

  // ---------------------------------------------------------------- microphone
  const devices = navigator.mediaDevices;
  if (devices && devices.getUserMedia) {
    const native = devices.getUserMedia.bind(devices);
    let asked = { audio: true }; // what the component asks for, first as soon as it is there (voice_tab.MICROPHONE)
    const open = () =>
      native(withDevice(asked)).catch((error) => {
        if (error.name !== "OverconstrainedError") throw error;
        return native({ audio: true });
      });
    window.voiceOpenMicrophone = open; // for the sound check, which closes it itself
    devices.getUserMedia = async (constraints) => {
      asked = constraints;
      if (!wanted) return new MediaStream();
      let stream;
      try {
        stream = await open();
      } catch (error) {
        const refused = current;
        endUnasked({ NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing" }[error.name] || "busy");
        setTimeout(() => giveUp(refused)); // after the component has seen the refusal
        return Promise.reject(new DOMException("", "AbortError"));
      }
      taken(stream);
      return stream;
    };
    const withDevice = (constraints) => {
      const id = window.voiceDevice?.();
      const audio = typeof constraints?.audio === "object" ? constraints.audio : {};
      return id ? { ...constraints, audio: { ...audio, deviceId: { ideal: id } } } : constraints;
    };
    const taken = (stream) => {
      microphones.add(stream);
      applyMute();
      document.dispatchEvent(new CustomEvent("voice-microphone", { detail: stream }));
      if (!wanted) end(); // hung up while the visitor was being asked
      for (const track of stream.getTracks()) {
        track.addEventListener("ended", () => {
          if (!wanted || !microphones.has(stream)) return;
          const deaf = current;
          endUnasked("unplugged");
          giveUp(deaf);
        });
      }
    };
    /** The visitor chose another microphone in the middle of a call: the call goes on with it. */
    window.voiceOtherMicrophone = async () => {
      const call = current;
      const sender = call?.getSenders().find((each) => each.track?.kind === "audio");
      if (!sender && !window.voiceWay.carries(call)) return;
      try {
        const stream = await open();
        if (call !== current) {
          for (const track of stream.getTracks()) track.stop();
          return;
        }
        await sender?.replaceTrack(stream.getAudioTracks()[0]);
        for (const old of microphones) for (const track of old.getTracks()) track.stop();
        microphones.clear();
        taken(stream);
      } catch {
        hint("busy"); // the call goes on with the old one
      }
    };
  }
  const applyMute = () => {
    const on = gateOpen && !microphoneMuted;
    for (const stream of microphones) for (const track of stream.getAudioTracks()) track.enabled = on;
  };
  window.voiceGate = (on) => {
    gateOpen = on;
    applyMute();
  };
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
      if (!(event.target instanceof Element)) return;
      const mute = event.target.closest(`${CALL} .mute-button`);
      if (mute) {
        const on = mute.getAttribute("aria-label").startsWith("mute");
        if (mute.getAttribute("aria-label").endsWith("mic")) microphoneMuted = on;
        else speakerMuted = on;
        setTimeout(applyMute); // after the component, which knows only the stream it was given
        return;
      }
      const button = event.target.closest(BUTTON);
      if (!button) return;
      hint("");
      if (document.querySelector(NOBODY)) {
        event.stopImmediatePropagation(); // pressed by keyboard: there is nobody to call yet
        return;
      }
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
        untilTold(5);
      }
    },
    true,
  );
  /** Gradio may lose the answer to the hang-up when the captions end in the same moment: then it is asked again. */
  const untilTold = (tries) => {
    setTimeout(() => {
      if (wanted || !tries || document.querySelector('#status [data-stage="ended"]')) return;
      document.getElementById("voice-released")?.click();
      untilTold(tries - 1);
    }, 700);
  };
  // A tab that goes must not hold its place in the line for the half minute ICE needs to notice.
  window.addEventListener("pagehide", () => {
    end();
    for (const connection of [...connections]) connection.close();
  });

  // ---------------------------------------------------------------- for those who do not see colours
  const describe = () => {
    document.getElementById("status")?.setAttribute("aria-live", "polite"); // its content is replaced, it stays
    // Gradio measures the tabs on a hidden copy of them, which the keyboard would stop at.
    for (const copy of document.querySelectorAll(".tab-container[aria-hidden=true]:not([inert])")) copy.inert = true;
    const button = document.querySelector(BUTTON);
    if (!button) return;
    const state = button.querySelector('[title="spinner"]') ? "wait" : button.querySelector('[title="stop recording"]') ? "stop" : "start";
    if (button.dataset.state !== state) {
      button.dataset.state = state;
      button.dataset.word = text[`word_${state}`]; // the style sheet writes it under the button
      button.title = text[`name_${state}`];
      button.setAttribute("aria-description", button.title);
    }
  };
  new MutationObserver(describe).observe(document, { childList: true, subtree: true });

  // ---------------------------------------------------------------- typing
  // Gradio reads the box some time after Enter: a press in an empty box would send what is typed next.
  document.addEventListener(
    "keypress",
    (event) => {
      if (event.key !== "Enter" || event.shiftKey || !(event.target instanceof HTMLTextAreaElement)) return;
      if (!event.target.closest("#voice-input, #text-input") || event.target.value.trim()) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );

  // ---------------------------------------------------------------- time and money
  // The lines are drawn anew with every answer; the picture behind them stays open when it was opened.
  document.addEventListener(
    "toggle",
    (event) => {
      const place = event.target instanceof HTMLDetailsElement && event.target.closest("#voice-figures");
      if (place && event.target.isConnected) place.dataset.open = String(event.target.open);
    },
    true,
  );
  const reopen = () => {
    const place = document.getElementById("voice-figures");
    const picture = place?.querySelector("details");
    if (picture && place.dataset.open === "true" && !picture.open) picture.open = true;
  };
  new MutationObserver(reopen).observe(document, { childList: true, subtree: true });

  // ---------------------------------------------------------------- copying
  // The signs of a tag or a picture in a model's code are held apart by word joiners (web/markup.py); a copy has none.
  const plain = (text) => String(text).replaceAll("\u2060", "");
  if (navigator.clipboard) {
    const write = navigator.clipboard.writeText.bind(navigator.clipboard);
    navigator.clipboard.writeText = (text) => write(plain(text));
  }
  document.addEventListener("copy", (event) => {
    const text = String(document.getSelection());
    if (!text.includes("\u2060") || !event.clipboardData) return;
    event.clipboardData.setData("text/plain", plain(text));
    event.preventDefault();
  });

  // ---------------------------------------------------------------- volume: 0-100, kept for the next visit
  const loudness = () => {
    for (const audio of document.querySelectorAll(`${CALL} audio, #voice-check audio`)) {
      if (audio.volume !== volume / 100) audio.volume = volume / 100;
      if (audio.muted !== speakerMuted && audio.closest(CALL)) audio.muted = speakerMuted;
    }
  };
  window.voiceVolume = (percent) => {
    volume = bounded(Number(percent));
    remember(volume);
    loudness();
  };
  window.voiceVolumeNow = () => volume;
  // The component sets the volume to 1 for every new track; these events do not bubble, so they are captured.
  for (const name of ["play", "loadedmetadata", "volumechange"]) document.addEventListener(name, loudness, true);
})();
