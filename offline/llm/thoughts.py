"""Thoughts of a model within its text, which most servers separate and some do not."""

from __future__ import annotations

import re
from enum import Enum

NO_THOUGHTS = {"enable_thinking": False, "thinking": False}
"""Arguments of a chat template. Templates that can think do so by default, which takes seconds and the reply's tokens.
Qwen, GLM and others read the first name, Granite and DeepSeek V3.1 the second."""

_OPENING_TAGS = ("<think>", "<thinking>", "<thought>", "[think]", "<|channel>thought")
_CLOSING_TAGS = ("</think>", "</thinking>", "</thought>", "[/think]", "<channel|>")
"""Tags in lower case; those with brackets are Mistral's, the last ones Gemma 4's."""
_CHANNEL, _START, _MESSAGE = "<|channel|>", "<|start|>", "<|message|>"
"""Marks of gpt-oss (harmony format): a header between channel and message names the channel of the text after it."""
_MESSAGE_ENDS = ("<|end|>", "<|return|>", "<|call|>")
_SPOKEN_CHANNEL = "final"
_OPENED_IN_PROMPT = re.compile(r"deepseek-r1|qwq|thinking-2507|-thinking\b", re.IGNORECASE)
"""Names of models whose templates open the tag in the prompt."""


def opens_thoughts_in_prompt(model: str) -> bool:
    """Return whether the text of the model with this name begins within thoughts, as far as the name tells."""
    return _OPENED_IN_PROMPT.search(model) is not None


MAX_UNSURE_CHARS = 400
"""Characters that are held back, without a tag, of an answer that may begin within thoughts: about a second of text."""


class _TextState(Enum):
    TEXT = "text"
    HELD = "held"
    """Text that is thought if a closing tag follows: the template opened the tag in the prompt."""
    THOUGHT = "thought"
    """Within tags."""
    HEADER = "header"
    """Between a channel mark and its message."""
    CHANNEL_THOUGHT = "channel_thought"
    """Within a channel that is not spoken, or between messages."""


_TAGS = {
    _TextState.TEXT: (*_OPENING_TAGS, *_CLOSING_TAGS, _CHANNEL, _START),
    _TextState.HELD: (*_OPENING_TAGS, *_CLOSING_TAGS, _CHANNEL, _START),
    _TextState.THOUGHT: _CLOSING_TAGS,
    _TextState.HEADER: (_MESSAGE,),
    _TextState.CHANNEL_THOUGHT: (_CHANNEL, _START),
}
"""Marks with a meaning in each state. The ends of messages count only after a channel mark."""


def _compile(tags: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, tags)), re.IGNORECASE | re.ASCII)


_PATTERNS = {state: _compile(tags) for state, tags in _TAGS.items()}
_CHANNEL_TEXT_TAGS = (*_TAGS[_TextState.TEXT], *_MESSAGE_ENDS)
_CHANNEL_TEXT_PATTERN = _compile(_CHANNEL_TEXT_TAGS)


