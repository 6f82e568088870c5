"""Sounds without words: music, applause, machines and animals, made by arithmetic. The same at every call.

Each is float32 mono at 24 kHz in [-1, 1], six seconds long, with half a second of near silence on both sides.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from tests.support.paths import SPEECH

RATE = 24_000
LENGTH_S = 6.0
MARGIN_S = 0.5
FLOOR = 3e-4
"""Amplitude of the noise that a microphone adds."""

Sound = npt.NDArray[np.float64]
_COUNT = int(LENGTH_S * RATE)
_TIME = np.arange(_COUNT) / RATE


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _note(hertz: float, seconds: float, decay: float = 3.0, harmonics: int = 6) -> Sound:
    """Return a plucked note."""
    t = np.arange(int(seconds * RATE)) / RATE
    partials = sum(np.sin(2 * np.pi * hertz * k * t) / k**1.5 for k in range(1, harmonics + 1))
    return np.asarray(partials * np.exp(-decay * t) * np.minimum(1, t * 200))


def _place(events: list[tuple[float, Sound]]) -> Sound:
    """Return the events added up, each at its time in seconds."""
    out = np.zeros(_COUNT)
    for at, sound in events:
        start = int(at * RATE)
        part = sound[: max(0, _COUNT - start)]
        out[start : start + len(part)] += part
    return out


def _coloured(seed: int, exponent: float) -> Sound:
    """Return noise whose amplitude falls with the frequency to the power of `exponent`."""
    spectrum = np.fft.rfft(_random(seed).standard_normal(_COUNT))
    frequencies = np.maximum(np.fft.rfftfreq(_COUNT, 1 / RATE), 20)
    return np.fft.irfft(spectrum / frequencies**exponent, _COUNT)


def _band(noise: Sound, low: float, high: float) -> Sound:
    spectrum = np.fft.rfft(noise)
    frequencies = np.fft.rfftfreq(len(noise), 1 / RATE)
    return np.fft.irfft(spectrum * ((frequencies > low) & (frequencies < high)), len(noise))


def _burst(seed: int, seconds: float, decay: float, low: float = 100, high: float = 8000) -> Sound:
    count = int(seconds * RATE)
    return _band(_random(seed).standard_normal(count), low, high) * np.exp(-decay * np.arange(count) / RATE)


def chords() -> Sound:
    """Return a piano's slow chords."""
    steps = ((261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7))
    return _place([(1.4 * i, sum(_note(f, 1.6, 1.5) for f in chord)) for i, chord in enumerate(steps)])  # type: ignore[misc]


def arpeggio() -> Sound:
    """Return a quick arpeggio."""
    scale = (261.6, 329.6, 392.0, 523.3, 659.3, 784.0, 659.3, 523.3, 392.0, 329.6)
    return _place([(0.15 * i, _note(scale[i % len(scale)], 0.5, 6)) for i in range(40)])


def melody() -> Sound:
    """Return a flute's melody with vibrato."""
    notes = (392.0, 440.0, 493.9, 523.3, 587.3, 523.3, 493.9, 440.0)
    hertz = np.array([notes[int(t / 0.7) % len(notes)] for t in _TIME]) * (1 + 0.008 * np.sin(2 * np.pi * 5.5 * _TIME))
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    return np.sin(phase) + 0.3 * np.sin(2 * phase) + 0.1 * np.sin(3 * phase)


def strings() -> Sound:
    """Return a string orchestra's swelling chord."""
    voices = [f * (1 + d) for f in (196.0, 246.9, 293.7, 392.0) for d in (-0.003, 0.0, 0.003)]
    sound = sum(np.sin(2 * np.pi * f * k * _TIME) / k for f in voices for k in range(1, 9))
    return np.asarray(sound * (0.4 + 0.6 * np.sin(2 * np.pi * 0.25 * _TIME) ** 2))


def bass_line() -> Sound:
    """Return a bass guitar."""
    return _place([(0.3 * i, _note((55.0, 65.4, 73.4, 82.4)[i % 4], 0.4, 4, 10)) for i in range(20)])


def drums() -> Sound:
    """Return a drum kit: kick, snare and hi-hat."""
    t = np.arange(int(0.25 * RATE)) / RATE
    kick = 1.5 * np.sin(2 * np.pi * 60 * t * (1 + 2 * np.exp(-30 * t))) * np.exp(-14 * t)
    beats = [(0.5 * i, kick if i % 2 == 0 else _burst(i, 0.2, 20, 200, 7000)) for i in range(12)]
    return _place(beats + [(0.25 * i, 0.3 * _burst(50 + i, 0.06, 60, 6000, 11000)) for i in range(24)])


def band() -> Sound:
    """Return drums, bass, chords and a melody together."""
    return drums() + 0.6 * bass_line() + 0.4 * chords() + 0.3 * melody()


