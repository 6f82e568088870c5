"""Sentences of a growing reply, and how many of them a spoken reply has. Pure."""

from __future__ import annotations

import re

from offline.protocol.worker_messages import LlmMessage, ReplyRequest

SPOKEN_SENTENCES = 2
"""Sentences of a spoken reply unless more is asked for. A small model otherwise goes on to its limit of tokens, or
recites a list."""

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？…]+[」』”’）]*|\n")
_NO_END = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|vs|etc|e\.g|i\.e|approx|No|U\.S|[A-Z])|(?:^|\n)[\s*]*\d{1,2})\.$"
)
"""Text that ends with the dot of an abbreviation or of a list number."""
_MORE = re.compile(
    r"\b(?:stor(?:y|ies)|tale|in (?:more |great )?detail|detailed|details|list|steps?|step by step|essay|poem|rhyme"
    r"|song|lyrics|recipe|longer|at length|explain|tell me (?:more|everything|all)|more about|go on|keep going|continue"
    r"|carry on|everything (?:about|you)|paragraphs?|examples|dialogue|script|speech|letter|e-?mail"
    r"|count (?:\w+ )?(?:to|from|up|down)"
    r"|(?:three|four|five|six|seven|eight|nine|ten|\d+) (?:\w+ )?(?:ideas|things|ways|tips"
    r"|reasons|facts|sentences|words|names|questions))\b"
    r"|故事|童話|童话|詳細|详细|仔細|仔细|多說|多说|多講|多讲|說多|说多|列出|列一|清單|清单|步驟|步骤|解釋|解释|說明|说明"
    r"|繼續|继续|接著|接着|然後呢|然后呢|還有呢|还有呢|一首|完整|長一點|长一点|例子|食譜|食谱|作文|文章|寫一|写一|介紹|介绍"
    r"|[給给說说講讲列舉举]\S{0,3}[三四五六七八九十3-9]\s*[個个種种點点句件]|數到|数到|從一|从一",
    re.IGNORECASE,
)
"""Words that ask for more than a short answer."""
_LONG_ROLE = re.compile(
    r"\b(?:stor(?:y|ies)|storyteller|in (?:more |great )?detail|detailed|at length|long (?:answers|replies)"
    r"|thorough(?:ly)?)\b"
    r"|故事|詳細|详细|完整|長篇|长篇",
    re.IGNORECASE,
)
"""Words of instructions that ask for long replies."""


def sentence_end(text: str, start: int = 0) -> int | None:
    """Return the end index of the first complete sentence from `start` on; None while it is incomplete.

    A line's end is one too, so that the items of a list are sentences.
    """
    begun = start + len(text[start:]) - len(text[start:].lstrip())
    for match in _SENTENCE_END.finditer(text, begun):
        if not _NO_END.search(text[begun : match.end()]):
            return match.end()
    return None


def wants_long_reply(request: ReplyRequest) -> bool:
    """Return whether the last message, or the instructions of the session, ask for more than a short answer."""
    if any(m.role == "system" and _LONG_ROLE.search(m.text) for m in request.messages):
        return True
    return _MORE.search(_last_text(request.messages)) is not None


def _last_text(messages: tuple[LlmMessage, ...]) -> str:
    return next((m.text for m in reversed(messages) if m.role == "user"), "")
