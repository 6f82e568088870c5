"""Page responses: adds the Content-Security-Policy and the visitor cookie to HTML documents, and drops query strings.

References that the page does not use are removed from the documents: see document_references.py.

Documents are compressed here, after their policy is computed (see document_encoding.py).

The page and its assets need no query. Gradio would open a file that `deep_link` names.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voicechat.security.access_policy import AccessPolicy
from voicechat.security.client_identity import VISITOR_COOKIE, ClientIdentity
from voicechat.security.document_encoding import DocumentEncoder, accepts_gzip
from voicechat.security.document_references import insert_early_script, remove_unused_references
from voicechat.security.route_access import RouteAccess

from .context import get_context
from .responses import document_policy, format_cookie

VISITOR_COOKIE_MAX_AGE_S = 400 * 86_400
"""Seconds the visitor cookie lives: the longest that browsers allow."""


class PageMiddleware:
    """Handles requests for documents (`RouteAccess.PAGE`) and their assets."""

    def __init__(self, app: ASGIApp, access_policy: AccessPolicy) -> None:
        self._app = app
        self._access_policy = access_policy
        self._encoder = DocumentEncoder()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = get_context(scope)
        if scope["type"] == "http" and context.access in (RouteAccess.PAGE, RouteAccess.ASSET):
            scope = {**scope, "query_string": b""}
        if context.access is RouteAccess.PAGE:
            send = _DocumentSender(send, context.client, Headers(scope=scope), self._access_policy, self._encoder)
            # The policy contains hashes of the scripts, which are computed from the uncompressed document.
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        await self._app(scope, receive, send)


class _DocumentSender:
    """ASGI `send` that holds a document back until its policy is known."""

    def __init__(
        self,
        send: Send,
        client: ClientIdentity,
        headers: Headers,
        access_policy: AccessPolicy,
        encoder: DocumentEncoder,
    ) -> None:
        self._send = send
        self._client = client
        self._user_agent = headers.get("user-agent", "")
        self._accepts_gzip = accepts_gzip(headers.get("accept-encoding", ""))
        self._encoder = encoder
        self._access_policy = access_policy
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        start, self._start = self._start, None
        document = remove_unused_references(bytes(self._body))
        document = insert_early_script(document, self._access_policy.early_script)
        headers = MutableHeaders(scope=start)
        self._add_headers(headers, document)
        document = self._encode(headers, document)
        headers["Content-Length"] = str(len(document))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": document, "more_body": False})

    def _add_headers(self, headers: MutableHeaders, document: bytes) -> None:
        headers["Content-Security-Policy"] = document_policy(document, self._client, self._access_policy)
        headers["Cache-Control"] = "private, no-cache"  # a shared cache must not pass on this visitor's cookie
        if not self._client.visitor_cookie:
            visitor_id = self._access_policy.issue_visitor_id(self._client, self._user_agent)
            cookie = format_cookie(VISITOR_COOKIE, visitor_id, VISITOR_COOKIE_MAX_AGE_S, self._client)
            headers.append("set-cookie", cookie)

    def _encode(self, headers: MutableHeaders, document: bytes) -> bytes:
        """Return what is sent for a document, and add the headers that say so."""
        headers.add_vary_header("Accept-Encoding")
        if not document or not self._accepts_gzip or "content-encoding" in headers:
            return document
        headers["Content-Encoding"] = "gzip"
        return self._encoder.compress(document)
