"""WebRTC call of a page client without a browser; all messages of its data channel are recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from .gradio_page_client import GradioPageClient

COMPONENT_EVENTS = {"send_input": "tick", "fetch_output": "state_change"}
"""Message of the data channel -> event that fastrtc's component triggers."""


@asynccontextmanager
async def webrtc_call(
    visitor: GradioPageClient, on_packet: Callable[[bytes], None] | None = None
) -> AsyncIterator[None]:
    """Hold a voice call with a silent microphone until the block ends.

    `on_packet`: gets the RTP packets, which are not decoded then.
    """
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender = peer.addTrack(AudioStreamTrack())
    channel = peer.createDataChannel("text")
    value = {"webrtc_id": visitor.session, "textbox": ""}
    events: dict[str, asyncio.Task[list[object]]] = {}

    @channel.on("open")  # type: ignore[untyped-decorator]  # pyee's
    def on_open() -> None:
        channel.send("handshake")

    @channel.on("message")  # type: ignore[untyped-decorator]
    def on_message(text: str) -> None:
        visitor.recorder.record(f"{visitor.name}: data channel", text + "\n")
        event = COMPONENT_EVENTS.get(json.loads(text).get("type"))
        if event is not None and (event not in events or events[event].done()):
            events[event] = asyncio.create_task(visitor.trigger_event("voice-call", event, voice_call=value))

    try:
        await peer.setLocalDescription(await peer.createOffer())
        if on_packet is not None:
            receive: Callable[[bytes], None] = on_packet

            async def take_packet(packet: bytes, arrival_time_ms: int) -> None:
                receive(packet)

            sender.transport._handle_rtp_data = take_packet
        offer = peer.localDescription
        answer = await visitor.call_server_function(
            "voice-call", "offer", {"sdp": offer.sdp, "type": offer.type, **value}
        )
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        yield
    finally:
        await peer.close()
        for task in events.values():
            task.cancel()
        await asyncio.gather(*events.values(), return_exceptions=True)
