"""Opener: neutral words while the first word of a chat endpoint is late, so that the caller does not hear silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from offline.llm.chat_messages import language_of
from offline.pipeline.model_runtime import ModelRuntime
from offline.protocol.worker_messages import ReplyRequest, ReplySpeech
from offline.remote.openers import OPENERS, has_opener

LOGGER = logging.getLogger(__name__)

FIRST_WORD_LATE_S = 1.2
"""Seconds after which a first word is late. With the caller's pause it makes about two seconds of silence, after which
people ask whether they were heard."""


class Opener:
    """Opener of one reply: said at most once, and never after `end`. Belongs to the event loop's thread."""

    def __init__(self, request: ReplyRequest, runtime: ModelRuntime, say: Callable[[ReplySpeech], None]) -> None:
        self._request = request
        self._runtime = runtime
        self._say = say
        self._is_wanted = request.speak and not has_opener(request)
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the time to the opener. A second call does nothing."""
        if self._is_wanted and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FIRST_WORD_LATE_S, self._start_speech)

    def end(self) -> None:
        """Say no opener from now on: the answer has begun, or the reply has ended."""
        self._is_wanted = False
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def wait_finished(self) -> None:
        """Return when no task runs any more. Call `end` before."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _start_speech(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._speak())

    async def _speak(self) -> None:
        language = language_of(self._request.messages)
        if language not in self._runtime.languages:
            return
        text = OPENERS[language]
        try:
            audio = await self._runtime.synthesize_fixed(text.strip(), self._request.speed)
        except Exception as error:  # the answer meets it too
            LOGGER.error("reply: opener failed error=%s", type(error).__name__)
            return
        if audio:
            self._say(ReplySpeech("", text, audio))
