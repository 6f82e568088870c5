"""Written replies in virtual time: text arrives while the model writes, whatever it writes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.reply.generator import ReplyGenerator, ReplyResult
from offline.protocol.worker_messages import LlmMessage, ReplyDone, ReplyRequest, ReplyText
from tests.support.manual_clock import SETTLE_TURNS, ManualClock
from tests.support.offline.fake_models import FakeLanguageModel, FakeSynthesizer, wait_until
from writing.chinese_script import ChineseScript

TOKEN_S = 0.1
"""Seconds between two tokens of a slow model."""
MAX_GAP_S = 0.3
"""Seconds between two pieces of a reply above which a reader takes it for stuck."""

TABLE = (
    "下面是台北和高雄的比较\n\n| 项目 | 台北 | 高雄 |\n|---|---|---|\n| 天气 | 冬天湿冷 | 干燥温暖 |\n"
    "| 面食 | 牛肉面 | 担仔面 |\n| 后台 | 里面有发票 | 只有一只猫 |\n"
)
TABLE_SHOWN = (
    "下面是台北和高雄的比較\n\n| 項目 | 台北 | 高雄 |\n|---|---|---|\n| 天氣 | 冬天溼冷 | 乾燥溫暖 |\n"
    "| 麵食 | 牛肉麵 | 擔仔麵 |\n| 後台 | 裡面有發票 | 只有一隻貓 |\n"
)
CODE = (
    "代码如下\n```python\n颜色 = {'红': 1, '后台': '干净'}\nfor 键, 值 in 颜色.items():\n    print(键, 值)\n```\n"
    "这里的键是颜色"
)
CODE_SHOWN = CODE.replace("代码", "代碼").replace("这里的键是颜色", "這裡的鍵是顏色")
PROSE = "我们后天在台北的面馆里见面然后去理发店剪头发再去电视台的后台看演出最后坐船回家"
PROSE_SHOWN = "我們後天在台北的麵館裡見面然後去理髮店剪頭髮再去電視台的後台看演出最後坐船回家"


@asynccontextmanager
async def slow_model(text: str) -> AsyncIterator[tuple[FakeLanguageModel, ModelRuntime]]:
    """Yield a model that writes `text` in tokens of one or two characters, one per permit."""
    cuts = (piece for start in range(0, len(text), 3) for piece in (text[start], text[start + 1 : start + 3]))
    model = FakeLanguageModel(pieces=list(filter(None, cuts)), piece_permits=threading.Semaphore(0))
    executors = PriorityExecutor("llm"), PriorityExecutor("tts")
    yield model, ModelRuntime(model, FakeSynthesizer(), *executors, ("en", "zh"), 4096)
    for executor in executors:
        executor.close()


async def read_in_virtual_time(text: str, script: ChineseScript = "traditional") -> list[tuple[float, str]]:
    """Return the pieces of a written reply with their times in seconds after the request."""
    clock, pieces, ended = ManualClock(0.0), list[tuple[float, str]](), asyncio.Event()

    def deliver(result: ReplyResult) -> None:
        if isinstance(result, ReplyText):
            pieces.append((clock.now, result.text))
        elif isinstance(result, ReplyDone):
            ended.set()

    async with slow_model(text) as (model, runtime):
        request = ReplyRequest((LlmMessage("user", "請比較台北和高雄"),), speak=False, script=script)
        reply = ReplyGenerator(request, 0, runtime, deliver)
        reply.commit("r")
        await wait_until(lambda: model.prompts)
        for count in range(1, len(model.pieces) + 1):
            await clock.advance(TOKEN_S)
            model.piece_permits.release()
            await wait_until(lambda count=count: model.written_count == count)  # type: ignore[misc]
            for _ in range(SETTLE_TURNS):
                await asyncio.sleep(0)
        await ended.wait()
    return pieces


@pytest.mark.parametrize(
    ("text", "shown"), [(TABLE, TABLE_SHOWN), (CODE, CODE_SHOWN), (PROSE, PROSE_SHOWN)], ids=["table", "code", "prose"]
)
async def test_pieces_of_a_chinese_reply_arrive_while_the_model_writes(text: str, shown: str) -> None:
    pieces = await read_in_virtual_time(text)
    assert "".join(piece for _, piece in pieces) == shown
    times = [0.0, *(time for time, _ in pieces)]
    assert max(later - earlier for earlier, later in pairwise(times)) <= MAX_GAP_S + 1e-6


async def test_pieces_for_a_reader_of_simplified_arrive_with_each_token() -> None:
    pieces = await read_in_virtual_time(TABLE, "simplified")
    assert "".join(piece for _, piece in pieces) == TABLE
    assert max(later - earlier for (earlier, _), (later, _) in pairwise(pieces)) <= TOKEN_S + 1e-6
