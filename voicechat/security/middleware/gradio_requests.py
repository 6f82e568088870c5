"""Gradio requests: lets a browser use its own Gradio sessions and WebRTC connections only, and bounds offers.

The session and the connection are named in the request's body or query. A body is read, checked, then replayed.
"""

from __future__ import annotations

import logging

from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from voicechat.logs import error_location
from voicechat.security import denials
from voicechat.security.access_policy import AccessPolicy
from voicechat.security.denials import Denial
from voicechat.security.gradio.queue_requests import (
    MAX_BODY_BYTES,
    MalformedRequest,
    is_valid_id,
    parse_component_call,
    parse_queue_join,
)
from voicechat.security.route_access import GRADIO_API_PREFIX, RouteAccess
from voicechat.security.sdp_limits import MAX_OFFER_BYTES, OfferTooLarge

from .context import RequestContext, get_context
from .errors import FailureFilter
from .request_body import read_body, replay_body
from .responses import send_denial

log = logging.getLogger(__name__)


class GradioRequestMiddleware:
    """Checks event streams, queue joins and component calls. Other requests pass unchanged."""

    def __init__(self, app: ASGIApp, access_policy: AccessPolicy) -> None:
        self._app = app
        self._access_policy = access_policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = get_context(scope)
        if context.access is RouteAccess.EVENT_STREAM:
            denial = self._check_event_stream(context, scope)
            await (send_denial(denial, scope, receive, send) if denial else self._app(scope, receive, send))
        elif context.access in (RouteAccess.QUEUE_JOIN, RouteAccess.COMPONENT_CALL):
            await self._serve_call(context, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check_event_stream(self, context: RequestContext, scope: Scope) -> Denial | None:
        """Check the session, which is named in the query or as the last part of the path."""
        if context.path == f"{GRADIO_API_PREFIX}/queue/data":
            names = QueryParams(scope["query_string"]).getlist("session_hash")
        else:
            names = [context.path.rsplit("/", 1)[-1]]
        if len(names) != 1 or not is_valid_id(names[0]):  # of several names Gradio reads the last
            return denials.MALFORMED_REQUEST
        return self._access_policy.check_session(names[0], context.client)

    async def _serve_call(self, context: RequestContext, scope: Scope, receive: Receive, send: Send) -> None:
        is_component_call = context.access is RouteAccess.COMPONENT_CALL
        body = await read_body(receive, MAX_OFFER_BYTES if is_component_call else MAX_BODY_BYTES)
        if body is None:
            await send_denial(denials.REQUEST_TOO_LARGE, scope, receive, send)
            return
        offered_connection_id = ""
        try:
            if is_component_call:
                call = parse_component_call(body, self._access_policy.component_id)
                denial = self._access_policy.check_component_call(call, context.client)
                offered_connection_id = call.connection_id if call.is_offer else ""
            else:
                join = parse_queue_join(body, self._access_policy.webrtc_input_indexes)
                denial = self._access_policy.check_queue_join(join, context.client)
        except MalformedRequest as error:
            log.info("gradio: malformed request reason=%r", str(error))
            denial = denials.MALFORMED_REQUEST
        except OfferTooLarge as error:
            log.info("gradio: offer refused reason=%r", str(error))
            denial = denials.OFFER_TOO_LARGE
        if denial is not None:
            await send_denial(denial, scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
        scope = {**scope, "headers": [*headers, (b"content-type", b"application/json")]}
        receive = replay_body(body, receive)
        if offered_connection_id:
            await self._serve_offer(offered_connection_id, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve_offer(self, connection_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an offer; release its reservation when it fails or never connects."""
        filtered_send = FailureFilter(send)
        try:
            await self._app(scope, receive, filtered_send)
        except Exception as error:  # aiortc raises various exceptions for an invalid SDP
            log.info("gradio: offer failed error=%s", error_location(error))
            filtered_send.failed = True
        except BaseException:
            self._access_policy.pending_offers.drop(connection_id)
            raise
        if not filtered_send.failed:
            self._access_policy.pending_offers.expect_connection(connection_id)
            return
        self._access_policy.pending_offers.drop(connection_id)
        await send_denial(denials.MALFORMED_REQUEST, scope, receive, send)
