/* Audio measurements of the sound check. Pure: blocks of samples in, decibels and classes out. */
(() => {
  "use strict";
  const IGNORED_NOTES = 2; // notes during which the echo canceller adapts to the room

  const toDecibel = (power) => 10 * Math.log10(power + 1e-12);
  /** Return the level of a block of samples in dBFS. */
  const levelDbfs = (samples) => toDecibel(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
  /** Return the level of one frequency in dBFS (Goertzel algorithm, Hann window). */
  const toneDbfs = (samples, rate, frequency) => {
    const coefficient = 2 * Math.cos((2 * Math.PI * frequency) / rate);
    let [now, before] = [0, 0];
    samples.forEach((sample, i) => {
      const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / samples.length);
      [now, before] = [sample * hann + coefficient * now - before, now];
    });
    const power = now * now + before * before - coefficient * now * before;
    return toDecibel((8 * power) / samples.length ** 2); // a sine of amplitude 1 gives -3 dB, as in `levelDbfs`
  };
  /** Return the quantile `share` (0-1) of the values. */
  const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))];
  /** Classify the measured levels (dBFS) and peaks (0-1) as silent, quiet, loud or ok. */
  const classifyLevel = (levels, peaks) => {
    const [room, voice] = [quantile(levels, 0.1), quantile(levels, 0.9)];
    if (voice < -75) return "silent"; // a switched-off microphone; even the quietest room is louder
    if (peaks.filter((peak) => peak >= 0.99).length > peaks.length * 0.1) return "loud";
    return voice < -50 || voice - room < 6 ? "quiet" : "ok";
  };
  /** Return by how many dB a tone exceeds its neighbouring frequencies; 0 when it is too quiet to pass for speech. */
  const toneProminenceDb = (samples, rate, frequency) => {
    const level = toneDbfs(samples, rate, frequency);
    const neighbours = Math.max(...[0.87, 0.92, 1.08, 1.14].map((ratio) => toneDbfs(samples, rate, frequency * ratio)));
    return level > -50 ? level - neighbours : 0;
  };
  /** Return whether the melody came back through the microphone. `notes`: prominence of each note in dB. */
  const hasEcho = (notes) => notes.slice(IGNORED_NOTES).filter((note) => note > 12).length >= notes.length - IGNORED_NOTES - 1;
  window.voiceAudioMeasurements = { levelDbfs, toneDbfs, quantile, classifyLevel, toneProminenceDb, hasEcho };
})();
