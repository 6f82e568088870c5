"""Reply clauses: the text of a reply as clauses, each with what a voice is given of it, or as written text.

A clause keeps its written form for captions and the transcript. A voice is given it without Markdown marks, and of a
URL only the host. A voice here then says its spoken form, see `tts.spoken_form`. An endpoint's voice gets numbers as
they are written: its own front end knows how its language, which may be any, reads them. Of a code block or a table one
sentence is said.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing

from offline.chinese_text import contains_han
from offline.llm.clause_splitter import CHINESE_REAL_TIME_FACTOR
from offline.llm.speech_blocks import PartKind, ReplyPart, ReplySplitter
from offline.protocol.worker_messages import LanguageCode, ReplyRequest
from offline.traditional_text import TraditionalConverter
from offline.tts.spoken_form.markdown import strip_markdown
from offline.tts.spoken_form.web import hosts_only
from writing.chinese_script import count_simplified

BLOCK_SENTENCES: dict[PartKind, dict[LanguageCode, str]] = {
    PartKind.CODE_START: {"en": "The code is on the page.", "zh": "程式碼在畫面上。"},
    PartKind.TABLE_START: {"en": "The table is on the page.", "zh": "表格在畫面上。"},
}
"""What is said in place of a block, at its beginning."""


async def split_reply(
    texts: AsyncIterable[str],
    keep_unfinished: Callable[[], bool],
    real_time_factor: float = CHINESE_REAL_TIME_FACTOR,
) -> AsyncGenerator[ReplyPart, None]:
    """Yield each part as soon as it is complete; at the end the unfinished clause.

    `keep_unfinished` is called at the end. When it returns False, an unfinished clause is dropped, unless it is the
    only part. `real_time_factor` is that of `ClauseSplitter`.
    """
    splitter, yielded = ReplySplitter(real_time_factor), False
    async for text in texts:
        for part in splitter.push(text):
            yielded = True
            yield part
    for part in splitter.flush():
        if not yielded or not part.is_unfinished or keep_unfinished():
            yielded = True
            yield part


def script_converter(request: ReplyRequest) -> TraditionalConverter | None:
    """Return the converter of a reply's Chinese; None for a user who reads Simplified."""
    if request.script == "simplified":
        return None
    typed = [message.text for message in request.messages if message.role == "user" and count_simplified(message.text)]
    return TraditionalConverter(typed)


async def written_text(texts: AsyncIterable[str], converter: TraditionalConverter | None) -> AsyncGenerator[str, None]:
    """Yield the text of a written reply as it arrives; Chinese a few characters later, see `TraditionalConverter`."""
    async for text in texts:
        if written := text if converter is None else converter.push(text):
            yield written
    if converter is not None and (rest := converter.flush()):
        yield rest


async def voiced_clauses(
    parts: AsyncGenerator[ReplyPart, None], language: LanguageCode, converter: TraditionalConverter | None
) -> AsyncGenerator[tuple[str, str], None]:
    """Yield each part as written, with what a voice is given: "" for nothing.

    `language` is that of a block before any prose; later ones are announced in the language of the clause before.
    """
    async with aclosing(parts):
        async for part in parts:
            written = part.text if converter is None else converter.push(part.text) + converter.flush()
            if part.kind is not PartKind.CLAUSE:
                sentences = BLOCK_SENTENCES.get(part.kind)
                yield written, sentences[language] if sentences else ""
            elif written.strip():
                voiced = hosts_only(strip_markdown(written))
                if not any(map(str.isalnum, voiced)):
                    voiced = ""
                elif contains_han(voiced):
                    language = "zh"
                elif any(map(str.isalpha, voiced)):
                    language = "en"
                yield written, voiced
