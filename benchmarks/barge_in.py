"""Barge-in at the ear: time from an interruption to silence, and error of the reported heard position.

    python -m benchmarks.barge_in [--quick] [--json]

The app runs unchanged against a scripted Realtime server. The server's reply is a chirp: its pitch gives the position
in the reply. Headless Chromium makes a call, and the output of its audio element is recorded on the page's audio clock.
The server sends `speech_started` in the middle of each reply. The plain fastrtc demo
(benchmarks/support/plain_fastrtc.py) gets the same interruptions in the same run.

    ours      the app with DUCKING=off: the first sound stops the reply
    ducked    the app with DUCKING=on: the first sound lowers the reply to 20 %, and a continuing voice stops it
    plain     the plain fastrtc demo

    lowered   from sending `speech_started` to a lowered reply at the ear (ducked only)
    silence   from sending `speech_started` to the last sound at the ear
    heard     |audio_end_ms of `conversation.item.truncate` - position of the last sound at the ear|
    bursts    number of times the old reply came back after silence
    buffer    mean time of audio in the browser's jitter buffer, over the last interruptions
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, sync_playwright

from benchmarks.support.chirp import RATE, WINDOW_SAMPLES, has_tone, position_ms
from benchmarks.support.interrupting_server import InterruptingServer
from benchmarks.support.local_machine import NO_SERVER_SETTINGS, OtherProcessesCpu, free_port, listening_process
from tests.data.speech import load_clip
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.chromium import launch_chromium

TARGET_SILENCE_P95_MS, TARGET_HEARD_P95_MS, TARGET_BUFFER_MS = 150.0, 80.0, 150.0
"""Milliseconds, goals: 95th percentiles of silence and heard, and the jitter buffer after ten interruptions."""
VAD_DELAY_S = 0.2
"""Seconds from a voice to the server's `speech_started`."""
LISTEN_AFTER_S = 1.2
"""Seconds recorded after an interruption: bursts come in this time."""
PITCH_WINDOW_SAMPLES = RATE // 25
"""Samples of one pitch measurement: 40 ms."""
COLLECT_PEERS_SCRIPT = """
window.measured = [];
{ const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer { constructor(...a) { super(...a); window.measured.push(this); } }; }
"""
JITTER_BUFFER_STATS_SCRIPT = """async () => {
  for (const peer of [...window.measured].reverse()) {
    for (const [, stat] of await peer.getStats()) {
      if (stat.type === "inbound-rtp" && stat.jitterBufferEmittedCount)
        return [stat.jitterBufferDelay, stat.jitterBufferEmittedCount];
    }
  }
  return [0, 0];
}"""


@dataclass
class MeasuredInterruption:
    """Results of one interruption; ms."""

    silence_ms: float
    heard_ms: float | None
    """Reported position minus heard position; None without a truncation."""
    bursts: int
    buffer_ms: float
    lowered_ms: float | None = None
    """Time until the reply was lowered; None when it is stopped at once."""


def sustained_voice() -> NDArray[np.float32]:
    """Return one second of voice: a recorded vowel, forwards and backwards."""
    vowel = load_clip("en", "human", 3).samples[int(5.40 * RATE) : int(5.46 * RATE)]
    return np.tile(np.concatenate([vowel, vowel[::-1]]), 9)[:RATE].astype(np.float32)


def measure_lowered_ms(heard: NDArray[np.float32], start_sample: int) -> float:
    """Return the ms from `start_sample` until the level is below a third of the level before it."""
    levels = np.sqrt(
        (heard[: len(heard) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES) ** 2).mean(axis=1)
    )
    start = start_sample // WINDOW_SAMPLES
    return float(np.argmax(levels[start:] < np.median(levels[:start]) / 3)) * WINDOW_SAMPLES * 1000 / RATE


