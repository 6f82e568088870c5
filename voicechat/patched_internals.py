"""Table of all internals of other packages that this app replaces or relies on. Values only.

`patches.py` installs the replacements. `tests/project/test_patches.py` compares the table with the installed packages:
after an upgrade it names every target that changed. Standard browser functions that the page wraps
(`RTCPeerConnection`, `getUserMedia`, `fetch`) belong to no package and are not listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PINNED_VERSIONS = {
    "aioice": "0.13.0",
    "aiortc": "1.16.0",
    "av": "18.1.0",
    "fastrtc": "0.0.34",
    "gradio": "5.50.0",
    "starlette": "0.52.1",
    "uvicorn": "0.54.0",
    "websockets": "15.0.1",
}
"""Versions for which the hashes below hold, as in requirements.txt."""


@dataclass(frozen=True, slots=True)
class InternalUse:
    """One use of other packages' internals."""

    used_in: str
    """Our file."""
    used_for: str
    lost_when_skipped: str
    """What a user or operator loses where a target has changed."""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """By target, "package.module:Qualified.name": the first 16 digits of the sha256 of its source."""
    relied_on: Mapping[str, str] = field(default_factory=dict)
    """The same for targets that are used as they are. A file is written "package/path"."""

    @property
    def sha256(self) -> dict[str, str]:
        """Hashes of all targets."""
        return {**self.replaced, **self.relied_on}


def package_of(target: str) -> str:
    """Return the package that a target belongs to."""
    return target.replace("/", ".").replace(":", ".").partition(".")[0]


_SANSIO = "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol"

