"""End of a turn: how many people are cut off in a pause, and how long those who have finished wait.

    python -m benchmarks.turns [--quick] [--json] [--language en|zh] [--details]

Policies are compared on the same pauses: the ends of the recordings in `tests/data/speech` and the pauses inside them,
the recordings interrupted between two words, and beginnings of sentences in the voices of the replies (not with
`--quick`). An interrupted speaker goes on after 0.4, 0.7 or 1 s; each length counts as one pause. The server's own
detector, recognition and Smart Turn judge them at 128 ms of silence. The waits are those of the policy: a slow computer
adds the time that the recognition takes beyond them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.support.local_machine import OtherProcessesCpu
from benchmarks.support.speech_samples import SpeechSample, load_speech_samples
from benchmarks.support.voice.pauses import Pause, PauseFinder, PauseKind
from benchmarks.support.voice.unfinished_sentences import UNFINISHED_SENTENCES
from offline.stt.end_of_turn import COMPLETE_PROBABILITY, semantic_silence_ms

SILENCE_MS = 350
"""Milliseconds of the app's default `VAD_SILENCE_MS`, to which the other policies are compared."""
QUICK_RECORDINGS = 8
"""Recordings of a language with `--quick`."""

Policy = Callable[[Pause], int]
POLICIES: dict[str, Policy] = {
    f"silence alone, {SILENCE_MS} ms": lambda _: SILENCE_MS,
    "words alone": lambda pause: semantic_silence_ms("auto", pause.words),
    "Smart Turn alone": lambda pause: 250 if pause.probability >= COMPLETE_PROBABILITY else 1500,
    "words and Smart Turn": lambda pause: semantic_silence_ms("auto", pause.words, pause.probability),
}
"""Milliseconds to wait in a pause, by the name of the policy. The last one is that of `semantic_vad`."""
OURS = "words and Smart Turn"


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """Result of a policy for one group of pauses."""

    policy: str
    group: str
    cut: int
    pauses: int
    median_ms: float
    """Milliseconds from the end of the voice to the end of the turn."""
    mean_ms: float
    ends: int


def judge_policy(name: str, group: str, pauses: Sequence[Pause]) -> PolicyOutcome:
    """Return the outcome of a policy for these pauses."""
    policy = POLICIES[name]
    waits = [policy(pause) for pause in pauses if pause.kind is PauseKind.END]
    cut = [policy(pause) < length for pause in pauses for length in pause.lengths_ms]
    median, mean = (statistics.median(waits), statistics.mean(waits)) if waits else (0.0, 0.0)
    return PolicyOutcome(name, group, sum(cut), len(cut), median, mean, len(waits))


def find_pauses(languages: Sequence[str], *, quick: bool) -> Iterator[Pause]:
    """Yield the pauses of the recordings, and of unfinished sentences unless `quick`."""
    from offline.models.store import find_models
    from offline.pipeline.loader import limit_openmp_spinning
    from offline.pipeline.speech_models import load_speech_models

    limit_openmp_spinning()
    speech = load_speech_models(find_models(), 2)
    if speech.smart_turn is None:
        raise SystemExit("Smart Turn is missing: run `python -m offline.models fetch`.")
    finder = PauseFinder(speech.recognizer, speech.smart_turn)
    for language in languages:
        for sample in load_speech_samples(language, QUICK_RECORDINGS if quick else None):
            yield from finder.in_recording(sample)
            if (pause := finder.interrupted(sample)) is not None:
                yield pause
        for text in () if quick else UNFINISHED_SENTENCES[language]:
            voice = np.frombuffer(speech.tts.synthesize(text), "<i2").astype(np.float32) / 32768
            sample = SpeechSample(text, language, text, False, voice, 0.0)
            if (pause := finder.unfinished(sample)) is not None:
                yield pause


def groups_of(pauses: Sequence[Pause]) -> dict[str, list[Pause]]:
    """Return the pauses by the groups of the table."""
    groups = {
        "all": list(pauses),
        "English, people": [each for each in pauses if each.language == "en" and each.is_human],
        "English, synthetic": [each for each in pauses if each.language == "en" and not each.is_human],
        "Mandarin, synthetic": [each for each in pauses if each.language == "zh"],
    }
    return {name: chosen for name, chosen in groups.items() if chosen}


def print_table(outcomes: Sequence[PolicyOutcome]) -> None:
    """Print the outcomes for people."""
    for group in dict.fromkeys(outcome.group for outcome in outcomes):
        print(f"\n{group:24}{'cut off':>14}{'median wait':>14}{'mean wait':>12}")
        for each in outcomes:
            if each.group == group:
                cut = f"{each.cut} of {each.pauses}"
                print(f"  {each.policy:22}{cut:>14}{each.median_ms:>11.0f} ms{each.mean_ms:>9.0f} ms")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turns", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RECORDINGS} recordings of each language")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--details", action="store_true", help="print each pause too")
    parser.add_argument("--language", choices=["en", "zh"])
    options = parser.parse_args()
    others = OtherProcessesCpu([os.getpid()])
    pauses = list(find_pauses([options.language] if options.language else ["en", "zh"], quick=options.quick))
    busy_cores = others.busy_cores()
    outcomes = [judge_policy(name, group, chosen) for group, chosen in groups_of(pauses).items() for name in POLICIES]
    today, ours = outcomes[0], next(each for each in outcomes if each.policy == OURS)
    reached = ours.cut <= today.cut / 2 and ours.median_ms <= SILENCE_MS
    judging_ms = statistics.median(pause.judging_ms for pause in pauses)
    if options.json:
        found: dict[str, Any] = {
            "outcomes": [asdict(each) for each in outcomes],
            "pauses": [asdict(each) for each in pauses],
            "judging_ms": judging_ms,
            "other_programs_cores": busy_cores,
            "reached": reached,
        }
        print(json.dumps(found, ensure_ascii=False))
        return
    if options.details:
        for pause in pauses:
            waits = " ".join(f"{policy(pause):5}" for policy in POLICIES.values())
            print(f"{pause.kind.value:12}{pause.probability:5.2f} {waits}  {pause.clip}: {pause.words}")
    print_table(outcomes)
    beside = "" if busy_cores is None else f" beside other programs, which kept {busy_cores:.1f} processors busy"
    print(f"\nSmart Turn took {judging_ms:.0f} ms (median){beside}.")
    print(f"Half the cut-offs at a median wait of at most {SILENCE_MS} ms: {'reached' if reached else 'NOT reached'}.")


if __name__ == "__main__":
    main()
