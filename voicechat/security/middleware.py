"""The ASGI shell of the guard: reads requests, sends refusals, adds headers. What is decided is decided elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voicechat.config.security_settings import normalize_origin
from voicechat.logs import error_location
from voicechat.security.auth.login_page import LoginPrompt as Why
from voicechat.security.auth.login_page import render_login_page
from voicechat.security.auth.password_login import LOGIN_COOKIE_MAX_AGE_S
from voicechat.security.gradio.queue_requests import (
    MAX_BODY_BYTES,
    MAX_OFFER_BYTES,
    ComponentCall,
    MalformedRequest,
    is_valid_id,
    parse_component_call,
    parse_queue_join,
)

from . import denials
from .access_policy import AccessPolicy
from .client_identity import LOGIN_COOKIE, VISITOR_COOKIE, ClientIdentity, identify_client
from .denials import Denial
from .route_access import GRADIO_API_PREFIX, WEBSOCKET_METHOD, RouteAccess
from .security_headers import COMMON_HEADERS, content_security_policy, hash_inline_scripts

log = logging.getLogger(__name__)

MAX_LOGIN_BODY_BYTES = 2000
"""Bytes of the form with the password."""
BODY_TIMEOUT_S = 20.0
"""For the whole of a body, seconds; a phone on a bad network takes one or two for the largest."""
VISITOR_COOKIE_MAX_AGE_S = 400 * 86_400
"""Of the visitor's cookie, seconds: as long as browsers keep any."""


class Guard:
    """Around a whole ASGI app. Several may share one `AccessPolicy`."""

    def __init__(self, app: ASGIApp, access_policy: AccessPolicy) -> None:
        self._app = app
        self._access_policy = access_policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        await RequestGuard(self._app, self._access_policy, scope, receive, send).serve()


