"""Callers of the load benchmark: visitors with a microphone and a recorder, cheap enough for dozens of them.

The audio of a WebRTC caller is encoded beforehand, and its received packets are decoded after the measurement. aiortc
does the rest: ICE, DTLS, keys, data channel.
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

from .gradio_page import GradioPage
from .load_speech import FRAME_S, FRAME_SAMPLES, Pcm, decode_opus, microphone_audio, opus_packets

NEW_REPLY_GAP_S = 0.4
"""Seconds without a frame that mark a new reply. A shorter gap is a stall of the old reply."""
CONNECT_TIMEOUT_S = 20.0
"""Seconds until a call counts as not connected."""
CONNECT_ERRORS = (OSError, TimeoutError, httpx.HTTPError, WebSocketException)
"""Exceptions of `LoadCaller.connect`."""
ACK_INTERVAL_FRAMES = 5
"""Frames between two acknowledgements of the page (voicechat/ui/static/websocket_fallback.js)."""


class LoadCaller(ABC):
    """One call."""

    def __init__(self, page: GradioPage, *, speaking: bool = True) -> None:
        self.page = page
        self.speaking = speaking
        self.recorded_frames: list[tuple[float, int, bytes]] = []
        """(arrival time, position in samples at 24 kHz, payload) since `start_recording`."""
        self.is_recording = False
        self.send_lateness_ms: list[float] = []
        """Lateness of the caller's own frames."""
        self.received_frames = 0
        self._tasks: list[asyncio.Task[None]] = []

    @abstractmethod
    async def connect(self) -> None:
        """Connect, and return when audio flows. Raises `CONNECT_ERRORS`."""

    @abstractmethod
    async def drop(self) -> None:
        """Drop the connection without closing it."""

    async def hang_up(self) -> None:
        """End the call regularly."""
        await self.drop()

    @abstractmethod
    def recorded_audio(self) -> Pcm:
        """Return the recorded audio."""

    def start_recording(self) -> None:
        """Forget earlier frames and record from now on."""
        self.recorded_frames, self.send_lateness_ms, self.is_recording = [], [], True

    def frame_lateness_ms(self) -> list[float]:
        """Return for each recorded frame how much later it came than the earliest frame of its reply."""
        late: list[float] = []
        reply: list[float] = []
        last_at = 0.0
        for at, position, _ in self.recorded_frames:
            if reply and at - last_at > NEW_REPLY_GAP_S:
                late += [(one - min(reply)) * 1000 for one in reply]
                reply = []
            reply.append(at - position / 24_000)
            last_at = at
        return late + [(one - min(reply)) * 1000 for one in reply]

    async def _send_microphone(self) -> None:
        """Send a frame every 20 ms, by the clock."""
        start = time.monotonic() + random.random() * FRAME_S
        number = 0
        with suppress(ConnectionError, ConnectionClosed):
            while True:
                due = start + number * FRAME_S
                wait = due - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                if self.is_recording:
                    self.send_lateness_ms.append((time.monotonic() - due) * 1000)
                await self._send_frame(number)
                number += 1

    @abstractmethod
    async def _send_frame(self, number: int) -> None:
        """Send 20 ms."""

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


class IdleTrack(MediaStreamTrack):
    """Track that makes aiortc offer audio. The caller sends its packets itself."""

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


