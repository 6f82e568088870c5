"""Response latency of the offline server: from the end of the user's speech to the first audio of the reply.

    python -m benchmarks.offline_voice [--quick] [--json] [--language en|zh] [--no-naive] [--cpu PERCENT]
    python -m benchmarks.offline_voice --brain URL [--brain-model NAME] [--brain URL ...] [--quick] [--json]

Recorded utterances are sent in real time, in 20 ms frames, over a WebSocket to a server of its own. The naive chain is
measured in the same run with the same models: wait for the end of the turn, then recognise the whole utterance,
generate the whole answer, synthesise all of it, and send it.

With `--cpu 60`, the server gets 60 % of the computer's processors, as on a slower one. That takes a writable cgroup of
Linux. The server sees the limit, and may use fewer threads.

With `--brain`, the carried language model is compared with the one at a chat endpoint in place of the naive chain: see
`benchmarks.support.voice.language_models`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
from websockets.asyncio.client import connect

from benchmarks.support.local_machine import OtherProcessesCpu
from benchmarks.support.speech_samples import SpeechSample, error_rate, load_speech_samples
from benchmarks.support.voice.cpu_quota import QuotaUnavailable, cpu_quota
from benchmarks.support.voice.language_models import compare_models, endpoints_to_compare, print_comparison
from benchmarks.support.voice.turns import OfflineServerProcess, TurnResult, run_turn, session_settings

PAUSE_AFTER_REPLY_S = 1.0
"""Seconds between the end of a reply and the next utterance."""
TARGETS = {"en": (0.8, 1.3), "zh": (1.8, None)}
"""Seconds of latency to reach on two cores: median and 95th percentile."""


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
    languages: list[str],
    most: int | None,
    silence_ms: int | None,
    *,
    naive: bool,
    verbose: bool,
    cgroup_processes: Path | None = None,
) -> dict[str, Any]:
    child = OfflineServerProcess(cgroup_processes=cgroup_processes)
    await child.start()
    chain = await asyncio.to_thread(NaivePipeline) if naive else None
    results = []
    try:
        for language in languages:
            others = OtherProcessesCpu([os.getpid(), child.process.pid])
            turns = []
            async with connect(child.url, max_size=None, compression=None) as socket:
                await socket.send(json.dumps({"type": "session.update", "session": session_settings(silence_ms)}))
                for i, utterance in enumerate(load_speech_samples(language, most)):
                    turn = await run_turn(socket, utterance, i)
                    if chain is not None and turn.stopped_s is not None:
                        turn.naive_s = turn.stopped_s + await asyncio.to_thread(chain.measure_reply_s, utterance)
                    turns.append(turn)
                    if verbose:
                        _print_turn(turn)
                    await asyncio.sleep(PAUSE_AFTER_REPLY_S)
            results.append(
                summarize(language, turns, others.busy_cores()) | {"turns": [turn.to_json() for turn in turns]}
            )
    finally:
        await child.stop()
    return {"ready_s": child.ready_s, "silence_ms": silence_ms, "cores": os.cpu_count(), "languages": results}


def _ms(seconds: float | None) -> str:
    return "     -" if seconds is None else f"{seconds * 1000:6.0f}"


def _print_turn(turn: TurnResult) -> None:
    print(
        f"  turn end {_ms(turn.stopped_s)}  first sound {_ms(turn.first_audio_s)}  naive {_ms(turn.naive_s)}  "
        f"gaps {_ms(turn.gap_s)} ms  {turn.heard!r} -> {turn.reply[:90]!r}",
        flush=True,
    )


def _print_table(report: dict[str, Any]) -> None:
    if report["cpu_percent"]:
        print(f"\nThe server had {report['cpu_percent']:g} % of the processors.", end="")
    silence = f"{report['silence_ms']} ms" if report["silence_ms"] else "250 to 1500 ms, by words and voice,"
    print(f"\nCold start to ready: {report['ready_s']:.1f} s. End of turn after {silence} of silence.")
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


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.offline_voice", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three utterances of each language; two with --brain")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--language", choices=["en", "zh"], help="one language only")
    parser.add_argument("--silence-ms", type=int, default=350, help="silence that ends a turn (default: %(default)s)")
    parser.add_argument("--adaptive", action="store_true", help="end turns by words and voice, as for the page")
    parser.add_argument("--cpu", type=float, metavar="PERCENT", help="limit the server to this part of all processors")
    parser.add_argument("--no-naive", action="store_true", help="leave out the naive chain")
    parser.add_argument(
        "--brain", action="append", default=[], metavar="URL", help="compare the language model at this chat endpoint"
    )
    parser.add_argument(
        "--brain-model",
        action="append",
        default=[],
        metavar="NAME",
        help="model at the --brain of the same number (default: LLM_MODEL, else its only one); the key is LLM_API_KEY",
    )
    options = parser.parse_args()
    try:
        options.endpoints = endpoints_to_compare(options.brain, options.brain_model, os.environ)
    except ValueError as error:
        parser.error(str(error))
    options.languages = [options.language] if options.language else ["en", "zh"]
    return options


def main() -> None:
    options = _parse_options()
    if options.endpoints:
        comparison = asyncio.run(
            compare_models(
                options.endpoints,
                options.languages,
                2 if options.quick else None,
                None if options.adaptive else options.silence_ms,
                verbose=not options.json,
            )
        )
        if options.json:
            print(json.dumps(comparison, ensure_ascii=False, indent=1))
        else:
            print_comparison(comparison)
        return
    try:
        with cpu_quota(options.cpu) if options.cpu else nullcontext() as cgroup_processes:
            report = asyncio.run(
                run_benchmark(
                    options.languages,
                    3 if options.quick else None,
                    None if options.adaptive else options.silence_ms,
                    naive=not (options.no_naive or options.cpu),  # the naive chain would have all processors
                    verbose=not options.json,
                    cgroup_processes=cgroup_processes,
                )
            )
    except QuotaUnavailable as error:
        raise SystemExit(f"--cpu cannot be used: {error}.") from None
    report["cpu_percent"] = options.cpu
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        _print_table(report)


if __name__ == "__main__":
    main()