class RequestGuard:
    """One request."""

    def __init__(self, app: ASGIApp, access_policy: AccessPolicy, scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._access_policy = app, access_policy
        self._receive, self._raw_send = receive, send
        self._headers = Headers(scope=scope)
        self._client = identify_client(scope, access_policy.settings.trusted_proxies)
        # The scope itself, no copy of it: the relay takes keys out of its query, which the server would log.
        self._scope = scope
        scope.setdefault("state", {})["visitor"] = self._client.visitor_key
        self._response_started = False
        self._app_failed = False
        """The app has answered with an error of its own; the visitor gets a sentence."""
        self._held_body = bytearray()
        """Of a page that is being sent, for its policy."""
        self._held_start: Message | None = None

    @property
    def _path(self) -> str:
        path = str(self._scope["path"])
        root = str(self._scope.get("root_path") or "")
        return (path.removeprefix(root) or "/") if root and path.startswith(root) else path

    async def serve(self) -> None:
        """Let it through, or say why not."""
        web = self._scope["type"] == "websocket"
        found = self._access_policy.routes.classify(WEBSOCKET_METHOD if web else self._scope["method"], self._path)
        refusal = self._access_policy.check(found, self._client, self._headers, self._scope.get("subprotocols", []))
        if refusal is None and self._access_policy.requires_login(found, self._client):
            if found is RouteAccess.PAGE:
                await self._send_response(self._login_response(Why.INITIAL, 401))
                return
            refusal = denials.PASSWORD_REQUIRED
        if refusal is not None:
            await (self._deny_websocket(refusal) if web else self._send_response(self._denial_response(refusal, found)))
            return
        if web:
            await self._app(self._scope, self._receive, self._raw_send)
            return
        try:
            await self._dispatch(found)
        except Exception as error:
            log.error("A request to %s failed: %s", found.value, error_location(error))
            if self._response_started:
                raise
            self._app_failed = True
        if self._app_failed:
            await self._send_denial(denials.SERVER_ERROR, found)

    # ---------------------------------------------------------------- by door

    async def _dispatch(self, access: RouteAccess) -> None:
        match access:
            case RouteAccess.LOGIN:
                await self._send_response(await self._handle_login())
            case RouteAccess.EVENT_STREAM:
                await self._serve_event_stream()
            case RouteAccess.QUEUE_JOIN | RouteAccess.COMPONENT_CALL:
                await self._serve_gradio_call(access)
            case RouteAccess.PAGE:
                scope = _without_query(_without_header(self._scope, b"accept-encoding"))
                await self._app(scope, self._receive, self._send_page)
            case RouteAccess.ASSET:
                await self._app(_without_query(self._scope), self._receive, self._send_unless_failed)
            case _:
                await self._app(self._scope, self._receive, self._send_unless_failed)

    async def _serve_event_stream(self) -> None:
        """The session stands in the query, or as the last part of the path."""
        if self._path == f"{GRADIO_API_PREFIX}/queue/data":
            named = QueryParams(self._scope["query_string"]).getlist("session_hash")
        else:
            named = [self._path.rsplit("/", 1)[-1]]
        one = len(named) == 1 and is_valid_id(named[0])  # of several, Gradio would read another than we
        refusal = self._access_policy.check_session(named[0], self._client) if one else denials.MALFORMED_REQUEST
        if refusal is not None:
            await self._send_response(self._denial_response(refusal, RouteAccess.EVENT_STREAM))
            return
        await self._app(self._scope, self._receive, self._send_unless_failed)

    async def _serve_gradio_call(self, access: RouteAccess) -> None:
        """A body has to be read to know what is asked; Gradio then gets the same."""
        body = await self._read_body(MAX_OFFER_BYTES if access is RouteAccess.COMPONENT_CALL else MAX_BODY_BYTES)
        if body is None:
            await self._send_response(self._denial_response(denials.REQUEST_TOO_LARGE, access))
            return
        asked: ComponentCall | None = None
        try:
            if access is RouteAccess.QUEUE_JOIN:
                refusal = self._access_policy.check_queue_join(
                    parse_queue_join(body, self._access_policy.webrtc_input_indexes), self._client
                )
            else:
                asked = parse_component_call(body, self._access_policy.component_id)
                refusal = self._access_policy.check_component_call(asked, self._client)
        except MalformedRequest as error:
            log.info("A malformed request: %s", error)
            refusal = denials.MALFORMED_REQUEST
        if refusal is not None:
            await self._send_response(self._denial_response(refusal, access))
            return
        scope = _with_header(self._scope, b"content-type", b"application/json")
        if asked is None or not asked.is_offer:
            await self._app(scope, self._replay_body(body), self._send_unless_failed)
            return
        await self._serve_offer(asked.connection_id, scope, body)

    async def _serve_offer(self, connection_id: str, scope: Scope, body: bytes) -> None:
        """Whatever becomes of an offer, its place is given back in time."""
        try:
            await self._app(scope, self._replay_body(body), self._send_unless_failed)
        except Exception as error:  # aiortc raises whatever an SDP that makes no sense runs into
            log.info("An offer cannot be answered: %s", error_location(error))
            self._app_failed = True
        except BaseException:
            self._access_policy.pending_offers.drop(connection_id)
            raise
        if not self._app_failed:
            self._access_policy.pending_offers.expect_connection(connection_id)
            return
        self._access_policy.pending_offers.drop(connection_id)
        await self._send_denial(denials.MALFORMED_REQUEST, RouteAccess.COMPONENT_CALL)

    async def _handle_login(self) -> Response:
        """The answer to a password."""
        password = self._access_policy.password_login
        if password is None:
            return self._denial_response(denials.NOT_FOUND, RouteAccess.LOGIN)
        body = await self._read_body(MAX_LOGIN_BODY_BYTES)
        if body is None:
            return self._denial_response(denials.REQUEST_TOO_LARGE, RouteAccess.LOGIN)
        given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        right = password.check_password(given, self._client.visitor_key)
        if not right:
            log.warning("A wrong password was given%s.", "" if right is False else ", one of too many")
            return (
                self._login_response(Why.WRONG_PASSWORD, 401)
                if right is False
                else self._login_response(Why.RATE_LIMITED, 429)
            )
        response = Response(status_code=303, headers={"Location": "./", "Cache-Control": "no-store"})
        response.headers.append(
            "set-cookie", self._format_cookie(LOGIN_COOKIE, password.issue_cookie(), LOGIN_COOKIE_MAX_AGE_S)
        )
        return response

    # ---------------------------------------------------------------- bodies

    async def _read_body(self, max_bytes: int) -> bytes | None:
        """The whole body; None when it is too large. Empty when the client is gone, or takes too long over it."""
        body = bytearray()
        with suppress(TimeoutError):
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        break
                    body += message.get("body", b"")
                    if len(body) > max_bytes:
                        return None
                    if not message.get("more_body"):
                        return bytes(body)
        return b""

    def _replay_body(self, body: bytes) -> Receive:
        """The body once more, for the app."""
        told = False

        async def replay() -> Message:
            nonlocal told
            if told:
                return await self._receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        return replay

    # ---------------------------------------------------------------- answers

    def _login_response(self, prompt: Why, status: int) -> Response:
        document = render_login_page(prompt, self._client.prefers_chinese)
        headers = {"Content-Security-Policy": self._content_security_policy(document), "Cache-Control": "no-store"}
        return Response(document, status, headers, "text/html; charset=utf-8")

    def _denial_response(self, denial: Denial, access: RouteAccess) -> Response:
        headers = {"Cache-Control": "no-store"}
        if access is RouteAccess.API or access is RouteAccess.COMPONENT_CALL:
            return JSONResponse(_error_body(denial), denial.status, headers)
        return PlainTextResponse(denial.message(self._client.prefers_chinese), denial.status, headers)

    async def _send_response(self, response: Response) -> None:
        await response(self._scope, self._receive, self._send_with_headers)

    async def _deny_websocket(self, denial: Denial) -> None:
        """Before it is accepted: the handshake gets an HTTP answer with the sentence, where the server can send one."""
        extensions = self._scope.get("extensions") or {}
        log.info("A web socket is refused: %s", denial.code)
        if "websocket.http.response" not in extensions:
            await self._raw_send({"type": "websocket.close", "code": 1008, "reason": denial.en[:120]})
            return
        response = JSONResponse(_error_body(denial), denial.status)
        start = {"type": "websocket.http.response.start", "status": denial.status, "headers": response.raw_headers}
        await self._raw_send(start)
        await self._raw_send({"type": "websocket.http.response.body", "body": response.body, "more_body": False})

    async def _send_denial(self, denial: Denial, access: RouteAccess) -> None:
        """In place of an answer that failed."""
        self._app_failed, self._held_start = False, None
        await self._send_response(self._denial_response(denial, access))

    async def _send_unless_failed(self, message: Message) -> None:
        """The app's answer. An error of its own goes no further: Gradio runs its part in debug mode, where that is a
        traceback."""
        if message["type"] == "http.response.start":
            self._app_failed = message["status"] == 500
        if not self._app_failed:
            await self._send_with_headers(message)

    async def _send_with_headers(self, message: Message) -> None:
        """On its way out every answer gets the headers that all have."""
        if message["type"] == "http.response.start":
            self._response_started = True
            headers = MutableHeaders(scope=message)
            for name, value in COMMON_HEADERS.items():
                headers.setdefault(name, value)
        await self._raw_send(message)

    async def _send_page(self, message: Message) -> None:
        """A page is held back until its policy, which names the scripts in it, can go before it."""
        if message["type"] == "http.response.start":
            self._held_start = message
            return
        if self._held_start is None:
            await self._send_unless_failed(message)
            return
        self._held_body += message.get("body", b"")
        if message.get("more_body"):
            return
        start, self._held_start = self._held_start, None
        headers = MutableHeaders(scope=start)
        headers["Content-Security-Policy"] = self._content_security_policy(bytes(self._held_body))
        headers["Cache-Control"] = "private, no-cache"  # nobody else may get this visitor's cookie from a cache
        if not self._client.visitor_cookie:
            visitor = self._access_policy.issue_visitor_id(self._client, self._headers.get("user-agent", ""))
            headers.append("set-cookie", self._format_cookie(VISITOR_COOKIE, visitor, VISITOR_COOKIE_MAX_AGE_S))
        await self._send_unless_failed(start)
        await self._send_unless_failed(
            {"type": "http.response.body", "body": bytes(self._held_body), "more_body": False}
        )

    def _content_security_policy(self, document: bytes) -> str:
        scripts = (*hash_inline_scripts(document), *self._access_policy.script_hashes)
        return content_security_policy(
            scripts, _valid_hosts(self._client), self._access_policy.settings.frame_ancestors
        )

    def _format_cookie(self, name: str, value: str, max_age_s: int) -> str:
        # In a frame of another site (a Space is one) a cookie has to be a third party's, kept apart for that site.
        site = "SameSite=None; Secure; Partitioned" if self._client.is_https else "SameSite=Lax"
        return f"{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; {site}"


def _error_body(denial: Denial) -> dict[str, Any]:
    """As the protocol's own HTTP errors are, for programs."""
    return {
        "error": {"type": "invalid_request_error", "code": denial.code, "message": denial.en, "param": None},
        "status": "failed",
    }


def _valid_hosts(client: ClientIdentity) -> Iterable[str]:
    """Those that can stand in a policy."""
    for host in client.hosts:
        try:
            yield normalize_origin(f"http://{host}").removeprefix("http://")
        except ValueError:
            continue


def _without_query(scope: Scope) -> Scope:
    """Without the query, of which the page's parts need nothing: Gradio would open a file that `deep_link` names."""
    return {**scope, "query_string": b""}


def _without_header(scope: Scope, name: bytes) -> Scope:
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != name]}


def _with_header(scope: Scope, name: bytes, value: bytes) -> Scope:
    return {**scope, "headers": [*_without_header(scope, name)["headers"], (name, value)]}
