"""Language models compared: the carried one beside those at chat endpoints, in one run.

Each model has an embedded server of its own, with the same recognition and voice. Each utterance goes to one server
after the other, and another one is first each time, so that other programs disturb all of them alike. First sound is
that of the opener where one was said. A ratio compares an endpoint's model with the carried one for the same utterance.
Replies that the carried model gave in place of an endpoint's are counted, and not among the times.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect

from benchmarks.support.local_machine import OtherProcessesCpu
from benchmarks.support.speech_samples import load_speech_samples
from offline.endpoints.settings import EndpointSettings, read_endpoints
from offline.remote.openers import OPENERS

from .turns import OfflineServerProcess, TurnResult, run_turn, session_settings

PAUSE_BETWEEN_SERVERS_S = 0.3
"""Seconds between a reply and the next utterance, which goes to another server."""


def endpoints_to_compare(
    urls: Sequence[str], models: Sequence[str], environ: Mapping[str, str]
) -> list[EndpointSettings]:
    """Return the endpoints at `urls`, with `models` in the same order, else with `LLM_MODEL`, and with `LLM_API_KEY`.

    Raises `ValueError` for an unusable value, and where the key would go to several hosts.
    """
    if len(models) > len(urls):
        raise ValueError("Each --brain-model belongs to a --brain.")
    key = environ.get("LLM_API_KEY", "")
    names = [*models, *[environ.get("LLM_MODEL", "")] * (len(urls) - len(models))]
    endpoints = []
    for url, name in zip(urls, names, strict=True):
        endpoint = read_endpoints({"LLM_URL": url, "LLM_MODEL": name, "LLM_API_KEY": key}).llm
        if endpoint is None:
            raise ValueError("--brain must be the address of a chat endpoint.")
        endpoints.append(endpoint)
    if key and len({endpoint.host for endpoint in endpoints}) > 1:
        raise ValueError("LLM_API_KEY would go to several hosts: compare them one by one.")
    return endpoints


@dataclass
class ComparedModel:
    """Embedded server with one language model, and its turns in one language."""

    host: str
    """Host and port of the endpoint; "" for the carried model."""
    process: OfflineServerProcess
    turns: list[TurnResult] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the model and its host."""
        model = next((turn.answered_by for turn in self.turns if turn.is_by_endpoint), "")
        return f"{model or '-'} at {self.host}" if self.host else f"{self.process.model} (carried)"

    def first_sound_s(self, index: int) -> float | None:
        """Return the latency of one turn; None when this model did not answer it."""
        turn = self.turns[index]
        return turn.first_audio_s if turn.is_by_endpoint or not self.host else None


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarize_model(model: ComparedModel, carried: ComparedModel, language: str) -> dict[str, Any]:
    """Return the figures of one model in one language. Latencies are in seconds."""
    first = [model.first_sound_s(index) for index in range(len(model.turns))]
    base = [carried.first_sound_s(index) for index in range(len(carried.turns))]
    ratios = [own / other for own, other in zip(first, base, strict=True) if own is not None and other is not None]
    return {
        "language": language,
        "model": model.name,
        "utterances": len(model.turns),
        "answered": sum(each is not None for each in first),
        "openers": sum(turn.reply.startswith(tuple(OPENERS.values())) for turn in model.turns),
        "faults": dict(Counter(turn.fault for turn in model.turns if turn.fault)),
        "first_sound_s": _spread([each for each in first if each is not None]),
        "ratio_to_carried": _spread(ratios) if model is not carried else None,
        "turns": [turn.to_json() for turn in model.turns],
    }


async def compare_models(
    endpoints: Sequence[EndpointSettings],
    languages: Sequence[str],
    max_utterances: int | None,
    silence_ms: int | None,
    *,
    verbose: bool,
) -> dict[str, Any]:
    """Return the figures of the carried model and of those at `endpoints`."""
    models = [ComparedModel("", OfflineServerProcess())]
    for endpoint in endpoints:
        environment = {"LLM_URL": endpoint.url, "LLM_MODEL": endpoint.model, "LLM_API_KEY": endpoint.key}
        models.append(ComparedModel(endpoint.host, OfflineServerProcess(environment)))
    results: list[dict[str, Any]] = []
    async with AsyncExitStack() as stack:
        for model in models:
            await model.process.start()
            stack.push_async_callback(model.process.stop)
        others = OtherProcessesCpu([os.getpid(), *(model.process.process.pid for model in models)])
        for language in languages:
            await _run_language(models, language, max_utterances, silence_ms, verbose=verbose)
            results += [summarize_model(model, models[0], language) for model in models]
        busy_cores = others.busy_cores()
    return {"silence_ms": silence_ms, "cores": os.cpu_count(), "other_programs_cores": busy_cores, "models": results}


async def _run_language(
    models: Sequence[ComparedModel], language: str, max_utterances: int | None, silence_ms: int | None, *, verbose: bool
) -> None:
    """Send the utterances of one language to all servers. The first server changes with each utterance."""
    async with AsyncExitStack() as stack:
        sockets = []
        for model in models:
            socket = await stack.enter_async_context(connect(model.process.url, max_size=None, compression=None))
            await socket.send(json.dumps({"type": "session.update", "session": session_settings(silence_ms)}))
            sockets.append(socket)
            model.turns = []
        pairs = list(zip(models, sockets, strict=True))
        for i, utterance in enumerate(load_speech_samples(language, max_utterances)):
            first = i % len(pairs)
            for model, socket in pairs[first:] + pairs[:first]:
                turn = await run_turn(socket, utterance, i)
                model.turns.append(turn)
                if verbose:
                    _print_turn(model, turn)
                await asyncio.sleep(PAUSE_BETWEEN_SERVERS_S)


def _print_turn(model: ComparedModel, turn: TurnResult) -> None:
    first = "    -" if turn.first_audio_s is None else f"{turn.first_audio_s:5.2f}"
    fault = f"  fault: {turn.fault}" if turn.fault else ""
    print(
        f"  {model.host or 'carried':24} first sound {first} s  {turn.heard!r} -> {turn.reply[:80]!r}{fault}",
        flush=True,
    )


def _text(spread: dict[str, float] | None) -> str:
    return "-" if spread is None else f"{spread['median']:.2f} ({spread['min']:.2f}–{spread['max']:.2f})"


def print_comparison(comparison: dict[str, Any]) -> None:
    """Print the table. Ranges are the least and the greatest value."""
    models: list[dict[str, Any]] = comparison["models"]
    width = max(len(each["model"]) for each in models) + 2
    silence = f"{comparison['silence_ms']} ms" if comparison["silence_ms"] else "250 to 1500 ms"
    print(f"\nFirst sound after the end of the speech; a turn ends after {silence} of silence.")
    print(f"{'':4}{'language model':{width}}{'answered':>9}{'openers':>9}{'first sound, s':>22}{'ratio':>22}")
    for each in models:
        answered = f"{each['answered']}/{each['utterances']}"
        print(f"{each['language']:4}{each['model']:{width}}{answered:>9}{each['openers']:>9}", end="")
        print(f"{_text(each['first_sound_s']):>22}{_text(each['ratio_to_carried']):>22}")
    for each in models:
        for fault, count in each["faults"].items():
            print(f"{each['language']}: {each['model']}: {count} × {fault}")
    if (busy := comparison["other_programs_cores"]) is not None:
        print(f"Other programs used {busy:.2f} cores, an endpoint on this computer included.")
