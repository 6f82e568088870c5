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
  let given = null; // the stream that the component was given last; it knows no other
  let gateOpen = true; // push-to-talk lets sound through only while something is pressed (call_view.js)

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
  const text = window.voiceTexts; // voicechat/ui/i18n/script_texts.py, in the page's language (language.js)
  const hint = (code) => {
    const place = document.getElementById("voice-hint");
    if (place) place.textContent = code ? text[`hint_${code}`] : "";
  };

  // ---------------------------------------------------------------- peer connections
  const Native = window.RTCPeerConnection;
  window.voicePeer = Native; // for what is no call (sound_check.js)
  if (Native) {
    window.RTCPeerConnection = class extends Native {
      constructor(...args) {
        super(...args);
        connections.add(this);
        if (wanted) current = this;
        else setTimeout(() => giveUp(this)); // the visitor changed their mind before there was anything to give up
        window.voiceWay.watch(this, () => super.connectionState); // websocket_fallback.js
        window.voicePatience.watch(this); // request_timeouts.js
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
    window.voicePatience.stop();
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
  /** For the other scripts: whether a call is wanted, and whether it is this one; its two ends that nobody asked for. */
  window.voiceCall = {
    wanted: () => wanted,
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
      given = stream;
      taken(stream);
      return stream;
    };
    /** The device is chosen in the drawer alone: the component would hold on to the one of the call before. */
    const withDevice = (constraints) => {
      const id = window.voiceDevice?.();
      const { deviceId: _, ...audio } = typeof constraints?.audio === "object" ? constraints.audio : {};
      return { ...constraints, audio: id ? { ...audio, deviceId: { ideal: id } } : audio };
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
    let choice = 0; // counts the changes of the microphone: only the newest one matters
    /** The visitor chose another microphone in the middle of a call: the call goes on with it. */
    window.voiceOtherMicrophone = async () => {
      const [call, mine] = [current, ++choice];
      if (!call) return;
      let stream = null;
      const drop = () => stream?.getTracks().forEach((track) => track.stop());
      try {
        stream = await open();
        if (call !== current || mine !== choice) return drop();
        const [track] = stream.getAudioTracks();
        track.enabled = live(); // before anybody can hear it
        const sender = call.getSenders().find((each) => each.track?.kind === "audio");
        if (!sender && !window.voiceWay.carries(call)) return drop(); // a web socket is told by `taken`
        await sender?.replaceTrack(track);
        if (call !== current) return drop();
        for (const old of microphones) for (const each of old.getTracks()) each.stop();
        microphones.clear();
        taken(stream);
      } catch {
        drop();
        if (call === current && mine === choice) hint("busy"); // the call goes on with the old one
      }
    };
  }
  const live = () => gateOpen && !microphoneMuted;
  const applyMute = () => {
    for (const stream of microphones) for (const track of stream.getAudioTracks()) track.enabled = live();
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
        if (mute.getAttribute("aria-label").endsWith("mic")) {
          microphoneMuted = on;
          // The component turns its track over and takes its label from that: push-to-talk may have closed the track.
          for (const track of given?.getAudioTracks() ?? []) track.enabled = on;
        } else speakerMuted = on;
        mute.addEventListener("click", applyMute, { once: true }); // after the component's own
        return;
      }
      const button = event.target.closest(BUTTON);
      if (!button) return;
      hint("");
      if (button.querySelector('[title="start recording"]')) {
        const nobody = document.querySelector(NOBODY); // pressed by keyboard: there is nobody to call yet
        if (nobody || !devices || !Native) {
          if (!devices) hint("insecure");
          else if (!Native) hint("no_webrtc");
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
  // The way back in the browser may show this page as it was, with a session that the server has forgotten.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  // fastrtc's component turns its button green and leaves everything open when the server refuses the offer.
  document.addEventListener("voice-button", ({ detail }) => {
    if (!wanted || detail.before !== "wait" || detail.state !== "start") return;
    const refused = current;
    setTimeout(() => { // it may only be drawing itself anew
      if (!wanted || current !== refused || document.querySelector(BUTTON)?.dataset.state !== "start") return;
      endUnasked("lost");
      giveUp(refused);
    }, 300);
  });

  // ---------------------------------------------------------------- copying
  // The signs of a tag or a picture in a model's code are held apart by word joiners (voicechat/ui/widgets/markdown.py); a copy has none.
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
  window.voiceVolumeNow = () => volume;
  // Straight from the slider: while the page loads, Gradio may put back the old value before it reports the new one.
  document.addEventListener("input", ({ target }) => {
    if (!target.closest?.("#voice-volume")) return;
    volume = bounded(Number(target.value));
    remember(volume);
    loudness();
  });
  // The component sets the volume to 1 for every new track; these events do not bubble, so they are captured.
  for (const name of ["play", "loadedmetadata", "volumechange"]) document.addEventListener(name, loudness, true);
})();
