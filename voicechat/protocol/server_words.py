"""Server's words: what of a server's close reason the visitor may read. Pure.

Servers quote keys, addresses, account names and prompts in their texts. So nothing is shown but plain words, and any
other part is replaced by `HIDDEN`. A text with a secret or a piece of a prompt is not shown at all. The result is one
line of text, never HTML.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from .endpoint import EndpointSecrets
from .event_fields import RawEvent

HIDDEN = "…"
"""Replacement for a part that is not shown."""
MAX_SERVER_WORDS_CHARS = 123
"""Characters that are shown. A close frame holds as many bytes."""
MIN_SHOWN_LETTERS = 4
"""Letters below which nothing is shown, because nothing is understood."""
MAX_WORD_LETTERS = 20
"""Letters of one ASCII word. Longer ones are keys or identifiers."""
MIN_CREDENTIAL_PART = 6
"""Letters and digits of a credential that are a leak."""
MIN_PROMPT_PART = 10
"""Letters and digits of a prompt that are a leak."""
MIN_PROMPT_PART_WIDE = 5
"""The same where none is ASCII: five Chinese characters are a clause."""
MIN_PRIVATE_TEXT_CHARS = 8
"""Characters from which a prompt is private. A shorter one is no more than a word or two."""

_PRIVATE_FIELDS = frozenset({"instructions", "prompt", "keywords", "description"})
"""Fields of a session whose texts are the operator's or the visitor's. The others hold terms of the protocol."""

_ASCII_RUN = re.compile(r"[!-~]+")
_KEPT_PUNCTUATION = "，！？：；（）…"
_PUNCTUATION = "()\"'.,:;!?"
_WORD = re.compile(r"[A-Z]?[a-z]+(?:'[a-z]{1,2})?(?:-[a-z]+)?|[A-Z]{1,6}s?|[A-Z][a-z]{0,3}-[A-Z][a-z]{0,3}|\d{1,4}")
_KEY_PREFIX = re.compile(r"(?:sk|pk|ek|rk|org|proj|user|key|xai|hf|ghp|gho|api|token|sess|resp|item)-", re.IGNORECASE)
_IDENTIFIER = re.compile(r"[a-z]{1,20}(?:_[a-z]{1,20}){1,5}")


def scrub_server_words(reason: str, secrets: EndpointSecrets, private_texts: Iterable[str]) -> str:
    """Return what of a close reason may be shown; "" for nothing.

    `private_texts`: prompts and other texts that the server was sent, see `private_texts_of`.
    """
    plain = _one_line(reason)
    shown = plain if _IDENTIFIER.fullmatch(plain) else _ASCII_RUN.sub(_hide_unless_words, plain)
    shown = re.sub(rf"{HIDDEN}(?:\s*{HIDDEN})+", HIDDEN, shown)
    if len(shown) > MAX_SERVER_WORDS_CHARS:
        shown = shown[: MAX_SERVER_WORDS_CHARS - len(HIDDEN)].rstrip() + HIDDEN
    letters = sum(letter.isalpha() for letter in shown)
    if letters < MIN_SHOWN_LETTERS or _leaks(shown, plain, secrets, private_texts):
        return ""
    return shown


def private_texts_of(update: RawEvent) -> list[str]:
    """Return the texts in a `session.update` that are the operator's or the visitor's: instructions and hints."""
    return [text for text in _walk_texts(update, False) if len(text) >= MIN_PRIVATE_TEXT_CHARS]


def _walk_texts(value: object, is_private: bool) -> Iterator[str]:
    """Yield the texts inside private fields."""
    if isinstance(value, str):
        if is_private:
            yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _walk_texts(inner, is_private or name in _PRIVATE_FIELDS)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _walk_texts(inner, is_private)


def _one_line(text: str) -> str:
    """Return the text on one line, without controls, bidirectional marks, and stacked accents."""
    kept: list[str] = []
    accents = 0
    for letter in _unify(text[: 4 * MAX_SERVER_WORDS_CHARS]):
        category = unicodedata.category(letter)
        accents = accents + 1 if category.startswith("M") else 0
        if letter.isspace() or category.startswith("Z"):
            kept.append(" ")
        elif not category.startswith("C") and accents <= 2:
            kept.append(letter)
    return " ".join("".join(kept).split())


def _unify(text: str) -> str:
    """Return the text with ordinary letters in place of wide and ornamental ones. Chinese punctuation stays."""
    return "".join(
        letter if letter in _KEPT_PUNCTUATION else unicodedata.normalize("NFKC", letter)
        for letter in unicodedata.normalize("NFC", text)
    )


def _hide_unless_words(match: re.Match[str]) -> str:
    """Return a run of ASCII characters itself when it is a word between punctuation; else hide its inside."""
    run = match[0]
    inner = run.strip(_PUNCTUATION)
    if not inner:
        return run if len(run) <= 3 else HIDDEN
    before, _, after = run.partition(inner)
    is_word = _WORD.fullmatch(inner) and not _KEY_PREFIX.match(inner) and len(inner) <= MAX_WORD_LETTERS
    return f"{before[:2]}{inner if is_word else HIDDEN}{after[:2]}"


def _compact(text: str) -> str:
    """Return the letters and digits of a text, in lower case."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


def _leaks(shown: str, plain: str, secrets: EndpointSecrets, private_texts: Iterable[str]) -> bool:
    """Return whether the shown text holds a part of a credential, a private value, or a piece of a private text."""
    compact = _compact(shown)
    for credential in secrets.credentials:
        core = _compact(credential)
        if _shares_part(compact, core, min(MIN_CREDENTIAL_PART, len(core))) or (credential and credential in shown):
            return True
    for value in secrets.private_values:
        if (core := _compact(value)) and core in compact:
            return True
    return any(_quotes(compact, _compact(text)) for text in private_texts)


def _quotes(compact: str, private: str) -> bool:
    """Return whether both have a piece in common that is long enough to be a quotation."""
    if _shares_part(compact, private, min(MIN_PROMPT_PART, max(len(private), 1))):
        return True
    pieces = (compact[at : at + MIN_PROMPT_PART_WIDE] for at in range(len(compact) - MIN_PROMPT_PART_WIDE + 1))
    return any(not piece.isascii() and piece in private for piece in pieces if not re.search(r"[!-~]", piece))


def _shares_part(compact: str, core: str, length: int) -> bool:
    """Return whether `length` characters in a row occur in both."""
    return length > 0 and any(compact[at : at + length] in core for at in range(len(compact) - length + 1))
