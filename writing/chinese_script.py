"""Chinese script of a conversation: Traditional, or Simplified for a person who writes it or asks for it. Pure.

Typed text and explicit requests decide. A transcript's characters are no evidence, because recognizers write Simplified
by themselves; its words may be a request all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

ChineseScript = Literal["traditional", "simplified"]

_OTHERS_WORDS = re.compile(
    r"(?ms)^[ \t]*(?P<fence>```|~~~).*?(?:^[ \t]*(?P=fence)|\Z)|`[^`\n]*`"
    r"|「[^「」\n]*」|『[^『』\n]*』|“[^“”\n]*”|\"[^\"\n]*\"|^[ \t]*>[^\n]*$"
)
"""Code and quotations of a message: they say nothing about the script that the person writes."""
_KANA_OR_HANGUL = re.compile(r"[\u3041-\u30ff\uac00-\ud7af]")
_SIMPLIFIED_IN_BIG5 = "与儿优坏怀惊机气网听赶离"
"""Simplified characters of Big5 that its users do not type: there they are obsolete variants or radicals."""
_CLAUSE = re.compile(r"[^。！？，、；：!?,;:.\n]+")

_MAX_REQUEST_CHARS = 80
"""Characters of a clause that is searched for a request. Longer ones are text."""

_NAMES: dict[ChineseScript, str] = {
    "simplified": r"(?:[简簡][体體]?(?:中文|[漢汉]?字)?|simplified(?: chinese)?(?: characters)?)",
    "traditional": r"(?:(?:繁[体體]?|正[體体])(?:中文|[漢汉]?字)?|traditional(?: chinese)?(?: characters)?)",
}
_LEAD = re.compile(
    r"(?P<negation>不要再?|[別别]再?|[請请]勿|不用|不想)|"
    r"(?P<filler>可不可以|可以|[以之][後后]|[請请]|麻[煩烦]|拜[託托]|那[麼么]?|就|都|可否|能不能|能|[你您妳]|[幫帮]我|全部|一律|直接|"
    r"[還还]是|接下[來来]|[從从]?[現现]在(?:[開开]始|起)?|一直|再|回答|回[覆复]|[說说][話话]|中文|文字|[時时]候?|的|我|想|希望|\s)|"
    r"(?P<verb>使用|改用|用|以|改成|改[為为]|[換换][成回]|切[換换]?[成到]|[寫写]|打|看|要|[給给]我)"
)
"""One word before the name of a script in a request."""
_AFTER_NAME = re.compile(
    r"(?:就|好|可以|行|[謝谢]{2}|回答|回[覆复]|[輸输]出|[顯显]示|吧|嗎|吗|了|please|\s)*+$", re.IGNORECASE
)
_NO_REQUEST = re.compile(r"[有和與与]|怎[麼么]|如何|[該该]怎")
"""What follows the name in a question about the script."""
_ENGLISH_REQUEST = (
    r"^(?:please|and|but|can you|could you|would you|i want you to|i'd like you to|from now on|now|\s)*+"
    r"(?P<negation>don't |do not |never |stop )?"
    r"(?:use|using|write|writing|answer|reply|replying|respond|switch|change)\b.{0,40}?\bNAME",
)
_ONCE = (
    r"(?:翻[譯译]?|[轉转][換换]?|[譯译]|改[寫写]?|[寫写]|[變变])(?:[成為为到])\s*NAME",
    r"NAME.{0,6}?(?:怎[麼么]|如何|[該该]怎)[寫写打]",
    r"(?:translate|convert|turn|rewrite)\b.{0,80}?\b(?:in)?to NAME|how .{0,40}\bin NAME",
)


def _compiled(forms: Iterable[str]) -> dict[ChineseScript, tuple[re.Pattern[str], ...]]:
    return {
        script: tuple(re.compile(form.replace("NAME", name), re.IGNORECASE) for form in forms)
        for script, name in _NAMES.items()
    }


_NAME_PATTERNS, _ENGLISH_PATTERNS, _ONCE_PATTERNS = map(_compiled, (("NAME",), _ENGLISH_REQUEST, _ONCE))
_ANY_NAME = re.compile("|".join(_NAMES.values()), re.IGNORECASE)


class MessageEvidence(NamedTuple):
    """What one message of the person says about the script."""

    requested: ChineseScript | None = None
    written: ChineseScript | None = None
    asks_for_simplified_once: bool = False
    is_quotable: bool = False
    """It is typed text with Simplified characters, which a reply may quote."""


@cache
def _exclusive_characters() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the characters of Simplified text only, and of Traditional text only, as far as they are evidence.

    OpenCC's tables have variants that people in Taiwan write too (床, 灶, 群). Big5 and GB 2312, the character sets of
    the two scripts, leave them out.
    """
    simplified = _converted_characters("STCharacters.txt", without="cp950")
    traditional = _converted_characters("TSCharacters.txt", without="gb2312")
    return re.compile(f"[什怎]么|[{simplified}{_SIMPLIFIED_IN_BIG5}]"), re.compile(f"[{traditional}]")


