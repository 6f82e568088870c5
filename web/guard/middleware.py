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

from realtime.guard_settings import origin
from webrtc_edge import where

from . import words
from .caller import PASSED, VISITOR, Caller, caller_of
from .doors import API, Door, door
from .headers import COMMON, inline_hashes, policy
from .login_page import Asked as Why
from .login_page import login_page
from .password import LIFE_S
from .porter import Porter
from .requests import MOST_BODY, MOST_OFFER, Asked, Malformed, asked_of, is_word, join_of
from .words import Refusal

log = logging.getLogger(__name__)

MOST_PASSWORD = 2000
"""Bytes of the form with the password."""
BODY_S = 20.0
"""For the whole of a body, seconds; a phone on a bad network takes one or two for the largest."""
VISITOR_S = 400 * 86_400
"""Of the visitor's cookie, seconds: as long as browsers keep any."""


class Guard:
    """Around a whole ASGI app. Several may share one `Porter`."""

    def __init__(self, app: ASGIApp, porter: Porter) -> None:
        self._app = app
        self._porter = porter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        await Visit(self._app, self._porter, scope, receive, send).serve()


class Visit:
    """One request."""

    def __init__(self, app: ASGIApp, porter: Porter, scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._porter = app, porter
        self._receive, self._raw_send = receive, send
        self._headers = Headers(scope=scope)
        self._caller = caller_of(scope, porter.settings.trusted_proxies)
        # The scope itself, no copy of it: the relay takes keys out of its query, which the server would log.
        self._scope = scope
        scope.setdefault("state", {})["visitor"] = self._caller.key
        self._started = False
        self._failed = False
        """The app has answered with an error of its own; the visitor gets a sentence."""
        self._document = bytearray()
        """Of a page that is being sent, for its policy."""
        self._start: Message | None = None

    @property
    def _path(self) -> str:
        path = str(self._scope["path"])
        root = str(self._scope.get("root_path") or "")
        return (path.removeprefix(root) or "/") if root and path.startswith(root) else path

    async def serve(self) -> None:
        """Let it through, or say why not."""
        web = self._scope["type"] == "websocket"
        found = door("WEBSOCKET" if web else self._scope["method"], self._path, self._porter.files)
        refusal = self._porter.refuses(found, self._caller, self._headers, self._scope.get("subprotocols", []))
        if refusal is None and self._porter.wants_password(found, self._caller):
            if found is Door.PAGE:
                await self._respond(self._login(Why.FIRST, 401))
                return
            refusal = words.PASSWORD
        if refusal is not None:
            await (self._refuse_socket(refusal) if web else self._respond(self._refusal(refusal, found)))
            return
        if web:
            await self._app(self._scope, self._receive, self._raw_send)
            return
        try:
            await self._pass_on(found)
        except Exception as error:
            log.error("A request to %s failed: %s", found.value, where(error))
            if self._started:
                raise
            self._failed = True
        if self._failed:
            await self._say(words.FAILED, found)

    # ---------------------------------------------------------------- by door

    async def _pass_on(self, found: Door) -> None:
        match found:
            case Door.LOGIN:
                await self._respond(await self._guessed())
            case Door.SESSION:
                await self._streamed()
            case Door.JOIN | Door.COMPONENT:
                await self._asked(found)
            case Door.PAGE:
                scope = _unasked(_without(self._scope, b"accept-encoding"))
                await self._app(scope, self._receive, self._send_document)
            case Door.PART:
                await self._app(_unasked(self._scope), self._receive, self._send)
            case _:
                await self._app(self._scope, self._receive, self._send)

    async def _streamed(self) -> None:
        """The session stands in the query, or as the last part of the path."""
        if self._path == f"{API}/queue/data":
            named = QueryParams(self._scope["query_string"]).getlist("session_hash")
        else:
            named = [self._path.rsplit("/", 1)[-1]]
        one = len(named) == 1 and is_word(named[0])  # of several, Gradio would read another than we
        refusal = self._porter.session(named[0], self._caller) if one else words.MALFORMED
        if refusal is not None:
            await self._respond(self._refusal(refusal, Door.SESSION))
            return
        await self._app(self._scope, self._receive, self._send)

    async def _asked(self, found: Door) -> None:
        """A body has to be read to know what is asked; Gradio then gets the same."""
        body = await self._body(MOST_OFFER if found is Door.COMPONENT else MOST_BODY)
        if body is None:
            await self._respond(self._refusal(words.TOO_LARGE, found))
            return
        asked: Asked | None = None
        try:
            if found is Door.JOIN:
                refusal = self._porter.join(join_of(body, self._porter.places), self._caller)
            else:
                asked = asked_of(body, self._porter.component)
                refusal = self._porter.asked(asked, self._caller)
        except Malformed as error:
            log.info("A malformed request: %s", error)
            refusal = words.MALFORMED
        if refusal is not None:
            await self._respond(self._refusal(refusal, found))
            return
        scope = _with(self._scope, b"content-type", b"application/json")
        if asked is None or not asked.offers:
            await self._app(scope, self._replaying(body), self._send)
            return
        await self._offered(asked.connection, scope, body)

    async def _offered(self, connection: str, scope: Scope, body: bytes) -> None:
        """Whatever becomes of an offer, its place is given back in time."""
        try:
            await self._app(scope, self._replaying(body), self._send)
        except Exception as error:  # aiortc raises whatever an SDP that makes no sense runs into
            log.info("An offer cannot be answered: %s", where(error))
            self._failed = True
        except BaseException:
            self._porter.offers.drop(connection)
            raise
        if not self._failed:
            self._porter.offers.answered(connection)
            return
        self._porter.offers.drop(connection)
        await self._say(words.MALFORMED, Door.COMPONENT)

    async def _guessed(self) -> Response:
        """The answer to a password."""
        password = self._porter.password
        if password is None:
            return self._refusal(words.NOT_HERE, Door.LOGIN)
        body = await self._body(MOST_PASSWORD)
        if body is None:
            return self._refusal(words.TOO_LARGE, Door.LOGIN)
        given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        right = password.guess(given, self._caller.key)
        if not right:
            log.warning("A wrong password was given%s.", "" if right is False else ", one of too many")
            return self._login(Why.WRONG, 401) if right is False else self._login(Why.SLOWER, 429)
        response = Response(status_code=303, headers={"Location": "./", "Cache-Control": "no-store"})
        response.headers.append("set-cookie", self._cookie(PASSED, password.cookie(), LIFE_S))
        return response

    # ---------------------------------------------------------------- bodies

    async def _body(self, most: int) -> bytes | None:
        """The whole body; None when it is too large. Empty when the client is gone, or takes too long over it."""
        body = bytearray()
        with suppress(TimeoutError):
            async with asyncio.timeout(BODY_S):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        break
                    body += message.get("body", b"")
                    if len(body) > most:
                        return None
                    if not message.get("more_body"):
                        return bytes(body)
        return b""

    def _replaying(self, body: bytes) -> Receive:
        """The body once more, for the app."""
        told = False

        async def receive() -> Message:
            nonlocal told
            if told:
                return await self._receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        return receive

    # ---------------------------------------------------------------- answers

    def _login(self, why: Why, status: int) -> Response:
        document = login_page(why, self._caller.chinese)
        headers = {"Content-Security-Policy": self._policy(document), "Cache-Control": "no-store"}
        return Response(document, status, headers, "text/html; charset=utf-8")

    def _refusal(self, refusal: Refusal, found: Door) -> Response:
        headers = {"Cache-Control": "no-store"}
        if found is Door.PROGRAM or found is Door.COMPONENT:
            return JSONResponse(_error(refusal), refusal.status, headers)
        return PlainTextResponse(refusal.sentence(self._caller.chinese), refusal.status, headers)

    async def _respond(self, response: Response) -> None:
        await response(self._scope, self._receive, self._send_on)

    async def _refuse_socket(self, refusal: Refusal) -> None:
        """Before it is accepted: the handshake gets an HTTP answer with the sentence, where the server can send one."""
        extensions = self._scope.get("extensions") or {}
        log.info("A web socket is refused: %s", refusal.code)
        if "websocket.http.response" not in extensions:
            await self._raw_send({"type": "websocket.close", "code": 1008, "reason": refusal.en[:120]})
            return
        response = JSONResponse(_error(refusal), refusal.status)
        start = {"type": "websocket.http.response.start", "status": refusal.status, "headers": response.raw_headers}
        await self._raw_send(start)
        await self._raw_send({"type": "websocket.http.response.body", "body": response.body, "more_body": False})

    async def _say(self, refusal: Refusal, found: Door) -> None:
        """In place of an answer that failed."""
        self._failed, self._start = False, None
        await self._respond(self._refusal(refusal, found))

    async def _send(self, message: Message) -> None:
        """The app's answer. An error of its own goes no further: Gradio runs its part in debug mode, where that is a
        traceback."""
        if message["type"] == "http.response.start":
            self._failed = message["status"] == 500
        if not self._failed:
            await self._send_on(message)

    async def _send_on(self, message: Message) -> None:
        """On its way out every answer gets the headers that all have."""
        if message["type"] == "http.response.start":
            self._started = True
            headers = MutableHeaders(scope=message)
            for name, value in COMMON.items():
                headers.setdefault(name, value)
        await self._raw_send(message)

    async def _send_document(self, message: Message) -> None:
        """A page is held back until its policy, which names the scripts in it, can go before it."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start is None:
            await self._send(message)
            return
        self._document += message.get("body", b"")
        if message.get("more_body"):
            return
        start, self._start = self._start, None
        headers = MutableHeaders(scope=start)
        headers["Content-Security-Policy"] = self._policy(bytes(self._document))
        headers["Cache-Control"] = "private, no-cache"  # nobody else may get this visitor's cookie from a cache
        if not self._caller.visitor:
            visitor = self._porter.visitor_for(self._caller, self._headers.get("user-agent", ""))
            headers.append("set-cookie", self._cookie(VISITOR, visitor, VISITOR_S))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": bytes(self._document), "more_body": False})

    def _policy(self, document: bytes) -> str:
        scripts = (*inline_hashes(document), *self._porter.scripts)
        return policy(scripts, _hosts(self._caller), self._porter.settings.frame_ancestors)

    def _cookie(self, name: str, value: str, life_s: int) -> str:
        # In a frame of another site (a Space is one) a cookie has to be a third party's, kept apart for that site.
        site = "SameSite=None; Secure; Partitioned" if self._caller.https else "SameSite=Lax"
        return f"{name}={value}; Path=/; Max-Age={life_s}; HttpOnly; {site}"


def _error(refusal: Refusal) -> dict[str, Any]:
    """As the protocol's own HTTP errors are, for programs."""
    return {
        "error": {"type": "invalid_request_error", "code": refusal.code, "message": refusal.en, "param": None},
        "status": "failed",
    }


def _hosts(caller: Caller) -> Iterable[str]:
    """Those that can stand in a policy."""
    for host in caller.hosts:
        try:
            yield origin(f"http://{host}").removeprefix("http://")
        except ValueError:
            continue


def _unasked(scope: Scope) -> Scope:
    """Without the query, of which the page's parts need nothing: Gradio would open a file that `deep_link` names."""
    return {**scope, "query_string": b""}


def _without(scope: Scope, name: bytes) -> Scope:
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != name]}


def _with(scope: Scope, name: bytes, value: bytes) -> Scope:
    return {**scope, "headers": [*_without(scope, name)["headers"], (name, value)]}