INTERNAL_USES = (
    InternalUse(
        used_in="voicechat/transport/rtp_fast_path.py",
        used_for="Short path of audio packets from the socket to the receiver, and from the encoder to the socket.",
        lost_when_skipped="Calls cost more processor time.",
        replaced={
            "aiortc.rtcrtpsender:RTCRtpSender._run_rtp": "172a6b8e6d52a138",
            "aiortc.rtcdtlstransport:RTCDtlsTransport._RTCDtlsTransport__run": "06a033e9acff64fd",
            "aioice.ice:StunProtocol.datagram_received": "97ea3ced128091ea",
        },
        relied_on={
            "aiortc.rtcrtpsender:RTCRtpSender._ssrc": "dff06accf2d29277",
            "aiortc.rtcrtpsender:RTCRtpSender.transport": "55536c757b82ada8",
            "aiortc.rtcrtpsender:RTCRtpSender._RTCRtpSender__mid": "79d3b6116f45c312",
            "aiortc.rtcrtpsender:RTCRtpSender._RTCRtpSender__rtp_header_extensions_map": "7b5dafa007ce74a2",
            "aiortc.rtcrtpsender:RTCRtpSender._RTCRtpSender__rtp_started": "c0335059ea27f9b1",
            "aiortc.rtcrtpsender:RTCRtpSender._RTCRtpSender__rtp_exited": "64964bce7e42214a",
            "aiortc.rtcrtpsender:RTCRtpSender._RTCRtpSender__track": "faf064bd4e8ae0b7",
            "aiortc.rtcrtpsender:RTCRtpSender._RTCRtpSender__ntp_timestamp": "f9c53798140c29cf",
            "aiortc.rtcrtpsender:RTCRtpSender._RTCRtpSender__rtp_timestamp": "9fbdae26461afb91",
            "aiortc.rtcrtpsender:RTCRtpSender._RTCRtpSender__packet_count": "cee675d4cacd6d19",
            "aiortc.rtcrtpsender:RTCRtpSender._RTCRtpSender__octet_count": "a681385524c3902b",
            "aiortc.rtcrtpsender:RTCRtpSender.stop": "2e90f4f9cb809521",
            "aiortc.rtcrtpsender:RTCRtpSender.replaceTrack": "e30a16c9827913a0",
            "aiortc.rtcrtpsender:RTCRtpSender._run_rtcp": "4332ed6a24c368d6",
            "aiortc.rtcdtlstransport:RTCDtlsTransport._state": "637120b727e637af",
            "aiortc.rtcdtlstransport:RTCDtlsTransport._rx_srtp": "daca06d96de1ea47",
            "aiortc.rtcdtlstransport:RTCDtlsTransport._tx_srtp": "462be8ebf2be73c4",
            "aiortc.rtcdtlstransport:RTCDtlsTransport._rtp_router": "05d793537c1a3ac1",
            "aiortc.rtcdtlstransport:RTCDtlsTransport.transport": "2c658b014854910c",
            "aiortc.rtcdtlstransport:RTCDtlsTransport._handle_rtp_data": "0af00e0b6b35c10f",
            "aiortc.rtcdtlstransport:RTCDtlsTransport._recv_next": "1cdf6cfa565fb98a",
            "aiortc.rtcdtlstransport:RtpRouter.route_rtp": "ec1c4dc26bc10526",
            "aiortc.rtcdtlstransport:State": "421674647260a936",
            "aiortc.rtcrtpreceiver:RTCRtpReceiver._handle_rtp_packet": "fee976bd3c84bd2b",
            "aiortc.rtcicetransport:RTCIceTransport._connection": "793af8193c016503",
            "aiortc.rtp:RtpPacket.parse": "5b221b8eaa4050ff",
            "aiortc.rtp:RtpPacket.serialize": "0e21acaaea4efac1",
            "aiortc.rtp:HeaderExtensionsMap": "c2a3c670aa92b9ea",
            "aiortc.rtp:HeaderExtensions": "b692c5d19651043f",
            "aioice.ice:Connection._nominated": "6a58dc7800808a8b",
            "aioice.ice:Connection.data_received": "488f2150a004eb95",
            "aioice.ice:Connection.sendto": "fb04730d7145e1c1",
            "aioice.ice:StunProtocol.receiver": "f503ef60ff03ad02",
            "aioice.ice:StunProtocol.local_candidate": "b173195061e937cb",
            "aioice.ice:StunProtocol.send_data": "0671c9dfa1c4356f",
        },
    ),
    InternalUse(
        used_in="voicechat/transport/audio_track.py",
        used_for="Opus decoded where a packet arrives, and encoded where a frame is asked for.",
        lost_when_skipped="Calls cost more processor time and have more delay.",
        replaced={
            "aiortc.rtcrtpreceiver:decoder_worker": "c0987b2c75160be4",
            "fastrtc.webrtc_connection_mixin:AudioCallback": "fdfddce54463b9a0",
        },
        relied_on={
            "fastrtc.tracks:AudioCallback": "c8045f99fba054ef",
            "fastrtc.webrtc_connection_mixin:WebRTCConnectionMixin.handle_offer": "bf71a3a3d9c3c725",
            "aiortc.rtcrtpreceiver:RemoteStreamTrack._queue": "61caa9a3ddb995b8",
            "aiortc.rtcrtpreceiver:RTCRtpReceiver.receive": "02364e5c840bdf47",
            "aiortc.contrib.media:RelayStreamTrack._source": "f2753867b8aa4ead",
            "aiortc.rtcrtpsender:RTCRtpSender._next_encoded_frame": "9ab364f03da9e9b3",
            "aiortc.codecs.opus:OpusEncoder.pack": "e04fd24104fa2346",
            "aiortc.codecs.opus:TIME_BASE": "f6c97851d334a352",
            "aiortc.codecs:get_decoder": "b94fe3e5d3a983ec",
            "fastrtc.utils:create_message": "b2a7234c63c74f8e",
            "fastrtc.utils:CloseStream": "290f45f0ae2e1ae0",
        },
    ),
    InternalUse(
        used_in="voicechat/transport/jitter_buffer.py",
        used_for="Bounded jitter buffer for the microphone.",
        lost_when_skipped="Lost packets delay the microphone for the rest of the call.",
        replaced={
            "aiortc.rtcrtpreceiver:JitterBuffer": "cc97bb0aa1a8b731",
        },
        relied_on={
            "aiortc.jitterbuffer:JitterBuffer": "b98ace771e2688d1",
            "aiortc.jitterbuffer:JitterFrame": "e1e498c338f24f05",
            "aiortc.rtcrtpreceiver:RTCRtpReceiver._handle_rtp_packet": "fee976bd3c84bd2b",
            "aiortc.rtcrtpreceiver:RTCRtpReceiver._handle_rtp_packet._data": "3ed285f0289ade1c",
        },
    ),
    InternalUse(
        used_in="voicechat/transport/stream_handler.py",
        used_for="fastrtc's handler with an own pace, end and resampler.",
        lost_when_skipped="Nothing steps back: calls do not start.",
        relied_on={
            "aiortc.rtcdatachannel:RTCDataChannel.send": "fd53f1e6689de771",
            "fastrtc.tracks:AsyncStreamHandler": "14abb47d925f430f",
            "fastrtc.tracks:StreamHandlerBase": "4e74b9b490bcf2cd",
            "fastrtc.tracks:StreamHandlerBase.set_channel": "2a4faa07ddaad5d2",
            "fastrtc.tracks:StreamHandlerBase.wait_for_args": "b131080ebdaeffbc",
            "fastrtc.tracks:StreamHandlerBase.latest_args": "f97f785b6cac8c4f",
            "fastrtc.tracks:StreamHandlerBase.channel": "8c371dd2d3956885",
            "fastrtc.tracks:StreamHandlerBase.resample": "afb5b071a5b6a82c",
        },
    ),
    InternalUse(
        used_in="voicechat/transport/gradio_component.py",
        used_for="Connections of fastrtc's component: found, closed, and their updates shown.",
        lost_when_skipped="Nothing steps back: lost connections stay open.",
        relied_on={
            "fastrtc.webrtc_connection_mixin:WebRTCConnectionMixin.pcs": "1e95d6f294d9713b",
            "fastrtc.webrtc_connection_mixin:WebRTCConnectionMixin.connections": "62b1208fbf544463",
            "fastrtc.webrtc_connection_mixin:WebRTCConnectionMixin.clean_up": "5286d2c3a0dac45a",
            "fastrtc.webrtc_connection_mixin:WebRTCConnectionMixin.output_stream": "35a7f68d74294523",
            "fastrtc.webrtc:WebRTC": "8d02276bb8381490",
        },
    ),
    InternalUse(
        used_in="voicechat/logs.py",
        used_for="Send errors of a closed data channel are recognised by the name of the sending coroutine.",
        lost_when_skipped="The log has a traceback at every hang-up.",
        relied_on={
            "aiortc.rtcsctptransport:RTCSctpTransport": "bca09e1a31eee5f3",
        },
    ),
    InternalUse(
        used_in="voicechat/security/gradio/queue_requests.py",
        used_for="Requests of fastrtc's component are recognised and bounded before Gradio reads them.",
        lost_when_skipped="Nothing steps back: unknown requests are refused.",
        relied_on={
            "fastrtc.webrtc:WebRTC.offer": "a2fbf646de6b398b",
            "fastrtc.webrtc:WebRTC.turn": "ddc0161c86994161",
            "fastrtc.webrtc:WebRTC.quit_output_stream": "63f97ddd9071cf65",
        },
    ),
    InternalUse(
        used_in="voicechat/server/access_policy_factory.py",
        used_for="Id of fastrtc's component, which its requests name.",
        lost_when_skipped="Nothing steps back: calls are refused.",
        relied_on={
            "gradio.blocks:Block._id": "03d0cfb7bcf81765",
        },
    ),
    InternalUse(
        used_in="voicechat/ui/static",
        used_for="Buttons of fastrtc's component, found by their labels and titles.",
        lost_when_skipped="Nothing steps back: the call button does nothing.",
        relied_on={
            "fastrtc/templates/component/index.js": "0fa45bd411699da2",
            "fastrtc/templates/component/index-EQgvOkvr.js": "49ac7caf915d8850",
            "gradio/templates/frontend/index.html": "90c217354cd2c17d",
        },
    ),
    InternalUse(
        used_in="voicechat/ui/static",
        used_for="Requests to other hosts on a Space, Svelte's measuring frame, the end of the session: replaced.",
        lost_when_skipped="Nothing steps back: errors in the browser's console.",
        relied_on={
            "gradio/templates/frontend/assets/index-DputZZxm.js": "110a3bdd08fa0cbe",
            "gradio/templates/frontend/assets/Index-CDBfCghh.js": "cea4faa3f753f26e",
            "gradio/templates/frontend/assets/svelte/svelte.js": "34aaebe362b01a1b",
        },
    ),
    InternalUse(
        used_in="voicechat/audio/opus.py",
        used_for="libopus from PyAV's wheel, called by ctypes. Checked when it is loaded.",
        lost_when_skipped="Calls cost more processor time.",
        relied_on={
            "av/__init__.py": "cbf0c66e0a8ae535",
        },
    ),
    InternalUse(
        used_in="voicechat/server/gradio_patches/disconnect_polling.py",
        used_for="Disconnect checks once a second in place of 20 times.",
        lost_when_skipped="A tenth of the processor time of a busy app.",
        replaced={
            "starlette.requests:Request.is_disconnected": "1152d0fa913ffd94",
        },
        relied_on={
            "starlette.requests:Request._is_disconnected": "406f2098b5948576",
            "starlette.responses:StreamingResponse.listen_for_disconnect": "aa97fcb066f6f281",
        },
    ),
    InternalUse(
        used_in="voicechat/server/gradio_patches/error_logging.py",
        used_for="Failed events logged without their content.",
        lost_when_skipped="Tracebacks in the log can quote visitors.",
        replaced={
            "gradio.queueing:traceback": "6a6eacd0dfa2224b",
            "gradio.routes:traceback": "6a6eacd0dfa2224b",
        },
        relied_on={
            "gradio.queueing:Queue.process_events": "280586111b9522f9",
            "gradio.queueing:Queue.start_processing": "69ccc2c6d1576704",
        },
    ),
    InternalUse(
        used_in="voicechat/server/gradio_patches/session_retention.py",
        used_for="Sessions and events of closed pages are forgotten.",
        lost_when_skipped="Memory grows with every page, and holds visitors' words.",
        replaced={
            "gradio.routes:StateHolder": "18d926d7ef7ba09d",
        },
        relied_on={
            "gradio.state_holder:StateHolder": "af8661cb81c67bc2",
            "gradio.state_holder:SessionState.is_closed": "0f55f139e12f8252",
            "gradio.state_holder:SessionState.state_data": "e0c423069dfb3661",
            "gradio.queueing:Queue.active_jobs": "38fd369ba78183c6",
            "gradio.queueing:Queue.event_queue_per_concurrency_id": "4afb7e4b866979df",
            "gradio.queueing:Queue.pending_messages_per_session": "a1e7f73347bcb26a",
            "gradio.queueing:Queue.pending_event_ids_session": "d8ac7557d3409f39",
            "gradio.queueing:Queue.event_ids_to_events": "25a26c9640d67bab",
            "gradio.queueing:Queue.event_analytics": "fa273b87764a9fd8",
            "gradio.queueing:Queue._asyncio_tasks": "d291023d786970bf",
            "gradio.queueing:Queue.server_app": "1cdcdd9db16a4fb9",
            "gradio.queueing:Queue.push": "59682d6f43dbffa4",
            "gradio.queueing:Queue.clean_events": "04b04f7702feb68f",
            "gradio.queueing:Event._id": "421dcb43807633c6",
            "gradio.queueing:EventQueue.queue": "4dd185af879e2a44",
            "gradio.routes:App.iterators_to_reset": "1d6b85e118f3f233",
            "gradio.blocks:Blocks._queue": "a5e2eeb1e4f02bce",
        },
    ),
    InternalUse(
        used_in="voicechat/server/gradio_patches/stream_close.py",
        used_for="Events that arrive while an event stream closes are acknowledged afterwards.",
        lost_when_skipped="A call can show connecting to its end.",
        replaced={
            "gradio.queueing:Queue.push": "59682d6f43dbffa4",
            "gradio.routes:StreamingResponse": "ce1cd527315173f6",
        },
        relied_on={
            "gradio.routes:App.create_app.queue_data_helper": "8ad0d6b17ae63df8",
            "gradio.routes:App.create_app.queue_join_helper": "b295ad55e995b4d5",
            "gradio.server_messages:CloseStreamMessage": "4624ed11493feb9a",
        },
    ),
    InternalUse(
        used_in="voicechat/ui/tabs/stream_liveness.py",
        used_for="Messages that a page has not fetched are counted.",
        lost_when_skipped="Nothing steps back: text chats do not start.",
        relied_on={
            "gradio.blocks:Blocks._queue": "a5e2eeb1e4f02bce",
            "gradio.queueing:Queue.pending_messages_per_session": "a1e7f73347bcb26a",
        },
    ),
    InternalUse(
        used_in="voicechat/ui/tabs/text_tab.py",
        used_for="The page that is being laid out.",
        lost_when_skipped="Nothing steps back: the page is not built.",
        relied_on={
            "gradio.context:Context.root_block": "575f80ffff8be8f8",
        },
    ),
    InternalUse(
        used_in="voicechat/server/graceful_shutdown.py",
        used_for="Tunnels of public links are ended; uvicorn's signal handlers are replaced.",
        lost_when_skipped="Nothing steps back: the app does not start.",
        relied_on={
            "gradio.tunneling:CURRENT_TUNNELS": "1a96fb77d0e7126b",
            "gradio.tunneling:Tunnel.kill": "10f8fb23215d7e99",
            "uvicorn.server:Server.capture_signals": "5c21d816e7ca26af",
            "uvicorn.server:Server.should_exit": "76afbf3ce031fca5",
        },
    ),
    InternalUse(
        used_in="voicechat/server/uvicorn_options.py",
        used_for="WebSocket limits, pings and shutdown of every uvicorn server.",
        lost_when_skipped="No message size limit of ours, no graceful shutdown, slow detection of lost clients.",
        replaced={
            "uvicorn.server:Server.startup": "8b35da79161af825",
        },
        relied_on={
            "uvicorn.server:Server.servers": "a0a15814710f1d9a",
            "uvicorn.config:Config.loaded_app": "899a958e12ed1cf1",
            "uvicorn.config:Config.ws_protocol_class": "4e26b92a21502fe7",
            "uvicorn.config:Config.load": "b268adba388a8c9b",
            "uvicorn.middleware.proxy_headers:ProxyHeadersMiddleware.app": "986fc729de759843",
        },
    ),
    InternalUse(
        used_in="voicechat/server/uvicorn_read_ahead.py",
        used_for="Reading continues while a few small messages wait.",
        lost_when_skipped="Calls over WebSockets cost 7 % more processor time.",
        relied_on={
            f"{_SANSIO}.send_receive_event_to_app": "bebf05067d56ffcd",
            f"{_SANSIO}.frames": "c376ea170e59905d",
            f"{_SANSIO}.read_paused": "d33664cd1a10df21",
            f"{_SANSIO}.queue": "556222c6cf2da92e",
            f"{_SANSIO}.receive": "5cbbc370ced69d36",
        },
    ),
    InternalUse(
        used_in="voicechat/upstream/connection.py",
        used_for="Messages written to the server at once, without a task.",
        lost_when_skipped="Nothing steps back: sessions do not start.",
        relied_on={
            "websockets.asyncio.connection:Connection.send_data": "9868bb137f0d5552",
            "websockets.asyncio.connection:Connection.paused": "d66b7379dc8a0515",
            "websockets.asyncio.connection:Connection.protocol": "ce472ad4bde934b8",
            "websockets.asyncio.connection:Connection.send": "cd1aa02aaf7e1ff6",
            "websockets.protocol:Protocol.send_text": "791f8987334e07f4",
            "websockets.protocol:Protocol.state": "e20f7950fc707964",
        },
    ),
    InternalUse(
        used_in="voicechat/upstream/probe.py",
        used_for="Address and proxy of the server, as websockets reads them.",
        lost_when_skipped="Nothing steps back: /health has no check of the server.",
        relied_on={
            "websockets.uri:get_proxy": "28d08a2561cf1ce3",
            "websockets.uri:parse_uri": "b6e0ac4fe7052a06",
        },
    ),
)