class ThoughtFilter:
    """Delivers the text of one answer without its thoughts, as early as possible.

    Text is held back while it may be the beginning of a tag. Thoughts that are never closed end with the answer.
    White space is left out at the beginning and, beside other white space, after thoughts.
    """

    def __init__(self, *, opened_in_prompt: bool | None = False) -> None:
        """Start an answer. With `opened_in_prompt` everything is held back until a closing tag or the end.

        With None, for a model of which that is not known, it is held back for `MAX_UNSURE_CHARS` characters at most.
        """
        self._state = _TextState.TEXT if opened_in_prompt is False else _TextState.HELD
        self._is_unsure = opened_in_prompt is None
        self._buffer = ""
        self._held: list[str] = []
        self._header = ""
        self._has_channels = False
        self._is_after_space = True
        self._skips_space = True
        self.has_thoughts = False
        """Thoughts were removed."""
        self.opened_in_prompt: bool | None = None
        """The template opens the tag in the prompt, as far as this answer shows it; None when it does not."""

    @property
    def is_thinking(self) -> bool:
        """Return whether the text at present is a thought, or is held back as one."""
        return self._state is not _TextState.TEXT and not (self._state is _TextState.HELD and self._is_unsure)

    @property
    def holds_text(self) -> bool:
        """Return whether text is held back that is thought if a closing tag follows."""
        return self._state is _TextState.HELD and any(text.strip() for text in self._held)

    def feed(self, piece: str) -> str:
        """Return the text to deliver now."""
        self._buffer += piece
        delivered = []
        while match := self._pattern.search(self._buffer):
            before, self._buffer = self._buffer[: match.start()], self._buffer[match.end() :]
            delivered.append(self._pass(before))
            tag = match.group().lower()
            if self._is_unsure and tag not in _CLOSING_TAGS:
                delivered.append(self.release_hold())  # text before an opening tag is an answer
            self._enter(tag)
        ready = len(self._buffer) - self._partial_tag_chars()
        delivered.append(self._pass(self._buffer[:ready]))
        self._buffer = self._buffer[ready:]
        if self._is_unsure and sum(map(len, self._held)) >= MAX_UNSURE_CHARS:
            delivered.append(self.release_hold())
            self._is_unsure = True  # a closing tag may still follow
        return "".join(delivered)

    def release_hold(self) -> str:
        """Return the text held back: the server separates thoughts itself."""
        if self._state is not _TextState.HELD:
            return ""
        self._state, self.opened_in_prompt, self._is_unsure = _TextState.TEXT, False, False
        held, self._held = "".join(self._held), []
        return self._pass(held)

    def flush(self, *, is_whole: bool = True) -> str:
        """Return the rest of the text at the end. A model that ended by itself (`is_whole`) has closed its thoughts."""
        rest, self._buffer = self._buffer, ""
        if self._state is _TextState.HELD:
            self._held.append(rest)
            if (is_whole or self._is_unsure) and "".join(self._held).strip():
                released = self.release_hold()
                self.opened_in_prompt = False if is_whole else None
                return released
            self.has_thoughts = self.has_thoughts or any(text.strip() for text in self._held)
            return ""
        return self._pass(rest)

    @property
    def _pattern(self) -> re.Pattern[str]:
        if self._state is _TextState.TEXT and self._has_channels:
            return _CHANNEL_TEXT_PATTERN
        return _PATTERNS[self._state]

    def _partial_tag_chars(self) -> int:
        """Return how many characters at the buffer's end may be the beginning of a tag."""
        is_channel_text = self._state is _TextState.TEXT and self._has_channels
        tags = _CHANNEL_TEXT_TAGS if is_channel_text else _TAGS[self._state]
        ending = self._buffer[1 - max(map(len, tags)) :].lower()
        lengths = range(min(len(ending), len(self._buffer)), 0, -1)
        return next((n for n in lengths if any(tag.startswith(ending[-n:]) for tag in tags)), 0)

    def _pass(self, text: str) -> str:
        """Return `text` as far as it is delivered in the present state."""
        if self._state is _TextState.HELD:
            self._held.append(text)
        elif self._state is _TextState.HEADER:
            self._header += text
        elif self._state is not _TextState.TEXT:
            self.has_thoughts = self.has_thoughts or bool(text.strip())
        else:
            if self._skips_space:
                text = text.lstrip()
            if text:
                self._skips_space, self._is_after_space = False, text[-1].isspace()
            return text
        return ""

    def _enter(self, tag: str) -> None:
        """Change the state at a tag."""
        if self._state is _TextState.HELD:
            self._drop_held()
            if self.opened_in_prompt is None:
                self.opened_in_prompt = tag in _CLOSING_TAGS
            self._is_unsure = False
        elif self._state is _TextState.TEXT and tag not in _MESSAGE_ENDS:
            if self.opened_in_prompt is None or self._is_unsure:
                # A closing tag alone: the text before it was thought, too late for this answer.
                self.opened_in_prompt = tag in _CLOSING_TAGS
                self.has_thoughts = self.has_thoughts or self.opened_in_prompt
            self._is_unsure = False
        if tag in _OPENING_TAGS:
            self._state = _TextState.THOUGHT
        elif tag in (_CHANNEL, _START):
            self._state, self._header, self._has_channels = _TextState.HEADER, "", True
        elif tag in _MESSAGE_ENDS or (tag == _MESSAGE and not self._names_spoken_channel()):
            self._state = _TextState.CHANNEL_THOUGHT
        else:
            self._state, self._skips_space = _TextState.TEXT, self._is_after_space

    def _drop_held(self) -> None:
        self.has_thoughts = self.has_thoughts or any(text.strip() for text in self._held)
        self._held = []

    def _names_spoken_channel(self) -> bool:
        """Return whether the header belongs to text that is spoken, such as "assistant<|channel|>final"."""
        channel = self._header.lower().rpartition(_CHANNEL)[2].split()
        return bool(channel) and channel[0] == _SPOKEN_CHANNEL