def page_clock_offset_s(caller: BrowserPage) -> tuple[float, float]:
    """Return (offset, uncertainty) in seconds of the quickest of 30 readings.

    The page's audio clock is `time.monotonic()` + offset.
    """
    best = (0.0, 1e9)
    for _ in range(30):
        before = time.monotonic()
        now = caller.audio_clock_s()
        after = time.monotonic()
        if after - before < best[1]:
            best = now - (before + after) / 2, after - before
    return best[0], best[1] / 2


def measure_interruption(
    caller: BrowserPage, server: InterruptingServer, after_s: float, *, ducked: bool
) -> MeasuredInterruption:
    """Start a reply, interrupt it `after_s` seconds later, and measure the recorded output."""
    truncations = len(server.truncate_events)
    delay, count = caller.page.evaluate(JITTER_BUFFER_STATS_SCRIPT)
    started_s = caller.audio_clock_s()
    server.send_reply()
    caller.wait_until_loud(started_s, level=0.05)
    time.sleep(after_s)
    offset, _ = page_clock_offset_s(caller)
    if ducked:
        caller.play_speech(sustained_voice())
        time.sleep(VAD_DELAY_S)
    at = server.start_user_speech(ends_turn=not ducked) + offset
    caller.wait_until("(t) => caller.now() > t", at + LISTEN_AFTER_S + 0.2)
    delay_now, count_now = caller.page.evaluate(JITTER_BUFFER_STATS_SCRIPT)
    heard = caller.recorded_output(at - 0.5, at + LISTEN_AFTER_S)
    tones = has_tone(heard)
    start = int(0.5 * RATE) // WINDOW_SAMPLES
    quiet = next((i for i in range(start, len(tones)) if not tones[i : i + 8].any()), len(tones))
    bursts = int((np.diff(tones[quiet:].astype(int)) == 1).sum())
    end = quiet * WINDOW_SAMPLES
    error = None
    if len(server.truncate_events) > truncations:
        last = (
            position_ms(heard[end - PITCH_WINDOW_SAMPLES - WINDOW_SAMPLES : end - WINDOW_SAMPLES])
            + (PITCH_WINDOW_SAMPLES / 2 + WINDOW_SAMPLES) * 1000 / RATE
        )
        error = server.truncate_events[truncations]["audio_end_ms"] - last
    emitted = max(1, count_now - count)
    lowered = measure_lowered_ms(heard, int(0.5 * RATE)) if ducked else None
    if ducked:
        server.commit_user_turn()
    return MeasuredInterruption((end / RATE - 0.5) * 1000, error, bursts, (delay_now - delay) / emitted * 1000, lowered)


def measure_interruptions(
    browser: Browser, url: str, server: InterruptingServer, count: int, name: str
) -> list[MeasuredInterruption]:
    """Interrupt `count` replies of one call at random moments."""
    rng = random.Random(7)
    caller = BrowserPage(browser, url, before=COLLECT_PEERS_SCRIPT)
    try:
        if name == "plain":
            caller.page.locator('#voice-call button[aria-label="start stream"]').click()
        else:
            caller.start_call()
        server.wait_until_connected()
        caller.wait_until("() => document.querySelector('#voice-call audio')?.srcObject")
        return [
            measure_interruption(caller, server, rng.uniform(0.6, 3.0), ducked=name == "ducked") for _ in range(count)
        ]
    finally:
        caller.close()