class WebRtcLoadCaller(LoadCaller):
    """Call over WebRTC, as a browser does, to the app or to the plain demo."""

    def __init__(self, page: GradioPage, *, speaking: bool = True) -> None:
        super().__init__(page, speaking=speaking)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._webrtc_id = page.session
        self._component = page.component(type="webrtc")
        self._first_packet_received = asyncio.Event()
        self._is_fetching_output = False
        self._event_tasks: set[asyncio.Task[Any]] = set()
        self._packets = opus_packets(speaking)
        self._sequence, self._timestamp = random.randrange(1 << 14), random.randrange(1 << 30)
        self._first_timestamp: int | None = None

    async def connect(self) -> None:
        await self.page.open()
        channel = self._peer.createDataChannel("text")
        channel.on("open", lambda: channel.send("handshake"))
        channel.on("message", self._on_message)
        sender = self._peer.addTrack(IdleTrack())
        await self._peer.setLocalDescription(await self._peer.createOffer())
        offer = self._peer.localDescription
        answer = await self.page.offer(self._component, offer.sdp, offer.type, self._webrtc_id)
        if "sdp" not in answer:
            raise ConnectionError("offer rejected")
        transport = sender.transport
        transport._handle_rtp_data = self._on_rtp_packet
        await self._peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            while transport.state != "connected":
                if transport.state in ("failed", "closed"):
                    raise ConnectionError("no connection")
                await asyncio.sleep(0.02)
        codec = self._peer.getTransceivers()[0]._codecs[0]
        self._send, self._ssrc, self._payload_type = transport._send_rtp, sender._ssrc, codec.payloadType
        extensions = HeaderExtensions(mid="0", audio_level=(True, 30), abs_send_time=1)  # as browsers do
        profile, value = transport._rtp_header_extensions_map.set(extensions)
        self._header_extensions = struct.pack("!HH", profile, len(value) // 4) + value
        self._tasks = [asyncio.create_task(self._send_microphone())]

    def _on_message(self, text: str) -> None:
        """Answer a data channel message as fastrtc's component does."""
        kind = json.loads(text).get("type")
        value = {"webrtc_id": self._webrtc_id, "textbox": ""}
        event = None
        if kind == "send_input":
            event = self.page.event_id(self._component, "tick")
        elif kind == "fetch_output" and not self._is_fetching_output:
            self._is_fetching_output = True
            event = self.page.event_id(self._component, "state_change")
        if event is not None:
            task = asyncio.ensure_future(self.page.run_event(event, [value], self._component))
            self._event_tasks.add(task)
            task.add_done_callback(self._on_event_done)

    def _on_event_done(self, task: asyncio.Task[Any]) -> None:
        self._event_tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the page was closed meanwhile

    async def _send_frame(self, number: int) -> None:
        payload = self._packets[number % len(self._packets)]
        marker = 0x80 if number == 0 else 0
        header = struct.pack(
            "!BBHLL",
            0x90,
            marker | self._payload_type,
            (self._sequence + number) & 0xFFFF,
            (self._timestamp + number * 960) & 0xFFFFFFFF,
            self._ssrc,
        )
        await self._send(header + self._header_extensions + payload)

    async def _on_rtp_packet(self, data: bytes, arrival_time_ms: int) -> None:
        self.received_frames += 1
        self._first_packet_received.set()
        if not self.is_recording:
            return
        at = time.monotonic()
        timestamp = struct.unpack_from("!L", data, 4)[0]
        if self._first_timestamp is None:
            self._first_timestamp = timestamp
        position = ((timestamp - self._first_timestamp + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        start = 12
        if data[0] & 0x10:
            start += 4 + 4 * struct.unpack_from("!H", data, 14)[0]
        self.recorded_frames.append((at, position // 2, data[start:]))

    def recorded_audio(self) -> Pcm:
        return decode_opus(data for _, _, data in self.recorded_frames)

    async def drop(self) -> None:
        """Close the UDP sockets without a goodbye, as a computer that is switched off."""
        await self._cancel_tasks()
        with suppress(Exception):  # the transport may not exist yet
            await self._peer.getTransceivers()[0].sender.transport.transport._connection.close()
        await self._close()

    async def hang_up(self) -> None:
        await self._cancel_tasks()
        await self._close()

    async def _close(self) -> None:
        for task in list(self._event_tasks):
            task.cancel()
        with suppress(Exception):
            await self._peer.close()
        await self.page.close()


class _WebSocketLoadCaller(LoadCaller):
    """Base of callers over a WebSocket."""

    _socket: ClientConnection | None = None

    async def drop(self) -> None:
        await self._cancel_tasks()
        if self._socket is not None:
            self._socket.transport.abort()
        await self.page.close()

    async def hang_up(self) -> None:
        await self._cancel_tasks()
        if self._socket is not None:
            await self._socket.close()
        await self.page.close()


class AudioSocketLoadCaller(_WebSocketLoadCaller):
    """Call over the page's WebSocket, as a browser without WebRTC does."""

    def __init__(self, page: GradioPage, *, speaking: bool = True) -> None:
        super().__init__(page, speaking=speaking)
        pcm = microphone_audio(speaking).astype("<i2")
        self._frames = [
            pcm[at : at + FRAME_SAMPLES].tobytes() for at in range(0, len(pcm) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
        ]

    async def connect(self) -> None:
        await self.page.open()
        button = self.page.component(elem_id="voice-fallback")
        offer = self.page.event_id(button, "click")
        assert offer is not None
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            call = {"webrtc_id": self.page.session, "textbox": ""}
            path = (await (await self.page.run_event(offer, [None, call], button)))[0]
            self._watching = await self.page.run_event(self.page.following_event_id(offer), [], button)
            url = f"{self.page.url.replace('http', 'ws', 1)}/{path}"
            self._socket = await connect(url, compression=None, max_queue=None)
        self._tasks = [
            asyncio.create_task(self._send_microphone()),
            asyncio.create_task(self._receive_audio(self._socket)),
        ]

    async def _send_frame(self, number: int) -> None:
        assert self._socket is not None
        await self._socket.send(self._frames[number % len(self._frames)])

    async def _receive_audio(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in socket:
                if isinstance(message, str):
                    continue
                self.received_frames += 1
                if self.is_recording:
                    self.recorded_frames.append((time.monotonic(), self.received_frames * FRAME_SAMPLES, message))
                if self.received_frames % ACK_INTERVAL_FRAMES == 0:
                    await socket.send(json.dumps({"type": "taken", "frames": self.received_frames}))

    def recorded_audio(self) -> Pcm:
        return np.frombuffer(b"".join(data for _, _, data in self.recorded_frames), "<i2")


class ApiLoadCaller(_WebSocketLoadCaller):
    """Program at `/realtime-voice`: sends 20 ms of audio in each event, and receives as much."""

    def __init__(self, page: GradioPage, *, speaking: bool = True) -> None:
        super().__init__(page, speaking=speaking)
        pcm = microphone_audio(speaking).astype("<i2")
        frames = [
            pcm[at : at + FRAME_SAMPLES].tobytes() for at in range(0, len(pcm) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
        ]
        self._frames = [base64.b64encode(frame).decode() for frame in frames]

    async def connect(self) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            url = f"{self.page.url.replace('http', 'ws', 1)}/realtime-voice"
            self._socket = await connect(url, compression=None, max_queue=None, max_size=None)
            while json.loads(await self._socket.recv())["type"] != "session.created":
                pass
        self._tasks = [
            asyncio.create_task(self._send_microphone()),
            asyncio.create_task(self._receive_audio(self._socket)),
        ]

    async def _send_frame(self, number: int) -> None:
        assert self._socket is not None
        audio = self._frames[number % len(self._frames)]
        await self._socket.send(f'{{"type":"input_audio_buffer.append","event_id":"{number}","audio":"{audio}"}}')

    async def _receive_audio(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in socket:
                self.received_frames += 1
                if not self.is_recording:
                    continue
                event = json.loads(message)
                if event["type"] == "response.output_audio.delta":
                    self.recorded_frames.append(
                        (time.monotonic(), int(event["event_id"]) * FRAME_SAMPLES, event["delta"])
                    )

    def recorded_audio(self) -> Pcm:
        return np.frombuffer(b"".join(base64.b64decode(data) for _, _, data in self.recorded_frames), "<i2")
