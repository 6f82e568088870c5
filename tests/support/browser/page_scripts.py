"""Scripts and selectors that browser tests run in the page."""

from __future__ import annotations

CALL_BUTTON = '#voice-call button[aria-label="start stream"]'
START_BUTTON_SELECTOR = f'{CALL_BUTTON} [title="start recording"]'
WEBSOCKET_NOTICE_SELECTOR = '#status [data-notice="over_web"]'
MICROPHONES_RELEASED_JS = "() => caller.opened().flat().every((state) => state === 'ended')"

NO_UDP_SCRIPT = """(() => {
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer {
    constructor(given) { super({ ...given, iceServers: [], iceTransportPolicy: "relay" }); }
  };
})();"""
"""Prevents any WebRTC path: only TURN servers are allowed, and none is configured."""

FAKE_AUDIO_DEVICES_SCRIPT = """
(() => {
  const context = new AudioContext({ sampleRate: 24000 });
  const voice = context.createGain();
  const room = context.createConstantSource();  // a real microphone also delivers silence
  room.offset.value = 1e-5; room.connect(voice); room.start();
  const opened = [];   // every microphone stream given to the page
  const connections = [];
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer { constructor(...a) { super(...a); connections.push(this); } };

  navigator.mediaDevices.getUserMedia = async () => {
    const out = context.createMediaStreamDestination();
    voice.connect(out);
    opened.push(out.stream);
    return out.stream;
  };
  const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const encode = (floats) => {
    const bytes = new Uint8Array(floats.buffer); let text = "";
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return btoa(text);
  };

  // ---- recorder: output of the audio elements of call and sound check, with volume and mute, in one recording.
  // Blocks of 20 ms, each with its RMS: the questions below look at numbers, not at samples.
  const worklet = `registerProcessor('recorder', class extends AudioWorkletProcessor {
    block = new Float32Array(480); filled = 0; first = 0;
    process([[input]]) {
      if (!input) return true;
      if (!this.filled) this.first = currentFrame;
      for (let i = 0; i < input.length; i++) {
        this.block[this.filled++] = input[i];
        if (this.filled < 480) continue;
        let sum = 0;
        for (const x of this.block) sum += x * x;
        this.port.postMessage({ first: this.first, samples: this.block, rms: Math.sqrt(sum / 480) });
        this.first += 480; this.filled = 0;
      }
      return true;
    }
  });`;
  const heard = [];
  let node = null;
  const listen = async () => {
    await context.resume();
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
    node = new AudioWorkletNode(context, "recorder", { channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => heard.push(data);
    node.connect(context.destination);
    const silence = context.createConstantSource(); silence.offset.value = 0; silence.connect(node); silence.start();
  };
  const ready = listen();
  const since = function* (seconds) {
    const first = Math.round(seconds * 24000);
    for (let k = heard.length - 1; k >= 0 && heard[k].first >= first; k--) yield heard[k].rms;
  };
  const taps = new WeakMap();
  const follow = (audio) => {
    const tap = taps.get(audio.srcObject);
    if (tap) tap.gain.value = audio.muted ? 0 : audio.volume;
  };
  document.addEventListener("volumechange", ({ target }) => follow(target), true);
  setInterval(() => {
    for (const audio of document.querySelectorAll("#voice-call audio, #voice-check audio")) {
      const stream = audio.srcObject;
      if (!stream || !node || taps.has(stream)) continue;
      const gain = context.createGain();
      context.createMediaStreamSource(stream).connect(gain).connect(node);
      taps.set(stream, gain);
      follow(audio);
    }
  }, 50);

  window.caller = {
    ready,
    now: () => context.currentTime,
    streams: () => opened,
    opened: () => opened.map((s) => s.getTracks().map((t) => t.readyState)),
    peers: () => connections.map((c) => c.connectionState),
    feed: (stream) => context.createMediaStreamSource(stream).connect(voice),
    async say(base64) {
      const samples = new Float32Array(decode(base64));
      const buffer = context.createBuffer(1, samples.length, 24000);
      buffer.copyToChannel(samples, 0);
      const source = context.createBufferSource(); source.buffer = buffer; source.connect(voice);
      const begin = context.currentTime + 0.02; source.start(begin);
      return [begin, begin + samples.length / 24000];
    },
    recording(from, to) {
      const first = Math.round(from * 24000), count = Math.max(0, Math.round((to - from) * 24000));
      const out = new Float32Array(count);
      for (const { first: frame, samples } of heard) {
        const at = frame - first;
        if (at + samples.length <= 0 || at >= count) continue;
        for (let i = 0; i < samples.length; i++) if (at + i >= 0 && at + i < count) out[at + i] = samples[i];
      }
      return encode(out);
    },
    loud(from, level) {   // was there output above `level` (RMS over 20 ms) since `from`?
      for (const rms of since(from)) if (rms > level) return true;
      return false;
    },
    quiet(seconds, level) {   // was the output below `level` for the last `seconds`?
      for (const rms of since(context.currentTime - seconds)) if (rms > level) return false;
      return true;
    },
  };
})();
"""

HIDDEN_TAB_SCRIPT = """
(() => {   // hiddenTab.set(true): a tab in the background, also after a reload
  const KEY = "hidden-tab-of-a-test", isHidden = () => sessionStorage.getItem(KEY) === "1";
  const define = (object, name, get) => Object.defineProperty(object, name, { configurable: true, get });
  define(document, "hidden", isHidden);
  define(document, "visibilityState", () => isHidden() ? "hidden" : "visible");
  define(document, "hasFocus", () => () => !isHidden());
  const frames = [], nextFrame = window.requestAnimationFrame.bind(window), later = window.setTimeout.bind(window);
  const every = window.setInterval.bind(window);
  const newest = new Map();   // full second: time of its newest timer. Delays are whole ms, and the order has to stay
  const untilSecond = (ms, now) => {
    const second = 1000 * Math.ceil((now + (ms || 0)) / 1000), time = Math.max(second, (newest.get(second) ?? 0) + 1);
    newest.set(second, now + Math.ceil(time - now));
    return Math.ceil(time - now);
  };
  window.setTimeout = (run, ms, ...rest) => later(run, isHidden() ? untilSecond(ms, performance.now()) : ms, ...rest);
  window.setInterval = (run, ms, ...rest) => every(run, isHidden() ? Math.max(1000, ms || 0) : ms, ...rest);
  window.requestAnimationFrame = (run) => isHidden() ? frames.push(run) : nextFrame(run);
  window.hiddenTab = {
    set(hidden) {
      sessionStorage.setItem(KEY, hidden ? "1" : "0");
      document.dispatchEvent(new Event("visibilitychange"));
      if (!hidden) for (const run of frames.splice(0)) nextFrame(run);
    },
  };
})();
"""
"""Script that makes a tab one in the background. Headless Chromium, as Playwright drives it, shows all of its tabs.

`document.hidden` is true, timers run at full seconds, and no animation frame comes, as Chrome does it. Intervals that
began before keep their pace.
"""
