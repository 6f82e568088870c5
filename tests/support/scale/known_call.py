"""Known call: call of a page without a browser with a `TurnServer`. What was heard and shown is compared with that."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import groupby, pairwise

import httpx
import numpy as np

from benchmarks.support.load_speech import decode_opus
from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder
from tests.support.app.webrtc_call_client import webrtc_call
from tests.support.scale.fake_turn_server import REPLY_FRAMES, TurnServer, asked_text, reply_samples, reply_text

FRAME_SAMPLES = 480
RTP_SAMPLES = 960
"""Steps of the RTP clock for 20 ms."""
SOUND_LEVEL = 1000
"""Root mean square of a decoded frame from which it has sound. A reply has 4600, silence less than 10."""
CODEC_FRAMES = 2
"""Frames by which the codec may shorten or lengthen a reply at its ends."""
EVENT_TIMEOUT_S = 120.0


async def wait_until(condition: Callable[[], bool], seconds: float = EVENT_TIMEOUT_S) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # neither the server nor a list of frames announces a change


class KnownCall:
    """One page and its call."""

    def __init__(self, url: str, server: TurnServer, *, uses_webrtc: bool) -> None:
        """`url`: of a replica."""
        self.server, self.uses_webrtc = server, uses_webrtc
        self.token = secrets.token_hex(32)
        self.client = httpx.AsyncClient(timeout=60)
        self.page = GradioPageClient(url, self.client, TrafficRecorder())
        self.number = -1
        """Number of the call at the server."""
        self.packets: list[tuple[float, bytes]] = []
        """Time and content of each RTP packet."""
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Open the page, call, and wait until the server has the call."""
        self.number = len(self.server.sessions)
        await self.page.open(self.token)
        call = webrtc_call(self.page, self._on_packet) if self.uses_webrtc else self.page.websocket_call()
        await self._stack.enter_async_context(call)
        await wait_until(lambda: self.number in self.server.turns)

    def _on_packet(self, packet: bytes) -> None:
        self.packets.append((time.monotonic(), packet))

    async def hang_up(self) -> None:
        """End the call and close the page and its browser."""
        await self._stack.aclose()
        await self.page.close()
        await self.client.aclose()

    async def abandon(self) -> None:
        """Let the page go whose replica was killed. The browser, its cookies and its token stay."""
        await asyncio.gather(self._stack.aclose(), return_exceptions=True)
        await asyncio.gather(self.page.close(), return_exceptions=True)

    # ---------------------------------------------------------------- what was said

    @property
    def turns(self) -> int:
        """Turns so far."""
        return self.server.turns[self.number]

    @property
    def words(self) -> list[tuple[str, str]]:
        """Role and text of each message so far."""
        said = [
            (("user", asked_text(self.number, turn)), ("assistant", reply_text(self.number, turn)))
            for turn in range(1, self.turns + 1)
        ]
        return [message for turn in said for message in turn]

    async def wait_until_heard(self) -> None:
        """Wait until the app has played all replies so far."""
        async with asyncio.timeout(EVENT_TIMEOUT_S):
            while not await self._is_heard():
                pass

    async def _is_heard(self) -> bool:
        items = (await self.page.saved_record())["voice"]
        parts = [part for item in items for part in item["parts"]]
        return len(items) == len(self.words) and all(heard in (None, len(text)) for text, heard in parts)

    async def assert_words_are_whole(self) -> None:
        """Assert that the session has all messages in order, and that the page got what was said.

        Replies reach the page in pieces of any length.
        """
        assert await stored_words(self.page) == self.words
        missing = [text for role, text in self.words if role == "user" and text not in self.page.received_text]
        assert not missing, missing

    # ---------------------------------------------------------------- what was heard

    def assert_sound_is_whole(self) -> None:
        """Assert that each reply was heard whole, in order, and without silence in it."""
        if self.uses_webrtc:
            self._assert_packets_are_whole()
            return
        frames = [np.frombuffer(frame, "<i2") for frame in self.page.heard_frames]
        assert all(len(frame) == FRAME_SAMPLES for frame in frames)
        runs = [(has_sound, list(run)) for has_sound, run in groupby(frames, lambda frame: bool(frame.any()))]
        heard = [np.concatenate(run) for has_sound, run in runs if has_sound]
        assert [len(reply) // FRAME_SAMPLES for reply in heard] == [REPLY_FRAMES] * self.turns
        for turn, reply in enumerate(heard, 1):
            assert np.array_equal(reply, reply_samples(self.number, turn)), f"call {self.number}, reply {turn}"

    def _assert_packets_are_whole(self) -> None:
        headers = [struct.unpack_from("!HL", packet, 2) for _, packet in self.packets]
        for (number, at), (next_number, next_at) in pairwise(headers):
            assert (next_number - number) & 0xFFFF == 1, "a packet is missing"
            assert (next_at - at) & 0xFFFFFFFF == RTP_SAMPLES, "the RTP clock has a hole"
        sound = decode_opus(rtp_payload(packet) for _, packet in self.packets)
        frames = sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).astype(np.float64)
        has_sound = np.sqrt((frames**2).mean(axis=1)) > SOUND_LEVEL
        heard = [len(list(reply)) for is_loud, reply in groupby(has_sound) if is_loud]
        assert len(heard) == self.turns, heard
        assert all(abs(count - REPLY_FRAMES) <= CODEC_FRAMES for count in heard), heard

    def longest_gap_s(self, since: float) -> float:
        """Return the longest time between two packets since then, in seconds of `time.monotonic`."""
        times = [at for at, _ in self.packets if at >= since]
        return float(max(np.diff(times), default=0.0))


def rtp_payload(packet: bytes) -> bytes:
    """Return the payload of an RTP packet without contributing sources."""
    start = 12
    if packet[0] & 0x10:
        start += 4 + 4 * int(struct.unpack_from("!H", packet, 14)[0])
    return packet[start:]


async def stored_words(page: GradioPageClient) -> list[tuple[str, str]]:
    """Return role and text of each message in the conversation of a page's session."""
    items = (await page.saved_record())["voice"]
    return [(item["kind"], "".join(text for text, _ in item["parts"])) for item in items]