def _converted_characters(table: str, without: str) -> str:
    """Return the characters that OpenCC's `table` always converts, without those of the character set `without`."""
    lines = (files("opencc") / "dictionary" / table).read_text("utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if line)
    return "".join(key for key, values in pairs if key not in values.split(" ") and not _is_encodable(key, without))


def _is_encodable(character: str, charset: str) -> bool:
    try:
        character.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def count_simplified(text: str) -> int:
    """Return the number of characters that occur in Simplified text only."""
    return len(_exclusive_characters()[0].findall(text))


def count_traditional(text: str) -> int:
    """Return the number of characters that occur in Traditional text only."""
    return len(_exclusive_characters()[1].findall(text))


def written_script(text: str) -> ChineseScript | None:
    """Return the script of a typed message; None for text without evidence, such as Japanese or characters of both."""
    own = _OTHERS_WORDS.sub("\n", text)
    if _KANA_OR_HANGUL.search(own):
        return None
    simplified, traditional = count_simplified(own), count_traditional(own)
    if simplified == traditional:
        return None
    return "simplified" if simplified > traditional else "traditional"


def requested_script(text: str) -> ChineseScript | None:
    """Return the script that a message asks to write from now on; None without a request. The last one counts."""
    found: ChineseScript | None = None
    if _ANY_NAME.search(text) is None:
        return None
    for clause in _CLAUSE.findall(_OTHERS_WORDS.sub("\n", text)):
        if len(clause) > _MAX_REQUEST_CHARS:
            continue
        found = _requested_in(clause.strip()) or found
    return found


def _requested_in(clause: str) -> ChineseScript | None:
    words: set[str | None] = set()
    start = 0
    while lead := _LEAD.match(clause, start):
        words.add(lead.lastgroup)
        start = lead.end()
    for script, (name,) in _NAME_PATTERNS.items():
        if match := name.match(clause, start):
            is_order = "verb" in words or "negation" in words
            if _NO_REQUEST.match(clause, match.end()) or not (is_order or _AFTER_NAME.match(clause, match.end())):
                return None
            return _other(script) if "negation" in words else script
    for script, (form,) in _ENGLISH_PATTERNS.items():
        if match := form.search(clause):
            return _other(script) if match["negation"] else script
    return None


def asks_for_simplified_once(text: str) -> bool:
    """Return whether a message asks for one text in Simplified, such as a translation.

    Its reply is that text. Converted to Traditional, it would no longer be what was asked for.
    """
    return any(pattern.search(text) for pattern in _ONCE_PATTERNS["simplified"])


def message_evidence(text: str, *, is_typed: bool) -> MessageEvidence:
    """Return the evidence of a typed message or of a transcript."""
    written = written_script(text) if is_typed else None
    is_quotable = is_typed and count_simplified(text) > 0
    return MessageEvidence(requested_script(text), written, asks_for_simplified_once(text), is_quotable)


class ConversationScript:
    """Script of the replies after the messages that were noted, oldest first.

    The latest request counts, else the script of the latest typed message with evidence.
    """

    def __init__(self) -> None:
        self._requested: ChineseScript | None = None
        self._written: ChineseScript | None = None
        self._once = False

    def note(self, evidence: MessageEvidence) -> None:
        """Take in the next message of the person."""
        self._requested = evidence.requested or self._requested
        self._written = evidence.written or self._written
        self._once = evidence.asks_for_simplified_once

    @property
    def decided(self) -> ChineseScript | None:
        """Script that the person wants or writes; None without evidence."""
        return "simplified" if self._once else self._requested or self._written

    @property
    def script(self) -> ChineseScript:
        """Script of a reply now."""
        return self.decided or "traditional"


def _other(script: ChineseScript) -> ChineseScript:
    return "traditional" if script == "simplified" else "simplified"
