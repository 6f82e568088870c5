"""Login: asks for the operator's password, checks it and sets the login cookie."""

from __future__ import annotations

import logging
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from voicechat.security import denials
from voicechat.security.access_policy import AccessPolicy
from voicechat.security.auth.login_page import LoginPrompt, render_login_page
from voicechat.security.auth.password_login import LOGIN_COOKIE_MAX_AGE_S
from voicechat.security.client_identity import LOGIN_COOKIE, ClientIdentity
from voicechat.security.route_access import RouteAccess

from .context import get_context
from .request_body import read_body
from .responses import document_policy, format_cookie, send_denial

log = logging.getLogger(__name__)

MAX_LOGIN_BODY_BYTES = 2000
"""Bytes of the posted login form."""


class LoginMiddleware:
    """Serves the login page and form; denies everything else that needs a login."""

    def __init__(self, app: ASGIApp, access_policy: AccessPolicy) -> None:
        self._app = app
        self._access_policy = access_policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = get_context(scope)
        if context.access is RouteAccess.LOGIN:
            await self._handle_form(scope, receive, send)
        elif not self._access_policy.requires_login(context.access, context.client):
            await self._app(scope, receive, send)
        elif context.access is RouteAccess.PAGE:
            await self._login_page(LoginPrompt.INITIAL, 401, context.client)(scope, receive, send)
        else:
            await send_denial(denials.PASSWORD_REQUIRED, scope, receive, send)

    async def _handle_form(self, scope: Scope, receive: Receive, send: Send) -> None:
        password_login = self._access_policy.password_login
        if password_login is None:
            await send_denial(denials.NOT_FOUND, scope, receive, send)
            return
        body = await read_body(receive, MAX_LOGIN_BODY_BYTES)
        if body is None:
            await send_denial(denials.REQUEST_TOO_LARGE, scope, receive, send)
            return
        client = get_context(scope).client
        password = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        is_correct = await password_login.check_password(password, client.visitor_key)
        if is_correct:
            response = Response(status_code=303, headers={"Location": "./", "Cache-Control": "no-store"})
            cookie = format_cookie(LOGIN_COOKIE, password_login.issue_cookie(), LOGIN_COOKIE_MAX_AGE_S, client)
            response.headers.append("set-cookie", cookie)
        elif is_correct is None:
            log.warning("login: refused reason=rate_limited")
            response = self._login_page(LoginPrompt.RATE_LIMITED, 429, client)
        else:
            log.warning("login: refused reason=wrong_password")
            response = self._login_page(LoginPrompt.WRONG_PASSWORD, 401, client)
        await response(scope, receive, send)

    def _login_page(self, prompt: LoginPrompt, status: int, client: ClientIdentity) -> Response:
        document = render_login_page(prompt, client.prefers_chinese)
        policy = document_policy(document, client, self._access_policy)
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        return Response(document, status, headers, "text/html; charset=utf-8")
