"""Router: which declared function the last message asks for. Pure.

The smallest language model cannot choose functions in a conversation. The router does, by the last message alone:

    score = (form of its own + keywords + words of name and description), as far as the clause is a request
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from offline.facts.registry import catch_fact

from .concepts import CONCEPTS, Concept
from .declaration import DeclaredTool, content_words, keyword_weight, read_declaration
from .hints import has_hint
from .wording import ASKING_FORMS, Clause, ClauseForm, read_clauses

THRESHOLD = 0.6
"""Score from which a function is called."""
WEAK_THRESHOLD = 0.15
"""Score from which the language model is asked about a function."""
HINT_SCORE = 0.2
"""Score of a hint in a request or a question."""
MOST_WEAK_TOOLS = 3
"""Functions that the language model is asked about. Each costs about a second of processing on two cores."""
OWN_FORM_SCORE, SUBJECT_SCORE = 1.0, 0.7
"""Scores of a clause that asks for such a function by its form, and of one about its subject."""
NAME_WORD_SCORE, DESCRIPTION_WORD_SCORE = 0.4, 0.15
"""Scores of each word of a clause that the function's name or description has."""
MAX_WORD_SCORE = 0.8
"""Most that the words of name and description add."""
KEYWORD_SCORE_STEP = 0.2
"""Score of each further keyword."""
ANSWERED_BY_CODE_SCORE = 2.0
"""Score of a function that is named as the fact which code reads in the message."""

_FORM_FACTORS = {
    ClauseForm.REQUEST: 1.0,
    ClauseForm.QUESTION: 0.85,
    ClauseForm.FRAGMENT: 0.65,
    ClauseForm.WISH: 0.55,
    ClauseForm.STATEMENT: 0.25,
    ClauseForm.KNOWLEDGE: 0.25,
    ClauseForm.PERSONAL: 0.1,
    ClauseForm.NEGATED: 0.0,
}
"""Share of the score that counts in a clause of this form."""
_OWN_FORM_FACTORS = {**_FORM_FACTORS, ClauseForm.WISH: 1.0, ClauseForm.STATEMENT: 0.35, ClauseForm.KNOWLEDGE: 0.35}
"""The same where the clause asks by its own form."""


FRAGMENT_WEAK_THRESHOLD = 0.3
"""The same for a message that is a fragment as a whole."""


@dataclass(frozen=True, slots=True)
class Route:
    """Function that a message asks for."""

    tool: DeclaredTool
    score: float


def choose_tool(message: str, tools: Sequence[Mapping[str, Any]], now: datetime) -> Route | None:
    """Return the function that `message` asks for; None when it asks for none of `tools`."""
    declared = [read_declaration(tool) for tool in tools]
    clauses = read_clauses(message)
    if not declared or not clauses:
        return None
    caught = catch_fact(message, now)
    routes = [Route(tool, _score(tool, clauses, caught.fact.name if caught else "")) for tool in declared]
    best = max(routes, key=lambda route: route.score)
    return best if best.score >= THRESHOLD else None


def weakly_matching_tools(
    message: str, tools: Sequence[Mapping[str, Any]], now: datetime, most: int = MOST_WEAK_TOOLS
) -> tuple[DeclaredTool, ...]:
    """Return the functions that `message` may ask for, best first: for a message that `choose_tool` has none for."""
    clauses = read_clauses(message)
    if not clauses or clauses[0].form is ClauseForm.NEGATED:
        return ()
    caught = catch_fact(message, now)
    declared = [read_declaration(tool) for tool in tools]
    routes = [Route(tool, _weak_score(tool, clauses, caught.fact.name if caught else "")) for tool in declared]
    likely = sorted((route for route in routes if route.score >= WEAK_THRESHOLD), key=lambda route: -route.score)
    return tuple(route.tool for route in likely[:most])


def _weak_score(tool: DeclaredTool, clauses: Sequence[Clause], fact_name: str) -> float:
    """Return the score of a request or question with its hints. Statements, exclamations and opinions have none."""
    score = _score(tool, clauses, fact_name)
    asking = [clause for clause in clauses if clause.form in ASKING_FORMS]
    if not asking:
        is_fragment = clauses[0].form is ClauseForm.FRAGMENT
        return score if is_fragment and score >= FRAGMENT_WEAK_THRESHOLD else 0.0
    concept = concept_of(tool)  # the hint may be in the facts before the question
    return score + (HINT_SCORE if any(has_hint(concept, clause.text) for clause in (*asking, clauses[0])) else 0.0)


def concept_of(tool: DeclaredTool) -> Concept | None:
    """Return the concept of a function, by its name and keywords, else by the first sentence of its description."""
    name = tool.subject[: len(tool.subject) - len(" ".join(tool.keywords))]
    for text in (name, tool.description.lower().split(". ")[0]):
        if found := next((concept for concept in CONCEPTS if concept.named_by.search(text)), None):
            return found
    return None


def _score(tool: DeclaredTool, clauses: Sequence[Clause], fact_name: str) -> float:
    if fact_name and tool.name.replace("get_", "").lower() == fact_name:
        return ANSWERED_BY_CODE_SCORE
    concept = concept_of(tool)
    whole = clauses[0]
    if whole.form is ClauseForm.NEGATED:
        return 0.0
    return max(_clause_score(tool, concept, clause) for clause in clauses)


def _clause_score(tool: DeclaredTool, concept: Concept | None, clause: Clause) -> float:
    means_another = concept is not None and concept.never is not None and concept.never.search(clause.text) is not None
    if means_another:
        concept_matches, is_own_form = False, False
    else:
        is_own_form = concept is not None and concept.asked_by.search(clause.text) is not None
        concept_matches = concept is not None and concept.about.search(clause.text) is not None
    stems = content_words(clause.text)
    score = OWN_FORM_SCORE if is_own_form else SUBJECT_SCORE if concept_matches else 0.0
    weights = sorted((keyword_weight(word, clause.text, stems) for word in tool.keywords), reverse=True)
    hits = [weight for weight in weights if weight and not means_another]
    if hits:
        score += hits[0] * (1.0 if not score else 0.3) + KEYWORD_SCORE_STEP * (len(hits) - 1)
    words = len(stems & tool.name_words) * NAME_WORD_SCORE
    words += len(stems & (tool.description_words - tool.name_words)) * DESCRIPTION_WORD_SCORE
    score += min(words, MAX_WORD_SCORE)
    return min(score, 1.6) * (_OWN_FORM_FACTORS if is_own_form else _FORM_FACTORS)[clause.form]
