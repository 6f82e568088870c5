"""Router of the embedded server: right functions, and small talk that is taken for a call.

    python -m benchmarks.tool_router [--quick] [--json] [--language en|zh] [--model]

Each of four sets has forty requests of each language. Half of them need one of eight functions, and half are small
talk. The router was extended after the first run of each, with that set in sight. The table has all, with and without
the keywords in the descriptions. No model is loaded.

With `--model`, the small language model is asked where the router is not certain, and the declarations have keywords.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from itertools import product
from typing import Any

from benchmarks.support.tools.router_requests import chosen_names, read_declarations, read_requests, router_figures

SETS = ("first", "second", "third", "fourth")
QUICK_STRIDE = 4
"""With `--quick`, every such request is judged."""


def build_report(languages: list[str], *, is_quick: bool) -> dict[str, Any]:
    """Return the figures by language and kind of declaration, the time of a choice, and the mistakes."""
    rows, mistakes, times = [], [], []
    for name, with_keywords, language in product(SETS, (True, False), languages):
        requests = [request for request in read_requests(name) if request.language == language]
        requests = requests[::QUICK_STRIDE] if is_quick else requests
        started = time.perf_counter()
        chosen = chosen_names(requests, read_declarations(with_keywords=with_keywords))
        times.append((time.perf_counter() - started) / len(requests) * 1000)
        rows.append({"set": name, "language": language, "keywords": with_keywords, **router_figures(requests, chosen)})
        mistakes += [
            {"set": name, "text": request.text, "keywords": with_keywords, "expected": request.tool, "chosen": tool}
            for request, tool in zip(requests, chosen, strict=True)
            if tool != request.tool
        ]
    return {"rows": rows, "milliseconds_per_choice": statistics.median(times), "mistakes": mistakes}


def build_model_report(languages: list[str], sets: Sequence[str], *, is_quick: bool) -> dict[str, Any]:
    """Return the figures of the router and the small model together. Raises `SystemExit` without the model."""
    from benchmarks.support.tools.model_choices import CONTEXT_TOKENS, choose
    from offline.llm.language_model import LanguageModel
    from offline.models.store import find_models

    path = find_models({}).llm
    if path is None:
        raise SystemExit("The small language model is not on this computer.")
    model = LanguageModel(path, slots=1, threads=1, context_tokens=CONTEXT_TOKENS)
    rows, mistakes, times = [], [], []
    for name, language in product(sets, languages):
        requests = [request for request in read_requests(name) if request.language == language]
        requests = requests[::QUICK_STRIDE] if is_quick else requests
        choices = [choose(model, request, read_declarations()) for request in requests]
        asked = [choice for choice in choices if choice.is_asked]
        times += [choice.seconds * 1000 for choice in asked]
        figures = router_figures(requests, [choice.name for choice in choices])
        rows.append({"set": name, "language": language, "keywords": True, **figures, "asked": len(asked)})
        mistakes += [
            {"set": name, "text": request.text, "keywords": True, "expected": request.tool, "chosen": choice.name}
            for request, choice in zip(requests, choices, strict=True)
            if choice.name != request.tool
        ]
    return {"rows": rows, "milliseconds_per_choice": statistics.median(times or [0.0]), "mistakes": mistakes}


def _print_table(report: dict[str, Any]) -> None:
    heads = ("keywords", "requests", "right", "other", "missed", "talk")
    print(f"{'':18}{''.join(f'{head:>10}' for head in heads)}{'taken for a call':>18}")
    for row in report["rows"]:
        counts = (row["requests"], row["right"], row["other"], row["missed"], row["small_talk"])
        print(f"{row['set']:8}{row['language']:10}{'yes' if row['keywords'] else 'no':>10}", end="")
        print(f"{''.join(f'{count:>10}' for count in counts)}{row['taken_for_a_call']:>18}")
    print(f"\nOne choice takes {report['milliseconds_per_choice']:.1f} ms (median).")
    for mistake in report["mistakes"]:
        kind = "" if mistake["keywords"] else " (without keywords)"
        print(f"  {mistake['text']} -> {mistake['chosen'] or 'none'}, not {mistake['expected'] or 'none'}{kind}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tool_router", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"every {QUICK_STRIDE}th request")
    parser.add_argument("--json", action="store_true", help="print the figures and mistakes as JSON")
    parser.add_argument("--language", choices=["en", "zh"], help="one language only")
    parser.add_argument("--model", action="store_true", help="ask the small language model too")
    parser.add_argument("--set", choices=SETS, help="with --model, one set only")
    options = parser.parse_args()
    languages = [options.language] if options.language else ["en", "zh"]
    if options.model:
        report = build_model_report(languages, [options.set] if options.set else SETS, is_quick=options.quick)
    else:
        report = build_report(languages, is_quick=options.quick)
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        _print_table(report)


if __name__ == "__main__":
    main()
