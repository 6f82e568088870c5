"""The Realtime protocol (GA) of one connection, as a state machine without input or output.

Client events, results of the workers and the time go in; events to send, work to do and the end of the connection come
out, as a list in order (`offline.events.Output`). Nothing here waits, reads a clock or runs a model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from offline.audio_formats import SAMPLES_PER_MS, Decoder, from_base64
from offline.events import Ids, Json, Outbox, Output, ProtocolError, invalid_type, invalid_value, missing
from offline.input_audio import MAX_MS, InputAudio
from offline.item_parsing import parse_item, resolve
from offline.items import Conversation, Item, Part, Words, messages
from offline.responses import Response, Stage
from offline.session_config import cannot_update_voice, defaults, language_of, response_settings, updated, voice_of
from offline.turn_detection import Ear, Heard, Probability, Signal
from offline.work import (
    Generate,
    Hearing,
    Listening,
    Paused,
    Prefill,
    RecognitionFailed,
    Recognize,
    Recognized,
    ReplyDone,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
    Request,
    Result,
    Resumed,
    Stop,
)

SESSION_SECONDS = 3600
MIN_COMMIT_MS = 100
MAX_TURN_MS = 120_000
"""A turn this long is ended, pause or not."""
QUIET_MS = 1000
"""Sound kept from before a turn, beyond the padding: what the detector has not judged yet."""
LISTENING_MS = 400
MAX_ITEMS = 5000
MAX_OUT_OF_BAND = 4
NO_WORDS = "…"
"""What the model reads where the person said nothing until the idle timeout."""


class State(Enum):
    """Of the session as a whole."""

    OPEN = "open"
    EXPIRED = "expired"


class Next(Enum):
    """What follows the default conversation's active response."""

    NOTHING = "nothing"
    ANSWER = "answer"
    """A turn ended meanwhile and is to be answered."""


@dataclass(slots=True)
class Turn:
    """The person's turn under way."""

    item_id: str
    start: int
    """Its first sample."""
    listened: int
    """Up to where its sound was handed out for captions."""
    paused: bool = False
    """`Paused` was handed out and holds."""


