"""Truth of the answers: 200 questions, with the facts and the confidence gate, and without them.

    python -m benchmarks.answers [--quick] [--json] [--language en|zh] [--save FILE | --replay FILE]
    python -m benchmarks.answers --brain URL [--brain-model NAME] [--quick] [--json]

Each question is asked once, as text, in a call that has just begun. The same generated words are scored twice: as they
are (at most two sentences), and through facts and gate. Rules score them: patterns that a right answer contains, or
must not contain. The thresholds were chosen with the tuning half of the questions; the other half measures them.
`--replay` scores the words of an earlier run. A model at `--brain` answers everything itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.support.answers.generation import (
    GeneratedAnswer,
    generate_here,
    generate_remotely,
    read_recording,
)
from benchmarks.support.answers.questions import QUESTIONS, Question, QuestionKind
from benchmarks.support.answers.scoring import AnswerOutcome, ScoredAnswer, figures, held_pieces, score, score_with_gate
from benchmarks.support.voice.language_models import endpoints_to_compare

QUICK_STRIDE = 11
"""With `--quick`, every such question is asked: both halves, all kinds, both languages."""
TARGET_RIGHT_SHARE = 0.85
"""Share of the claimed answers that shall be right."""
HALVES = {"all": (True, False), "tuning half": (True,), "other half": (False,)}
GROUPS: dict[str, tuple[QuestionKind, ...]] = {
    "computable": (QuestionKind.COMPUTABLE,),
    "factual": (QuestionKind.FACTUAL,),
    "both": (QuestionKind.COMPUTABLE, QuestionKind.FACTUAL),
    "small talk": (QuestionKind.SMALL_TALK,),
}


async def collect(questions: Sequence[Question], options: argparse.Namespace) -> dict[str, GeneratedAnswer]:
    """Return the generated answers by question, from a model or a recording."""
    if options.replay is not None:
        return read_recording(options.replay)
    answers = {}
    settings = options.endpoint
    stream = generate_here(questions) if settings is None else generate_remotely(questions, settings)
    async for answer in stream:
        answers[answer.question] = answer
        if not options.json:
            print(f"  {answer.question} -> {' '.join(answer.text.split())[:90]}", flush=True)
    return answers


def build_report(questions: Sequence[Question], answers: dict[str, GeneratedAnswer], *, is_remote: bool) -> Any:
    """Return the figures of both ways, by half and group, with all answers."""
    asked = [question for question in questions if question.text in answers]
    ways = {"without": [score(question, answers[question.text].text) for question in asked]}
    if not is_remote:
        ways["with facts and gate"] = [score_with_gate(question, answers[question.text]) for question in asked]
    rows = [
        _row(way, half, group, [answer for answer in scored if answer.question.is_tuning in HALVES[half]])
        for way, scored in ways.items()
        for half in HALVES
        for group in GROUPS
    ]
    held = [] if is_remote else [n for q in asked if (n := held_pieces(q, answers[q.text])) is not None]
    delay = {"replies": len(held), "median": statistics.median(held), "most": max(held)} if held else None
    return {
        "rows": rows,
        "held_tokens": delay,
        "answers": {way: list(map(_answer_json, scored)) for way, scored in ways.items()},
    }


def _row(way: str, half: str, group: str, answers: list[ScoredAnswer]) -> dict[str, Any]:
    found = figures(answers, GROUPS[group])
    return {
        "way": way,
        "half": half,
        "group": group,
        "questions": found.counts.total(),
        "claimed": found.claimed,
        "right_share": found.right_share,
        **{outcome.value: found.counts[outcome] for outcome in AnswerOutcome},
    }


def _answer_json(answer: ScoredAnswer) -> dict[str, Any]:
    question = answer.question
    return {
        "question": question.text,
        "language": question.language,
        "kind": question.kind.value,
        "is_tuning": question.is_tuning,
        "answer": answer.text,
        "outcome": answer.outcome.value,
        "is_by_code": answer.is_by_code,
    }


def _print_table(report: Any) -> None:
    print(f"\n{'':21}{'':13}{'':12}{'asked':>6}{'claimed':>9}{'right':>7}{'share':>7}", end="")
    print(f"{'wrong':>7}{'hedged: right':>15}{'wrong':>7}{'refused':>9}{'talked':>8}")
    for row in report["rows"]:
        share = "-" if row["right_share"] is None else f"{100 * row['right_share']:.0f}%"
        print(f"{row['way']:21}{row['half']:13}{row['group']:12}{row['questions']:>6}{row['claimed']:>9}", end="")
        print(f"{row['right']:>7}{share:>7}{row['wrong']:>7}{row['hedged, right']:>15}", end="")
        print(f"{row['hedged, wrong']:>7}{row['refused']:>9}{row['talked']:>8}")
    print(f"\nTarget: {100 * TARGET_RIGHT_SHARE:.0f}% of what is claimed is right, and small talk is never hedged.")
    if (held := report["held_tokens"]) is not None:
        print(f"The gate held {held['replies']} replies, and delayed their first words by", end="")
        print(f" {held['median']:.0f} tokens (median), at most {held['most']}.")
    for answer in report["answers"].get("with facts and gate", ()):
        if answer["outcome"] == AnswerOutcome.WRONG.value:
            print(f"  wrong: {answer['question']} -> {answer['answer']}")


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"every {QUICK_STRIDE}th question")
    parser.add_argument("--json", action="store_true", help="print the figures and answers as JSON")
    parser.add_argument("--language", choices=["en", "zh"], help="one language only")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the generated words for --replay")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="score the words of an earlier run again")
    parser.add_argument("--brain", default="", metavar="URL", help="ask the model at this chat endpoint")
    parser.add_argument(
        "--brain-model", default="", metavar="NAME", help="its model (default: LLM_MODEL); the key is LLM_API_KEY"
    )
    options = parser.parse_args()
    try:
        found = endpoints_to_compare(
            [options.brain] if options.brain else [], [options.brain_model] if options.brain_model else [], os.environ
        )
    except ValueError as error:
        parser.error(str(error))
    options.endpoint = found[0] if found else None
    return options


def main() -> None:
    options = _parse_options()
    questions = [q for q in QUESTIONS if options.language in (None, q.language)]
    questions = questions[::QUICK_STRIDE] if options.quick else questions
    answers = asyncio.run(collect(questions, options))
    if options.save is not None:
        options.save.write_text("".join(f"{answer.to_json()}\n" for answer in answers.values()), "utf-8")
    report = build_report(questions, answers, is_remote=options.endpoint is not None)
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        _print_table(report)


if __name__ == "__main__":
    main()
