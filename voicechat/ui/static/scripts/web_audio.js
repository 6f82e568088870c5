/* Audio of a WebSocket call (websocket_fallback.js): frames of 20 ms PCM16 at 24 kHz, from the microphone and to the
 * loudspeaker, with a jitter buffer. */
(() => {
  "use strict";
  const SAMPLE_RATE = 24000; // Hz
  const FRAME_SAMPLES = 480; // 20 ms

  // ---------------------------------------------------------------- jitter buffer (pure; runs in the audio thread)
  /** Plays unevenly arriving frames evenly. All amounts are in samples. Playback starts once `target` is buffered.
   * Each underrun raises the target, up to 250 ms. Frames of silence are dropped while there is a surplus. */
  class JitterBuffer {
    constructor(rate) {
      this.rate = rate;
      this.minTarget = 0.1 * rate;
      this.maxTarget = 0.25 * rate;
      this.maxSamples = rate; // one second; beyond it the oldest frames are dropped
      this.keepSamples = 0.06 * rate; // lowest amount of a second that is not surplus
      this.target = this.minTarget;
      this.blocks = [];
      this.offset = 0; // read position in the first block
      this.bufferedSamples = 0;
      this.playing = false;
      this.surplus = 0;
      this.underrunCount = 0;
      this.resetWindow();
    }
    resetWindow() {
      this.windowMinimum = Infinity;
      this.windowSamples = 0;
    }
    /** Add a received frame. */
    push(block) {
      if (this.surplus >= block.length && block.every((sample) => Math.abs(sample) < 0.002)) {
        this.surplus -= block.length;
        return;
      }
      this.blocks.push(block);
      this.bufferedSamples += block.length;
      while (this.bufferedSamples > this.maxSamples) {
        this.bufferedSamples -= this.blocks.shift().length - this.offset;
        this.offset = 0;
      }
    }
    /** Fill `out` with the next samples to play. */
    pull(out) {
      out.fill(0);
      if (!this.playing && this.bufferedSamples >= this.target) {
        this.playing = true;
        this.resetWindow();
      }
      if (!this.playing) return;
      let at = 0;
      while (at < out.length && this.blocks.length) {
        const block = this.blocks[0];
        const count = Math.min(out.length - at, block.length - this.offset);
        out.set(block.subarray(this.offset, this.offset + count), at);
        at += count;
        this.offset += count;
        this.bufferedSamples -= count;
        if (this.offset === block.length) {
          this.blocks.shift();
          this.offset = 0;
        }
      }
      if (at < out.length) {
        this.playing = false;
        this.underrunCount += 1;
        this.surplus = 0;
        this.target = Math.min(this.maxTarget, this.target * 1.5);
        return;
      }
      this.windowMinimum = Math.min(this.windowMinimum, this.bufferedSamples);
      this.windowSamples += out.length;
      if (this.windowSamples >= this.rate) {
        this.surplus = Math.max(0, this.windowMinimum - this.keepSamples);
        if (this.surplus) this.target = Math.max(this.minTarget, this.target - 0.02 * this.rate);
        this.resetWindow();
      }
    }
  }
  window.VoiceJitterBuffer = JitterBuffer; // for its test

  const WORKLETS = `
    ${JitterBuffer}
    registerProcessor("voice-loudspeaker", class extends AudioWorkletProcessor {
      constructor() {
        super();
        const buffer = (this.buffer = new JitterBuffer(sampleRate));
        this.port.onmessage = ({ data }) => buffer.push(Float32Array.from(new Int16Array(data), (each) => each / 32768));
      }
      process(_, [output]) {
        this.buffer.pull(output[0]);
        return true;
      }
    });
    registerProcessor("voice-microphone", class extends AudioWorkletProcessor {
      constructor() {
        super();
        this.step = sampleRate / ${SAMPLE_RATE}; // 1 when the context has the sample rate of the call
        this.frame = new Int16Array(${FRAME_SAMPLES});
        this.filled = 0;
        this.sum = 0;
        this.count = 0;
        this.elapsed = 0;
      }
      process([input]) {
        for (const sample of input[0] ?? new Float32Array(128)) {
          this.sum += sample;
          this.count += 1;
          this.elapsed += 1;
          if (this.elapsed < this.step) continue;
          this.elapsed -= this.step;
          const mean = this.sum / this.count; // averaging is a simple low-pass filter
          this.sum = this.count = 0;
          this.frame[this.filled++] = Math.round(Math.max(-1, Math.min(1, mean)) * 32767);
          if (this.filled === this.frame.length) {
            this.port.postMessage(this.frame.buffer, [this.frame.buffer]);
            this.frame = new Int16Array(${FRAME_SAMPLES});
            this.filled = 0;
          }
        }
        return true;
      }
    });`;

  // ---------------------------------------------------------------- microphone and loudspeaker
  let microphone = null; // stream that the page has opened
  const contexts = new Set(); // open audio contexts
  /** Resume suspended contexts. A phone call or a locked screen suspends them, and the browser does not resume them. */
  const resumeContexts = () => {
    for (const each of contexts) if (each.state === "suspended") each.resume().catch(() => {});
  };
  document.addEventListener("visibilitychange", resumeContexts);
  document.addEventListener("pointerdown", resumeContexts, true);
  const closeContext = (each) => {
    if (contexts.delete(each)) each.close();
  };
  const createContext = async (options) => {
    const created = new AudioContext(options);
    contexts.add(created);
    created.addEventListener("statechange", resumeContexts);
    const code = URL.createObjectURL(new Blob([WORKLETS], { type: "text/javascript" }));
    try {
      await created.audioWorklet.addModule(code);
    } catch (error) {
      closeContext(created);
      throw error;
    } finally {
      URL.revokeObjectURL(code);
    }
    created.resume(); // not awaited: it stays pending until a gesture where the browser demands one
    return created;
  };
  const openInstances = new Set();
  window.VoiceWebAudio = class WebAudio {
    /** Open microphone and loudspeaker. `send` is called with each frame of the microphone. */
    static async open(send) {
      const audio = new WebAudio();
      audio.send = send;
      audio.context = await createContext({ sampleRate: SAMPLE_RATE, latencyHint: "interactive" });
      audio.inputs = audio.context;
      try {
        await audio.startPlayback();
      } catch (error) {
        audio.close();
        throw error;
      }
      openInstances.add(audio);
      return audio;
    }
    async startPlayback() {
      this.loudspeaker = new AudioWorkletNode(this.context, "voice-loudspeaker", {
        numberOfInputs: 0,
        outputChannelCount: [1],
      });
      // Played by a media element: the echo canceller of iOS knows no other output.
      const out = this.context.createMediaStreamDestination();
      this.loudspeaker.connect(out);
      this.stream = out.stream;
      await this.attachMicrophone();
    }
    playFrame(frame) {
      this.loudspeaker.port.postMessage(frame, [frame]);
    }
    async attachMicrophone() {
      this.source?.disconnect();
      if (!microphone?.getAudioTracks().length) return;
      try {
        this.source = this.inputs.createMediaStreamSource(microphone);
      } catch {
        const created = await createContext(); // Firefox opens a microphone at the sample rate of the device only
        if (this.closed || !microphone) return closeContext(created);
        if (this.inputs !== this.context) closeContext(this.inputs);
        this.inputs = created;
        this.capture = null;
        this.source = this.inputs.createMediaStreamSource(microphone);
      }
      if (!this.capture) {
        this.capture = new AudioWorkletNode(this.inputs, "voice-microphone", {
          numberOfOutputs: 0,
          channelCount: 1,
          channelCountMode: "explicit",
        });
        this.capture.port.onmessage = ({ data }) => this.send(data);
      }
      this.source.connect(this.capture);
    }
    close() {
      this.closed = true;
      openInstances.delete(this);
      this.source?.disconnect();
      closeContext(this.context);
      closeContext(this.inputs);
    }
  };
  document.addEventListener("voice-microphone", ({ detail }) => {
    microphone = detail;
    for (const each of openInstances) each.attachMicrophone();
  });
  document.addEventListener("voice-call-ended", () => {
    microphone = null;
  });
})();