def applause() -> Sound:
    """Return the clapping of a hall."""
    times = np.sort(_random(1).uniform(0, LENGTH_S, 900))
    return _place([(at, _random(i).uniform(0.3, 1) * _burst(i, 0.03, 150, 600, 6000)) for i, at in enumerate(times)])


def white_noise() -> Sound:
    """Return hiss."""
    return _coloured(2, 0.0)


def pink_noise() -> Sound:
    """Return the noise of a waterfall."""
    return _coloured(3, 0.5)


def wind() -> Sound:
    """Return gusts at a microphone."""
    return _coloured(4, 1.2) * (0.3 + 0.7 * np.sin(2 * np.pi * 0.4 * _TIME) ** 2)


def mains_hum() -> Sound:
    """Return the hum of the mains at 60 Hz."""
    return np.asarray(sum(np.sin(2 * np.pi * 60 * k * _TIME) / k for k in (1, 2, 3, 5, 7)))


def engine() -> Sound:
    """Return an idling engine."""
    pulse = np.maximum(0, np.sin(2 * np.pi * 28 * _TIME)) ** 8
    return pulse * (1 + 0.3 * _coloured(5, 0.0)) + 0.2 * _coloured(6, 0.7) / 0.002


def siren() -> Sound:
    """Return a siren between 600 and 1200 Hz."""
    return np.sin(2 * np.pi * np.cumsum(900 + 300 * np.sin(2 * np.pi * 0.5 * _TIME)) / RATE)


def telephone() -> Sound:
    """Return a ringing telephone."""
    ring = np.sin(2 * np.pi * 440 * _TIME) + np.sin(2 * np.pi * 480 * _TIME)
    return ring * (np.sin(2 * np.pi * 20 * _TIME) > 0) * ((_TIME % 3) < 1.5)


def birds() -> Sound:
    """Return chirps between 2 and 5 kHz."""
    source = _random(7)

    def chirp() -> Sound:
        t = np.arange(int(0.12 * RATE)) / RATE
        hertz = source.uniform(2500, 4000) + source.uniform(-8000, 8000) * t
        return np.sin(2 * np.pi * hertz * t) * np.sin(np.pi * t / 0.12)

    return _place([(at, chirp()) for at in np.sort(source.uniform(0, 5.8, 30))])


def keyboard() -> Sound:
    """Return typing."""
    times = np.cumsum(_random(8).uniform(0.07, 0.25, 35))
    return _place([(at, _burst(i, 0.03, 120, 800, 9000)) for i, at in enumerate(times) if at < 5.9])


def knocks() -> Sound:
    """Return knocks on wood."""
    return _place([(1.5 * i + 0.2 * j, _burst(10 * i + j, 0.12, 40, 80, 900)) for i in range(4) for j in range(3)])


def dog() -> Sound:
    """Return barks: a falling harmonic tone with noise."""
    t = np.arange(int(0.18 * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(500 * np.exp(-4 * t)) / RATE
    bark = sum(np.sin(phase * k) / k for k in range(1, 8)) + 0.5 * _random(9).standard_normal(len(t))
    shaped = np.asarray(bark * np.sin(np.pi * t / 0.18))
    return _place([(at, shaped) for at in (0.3, 0.7, 2.0, 2.4, 2.8, 4.5)])


def babble() -> Sound:
    """Return a crowd far away: many recordings at once, backwards."""
    voices = np.zeros(_COUNT)
    for i, path in enumerate(sorted(SPEECH.glob("*/*.flac"))[:24]):
        samples, rate = soundfile.read(path, dtype="float64")
        backwards = np.resize(soxr.resample(samples, rate, RATE)[::-1], _COUNT)
        voices += np.roll(backwards, i * 7919)
    return voices


NON_SPEECH_SOUNDS: dict[str, tuple[Callable[[], Sound], float]] = {
    each.__name__: (each, 0.5)
    for each in (
        *(chords, arpeggio, melody, strings, bass_line, drums, band, applause, white_noise, pink_noise, wind),
        *(mains_hum, engine, siren, telephone, birds, keyboard, knocks, dog),
    )
} | {"babble": (babble, 0.1)}
"""Generators and peak amplitudes (of 1.0) of 20 sounds, by name. A crowd is quieter than a speaker."""


def non_speech_sound(name: str) -> npt.NDArray[np.float32]:
    """Return a sound of `NON_SPEECH_SOUNDS`."""
    make, peak = NON_SPEECH_SOUNDS[name]
    sound = make()
    margin = np.zeros(int(MARGIN_S * RATE))
    whole = np.concatenate([margin, sound / np.abs(sound).max() * peak, margin])
    return (whole + _random(11).standard_normal(len(whole)) * FLOOR).astype(np.float32)
