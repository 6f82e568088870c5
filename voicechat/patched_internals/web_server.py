"""Internals of Gradio, uvicorn and others that the app replaces or relies on."""

from __future__ import annotations

from .internal_use import InternalUse

_SANSIO = "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol"

WEB_SERVER_USES = (
    InternalUse(
        used_in="voicechat/gradio_import.py",
        used_for="Gradio's type stubs are left out. It happens in the import, before other patches.",
        lost_when_skipped="The app starts later, by almost half of the time of Gradio's import.",
        relied_on={
            "gradio.component_meta:create_or_modify_pyi": "cb30a62c1854e6cb",
            "gradio.component_meta:ComponentMeta.__new__": "2274be56e5b7757a",
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
        used_in="voicechat/server/gradio_patches/cross_origin.py",
        used_for="Gradio's middleware for cross-origin requests is left out: it allows every page.",
        lost_when_skipped="Other web pages can read what needs no login, such as /health.",
        replaced={
            "gradio.routes:CustomCORSMiddleware": "d98fa001b6f5db33",
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
        used_in="voicechat/server/gradio_patches/server_start.py",
        used_for="A server that takes longer than 5 s to listen is waited for. Gradio's reloader is left out.",
        lost_when_skipped="On a slow computer the app ends, as if its port were taken.",
        replaced={
            "gradio.http_server:Server.run_in_thread": "21f860b90cfdddc8",
        },
        relied_on={
            "gradio.exceptions:ServerFailedToStartError": "ebd49865dd797a62",
        },
    ),
    InternalUse(
        used_in="voicechat/server/gradio_patches/streaming_diffs.py",
        used_for="The newest output of an event that ended early is forgotten with it.",
        lost_when_skipped="Words of closed pages stay in memory. Rarely, a page shows nothing of a call.",
        replaced={
            "gradio.blocks:Blocks.process_api": "665a98437bf051be",
        },
        relied_on={
            "gradio.blocks:Blocks.handle_streaming_diffs": "1daa1ee4d00e9d82",
            "gradio.blocks:Blocks.handle_streaming_outputs": "61b37621f8e48c36",
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
        used_for="Events that arrive while an event stream closes are acknowledged later; those of a cut one go on.",
        lost_when_skipped="A call can show connecting to its end.",
        replaced={
            "gradio.queueing:Queue.push": "59682d6f43dbffa4",
            "gradio.queueing:Queue.clean_events": "04b04f7702feb68f",
            "gradio.routes:StreamingResponse": "ce1cd527315173f6",
        },
        relied_on={
            "gradio.queueing:Queue.pending_messages_per_session": "a1e7f73347bcb26a",
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
        used_in="voicechat/upstream/proxy_login.py",
        used_for="Percent-decoded login of a proxy.",
        lost_when_skipped="Proxies refuse passwords with special characters.",
        replaced={
            "websockets.asyncio.client:parse_proxy": "e9a312aee538c56c",
        },
    ),
)