def summarize(found: list[MeasuredInterruption]) -> dict[str, Any]:
    """Return medians and 95th percentiles; ms."""
    silence = [one.silence_ms for one in found]
    heard = [abs(one.heard_ms) for one in found if one.heard_ms is not None]
    lowered = [one.lowered_ms for one in found if one.lowered_ms is not None]
    late = [one.buffer_ms for one in found[-max(1, min(10, len(found) // 2)) :]]
    return {
        "interruptions": len(found),
        "silence_p50_ms": float(np.percentile(silence, 50)),
        "silence_p95_ms": float(np.percentile(silence, 95)),
        "heard_p50_ms": float(np.percentile(heard, 50)) if heard else None,
        "heard_p95_ms": float(np.percentile(heard, 95)) if heard else None,
        "bursts": sum(one.bursts for one in found),
        "buffer_ms": float(np.mean(late)),
        "lowered_p50_ms": float(np.percentile(lowered, 50)) if lowered else None,
        "lowered_p95_ms": float(np.percentile(lowered, 95)) if lowered else None,
    }


def run_benchmark(count: int) -> dict[str, Any]:
    """Interrupt the app in both modes and the plain demo, `count` times each."""
    report: dict[str, Any] = {}
    others = OtherProcessesCpu([os.getpid()])
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        for name, ducking in (("ours", "off"), ("ducked", "on"), ("plain", "off")):
            server, port = InterruptingServer(), free_port()
            with server.running():
                plain = ["-m", "benchmarks.support.plain_fastrtc", str(port), server.url]
                command = plain if name == "plain" else ["app.py"]
                address = {"HOST": "127.0.0.1", "PORT": str(port), "REALTIME_URL": server.url}
                environment = {**NO_SERVER_SETTINGS, **address, "DUCKING": ducking}
                with listening_process(port, *command, quiet=True, **environment):
                    found = measure_interruptions(browser, f"http://127.0.0.1:{port}", server, count, name)
            report[name] = summarize(found) | {"each": [asdict(one) for one in found]}
        browser.close()
    report["silence_ratio_p50"] = report["plain"]["silence_p50_ms"] / report["ours"]["silence_p50_ms"]
    report["silence_ratio_p95"] = report["plain"]["silence_p95_ms"] / report["ours"]["silence_p95_ms"]
    report["buffer_ratio"] = report["plain"]["buffer_ms"] / max(1.0, report["ours"]["buffer_ms"])
    report["all_programs_cores"] = others.busy_cores()
    return report


def _ms(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.0f}':>9}"


def _print_table(report: dict[str, Any]) -> None:
    print(f"{'':8}{'silence p50':>12}{'p95':>9}{'heard p50':>11}{'p95':>9}{'bursts':>8}{'buffer':>9}", end="")
    print(f"{'lowered':>9}{'p95':>9}   (ms)")
    for name in ("ours", "ducked", "plain"):
        r = report[name]
        print(f"{name:8}{_ms(r['silence_p50_ms']):>12}{_ms(r['silence_p95_ms'])}{_ms(r['heard_p50_ms']):>11}", end="")
        print(f"{_ms(r['heard_p95_ms'])}{r['bursts']:>8}{_ms(r['buffer_ms'])}", end="")
        print(f"{_ms(r['lowered_p50_ms'])}{_ms(r['lowered_p95_ms'])}")
    print(
        f"ratio   {report['silence_ratio_p50']:>11.1f}x{report['silence_ratio_p95']:>8.1f}x{'':>28}"
        f"{report['buffer_ratio']:>8.1f}x"
    )
    ours = report["ours"]
    for goal, reached in (
        (f"silence p95 <= {TARGET_SILENCE_P95_MS:.0f} ms", ours["silence_p95_ms"] <= TARGET_SILENCE_P95_MS),
        (
            f"heard p95 <= {TARGET_HEARD_P95_MS:.0f} ms",
            ours["heard_p95_ms"] is not None and ours["heard_p95_ms"] <= TARGET_HEARD_P95_MS,
        ),
        ("no burst of the old reply", ours["bursts"] == 0),
        (f"jitter buffer <= {TARGET_BUFFER_MS:.0f} ms", ours["buffer_ms"] <= TARGET_BUFFER_MS),
    ):
        print(f"{'reached' if reached else 'MISSED'}: {goal}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.barge_in", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three interruptions instead of thirty: about a minute")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    report = run_benchmark(3 if options.quick else 30)
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        _print_table(report)


if __name__ == "__main__":
    main()
