"""Clauses of a reply: splitting, script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from offline.pipeline.reply.clauses import script_converter, split_reply, written_text
from offline.protocol.worker_messages import LlmMessage, ReplyRequest
from writing.chinese_script import ChineseScript


async def stream(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


@pytest.mark.parametrize(
    ("texts", "keep_unfinished", "clauses"),
    [
        (("Good ", "morning. ", "How are"), True, ["Good morning.", " How are"]),
        (("Good ", "morning. ", "How are"), False, ["Good morning."]),
        (("How ", "are"), False, ["How are"]),
        ((), True, []),
    ],
)
async def test_split_reply_drops_an_unfinished_clause_only_after_another(
    texts: tuple[str, ...], keep_unfinished: bool, clauses: list[str]
) -> None:
    assert [part.text async for part in split_reply(stream(*texts), lambda: keep_unfinished)] == clauses


async def test_split_reply_yields_a_clause_before_the_next_text_is_pulled() -> None:
    pulled: list[str] = []

    async def texts() -> AsyncIterator[str]:
        for text in ("Good morning. ", "How are you?"):
            pulled.append(text)
            yield text

    async with aclosing(split_reply(texts(), lambda: True)) as clauses:
        assert (await anext(clauses)).text == "Good morning."
        assert pulled == ["Good morning. "]


async def written(request: ReplyRequest, *texts: str) -> list[str]:
    return [piece async for piece in written_text(stream(*texts), script_converter(request))]


def asked(text: str, script: ChineseScript = "traditional") -> ReplyRequest:
    return ReplyRequest((LlmMessage("user", text),), speak=False, script=script)


async def test_written_text_is_converted_as_it_arrives() -> None:
    pieces = await written(asked("你好"), "OK", ": ", "这样，", "很美", "，", "去吧，", "后", "天", "见")
    assert pieces == ["OK", ": ", "這樣，", "很美", "，", "去吧，", "後天見"]


async def test_written_text_for_a_reader_of_simplified_passes_as_it_is() -> None:
    assert await written(asked("你们好", "simplified"), "我们", "后", "天见") == ["我们", "后", "天见"]


async def test_written_text_keeps_code_and_the_quoted_words_of_the_user() -> None:
    pieces = await written(asked("「头发」是什麼？"), "「头", "发」是头", "发，`发`", "\n```\n发\n```\n发")
    assert "".join(pieces) == "「头发」是頭髮，`发`\n```\n发\n```\n發"
