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

  // ---- recorder: output of the audio elements of call and sound check, with volume and mute, in one recording
  const worklet = `registerProcessor('recorder', class extends AudioWorkletProcessor {
    process([input]) { if (input[0]) this.port.postMessage([currentFrame, input[0].slice()]); return true; } });`;
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
  const sources = new WeakMap();
  setInterval(() => {
    for (const audio of document.querySelectorAll("#voice-call audio, #voice-check audio")) {
      const stream = audio.srcObject;
      if (!stream || !node) continue;
      let tap = sources.get(stream);
      if (!tap) {
        const gain = context.createGain();
        context.createMediaStreamSource(stream).connect(gain).connect(node);
        sources.set(stream, (tap = gain));
      }
      tap.gain.value = audio.muted ? 0 : audio.volume;
    }
  }, 20);

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
      for (const [frame, block] of heard) {
        const at = frame - first;
        if (at + block.length <= 0 || at >= count) continue;
        for (let i = 0; i < block.length; i++) if (at + i >= 0 && at + i < count) out[at + i] = block[i];
      }
      return encode(out);
    },
    loud(from, level) {   // was there output above `level` (RMS over 20 ms) since `from`?
      const first = Math.round(from * 24000); let sum = 0, n = 0;
      for (let k = heard.length - 1; k >= 0 && heard[k][0] >= first; k--) {
        for (const x of heard[k][1]) { sum += x * x; n++; }
        if (n >= 480) { if (Math.sqrt(sum / n) > level) return true; sum = 0; n = 0; }
      }
      return false;
    },
    quiet(seconds, level) {   // was the output below `level` for the last `seconds`?
      const first = (context.currentTime - seconds) * 24000; let sum = 0, n = 0;
      for (let k = heard.length - 1; k >= 0 && heard[k][0] >= first; k--) {
        for (const x of heard[k][1]) { sum += x * x; n++; }
        if (n >= 480) { if (Math.sqrt(sum / n) > level) return false; sum = 0; n = 0; }
      }
      return true;
    },
  };
})();
"""
