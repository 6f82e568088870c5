/* The sound of a call that a web socket carries (websocket_fallback.js): frames of 20 ms of PCM16 at 24 kHz, out of the microphone
 * that the page has, and into an even stream for the loudspeaker. */
(() => {
  "use strict";
  const RATE = 24000;
  const FRAME = 480;

  // ---------------------------------------------------------------- jitter buffer (pure; runs in the audio thread)
  /** Sound that arrives unevenly and is played evenly. Counts in samples. Plays once `target` is there; every time it
   * runs dry the target grows, up to 250 ms; what was never needed in a second is left out of silence. */
  class JitterBuffer {
    constructor(rate) {
      this.rate = rate;
      this.least = 0.1 * rate;
      this.most = 0.25 * rate;
      this.bound = rate; // a second: the oldest goes when more comes
      this.spared = 0.06 * rate; // what the lowest level in a second may be without being surplus
      this.target = this.least;
      this.blocks = [];
      this.offset = 0; // into the first block
      this.level = 0;
      this.playing = false;
      this.surplus = 0;
      this.dry = 0; // times it ran dry
      this.watch();
    }
    watch() {
      this.lowest = Infinity;
      this.watched = 0;
    }
    /** One frame has come. */
    push(block) {
      if (this.surplus >= block.length && block.every((sample) => Math.abs(sample) < 0.002)) {
        this.surplus -= block.length;
        return;
      }
      this.blocks.push(block);
      this.level += block.length;
      while (this.level > this.bound) {
        this.level -= this.blocks.shift().length - this.offset;
        this.offset = 0;
      }
    }
    /** Fill `out` with what is to be heard now. */
    pull(out) {
      out.fill(0);
      if (!this.playing && this.level >= this.target) {
        this.playing = true;
        this.watch();
      }
      if (!this.playing) return;
      let at = 0;
      while (at < out.length && this.blocks.length) {
        const block = this.blocks[0];
        const count = Math.min(out.length - at, block.length - this.offset);
        out.set(block.subarray(this.offset, this.offset + count), at);
        at += count;
        this.offset += count;
        this.level -= count;
        if (this.offset === block.length) {
          this.blocks.shift();
          this.offset = 0;
        }
      }
      if (at < out.length) {
        this.playing = false;
        this.dry += 1;
        this.surplus = 0;
        this.target = Math.min(this.most, this.target * 1.5);
        return;
      }
      this.lowest = Math.min(this.lowest, this.level);
      this.watched += out.length;
      if (this.watched >= this.rate) {
        this.surplus = Math.max(0, this.lowest - this.spared);
        if (this.surplus) this.target = Math.max(this.least, this.target - 0.02 * this.rate);
        this.watch();
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
        this.step = sampleRate / ${RATE}; // 1 wherever the browser gives us a context of our rate
        this.frame = new Int16Array(${FRAME});
        this.filled = 0;
        this.sum = 0;
        this.count = 0;
        this.passed = 0;
      }
      process([input]) {
        for (const sample of input[0] ?? new Float32Array(128)) {
          this.sum += sample;
          this.count += 1;
          this.passed += 1;
          if (this.passed < this.step) continue;
          this.passed -= this.step;
          const mean = this.sum / this.count; // of what one sample of ours stands for: a plain low-pass
          this.sum = this.count = 0;
          this.frame[this.filled++] = Math.round(Math.max(-1, Math.min(1, mean)) * 32767);
          if (this.filled === this.frame.length) {
            this.port.postMessage(this.frame.buffer, [this.frame.buffer]);
            this.frame = new Int16Array(${FRAME});
            this.filled = 0;
          }
        }
        return true;
      }
    });`;

  // ---------------------------------------------------------------- sound in and out of the page
  let microphone = null; // the stream the page has
  const contexts = new Set(); // that are open
  /** A phone call or a locked screen suspends them, and nothing but this wakes them. */
  const wake = () => {
    for (const each of contexts) if (each.state === "suspended") each.resume().catch(() => {});
  };
  document.addEventListener("visibilitychange", wake);
  document.addEventListener("pointerdown", wake, true);
  const shut = (each) => {
    if (contexts.delete(each)) each.close();
  };
  const context = async (options) => {
    const made = new AudioContext(options);
    contexts.add(made);
    made.addEventListener("statechange", wake);
    const code = URL.createObjectURL(new Blob([WORKLETS], { type: "text/javascript" }));
    try {
      await made.audioWorklet.addModule(code);
    } catch (error) {
      shut(made);
      throw error;
    } finally {
      URL.revokeObjectURL(code);
    }
    made.resume(); // not awaited: where the browser wants a gesture first, it is never done
    return made;
  };
  const sounds = new Set(); // every Sound that is
  window.VoiceSound = class Sound {
    /** `send` takes each frame of the microphone. */
    static async open(send) {
      const sound = new Sound();
      sound.send = send;
      sound.context = await context({ sampleRate: RATE, latencyHint: "interactive" });
      sound.inputs = sound.context;
      try {
        await sound.begin();
      } catch (error) {
        sound.close();
        throw error;
      }
      sounds.add(sound);
      return sound;
    }
    async begin() {
      this.loudspeaker = new AudioWorkletNode(this.context, "voice-loudspeaker", {
        numberOfInputs: 0,
        outputChannelCount: [1],
      });
      // Through a media element: only what one of those plays is known to the echo canceller of iOS.
      const out = this.context.createMediaStreamDestination();
      this.loudspeaker.connect(out);
      this.stream = out.stream;
      await this.listen();
    }
    play(frame) {
      this.loudspeaker.port.postMessage(frame, [frame]);
    }
    async listen() {
      this.source?.disconnect();
      if (!microphone?.getAudioTracks().length) return;
      try {
        this.source = this.inputs.createMediaStreamSource(microphone);
      } catch {
        const made = await context(); // Firefox: a microphone only at the rate of the sound card
        if (this.closed || !microphone) return shut(made);
        if (this.inputs !== this.context) shut(this.inputs);
        this.inputs = made;
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
      sounds.delete(this);
      this.source?.disconnect();
      shut(this.context);
      shut(this.inputs);
    }
  };
  document.addEventListener("voice-microphone", ({ detail }) => {
    microphone = detail;
    for (const each of sounds) each.listen();
  });
  document.addEventListener("voice-over", () => {
    microphone = null;
  });
})();
