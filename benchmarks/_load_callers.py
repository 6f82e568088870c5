"""Callers of the load benchmark: each a visitor with a microphone and an ear, cheap enough to have dozens.

The sound of a WebRTC caller was put into Opus beforehand, and what it hears is kept as it comes and decoded after the
measurement. The connection is aiortc's as far as it is not sound: ICE, DTLS, the keys, the data channel.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import struct
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import HeaderExtensions
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from benchmarks._load_gradio import Page
from benchmarks._load_speech import FRAME, FRAME_S, Pcm, decoded, microphone, packets

PAUSE_S = 0.4
"""No frame for so long: a new reply of one that sends nothing in between, and no stall of the old one."""
CONNECT_S = 20.0
NOT_MADE = (OSError, TimeoutError, httpx.HTTPError, WebSocketException)
"""What `Caller.dial` raises."""
TOLD = 5
"""Frames, after which the page says how many it has taken (web/static/fallback.js)."""


class Caller(ABC):
    """One call."""

    def __init__(self, page: Page, *, speaking: bool = True) -> None:
        self.page = page
        self.speaking = speaking
        self.kept: list[tuple[float, int, bytes]] = []
        """(when it came, its place in samples at 24 kHz, what came) since `keep`."""
        self.keeping = False
        self.sent_late_ms: list[float] = []
        """How late our own frames left: the generator's lag."""
        self.received = 0
        self._tasks: list[asyncio.Task[None]] = []

    @abstractmethod
    async def dial(self) -> None:
        """Until sound goes both ways. Raises `NOT_MADE`."""

    @abstractmethod
    async def vanish(self) -> None:
        """Be gone, without a word."""

    async def hang_up(self) -> None:
        """The call ends as it should."""
        await self.vanish()

    @abstractmethod
    def sound(self) -> Pcm:
        """What was heard while it was kept."""

    def keep(self) -> None:
        self.kept, self.sent_late_ms, self.keeping = [], [], True

    def lateness_ms(self) -> list[float]:
        """Of each frame that was kept: how much later it came, beside its place, than the promptest of the reply."""
        late: list[float] = []
        reply: list[float] = []
        before = 0.0
        for at, place, _ in self.kept:
            if reply and at - before > PAUSE_S:
                late += [(one - min(reply)) * 1000 for one in reply]
                reply = []
            reply.append(at - place / 24_000)
            before = at
        return late + [(one - min(reply)) * 1000 for one in reply]

    async def _speak(self) -> None:
        """A frame every 20 ms, by the clock."""
        start = time.monotonic() + random.random() * FRAME_S
        number = 0
        with suppress(ConnectionError, ConnectionClosed):
            while True:
                due = start + number * FRAME_S
                wait = due - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                if self.keeping:
                    self.sent_late_ms.append((time.monotonic() - due) * 1000)
                await self._frame(number)
                number += 1

    @abstractmethod
    async def _frame(self, number: int) -> None:
        """Send 20 ms."""

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