class Session:
    """One connection's conversation. Call `start` first; then the others in any order, times never going back."""

    def __init__(
        self, *, model: str, ids: Ids, probability: Probability, now: float, wall: float, model_is_fixed: bool = False
    ) -> None:
        """`now`: seconds of a clock that only goes forward; `wall`: the same moment in Unix seconds.

        `model_is_fixed`: the client asked for `model` when it connected.
        """
        self.ids = ids
        self.out = Outbox(ids)
        self.state = State.OPEN
        self.config = defaults(model)
        self.conversation = Conversation()
        self._model_is_fixed = model_is_fixed
        self._head: Json = {
            "object": "realtime.session",
            "id": ids.new("sess"),
            "expires_at": int(wall) + SESSION_SECONDS,
        }
        self._conversation_id = ids.new("conv")
        self._expires = now + SESSION_SECONDS
        self._now = now
        self._probability = probability
        self._input = InputAudio()
        self._decoder = Decoder("audio/pcm")
        self._ear: Ear | None = Ear(self._turn_detection or {}, probability, 0)
        self._turn: Turn | None = None
        self._responses: dict[str, Response] = {}
        self._default: Response | None = None
        self._next = Next.NOTHING
        self._answers: Item | None = None
        self._awaited: dict[str, Item] = {}
        self._captions: dict[str, str] = {}
        """Words shown so far of turns whose final transcript is not there yet."""
        self._spoken = False
        """The model has been heard in this session: its voice is fixed."""
        self._playing_until = now
        self._idle_from: int | None = None
        self._idle_at: float | None = None
        self._handlers: dict[str, Callable[[Json], None]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit_by_client,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "conversation.item.delete": self._delete_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }

    # ------------------------------------------------------------------ what goes in

    def start(self) -> list[Output]:
        """The connection is open."""
        self.out.send("session.created", session=self._wire())
        return self.out.take()

    def receive_text(self, text: str, now: float) -> list[Output]:
        """A text frame of the client."""
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            self.out.error(ProtocolError("invalid_json", "The message is not valid JSON."))
            return self.out.take()
        return self.receive(event, now)

    def receive_binary(self, now: float) -> list[Output]:
        """A binary frame of the client, which this protocol does not have."""
        self.out.error(
            ProtocolError("invalid_event", "Expected a text WebSocket message with a JSON event, got a binary one.")
        )
        return self.out.take()

    def receive(self, event: object, now: float) -> list[Output]:
        """A client event, as decoded JSON of any shape."""
        self._advance_clock(now)
        if self.state is State.EXPIRED:
            return self.out.take()
        event_id: str | None = None
        try:
            if not isinstance(event, dict):
                raise ProtocolError("invalid_event", "Expected a JSON object with a 'type'.")
            given = event.get("event_id")
            if given is not None and (not isinstance(given, str) or len(given) > 512):
                raise invalid_type("event_id", "a string of at most 512 characters")
            event_id = given
            self._handler(event)(event)
        except ProtocolError as error:
            self.out.error(error, event_id)
        return self.out.take()

    def deliver(self, result: Result, now: float) -> list[Output]:
        """A result of the workers. Results about what is gone (cancelled, deleted) are dropped."""
        self._advance_clock(now)
        if self.state is State.EXPIRED:
            return self.out.take()
        if isinstance(result, Hearing):
            self._heard_more(result)
        elif isinstance(result, (Recognized, RecognitionFailed)):
            self._heard_all(result)
        else:
            response = self._responses.get(result.response_id)
            if response is not None and response.stage is Stage.GENERATING:
                self._reply(response, result)
        return self.out.take()

    def tick(self, now: float) -> list[Output]:
        """Time has passed. Needed at `deadline`; allowed at any moment."""
        self._advance_clock(now)
        return self.out.take()

    def deadline(self) -> float | None:
        """When `tick` is to be called at the latest; None: never."""
        if self.state is State.EXPIRED:
            return None
        return self._expires if self._idle_at is None else min(self._idle_at, self._expires)

    # ------------------------------------------------------------------ session

    def _handler(self, event: Json) -> Callable[[Json], None]:
        kind = event.get("type")
        if kind is None:
            raise missing("type")
        if not isinstance(kind, str):
            raise invalid_type("type", "a string")
        handler = self._handlers.get(kind)
        if handler is None:
            known = ", ".join(f"'{name}'" for name in self._handlers)
            raise invalid_value("type", f"Supported values are: {known}.")
        return handler

    @property
    def _turn_detection(self) -> Json | None:
        settings: Json | None = self.config["audio"]["input"]["turn_detection"]
        return settings

    @property
    def _input_format(self) -> str:
        return str(self.config["audio"]["input"]["format"]["type"])

    def _wire(self) -> Json:
        head = {"type": self.config["type"], **self._head}
        return {**head, **{key: value for key, value in self.config.items() if key != "type"}}

    def _update(self, event: Json) -> None:
        if "session" not in event:
            raise missing("session")
        before = self.config
        self.config = updated(
            before, event["session"], model_is_fixed=self._model_is_fixed, voice_is_fixed=self._spoken
        )
        if self._input_format != self._decoder.kind:
            self._decoder = Decoder(self._input_format)
        detection = self._turn_detection
        if detection is None:
            self._abandon_turn()
            self._ear = None
            self._idle_at = None
        elif self._ear is None:
            self._ear = Ear(detection, self._probability, self._input.end)
        else:
            self._ear.adapt(detection, self._captions.get(self._turn.item_id, "") if self._turn else "")
        self.out.send("session.updated", session=self._wire())
        if self.config["instructions"] != before["instructions"] or self.config["tools"] != before["tools"]:
            self._prefill()

    def _advance_clock(self, now: float) -> None:
        self._now = max(self._now, now)
        if self.state is State.EXPIRED:
            return
        if self._now >= self._expires:
            self.state = State.EXPIRED
            message = "Your session hit the maximum duration of 60 minutes."
            self.out.error(ProtocolError("session_expired", message))
            self.out.close(1001, message)
        elif self._idle_at is not None and self._now >= self._idle_at:
            self._idle_timeout()

    # ------------------------------------------------------------------ what is heard

    def _append(self, event: Json) -> None:
        if "audio" not in event:
            raise missing("audio")
        pcm = self._decoder.decode(from_base64(event["audio"], "audio"), "audio")
        if self._ear is None:
            if not self._input.has_room(pcm):
                raise invalid_value("audio", f"The buffer holds at most {MAX_MS // 1000} s: commit it or clear it.")
            self._input.append(pcm)
            return
        self._input.append(pcm)
        self._notice(self._ear.hear(pcm))
        if self._turn is None:
            padding = self._ear.detector.padding
            self._input.drop_before(self._input.end - padding - QUIET_MS * SAMPLES_PER_MS)
        elif self._input.end - self._turn.start >= MAX_TURN_MS * SAMPLES_PER_MS:
            self._turn_stopped(self._input.end)
            self._ear.detector.abandon(self._input.end)
        else:
            self._listen(self._turn)

    def _notice(self, signals: list[Heard]) -> None:
        for heard in signals:
            if heard.signal is Signal.STARTED:
                self._turn_started(heard.sample)
            elif self._turn is None:
                continue
            elif heard.signal is Signal.STOPPED:
                self._turn_stopped(heard.sample)
            elif heard.signal is Signal.PAUSED:
                self._turn.paused = True
                audio = self._input.between(self._turn.start, heard.sample)
                self.out.do(Paused(self._turn.item_id, audio, language_of(self.config), self._expected_request()))
            else:
                self._resume(self._turn)

    def _turn_started(self, start: int) -> None:
        start = max(start, self._input.start)
        item_id = self.ids.new("item")
        self._turn = Turn(item_id, start, start)
        self._idle_at = None
        if self._ear and self._turn_detection:
            self._ear.adapt(self._turn_detection)
        self.out.send("input_audio_buffer.speech_started", audio_start_ms=start // SAMPLES_PER_MS, item_id=item_id)
        detection = self._turn_detection or {}
        if detection["interrupt_response"] and self._default is not None:
            self._next = Next.NOTHING
            self._cancel(self._default, "turn_detected")

    def _turn_stopped(self, end: int) -> None:
        turn = self._turn
        if turn is None:
            return
        self._turn = None
        audio = self._input.between(turn.start, end)
        self._input.drop_before(end)
        self.out.send("input_audio_buffer.speech_stopped", audio_end_ms=end // SAMPLES_PER_MS, item_id=turn.item_id)
        item = self._commit(turn.item_id, audio)
        if (self._turn_detection or {}).get("create_response"):
            self._answer(item)

    def _listen(self, turn: Turn) -> None:
        """Hand out the turn so far, when enough of it is new; not in a pause, which has its own work."""
        if not turn.paused and self._input.end - turn.listened >= LISTENING_MS * SAMPLES_PER_MS:
            turn.listened = self._input.end
            audio = self._input.between(turn.start, self._input.end)
            self.out.do(Listening(turn.item_id, audio, language_of(self.config)))

    def _resume(self, turn: Turn) -> None:
        if turn.paused:
            turn.paused = False
            self.out.do(Resumed(turn.item_id))

    def _abandon_turn(self) -> None:
        if self._turn is not None:
            self._resume(self._turn)
            self._captions.pop(self._turn.item_id, None)
            self._turn = None
        if self._ear is not None:
            self._ear.detector.abandon(self._input.end)

    def _expected_request(self) -> Request | None:
        """The request that would follow if the turn ended now, without the words being spoken."""
        waiting = any(item.words is Words.AWAITED for item in self.conversation.items)
        if not (self._turn_detection or {}).get("create_response") or self._default is not None or waiting:
            return None
        return self._request_of(self.conversation.items)

    def _request_of(self, items: list[Item]) -> Request:
        voice = voice_of(self.config)
        return Request(
            messages=messages(items, voice.instructions),
            speak=voice.speak,
            tools=voice.tools,
            tool_choice=voice.tool_choice,
            max_tokens=voice.max_tokens,
            voice=voice.voice,
            speed=voice.speed,
        )

    def _prefill(self) -> None:
        if self._default is None and not any(item.words is Words.AWAITED for item in self.conversation.items):
            self.out.do(Prefill(self._request_of(self.conversation.items)))

    def _commit_by_client(self, event: Json) -> None:
        if self._input.ms < MIN_COMMIT_MS:
            message = (
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, "
                f"but buffer only has {self._input.ms:.2f}ms of audio."
            )
            raise ProtocolError("input_audio_buffer_commit_empty", message)
        turn, end = self._turn, self._input.end
        start = turn.start if turn else self._input.start
        audio = self._input.between(start, end)
        self._turn = None
        self._input.drop_before(end)
        if self._ear is not None:
            self._ear.detector.abandon(end)
        if turn is not None:
            stopped = end // SAMPLES_PER_MS
            self.out.send("input_audio_buffer.speech_stopped", audio_end_ms=stopped, item_id=turn.item_id)
        self._commit(turn.item_id if turn else self.ids.new("item"), audio)

    def _clear(self, event: Json) -> None:
        self._abandon_turn()
        self._input.drop_before(self._input.end)
        self.out.send("input_audio_buffer.cleared")

    def _commit(self, item_id: str, audio: bytes) -> Item:
        """Make the sound a user message of the conversation and have it recognised."""
        part = Part("input_audio", shown=False, audio=bytearray(audio), ms=len(audio) / 2 / SAMPLES_PER_MS)
        item = Item(item_id, "message", "user", parts=[part], words=Words.AWAITED)
        self.out.send("input_audio_buffer.committed", previous_item_id=self.conversation.last_id, item_id=item_id)
        self._add(item, None)
        return item

    def _add(self, item: Item, after: str | None) -> None:
        self.conversation.add(item, after)
        previous = self.conversation.previous(item)
        for kind in ("conversation.item.added", "conversation.item.done"):
            self.out.send(kind, previous_item_id=previous, item=item.wire())
        self._recognize(item)

    def _recognize(self, item: Item) -> None:
        if item.words is Words.AWAITED:
            self._awaited[item.id] = item
            audio = b"".join(part.audio for part in item.parts)
            self.out.do(Recognize(item.id, audio, language_of(self.config)))

    def _idle_timeout(self) -> None:
        start, end = self._idle_from or 0, self._input.end
        self._idle_at = None
        item = Item(self.ids.new("item"), "message", "user", parts=[Part("input_audio", NO_WORDS, shown=False)])
        self.out.send(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=start // SAMPLES_PER_MS,
            audio_end_ms=end // SAMPLES_PER_MS,
            item_id=item.id,
        )
        self.out.send("input_audio_buffer.committed", previous_item_id=self.conversation.last_id, item_id=item.id)
        self._add(item, None)
        self._answer(item)

    # ------------------------------------------------------------------ words of what was heard

    @property
    def _captioned(self) -> bool:
        return self.config["audio"]["input"]["transcription"] is not None

    def _heard_more(self, result: Hearing) -> None:
        item_id = result.item_id
        current = self._turn is not None and self._turn.item_id == item_id
        committed = item_id in self._awaited and item_id in self.conversation
        if not result.delta or not (current or committed):
            return
        self._captions[item_id] = self._captions.get(item_id, "") + result.delta
        self._caption(item_id, 0, result.delta)
        if current and self._ear is not None:
            self._notice(self._ear.words(self._captions[item_id]))

    def _caption(self, item_id: str, index: int, delta: str) -> None:
        if self._captioned:
            kind = "conversation.item.input_audio_transcription.delta"
            self.out.send(kind, item_id=item_id, content_index=index, delta=delta)

    def _heard_all(self, result: Recognized | RecognitionFailed) -> None:
        item = self._awaited.pop(result.item_id, None)
        shown = self._captions.pop(result.item_id, "")
        found = item.audio_part if item else None
        if item is None or found is None:
            return
        index, part = found
        kind = "conversation.item.input_audio_transcription"
        if isinstance(result, Recognized):
            item.words, item.language = Words.KNOWN, result.language
            part.text, part.shown = result.text, self._captioned
            if self._captioned and item.id in self.conversation:
                if result.text != shown and result.text.startswith(shown):
                    self._caption(item.id, index, result.text[len(shown) :])
                usage = {"type": "duration", "seconds": math.ceil(result.seconds)}
                self.out.send(
                    f"{kind}.completed", item_id=item.id, content_index=index, transcript=result.text, usage=usage
                )
        else:
            item.words = Words.FAILED
            if self._captioned and item.id in self.conversation:
                error = {"type": "server_error", "code": "server_error", "message": result.message, "param": None}
                self.out.send(f"{kind}.failed", item_id=item.id, content_index=index, error=error)
        self._go_on()

    # ------------------------------------------------------------------ conversation items

    def _create_item(self, event: Json) -> None:
        if "item" not in event:
            raise missing("item")
        after = event.get("previous_item_id")
        if after is not None:
            after = self._item_id(event, "previous_item_id")
            if after != "root":
                self.conversation.get(after, "previous_item_id")
        item = parse_item(event["item"], "item", self.ids, self._input_format)
        if self._is_taken(item.id):
            raise invalid_value("item.id", "An item with this id exists already.")
        if len(self.conversation.items) >= MAX_ITEMS:
            raise invalid_value("item", f"A conversation holds at most {MAX_ITEMS} items: delete some.")
        self._add(item, after)

    def _item_id(self, event: Json, key: str = "item_id") -> str:
        value = event.get(key)
        if value is None:
            raise missing(key)
        if not isinstance(value, str):
            raise invalid_type(key, "a string")
        return value

    def _is_taken(self, item_id: str) -> bool:
        turn = self._turn.item_id if self._turn else None
        return item_id in self.conversation or item_id in self._awaited or item_id in ("root", turn)

    def _retrieve_item(self, event: Json) -> None:
        item = self.conversation.get(self._item_id(event))
        kind = self._input_format
        if item.role == "assistant":
            kind = self.config["audio"]["output"]["format"]["type"]
        self.out.send("conversation.item.retrieved", item=item.wire(kind))

    def _truncate_item(self, event: Json) -> None:
        item = self.conversation.get(self._item_id(event))
        index = self._number(event, "content_index")
        end_ms = self._number(event, "audio_end_ms")
        if item.role != "assistant" or not 0 <= index < len(item.parts) or item.parts[index].type != "output_audio":
            raise ProtocolError(None, "Only model output audio messages can be truncated.")
        part = item.parts[index]
        if not part.clauses:
            raise ProtocolError(None, "Only model output audio messages can be truncated.")
        if not 0 <= end_ms <= part.ms:
            message = f"Audio content of {int(part.ms)}ms is already shorter than {end_ms}ms"
            raise ProtocolError("invalid_value", message, "audio_end_ms")
        part.cut(end_ms)
        self._playing_until = self._now
        self.out.send("conversation.item.truncated", item_id=item.id, content_index=index, audio_end_ms=end_ms)
        self._prefill()

    def _number(self, event: Json, key: str) -> int:
        value = event.get(key)
        if value is None:
            raise missing(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid_type(key, "an integer")
        return value

    def _delete_item(self, event: Json) -> None:
        item = self.conversation.get(self._item_id(event))
        self.conversation.remove(item)
        if self._awaited.pop(item.id, None):
            item.words = Words.KNOWN
        for response in self._responses.values():
            if response.stage is Stage.WAITING:
                response.context = [other for other in response.context if other is not item]
        self.out.send("conversation.item.deleted", item_id=item.id)
        self._go_on()

    # ------------------------------------------------------------------ responses

    def _create_response(self, event: Json) -> None:
        settings = response_settings(self.config, event.get("response"))
        voices = [each["audio"]["output"]["voice"] for each in (self.config, settings)]
        if self._spoken and voices[0] != voices[1]:
            raise cannot_update_voice("response.audio.output.voice")
        outside = settings["conversation"] == "none"
        if not outside and self._default is not None:
            message = (
                f"Conversation already has an active response in progress: {self._default.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise ProtocolError("conversation_already_has_active_response", message)
        if outside and len(self._responses) - (self._default is not None) >= MAX_OUT_OF_BAND:
            raise invalid_value("response.conversation", f"At most {MAX_OUT_OF_BAND} such responses at a time.")
        context = list(self.conversation.items)
        given = settings["input"]
        if given is not None:
            context = [
                resolve(raw, f"response.input[{index}]", self.conversation, self.ids, self._input_format)
                for index, raw in enumerate(given)
            ]
            new = [item for item in context if not self.conversation.holds(item)]
            ids = [item.id for item in new]
            if len(set(ids)) < len(ids) or any(self._is_taken(item_id) for item_id in ids):
                raise invalid_value("response.input", "Two items have the same id.")
            for item in new:
                self._recognize(item)
        self._begin(settings, context, outside=outside)

    def _answer(self, item: Item) -> None:
        """Respond to a turn by itself: now, or when the active response is done."""
        if self._default is not None:
            self._next, self._answers = Next.ANSWER, item
        else:
            self._begin(response_settings(self.config, None), list(self.conversation.items), answers=item)

    def _begin(
        self, settings: Json, context: list[Item], *, outside: bool = False, answers: Item | None = None
    ) -> None:
        response = Response(
            self.out,
            self.ids.new("resp"),
            settings,
            context,
            None if outside else self.conversation,
            None if outside else self._conversation_id,
            answers,
        )
        self._responses[response.id] = response
        if not outside:
            self._default = response
            self._idle_at = None
        self._go_on()

    def _go_on(self) -> None:
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
                self.out.do(Generate(response.id, response.request()))

    def _reply(self, response: Response, result: ReplyText | ReplySpeech | ReplyToolCall | ReplyDone) -> None:
        if isinstance(result, ReplyText):
            response.text(result.text)
        elif isinstance(result, ReplySpeech):
            self._spoken = True
            response.speech(result.text, result.audio)
            seconds = len(result.audio) / 2 / SAMPLES_PER_MS / 1000
            self._playing_until = max(self._playing_until, self._now) + seconds
        elif isinstance(result, ReplyToolCall):
            response.tool_call(result.name, result.arguments)
        else:
            response.complete(result)
            self._ended(response)

    def _cancel_response(self, event: Json) -> None:
        wanted = event.get("response_id")
        if wanted is not None and not isinstance(wanted, str):
            raise invalid_type("response_id", "a string")
        response = self._default if wanted is None else self._responses.get(wanted)
        if response is None:
            raise ProtocolError("response_cancel_not_active", "Cancellation failed: no active response found.")
        self._cancel(response, "client_cancelled")

    def _cancel(self, response: Response, reason: Any) -> None:
        if response.stage is Stage.GENERATING:
            self.out.do(Stop(response.id))
        response.cancel(reason)
        self._ended(response)

    def _ended(self, response: Response) -> None:
        del self._responses[response.id]
        if response is not self._default:
            return
        self._default = None
        following, self._next = self._next, Next.NOTHING
        if following is Next.ANSWER and self._answers is not None:
            self._answer(self._answers)
            return
        self._prefill()
        idle_ms = (self._turn_detection or {}).get("idle_timeout_ms")
        if idle_ms is not None and self._turn is None:
            self._idle_from = self._input.end
            self._idle_at = max(self._now, self._playing_until) + idle_ms / 1000
