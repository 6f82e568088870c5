/* What the sound check makes of what a microphone delivers. Pure: blocks of samples in, words and decibels out. */
(() => {
  "use strict";
  const LEARNING = 2; // notes in which an echo canceller learns the room; they do not count

  const decibel = (power) => 10 * Math.log10(power + 1e-12);
  /** dBFS of a block of samples. */
  const level = (samples) => decibel(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
  /** dBFS of one frequency in a block (Goertzel, with a Hann window). */
  const tone = (samples, rate, frequency) => {
    const turn = 2 * Math.cos((2 * Math.PI * frequency) / rate);
    let [now, before] = [0, 0];
    samples.forEach((sample, i) => {
      const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / samples.length);
      [now, before] = [sample * hann + turn * now - before, now];
    });
    const power = now * now + before * before - turn * now * before;
    return decibel((8 * power) / samples.length ** 2); // a sine of amplitude 1: -3 dB of power, as `level` says
  };
  /** The value below which a share (0-1) of them lies. */
  const rank = (values, share) => [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))];
  /** From the levels (dBFS) and the peaks (0-1) of the looks: silent, quiet, loud or ok. */
  const verdict = (levels, peaks) => {
    const [room, voice] = [rank(levels, 0.1), rank(levels, 0.9)];
    if (voice < -75) return "silent"; // a switched-off microphone; the quietest room of an open one is above
    if (peaks.filter((peak) => peak >= 0.99).length > peaks.length * 0.1) return "loud";
    return voice < -50 || voice - room < 6 ? "quiet" : "ok";
  };
  /** How far a note stands out of what is around it, in dB, when it is loud enough to be taken for speech at all. */
  const prominence = (samples, rate, frequency) => {
    const note = tone(samples, rate, frequency);
    const around = Math.max(...[0.87, 0.92, 1.08, 1.14].map((beside) => tone(samples, rate, frequency * beside)));
    return note > -50 ? note - around : 0;
  };
  /** Whether a tune of which each note stood out by so much has come back through the microphone. */
  const echoes = (notes) => notes.slice(LEARNING).filter((note) => note > 12).length >= notes.length - LEARNING - 1;
  window.voiceMeasures = { level, tone, rank, verdict, prominence, echoes };
})();
