"""Response latency of the offline server: from the end of the user's speech to the first audio of the reply.

    python -m benchmarks.offline_voice [--quick] [--json] [--language en|zh] [--no-naive]

Recorded utterances are sent in real time, in 20 ms frames, over a WebSocket to a server of its own. The naive chain is
measured in the same run with the same models: wait for the end of the turn, then recognise the whole utterance,
generate the whole answer, synthesise all of it, and send it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.support.local_machine import ROOT, OtherProcessesCpu
from benchmarks.support.speech_samples import RATE, SpeechSample, error_rate, load_speech_samples

FRAME_S = 0.02
LEAD_SILENCE_S = 0.5
"""Seconds of silence before each utterance."""
PAUSE_AFTER_REPLY_S = 1.0
"""Seconds between the end of a reply and the next utterance."""
REPLY_TIMEOUT_S = 40.0
"""Seconds to wait for a reply."""
NOISE_AMPLITUDE = 3e-4
"""Amplitude (of 1.0) of the background noise."""
TARGETS = {"en": (0.8, 1.3), "zh": (1.8, None)}
"""Seconds of latency to reach on two cores: median and 95th percentile."""


@dataclass
class TurnResult:
    """Utterance and its reply. Times are in seconds from the end of the speech."""

    name: str
    said: str
    heard: str = ""
    reply: str = ""
    stopped_s: float | None = None
    """Time of `input_audio_buffer.speech_stopped`."""
    first_audio_s: float | None = None
    gap_s: float = 0.0
    """Seconds without audio within the reply, if played as it arrived."""
    naive_s: float | None = None
    _audio_arrivals: list[tuple[float, float]] = field(default_factory=list, repr=False)

    def add_audio(self, at: float, seconds: float) -> None:
        if self.first_audio_s is None:
            self.first_audio_s = at
        self._audio_arrivals.append((at, seconds))

    def count_gaps(self) -> None:
        until = None
        for at, seconds in self._audio_arrivals:
            if until is not None and at > until:
                self.gap_s += at - until
            until = max(until or at, at) + seconds


class OfflineServerProcess:
    """`python -m offline` as a child process."""

    def __init__(self) -> None:
        self.url = ""
        self.ready_s = 0.0

    async def start(self) -> None:
        begun = time.monotonic()
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "offline", "--port", "0", "--exit-with-parent"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            status = json.loads(line)
            self.url = status.get("listening", self.url)
            if "ready" in status:
                if not status["ready"]:
                    raise SystemExit(status.get("detail", "The server did not start."))
                self.ready_s = time.monotonic() - begun
                return
        raise SystemExit("The server did not start.")

    async def stop(self) -> None:
        self.process.terminate()
        await self.process.wait()


async def run_turn(socket: ClientConnection, utterance: SpeechSample, seed: int) -> TurnResult:
    """Send one utterance in real time and receive the reply."""
    turn = TurnResult(utterance.name, utterance.text)
    noise = np.random.default_rng(seed)
    samples = np.concatenate([np.zeros(int(LEAD_SILENCE_S * RATE), np.float32), utterance.samples])
    over = asyncio.Event()
    start = time.monotonic()
    voice_end = start + LEAD_SILENCE_S + utterance.end_s

    async def play() -> None:
        step, at = int(FRAME_S * RATE), 0
        while not over.is_set() and at < REPLY_TIMEOUT_S * RATE:
            frame = np.zeros(step, np.float32)
            part = samples[at : at + step]
            frame[: len(part)] = part
            frame += noise.standard_normal(step).astype(np.float32) * NOISE_AMPLITUDE
            at += step
            # A frame exists only once its last sample was spoken.
            await asyncio.sleep(max(0.0, start + at / RATE - time.monotonic()))
            pcm = (np.clip(frame, -1, 1) * 32767).astype("<i2").tobytes()
            await socket.send(
                json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})
            )

    async def listen() -> None:
        async for message in socket:
            at = time.monotonic() - voice_end
            event: dict[str, Any] = json.loads(message)
            match event["type"]:
                case "input_audio_buffer.speech_stopped":
                    turn.stopped_s = at
                case "conversation.item.input_audio_transcription.completed":
                    turn.heard += event["transcript"]
                case "response.output_audio.delta":
                    turn.add_audio(at, len(event["delta"]) * 3 / 4 / 2 / RATE)
                case "response.output_audio_transcript.delta":
                    turn.reply += event["delta"]
                case "error":
                    raise SystemExit(event["error"]["message"])
                case "response.done" if event["response"]["status"] == "completed":
                    return

    playing = asyncio.create_task(play())
    try:
        await asyncio.wait_for(listen(), REPLY_TIMEOUT_S)
    except TimeoutError:
        print(f"{utterance.name}: no reply within {REPLY_TIMEOUT_S:.0f} s", file=sys.stderr)
    over.set()
    await playing
    turn.count_gaps()
    return turn


class NaivePipeline:
    """The same models, one after the other."""

    def __init__(self) -> None:
        from offline.models.store import find_models
        from offline.pipeline.loader import limit_openmp_spinning, load_llm
        from offline.pipeline.speech_models import load_speech_models

        limit_openmp_spinning()
        store, threads = find_models(), os.cpu_count() or 1
        self._llm, _ = load_llm(store, 1, threads)
        speech = load_speech_models(store, threads)
        self._tts, self._recognizer, self._languages = speech.tts, speech.recognizer, speech.languages

    def measure_reply_s(self, utterance: SpeechSample) -> float:
        """Return the seconds from the end of the turn to the complete audio of the reply."""
        from offline.audio import resample_to_16k
        from offline.llm.prompt import build_prompt
        from offline.protocol.worker_messages import LanguageCode, LlmMessage, ReplyRequest

        pcm = (np.clip(utterance.samples, -1, 1) * 32767).astype("<i2").tobytes()
        begun = time.monotonic()
        audio = resample_to_16k(pcm)
        language: LanguageCode = "zh" if self._recognizer.mandarin_probability(audio) >= 0.5 else "en"
        transcript = self._recognizer.transcribe(audio, language)
        prompt = build_prompt(
            ReplyRequest((LlmMessage("user", transcript.text),), speak=True), self._languages, 4096, few_shot=True
        )
        words: list[str] = []
        self._llm.generate(prompt, 0, lambda text, _: words.append(text), threading.Event())
        self._tts.synthesize("".join(words))
        return time.monotonic() - begun


def percentile(values: list[float], share: float) -> float:
    return float(np.percentile(values, share * 100)) if values else float("nan")


def summarize(language: str, turns: list[TurnResult], others: float | None) -> dict[str, Any]:
    """Return the figures of one language, in seconds."""
    first = [t.first_audio_s for t in turns if t.first_audio_s is not None]
    naive = [t.naive_s for t in turns if t.naive_s is not None]
    figures: dict[str, Any] = {
        "language": language,
        "utterances": len(turns),
        "answered": len(first),
        "p50_s": percentile(first, 0.5),
        "p95_s": percentile(first, 0.95),
        "longest_s": max(first, default=float("nan")),
        "turn_end_p50_s": percentile([t.stopped_s for t in turns if t.stopped_s is not None], 0.5),
        "gaps_s": sum(t.gap_s for t in turns),
        "error_rate": error_rate([(t.said, t.heard) for t in turns], language),
        "target_p50_s": TARGETS[language][0],
        "target_p95_s": TARGETS[language][1],
        "other_programs_cores": others,
    }
    if naive:
        figures |= {"naive_p50_s": percentile(naive, 0.5), "naive_p95_s": percentile(naive, 0.95)}
        figures |= {"times_faster_p50": figures["naive_p50_s"] / figures["p50_s"]}
        figures |= {"times_faster_p95": figures["naive_p95_s"] / figures["p95_s"]}
    return figures


async def run_benchmark(
    languages: list[str], most: int | None, silence_ms: int, *, naive: bool, verbose: bool
) -> dict[str, Any]:
    child = OfflineServerProcess()
    await child.start()
    chain = await asyncio.to_thread(NaivePipeline) if naive else None
    results = []
    try:
        for language in languages:
            others = OtherProcessesCpu([os.getpid(), child.process.pid])
            turns = []
            async with connect(child.url, max_size=None, compression=None) as socket:
                await socket.send(json.dumps({"type": "session.update", "session": _session_settings(silence_ms)}))
                for i, utterance in enumerate(load_speech_samples(language, most)):
                    turn = await run_turn(socket, utterance, i)
                    if chain is not None and turn.stopped_s is not None:
                        turn.naive_s = turn.stopped_s + await asyncio.to_thread(chain.measure_reply_s, utterance)
                    turns.append(turn)
                    if verbose:
                        _print_turn(turn)
                    await asyncio.sleep(PAUSE_AFTER_REPLY_S)
            results.append(
                summarize(language, turns, others.busy_cores())
                | {"turns": [{k: v for k, v in asdict(t).items() if k[0] != "_"} for t in turns]}
            )
    finally:
        await child.stop()
    return {"ready_s": child.ready_s, "silence_ms": silence_ms, "cores": os.cpu_count(), "languages": results}


def _session_settings(silence_ms: int) -> dict[str, Any]:
    detection = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": silence_ms,
        "create_response": True,
        "interrupt_response": True,
    }
    return {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": detection}},
    }


def _ms(seconds: float | None) -> str:
    return "     -" if seconds is None else f"{seconds * 1000:6.0f}"


def _print_turn(turn: TurnResult) -> None:
    print(
        f"  turn end {_ms(turn.stopped_s)}  first sound {_ms(turn.first_audio_s)}  naive {_ms(turn.naive_s)}  "
        f"gaps {_ms(turn.gap_s)} ms  {turn.heard!r} -> {turn.reply[:90]!r}",
        flush=True,
    )


def _print_table(report: dict[str, Any]) -> None:
    print(f"\nCold start to ready: {report['ready_s']:.1f} s. End of turn after {report['silence_ms']} ms of silence.")
    print(f"{'':10}{'answered':>9}{'p50 s':>8}{'target':>8}{'p95 s':>8}{'target':>8}{'gaps s':>8}{'errors':>8}", end="")
    print(f"{'naive p50':>11}{'p95':>7}{'faster':>8}{'others':>8}")
    for r in cast(list[dict[str, Any]], report["languages"]):
        limit = f"{r['target_p95_s']:.1f}" if r["target_p95_s"] else "-"
        print(
            f"{r['language']:10}{r['answered']:>5}/{r['utterances']:<3}{r['p50_s']:8.2f}{r['target_p50_s']:8.1f}",
            end="",
        )
        print(f"{r['p95_s']:8.2f}{limit:>8}{r['gaps_s']:8.2f}{100 * r['error_rate']:7.1f}%", end="")
        if "naive_p50_s" in r:
            print(f"{r['naive_p50_s']:11.2f}{r['naive_p95_s']:7.2f}{r['times_faster_p50']:7.1f}x", end="")
        else:
            print(f"{'-':>11}{'-':>7}{'-':>8}", end="")
        print(f"{'-' if r['other_programs_cores'] is None else format(r['other_programs_cores'], '.2f'):>8}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.offline_voice", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three utterances of each language")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--language", choices=["en", "zh"], help="one language only")
    parser.add_argument("--silence-ms", type=int, default=350, help="silence that ends a turn (default: %(default)s)")
    parser.add_argument("--no-naive", action="store_true", help="leave out the naive chain")
    options = parser.parse_args()
    report = asyncio.run(
        run_benchmark(
            [options.language] if options.language else ["en", "zh"],
            3 if options.quick else None,
            options.silence_ms,
            naive=not options.no_naive,
            verbose=not options.json,
        )
    )
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        _print_table(report)


if __name__ == "__main__":
    main()