class Mute(MediaStreamTrack):
    """Makes aiortc offer sound; ours is sent past it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._over = asyncio.Event()

    async def recv(self) -> Any:
        await self._over.wait()
        raise MediaStreamError

    def stop(self) -> None:
        self._over.set()
        super().stop()


class WebRtcCaller(Caller):
    """By WebRTC, as a browser calls: the app, or the plain demo."""

    def __init__(self, page: Page, *, speaking: bool = True) -> None:
        super().__init__(page, speaking=speaking)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._name = page.session
        self._component = page.component(type="webrtc")
        self._first = asyncio.Event()
        self._following = False
        self._work: set[asyncio.Task[Any]] = set()
        self._packets = packets(speaking)
        self._sequence, self._timestamp = random.randrange(1 << 14), random.randrange(1 << 30)
        self._origin: int | None = None

    async def dial(self) -> None:
        await self.page.open()
        channel = self._peer.createDataChannel("text")
        channel.on("open", lambda: channel.send("handshake"))
        channel.on("message", self._message)
        sender = self._peer.addTrack(Mute())
        await self._peer.setLocalDescription(await self._peer.createOffer())
        ours = self._peer.localDescription
        answer = await self.page.offer(self._component, ours.sdp, ours.type, self._name)
        if "sdp" not in answer:
            raise ConnectionError("not taken")
        transport = sender.transport
        transport._handle_rtp_data = self._heard
        await self._peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        async with asyncio.timeout(CONNECT_S):
            while transport.state != "connected":
                if transport.state in ("failed", "closed"):
                    raise ConnectionError("no connection")
                await asyncio.sleep(0.02)
        codec = self._peer.getTransceivers()[0]._codecs[0]
        self._send, self._ssrc, self._type = transport._send_rtp, sender._ssrc, codec.payloadType
        said = HeaderExtensions(mid="0", audio_level=(True, 30), abs_send_time=1)  # as browsers do
        profile, value = transport._rtp_header_extensions_map.set(said)
        self._extensions = struct.pack("!HH", profile, len(value) // 4) + value
        self._tasks = [asyncio.create_task(self._speak())]

    def _message(self, text: str) -> None:
        """fastrtc's component, over the data channel."""
        kind = json.loads(text).get("type")
        value = {"webrtc_id": self._name, "textbox": ""}
        event = None
        if kind == "send_input":
            event = self.page.event(self._component, "tick")
        elif kind == "fetch_output" and not self._following:
            self._following = True
            event = self.page.event(self._component, "state_change")
        if event is not None:
            task = asyncio.ensure_future(self.page.run(event, [value], self._component))
            self._work.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        if not task.cancelled():
            task.exception()  # the page was closed meanwhile

    async def _frame(self, number: int) -> None:
        payload = self._packets[number % len(self._packets)]
        marker = 0x80 if number == 0 else 0
        header = struct.pack(
            "!BBHLL",
            0x90,
            marker | self._type,
            (self._sequence + number) & 0xFFFF,
            (self._timestamp + number * 960) & 0xFFFFFFFF,
            self._ssrc,
        )
        await self._send(header + self._extensions + payload)

    async def _heard(self, data: bytes, arrival_time_ms: int) -> None:
        self.received += 1
        self._first.set()
        if not self.keeping:
            return
        at = time.monotonic()
        timestamp = struct.unpack_from("!L", data, 4)[0]
        if self._origin is None:
            self._origin = timestamp
        place = ((timestamp - self._origin + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        start = 12
        if data[0] & 0x10:
            start += 4 + 4 * struct.unpack_from("!H", data, 14)[0]
        self.kept.append((at, place // 2, data[start:]))

    def sound(self) -> Pcm:
        return decoded(data for _, _, data in self.kept)

    async def vanish(self) -> None:
        """As a computer that is switched off: the sockets are closed, and nothing is said."""
        await self._stop()
        with suppress(Exception):  # it may not have come so far
            await self._peer.getTransceivers()[0].sender.transport.transport._connection.close()
        await self._end()

    async def hang_up(self) -> None:
        await self._stop()
        await self._end()

    async def _end(self) -> None:
        for task in list(self._work):
            task.cancel()
        with suppress(Exception):
            await self._peer.close()
        await self.page.close()


class _OverSocket(Caller):
    """Either of those that call over a web socket."""

    _socket: ClientConnection | None = None

    async def vanish(self) -> None:
        await self._stop()
        if self._socket is not None:
            self._socket.transport.abort()
        await self.page.close()

    async def hang_up(self) -> None:
        await self._stop()
        if self._socket is not None:
            await self._socket.close()
        await self.page.close()


class SocketCaller(_OverSocket):
    """Over the page's web socket, as browsers call that WebRTC does not reach."""

    def __init__(self, page: Page, *, speaking: bool = True) -> None:
        super().__init__(page, speaking=speaking)
        pcm = microphone(speaking).astype("<i2")
        self._frames = [pcm[at : at + FRAME].tobytes() for at in range(0, len(pcm) - FRAME + 1, FRAME)]

    async def dial(self) -> None:
        await self.page.open()
        button = self.page.component(elem_id="voice-fallback")
        offer = self.page.event(button, "click")
        assert offer is not None
        async with asyncio.timeout(CONNECT_S):
            carried = {"webrtc_id": self.page.session, "textbox": ""}  # by nothing so far
            where = (await (await self.page.run(offer, [None, carried], button)))[0]
            self._watching = await self.page.run(self.page.after(offer), [], button)
            url = f"{self.page.url.replace('http', 'ws', 1)}/{where}"
            self._socket = await connect(url, compression=None, max_queue=None)
        self._tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._listen(self._socket))]

    async def _frame(self, number: int) -> None:
        assert self._socket is not None
        await self._socket.send(self._frames[number % len(self._frames)])

    async def _listen(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in socket:
                if isinstance(message, str):
                    continue
                self.received += 1
                if self.keeping:
                    self.kept.append((time.monotonic(), self.received * FRAME, message))
                if self.received % TOLD == 0:
                    await socket.send(json.dumps({"type": "taken", "frames": self.received}))

    def sound(self) -> Pcm:
        return np.frombuffer(b"".join(data for _, _, data in self.kept), "<i2")


class ProgramCaller(_OverSocket):
    """A program at `/realtime-voice`: 20 ms of sound in each event, and as much comes back."""

    def __init__(self, page: Page, *, speaking: bool = True) -> None:
        super().__init__(page, speaking=speaking)
        pcm = microphone(speaking).astype("<i2")
        frames = [pcm[at : at + FRAME].tobytes() for at in range(0, len(pcm) - FRAME + 1, FRAME)]
        self._frames = [base64.b64encode(frame).decode() for frame in frames]

    async def dial(self) -> None:
        async with asyncio.timeout(CONNECT_S):
            url = f"{self.page.url.replace('http', 'ws', 1)}/realtime-voice"
            self._socket = await connect(url, compression=None, max_queue=None, max_size=None)
            while json.loads(await self._socket.recv())["type"] != "session.created":
                pass
        self._tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._listen(self._socket))]

    async def _frame(self, number: int) -> None:
        assert self._socket is not None
        audio = self._frames[number % len(self._frames)]
        await self._socket.send(f'{{"type":"input_audio_buffer.append","event_id":"{number}","audio":"{audio}"}}')

    async def _listen(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in socket:
                self.received += 1
                if not self.keeping:
                    continue
                event = json.loads(message)
                if event["type"] == "response.output_audio.delta":
                    self.kept.append((time.monotonic(), int(event["event_id"]) * FRAME, event["delta"]))

    def sound(self) -> Pcm:
        return np.frombuffer(b"".join(base64.b64decode(data) for _, _, data in self.kept), "<i2")
