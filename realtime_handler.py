"""One voice call: the browser's microphone and loudspeaker on one side, the Realtime server's socket on the other.

The thin shell around `realtime.call.Call`: it moves bytes, keeps time, reconnects, and hands snapshots to the page.
`VoiceCall` is given to fastrtc as a prototype; fastrtc copies it for every connection. What belongs to one visitor is
in `Visitor`, which the page keeps in its session, never on the prototype.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from realtime import captions, microphone
from realtime.accounts import Account, Accounts
from realtime.allowance import Stay
from realtime.call import Call
from realtime.connection import Failure
from realtime.line import Line
from realtime.microphone import Microphone
from realtime.places import Kind, Limits, Place, Places, State, needs_session
from realtime.playback import FRAME, Samples
from realtime.recording import Recording
from realtime.session import Mode, session_update
from realtime.session_told import SessionTold
from realtime.settings import Endpoint, Settings, TurnDetection
from realtime.snapshot import OVER, Notice, Snapshot, Stage
from realtime.sound_file import Pen, new_pen
from realtime.timing import Turns
from realtime.wishes import Wishes
from visitor import Visitor
from webrtc_edge import VoiceEdge, quiet_loggers, where
from webrtc_media import install_jitter_buffer, install_track
from webrtc_path import install_path

__all__ = ["EndpointForKey", "Failure", "Notice", "Snapshot", "Stage", "Visitor", "VoiceCall"]

log = logging.getLogger(__name__)

TICK_S = 0.5
SILENCE: Samples = np.zeros(FRAME, dtype=np.int16)

EndpointForKey = Callable[[str], Endpoint | Failure]
"""(a visitor's own key or "") -> where to connect now."""


class VoiceCall(VoiceEdge):
    """fastrtc's handler for one call, and the prototype of all of them."""

    def __init__(
        self,
        settings: Settings,
        endpoint: EndpointForKey,
        places: Places | None = None,
        accounts: Accounts | None = None,
        *,
        pen: Pen | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        super().__init__(clock, sleep)
        self._pen = pen or new_pen()
        self.settings = settings
        self.endpoint = endpoint
        self.places = places or Places(Limits.of(settings))
        self.accounts = accounts or Accounts()
        self._account = Account(self.accounts, settings, Mode.VOICE)
        self._turns = Turns(
            settings.vad_silence_ms if settings.turn_detection is TurnDetection.SERVER else 0,
            padding_ms=settings.vad_prefix_padding_ms,
            output_latency_ms=settings.output_latency_ms,
        )
        self._session = SessionTold()
        self._connected_to: Endpoint | None = None
        """Where the newest connection is opened to."""
        self._visitor: Visitor | None = None
        self._call: Call | None = None
        self._place: Place | None = None
        self._stay: Stay | None = None
        self._line: Line | None = None
        self._microphone = Microphone()
        self._page_at = clock()
        """When the page was last heard of."""
        self._tasks: list[asyncio.Task[None]] = []
        self._told: tuple[object, ...] = ()
        captions.traditional("准备")  # the tables are read now (70 ms, once), not in the middle of a call

    def copy(self) -> VoiceCall:
        """A fresh call for one connection; shares only settings, the places and the accounts."""
        quiet_loggers()
        install_jitter_buffer()
        install_track()
        install_path()
        return VoiceCall(
            self.settings, self.endpoint, self.places, self.accounts, pen=self._pen, clock=self.clock, sleep=self._sleep
        )

    # ---------------------------------------------------------------- life

    async def call_started(self, inputs: list[Any]) -> None:
        """`inputs[0]` is the page's `Visitor`."""
        visitor = inputs[0] if inputs and isinstance(inputs[0], Visitor) else Visitor(self.settings.remember_items)
        if visitor.call is not None and visitor.call is not self:
            visitor.call.leave()  # a page has one call; the older one is a leftover
        now = self.clock()
        visitor.conversation.restart()
        self._visitor = visitor
        call = self._call = Call(visitor.conversation, self.settings, now)
        visitor.call = self
        if self.accounts.allowance.over(visitor.key):
            self._end(Stage.FAILED, Notice.VISITOR_DAY)
            return
        session = needs_session(self.endpoint(visitor.own_key))
        place = self._place = self.places.enter(self, Kind.CALL, visitor.key, session=session)
        if place.refusal is not None:
            self._end(Stage.FAILED, place.refusal)
            return
        self._tasks = [asyncio.create_task(self._watch_time())]
        if place.state is State.IN:
            self._go_in()
        else:
            self._microphone.forget()
            call.waits(place.number, now)

    def place_changed(self) -> None:
        """From the line: this call is in now, or its number is another, or there is no waiting any more."""
        assert self._place is not None and self._call is not None
        try:
            if self._place.refusal is not None:
                self._end(Stage.FAILED, self._place.refusal)
            elif self._place.state is State.IN:
                self._call.goes_in(self.clock())
                self._go_in()
            else:
                self._call.waits(self._place.number, self.clock())
        except Exception as error:
            self.broken(error)

    def closing(self, seconds: float) -> None:
        """The app ends: the visitor is told, and the call is over in so many seconds at the latest."""
        if self._call is not None:
            self._call.closing(seconds, self.clock())

    def _go_in(self) -> None:
        """There is a place: the call begins."""
        visitor, call, place = self._visitor, self._call, self._place
        assert visitor is not None and call is not None and place is not None
        self._account.open()
        self._stay = Stay(self.accounts.allowance, visitor.key, self.clock())
        if self.settings.record_calls and visitor.recording is None:
            visitor.recording = Recording(self.settings.max_recording_seconds, self._pen)

        self._account.own_cap = visitor.wishes.call_cost
        model = visitor.wishes.model  # to the end of this call, also over another connection

        def update(endpoint: Endpoint) -> dict[str, Any]:
            self._connected_to = endpoint
            return self._session.opened(self._wanted(endpoint))

        line = self._line = Line(
            call,
            self.settings,
            lambda: self._endpoint_for(visitor, model),
            update,
            observers=(self._account, self._turns, self._session),
            ready=self._ready,
            clock=self.clock,
            sleep=self._sleep,
        )
        connected = asyncio.create_task(self._stay_connected(line))
        connected.add_done_callback(lambda _: place.leave())  # the embedded server has its session back by then
        self._tasks.append(connected)

    async def hang_up(self, notice: str | None) -> None:
        """End the call from this side; `notice` is shown to the visitor."""
        self._end(Stage.ENDED, notice)

    def leave(self) -> None:
        """The visitor ended the call in the page. The page is not asked to close: fastrtc's component closes whatever
        call it has when such a message arrives, and that may be the visitor's next one."""
        if self._call is not None and self._call.stage not in OVER:
            self._call.end(Stage.ENDED, None, self.clock())
            self._account.close("hung_up")
            self._release()

    def _end(self, stage: Stage, notice: str | None) -> None:
        """The call is over: say so, free its place at once, and let the page close."""
        call = self._call
        if call is None or call.stage in OVER:
            return
        call.end(stage, notice, self.clock())
        self._account.close(notice or "ended")
        self._release()
        self.say_goodbye()

    def _release(self) -> None:
        """Give back what the call holds. The socket is closed by the task that opened it."""
        if self._place is not None:
            self._place.end()
        if self._line is not None:
            self._line.drop()
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current and not task.cancelling():  # it is asking what the last reply has cost
                task.cancel()
        self._microphone.forget()

    async def call_over(self) -> None:
        self.leave()
        self._release()
        if self._visitor is not None and self._visitor.call is self:
            self._visitor.call = None
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        if self._place is not None:
            self._place.leave()

    def broken(self, error: Exception) -> None:
        log.error("A call is ended by an error: %s", where(error))
        self._end(Stage.FAILED, Notice.INTERNAL)
        self.say_goodbye()

    # ---------------------------------------------------------------- the socket

    async def _stay_connected(self, line: Line) -> None:
        try:
            failure = await line.hold()
            if failure is not None:
                self._end(Stage.FAILED, failure)
        except Exception as error:
            self.broken(error)

    def _endpoint_for(self, visitor: Visitor, model: str) -> Endpoint | Failure:
        found = self.endpoint(visitor.own_key)
        if self._place is not None and not self._place.needs(needs_session(found)):
            return Failure.SERVER_FULL  # the key of their own is gone, and the embedded server has no room
        if isinstance(found, Failure) or visitor.wishes == Wishes():
            return found
        # What a server refuses of one visitor's wishes is not remembered for the others.
        return replace(found.choosing(model, self.settings.models), refused=found.refused.copy())

    def _wanted(self, endpoint: Endpoint) -> dict[str, Any]:
        """The `session.update` of a session as this visitor wants it now."""
        assert self._visitor is not None
        wanted = self._visitor.wishes.over(self.settings)
        return session_update(wanted, Mode.VOICE, kind=endpoint.kind, model=endpoint.model)

    def wishes_changed(self) -> None:
        """The visitor wants this call otherwise: the server is told what can change in the middle of it."""
        if self._visitor is None:
            return
        self._account.own_cap = self._visitor.wishes.call_cost
        endpoint = self._connected_to
        if self._line is not None and self._line.up and endpoint is not None:  # else once there is a connection
            self._send(self._session.update(self._wanted(endpoint), self._line.fitted))

    def _ready(self) -> None:
        self.wishes_changed()  # while it was being opened
        for pcm in self._microphone.early():
            self._append(pcm)

    def _send(self, events: list[dict[str, Any]]) -> None:
        if self._line is not None:
            self._line.send(events)

    def _append(self, pcm: bytes) -> None:
        self._turns.appended(len(pcm) // 2, self.clock())
        if self._line is not None:
            self._line.append(base64.b64encode(pcm).decode("ascii"))

    async def _watch_time(self) -> None:
        try:
            call = self._call
            assert call is not None
            while call.stage not in OVER:
                await self._sleep(TICK_S)
                now = self.clock()
                # A little earlier than the setting says, so that all is over by then.
                longest = self.settings.vanished_seconds
                vanished = now - self._page_at > max(longest / 2, longest - 2 * TICK_S)
                notice = Notice.NO_MICROPHONE if vanished else call.time_up(now) or self._used_up(call.quiet, now)
                if notice is None and call.stage is Stage.WAITING:
                    self._look_again()
                if notice is not None:
                    self._end(Stage.ENDED, notice)
                    return
                self._send(call.tick(now))
                if self._session.take_refusal():
                    call.tell(Notice.WISH_REFUSED)
        except Exception as error:
            self.broken(error)

    def _used_up(self, quiet: bool, now: float) -> str | None:
        """Of the money, or of this visitor's day."""
        day = self._stay is not None and self._stay.must_end(quiet, now)
        return self._account.must_end(quiet, now) or (Notice.VISITOR_DAY if day else None)

    def _look_again(self) -> None:
        """A visitor in line may have given a key of their own meanwhile, or taken it back."""
        assert self._visitor is not None and self._place is not None
        self._place.needs(needs_session(self.endpoint(self._visitor.own_key)))

    # ---------------------------------------------------------------- the browser

    def microphone(self, pcm: bytes) -> None:
        self._page_at = now = self.clock()
        if self._call is not None and self._call.stage is Stage.WAITING:
            return  # what is said in line is not kept: it was not said to anybody
        recording, samples = self._recording, np.frombuffer(pcm, dtype="<i2")
        if recording is not None:
            recording.visitor(self._moment(now), samples)
        if self._call is not None:
            self._call.hear(samples)
        over = self._call is not None and self._call.stage in OVER
        if not over and self._microphone.gives(pcm, now, up=self._line is not None and self._line.up):
            self._append(pcm)

    def speaker(self, now: float) -> Samples:
        up = self._line is not None and self._line.up
        if up and self._microphone.stalls(now):
            self._append(microphone.SILENCE)
        if self._call is None:
            return SILENCE
        if up:
            self._send(self._call.beat(now))
        samples = self._call.frame(now)
        answered = self._turns.frame(self._call.playback.items_at(now), now)
        if answered is not None:
            self.accounts.figures.turn(None if answered.typed else answered.total_s)
        recording = self._recording
        if recording is not None:
            recording.model(self._moment(now), samples)
        return samples

    @property
    def _recording(self) -> Recording | None:
        """What this call is recorded on, while it is under way."""
        return self._visitor.recording if self._visitor is not None and self.under_way else None

    def _moment(self, now: float) -> float:
        """Seconds of the call clock."""
        assert self._visitor is not None
        return self._visitor.conversation.clock.at(now)

    def news(self, now: float) -> Snapshot | None:
        if self._call is None or self._version == self._told:
            return None
        self._told = self._version
        return self.snapshot

    @property
    def _version(self) -> tuple[object, ...]:
        """Differs whenever what the page shows may differ."""
        assert self._call is not None
        return self._call.version, self._turns.version, self._account.version

    # ---------------------------------------------------------------- the page

    async def say(self, text: str) -> bool:
        """A typed message: it interrupts a reply as speech would.

        Returns whether it was taken; not when it is blank or too long, and not outside a call.
        """
        now = self.clock()
        events = self._call.say(text, now) if self._call is not None else None
        if events is None:
            return False
        self._turns.typed(now)
        self._send(events)
        return True

    async def stop(self) -> None:
        """Enough of this reply: silence, and the model is told what was heard of it."""
        if self._call is not None:
            self._send(self._call.stop(self.clock()))

    async def clear(self) -> None:
        """Forget the conversation, here and at the server."""
        if self._call is not None:
            self._send(self._call.clear(self.clock()))

    @property
    def under_way(self) -> bool:
        """It has begun and is not over."""
        return self._call is not None and self._call.stage not in OVER

    @property
    def snapshot(self) -> Snapshot | None:
        """The present state of the call; None before it has started."""
        if self._call is None:
            return None
        account = self._account
        return replace(self._call.snapshot(), server=account.server, waits=self._turns.waits(), money=account.money)
