/* Call control in the page: start and end of a call, access to the microphone, and the volume.
 *
 * fastrtc's component (0.0.34) asks for the microphone as soon as the page is loaded, and again after every hang-up. It
 * stays on "connecting" for ever when the visitor refuses. This file owns `callWanted`: whether the visitor wants a call.
 * Only then the component gets the real microphone; at any other time it gets an empty stream.
 */
(() => {
  "use strict";
  const CALL = "#voice-call";
  const SERVER_NOT_READY = '#status [data-stage="loading"], #status [data-notice="models_missing"]';
  const BUTTON = `${CALL} button[aria-label="start stream"]`;
  const connections = new Set();
  const microphones = new Set();
  let callWanted = false;
  let current = null; // connection of the current call; events of older connections are ignored
  let microphoneMuted = false; // the component keeps its mute icons from call to call, but not the muting
  let speakerMuted = false;
  let lastGivenStream = null; // the only stream that the component knows
  let gateOpen = true; // push-to-talk opens the gate only while a key or button is pressed (call_view.js)

  const { local } = window.voiceStorage;
  const saveVolume = (percent) => local.write("voice-volume", String(percent));
  const clampVolume = (percent) => (Number.isFinite(percent) ? Math.min(100, Math.max(0, percent)) : 100);
  let volume = clampVolume(Number(local.read("voice-volume") ?? 100));

  // ---------------------------------------------------------------- hints: failures that only the browser notices
  const text = window.voiceTexts; // voicechat/ui/i18n/script_texts.py, in the page's language (language.js)
  const showHint = (code) => {
    const hint = document.getElementById("voice-hint");
    if (!hint) return;
    hint.querySelector("p").textContent = code ? text[`hint_${code}`] : "";
    hint.hidden = !code;
  };

  // ---------------------------------------------------------------- peer connections
  const NativePeerConnection = window.RTCPeerConnection;
  window.voiceNativePeerConnection = NativePeerConnection; // for connections that are not calls (sound_check.js)
  if (NativePeerConnection) {
    window.RTCPeerConnection = class extends NativePeerConnection {
      constructor(...args) {
        super(...args);
        connections.add(this);
        if (callWanted) current = this;
        else setTimeout(() => abandonConnection(this)); // the visitor hung up before the component made the connection
        window.voiceTransport.watchConnection(this, () => super.connectionState); // websocket_fallback.js
        window.voiceRequestTimeouts.watchConnection(this); // request_timeouts.js
      }
      get connectionState() {
        return this.isAbandoned ? "disconnected" : window.voiceTransport.connectionState(this, super.connectionState);
      }
      // After the change to a WebSocket the connection is closed; the component would fail on its closed parts.
      getTransceivers() {
        return window.voiceTransport.isCarriedByWebSocket(this) ? [] : super.getTransceivers();
      }
      getSenders() {
        return window.voiceTransport.isCarriedByWebSocket(this) ? [] : super.getSenders();
      }
      close() {
        super.close();
        connections.delete(this);
        if (this === current && !window.voiceTransport.isCarriedByWebSocket(this)) endCall(); // closed by the server
      }
    };
  }
  /** Close a connection and bring the component's button back to green. The component listens to this event only. */
  const abandonConnection = (connection) => {
    if (!connection) return;
    connection.isAbandoned = true;
    connection.dispatchEvent(new Event("connectionstatechange"));
    connection.close();
  };
  const endCall = () => {
    window.voiceTransport.closeSocket();
    window.voiceRequestTimeouts.abortAll();
    if (microphones.size) document.dispatchEvent(new Event("voice-call-ended"));
    callWanted = false;
    current = null;
    for (const stream of microphones) for (const track of stream.getTracks()) track.stop();
    microphones.clear();
  };
  const isServerThere = () => window.voiceConnection.isAlive();
  let heldHint = null; // of a call that ended while the page's server did not answer
  /** End a call without the red button, show a hint, and tell the server. A page whose server does not answer waits with both:
   * it most likely reloads and dials again, and a server that was restarted must not show an ended call before. */
  const endUnexpectedly = (code) => {
    endCall();
    if (!isServerThere()) {
      heldHint = code;
      return;
    }
    showHint(code);
    document.getElementById("voice-released")?.click();
    retryHangUpNotice(5);
  };
  document.addEventListener("voice-connection", () => {
    if (!isServerThere() || heldHint === null) return;
    const code = heldHint;
    heldHint = null;
    endUnexpectedly(code);
  });
  /** Interface for the other scripts. */
  window.voiceCallControl = {
    isWanted: () => callWanted,
    isCurrent: (connection) => callWanted && connection === current,
    connectionLost: (connection) => {
      endUnexpectedly("lost");
      abandonConnection(connection);
    },
    endedByServer: (connection) => {
      endCall();
      abandonConnection(connection);
    },
  };

  // ---------------------------------------------------------------- microphone
  const devices = navigator.mediaDevices;
  if (devices && devices.getUserMedia) {
    const nativeGetUserMedia = devices.getUserMedia.bind(devices);
    let requestedConstraints = { audio: true }; // the component's latest constraints (voice_tab.MICROPHONE_CONSTRAINTS)
    const openMicrophone = () =>
      nativeGetUserMedia(withChosenDevice(requestedConstraints)).catch((error) => {
        if (error.name !== "OverconstrainedError") throw error;
        return nativeGetUserMedia({ audio: true });
      });
    /** Return a stream of silence, for visitors who type: the browser asks for no microphone. */
    const openSilentStream = () => {
      const context = new AudioContext();
      const { stream } = context.createMediaStreamDestination();
      stream.getAudioTracks()[0].addEventListener("ended", () => context.close());
      return stream;
    };
    window.voiceOpenMicrophone = openMicrophone; // for the sound check, which stops the stream itself
    devices.getUserMedia = async (constraints) => {
      requestedConstraints = constraints;
      if (!callWanted) return new MediaStream();
      let stream;
      try {
        stream = window.voiceUsesMicrophone() ? await openMicrophone() : openSilentStream();
      } catch (error) {
        const refusedConnection = current;
        endUnexpectedly({ NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing" }[error.name] || "busy");
        setTimeout(() => abandonConnection(refusedConnection)); // after the component has handled the rejection
        return Promise.reject(new DOMException("", "AbortError"));
      }
      lastGivenStream = stream;
      adoptMicrophone(stream);
      return stream;
    };
    /** Set the microphone chosen in the settings panel. The component itself would keep the device of the previous call. */
    const withChosenDevice = (constraints) => {
      const id = window.voiceChosenMicrophoneId?.();
      const { deviceId: _, ...audio } = typeof constraints?.audio === "object" ? constraints.audio : {};
      return { ...constraints, audio: id ? { ...audio, deviceId: { ideal: id } } : audio };
    };
    const adoptMicrophone = (stream) => {
      microphones.add(stream);
      applyMute();
      document.dispatchEvent(new CustomEvent("voice-microphone", { detail: stream }));
      if (!callWanted) endCall(); // hung up while the browser asked for permission
      for (const track of stream.getTracks()) {
        track.addEventListener("ended", () => {
          if (!callWanted || !microphones.has(stream)) return;
          const silentConnection = current;
          endUnexpectedly("unplugged");
          abandonConnection(silentConnection);
        });
      }
    };
    let switchCount = 0; // number of the latest change; older ones are dropped
    /** Continue the current call with the newly chosen microphone. */
    window.voiceSwitchMicrophone = async () => {
      const [call, thisSwitch] = [current, ++switchCount];
      if (!call) return;
      let stream = null;
      const stopStream = () => stream?.getTracks().forEach((track) => track.stop());
      try {
        stream = await openMicrophone();
        if (call !== current || thisSwitch !== switchCount) return stopStream();
        const [track] = stream.getAudioTracks();
        track.enabled = isMicrophoneLive(); // before the track is sent
        const sender = call.getSenders().find((each) => each.track?.kind === "audio");
        if (!sender && !window.voiceTransport.isCarriedByWebSocket(call)) return stopStream(); // a WebSocket call follows the event of `adoptMicrophone`
        await sender?.replaceTrack(track);
        if (call !== current) return stopStream();
        for (const oldStream of microphones) for (const oldTrack of oldStream.getTracks()) oldTrack.stop();
        microphones.clear();
        adoptMicrophone(stream);
      } catch {
        stopStream();
        if (call === current && thisSwitch === switchCount) showHint("busy"); // the call continues with the old microphone
      }
    };
  }
  const isMicrophoneLive = () => gateOpen && !microphoneMuted;
  const applyMute = () => {
    for (const stream of microphones) for (const track of stream.getAudioTracks()) track.enabled = isMicrophoneLive();
  };
  window.voiceSetGateOpen = (on) => {
    gateOpen = on;
    applyMute();
  };
  window.addEventListener("unhandledrejection", (event) => {
    // The AbortError above: the hint shows it, and the component does not catch it.
    if (event.reason instanceof DOMException && event.reason.name === "AbortError" && !event.reason.message) {
      event.preventDefault();
    }
  });

  // ---------------------------------------------------------------- the button: clicks are handled before the component
  document.addEventListener(
    "click",
    (event) => {
      if (!(event.target instanceof Element)) return;
      const mute = event.target.closest(`${CALL} .mute-button`);
      if (mute) {
        const muted = mute.getAttribute("aria-label").startsWith("mute");
        if (mute.getAttribute("aria-label").endsWith("mic")) {
          microphoneMuted = muted;
          // The component toggles the track and derives its label from it. Push-to-talk may have disabled the track.
          for (const track of lastGivenStream?.getAudioTracks() ?? []) track.enabled = muted;
        } else speakerMuted = muted;
        mute.addEventListener("click", applyMute, { once: true }); // after the component's own handler
        return;
      }
      const button = event.target.closest(BUTTON);
      if (!button) return;
      showHint("");
      if (button.querySelector('[title="start recording"]')) {
        const serverNotReady = document.querySelector(SERVER_NOT_READY) || !isServerThere(); // the style sheet blocks the pointer only
        if (serverNotReady || !devices || !NativePeerConnection) {
          if (!devices) showHint("insecure");
          else if (!NativePeerConnection) showHint("no_webrtc");
          event.stopImmediatePropagation();
          return;
        }
        callWanted = true;
      } else if (button.querySelector('[title="spinner"]')) {
        // A second press while connecting cancels the call. The component would start a second one.
        event.stopImmediatePropagation();
        const unansweredConnection = current;
        endUnexpectedly("");
        abandonConnection(unansweredConnection);
      } else {
        endCall();
        retryHangUpNotice(5);
      }
    },
    true,
  );
  /** Repeat the hang-up notice until the status bar shows it. Gradio may lose an event when the captions end at once. */
  const retryHangUpNotice = (tries) => {
    setTimeout(() => {
      if (callWanted || !tries || !isServerThere() || document.querySelector('#status [data-stage="ended"]')) return;
      document.getElementById("voice-released")?.click();
      retryHangUpNotice(tries - 1);
    }, 700);
  };
  // A closed tab must release its slot at once; ICE needs half a minute to notice.
  window.addEventListener("pagehide", () => {
    endCall();
    for (const connection of [...connections]) connection.close();
  });
  // Going back in the browser may restore this page with a session that the server has dropped.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  // When the server refuses the offer, fastrtc's component turns its button green and leaves everything open.
  document.addEventListener("voice-button-state", ({ detail }) => {
    if (!callWanted || detail.before !== "wait" || detail.state !== "start") return;
    const refusedConnection = current;
    setTimeout(() => { // it may only be rendering again
      if (!callWanted || current !== refusedConnection || document.querySelector(BUTTON)?.dataset.state !== "start") return;
      endUnexpectedly("lost");
      abandonConnection(refusedConnection);
    }, 300);
  });

  // ---------------------------------------------------------------- copying
  // voicechat/ui/widgets/markdown.py puts word joiners into a model's code. Copied text must not contain them.
  const withoutWordJoiners = (text) => String(text).replaceAll("\u2060", "");
  if (navigator.clipboard) {
    const write = navigator.clipboard.writeText.bind(navigator.clipboard);
    navigator.clipboard.writeText = (text) => write(withoutWordJoiners(text));
  }
  document.addEventListener("copy", (event) => {
    const text = String(document.getSelection());
    if (!text.includes("\u2060") || !event.clipboardData) return;
    event.clipboardData.setData("text/plain", withoutWordJoiners(text));
    event.preventDefault();
  });

  // ---------------------------------------------------------------- volume: 0-100, stored in the browser
  const applyVolume = () => {
    for (const audio of document.querySelectorAll(`${CALL} audio, #voice-check audio`)) {
      if (audio.volume !== volume / 100) audio.volume = volume / 100;
      if (audio.muted !== speakerMuted && audio.closest(CALL)) audio.muted = speakerMuted;
    }
  };
  const showVolume = () => {
    const range = document.querySelector("#voice-volume input[type=range]");
    if (!range) return;
    range.value = String(volume);
    range.style.setProperty("--value", `${volume}%`);
    const words = text.volume_percent.replace("{percent}", volume);
    const output = document.querySelector("#voice-volume output");
    if (output && output.textContent !== words) output.textContent = words;
  };
  let shownRange = null;
  new MutationObserver(() => {
    const range = document.querySelector("#voice-volume input[type=range]");
    if (!range || range === shownRange) return;
    shownRange = range;
    showVolume();
  }).observe(document, { childList: true, subtree: true });
  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element && target.closest("#voice-speaker");
    if (!button) return;
    speakerMuted = !speakerMuted;
    button.setAttribute("aria-pressed", String(speakerMuted));
    window.voiceSetName(button, speakerMuted ? "name_unmute_speaker" : "name_mute_speaker");
    applyVolume();
  });
  document.addEventListener("input", ({ target }) => {
    if (!target.closest?.("#voice-volume")) return;
    volume = clampVolume(Number(target.value));
    saveVolume(volume);
    showVolume();
    applyVolume();
  });
  // The component sets the volume to 1 for every new track. These events do not bubble, so they are captured.
  for (const name of ["play", "loadedmetadata", "volumechange"]) document.addEventListener(name, applyVolume, true);
})();
