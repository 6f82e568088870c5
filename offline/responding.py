"""The responses of a session: at most one of the default conversation at a time, and a few out-of-band ones."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Literal

from offline.audio_formats import BYTES_PER_MS
from offline.core import Core
from offline.events import Json, ProtocolError, invalid_type, invalid_value
from offline.item_parsing import resolve
from offline.items import Item, Words
from offline.responses import Response, Stage
from offline.session_config import cannot_update_voice, response_settings
from offline.transcripts import Transcripts
from offline.work import Generate, ReplyDone, ReplySpeech, ReplyText, ReplyToolCall, Stop

MAX_OUT_OF_BAND = 4


class Following(Enum):
    """What follows the default conversation's active response."""

    NOTHING = "nothing"
    ANSWER = "answer"
    """A turn ended meanwhile and is to be answered."""


class Responder:
    """Responses from their creation to their end."""

    def __init__(self, core: Core, transcripts: Transcripts, at_rest: Callable[[], None]) -> None:
        """`at_rest` is called when the default conversation's response has ended and none follows."""
        self._core = core
        self._transcripts = transcripts
        self._at_rest = at_rest
        self._conversation_id = core.ids.new("conv")
        self._responses: dict[str, Response] = {}
        self._following = Following.NOTHING
        self._unanswered: Item | None = None
        self.active: Response | None = None
        """The default conversation's response under way."""
        self.has_spoken = False
        """The model has been heard in this session, so its voice is fixed."""
        self.playing_until = core.now
        """When a client that plays at once has played all it was sent."""

    # ------------------------------------------------------------------ beginning

    def create(self, event: Json, is_taken: Callable[[str], bool]) -> None:
        """`response.create`. `is_taken`: whether an item id is in use."""
        core = self._core
        settings = response_settings(core.config, event.get("response"))
        if self.has_spoken and settings["audio"]["output"]["voice"] != core.config["audio"]["output"]["voice"]:
            raise cannot_update_voice("response.audio.output.voice")
        outside = settings["conversation"] == "none"
        if not outside and self.active is not None:
            message = (
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise ProtocolError("conversation_already_has_active_response", message)
        if outside and len(self._responses) - (self.active is not None) >= MAX_OUT_OF_BAND:
            raise invalid_value("response.conversation", f"At most {MAX_OUT_OF_BAND} such responses at a time.")
        context = list(core.conversation.items)
        if settings["input"] is not None:
            context = self._given(settings["input"], is_taken)
        self._begin(settings, context, outside=outside)

    def _given(self, raw: list[Json], is_taken: Callable[[str], bool]) -> list[Item]:
        core = self._core
        items = [
            resolve(entry, f"response.input[{index}]", core.conversation, core.ids, core.input_format)
            for index, entry in enumerate(raw)
        ]
        new = [item for item in items if not core.conversation.holds(item)]
        names = [item.id for item in new]
        if len(set(names)) < len(names) or any(is_taken(name) for name in names):
            raise invalid_value("response.input", "Two items have the same id.")
        for item in new:
            self._transcripts.recognize(item)
        return items

    def answer(self, item: Item) -> None:
        """Respond to a turn by itself: now, or when the active response is done."""
        if self.active is not None:
            self._following, self._unanswered = Following.ANSWER, item
        else:
            settings = response_settings(self._core.config, None)
            self._begin(settings, list(self._core.conversation.items), answers=item)

    def _begin(
        self, settings: Json, context: list[Item], *, outside: bool = False, answers: Item | None = None
    ) -> None:
        response = Response(
            self._core.out,
            self._core.ids.new("resp"),
            settings,
            context,
            None if outside else self._core.conversation,
            None if outside else self._conversation_id,
            answers,
        )
        self._responses[response.id] = response
        if not outside:
            self.active = response
        self.go_on()

    def go_on(self) -> None:
        """Generate what was waiting only for words that are known now."""
        for response in list(self._responses.values()):
            if response.stage is not Stage.WAITING or response.awaited:
                continue
            asked = response.answers
            if asked is not None and asked.words is Words.FAILED:
                response.fail("What was said could not be recognised.")
                self._ended(response)
            elif asked is not None and (asked.message() is None or asked not in response.context):
                response.finish("completed", None, None)  # a noise, not words: nothing to answer
                self._ended(response)
            else:
                response.stage = Stage.GENERATING
                self._core.out.do(Generate(response.id, response.request()))

    # ------------------------------------------------------------------ going on

    def reply(self, result: ReplyText | ReplySpeech | ReplyToolCall | ReplyDone) -> None:
        """More of a reply; of a response that is gone, it is dropped."""
        response = self._responses.get(result.response_id)
        if response is None or response.stage is not Stage.GENERATING:
            return
        if isinstance(result, ReplyText):
            response.text(result.text)
        elif isinstance(result, ReplySpeech):
            self.has_spoken = True
            response.speech(result.text, result.audio)
            self.playing_until = max(self.playing_until, self._core.now) + len(result.audio) / BYTES_PER_MS / 1000
        elif isinstance(result, ReplyToolCall):
            response.tool_call(result.name, result.arguments)
        else:
            response.complete(result)
            self._ended(response)

    def forget(self, item: Item) -> None:
        """`item` was deleted: what has not been generated yet does without it, and it wants no answer."""
        if item is self._unanswered:
            self._following, self._unanswered = Following.NOTHING, None
        for response in self._responses.values():
            if response.stage is Stage.WAITING:
                response.context = [other for other in response.context if other is not item]

    # ------------------------------------------------------------------ end

    def interrupt(self) -> None:
        """The person speaks: stop the default conversation's response, and what is still being played."""
        self._following = Following.NOTHING
        self.playing_until = self._core.now
        if self.active is not None:
            self._cancel(self.active, "turn_detected")

    def cancel(self, event: Json) -> None:
        """`response.cancel`."""
        wanted = event.get("response_id")
        if wanted is not None and not isinstance(wanted, str):
            raise invalid_type("response_id", "a string")
        response = self.active if wanted is None else self._responses.get(wanted)
        if response is None:
            raise ProtocolError("response_cancel_not_active", "Cancellation failed: no active response found.")
        self._cancel(response, "client_cancelled")

    def _cancel(self, response: Response, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        if response is self.active or response.spoken_ms:
            self.playing_until = self._core.now
        if response.stage is Stage.GENERATING:
            self._core.out.do(Stop(response.id))
        response.cancel(reason)
        self._ended(response)

    def _ended(self, response: Response) -> None:
        del self._responses[response.id]
        if response is not self.active:
            return
        self.active = None
        following, self._following = self._following, Following.NOTHING
        if following is Following.ANSWER and self._unanswered is not None:
            self.answer(self._unanswered)
        else:
            self._at_rest()
