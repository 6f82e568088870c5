"""Picture routes: upload of one picture, its way back to the page that shows it, and its removal before it is sent.

    POST /voice-image            the file as the body; 201 with {"name", "width", "height"}
    GET /voice-image/{name}      the file, for the browser that uploaded it
    DELETE /voice-image/{name}   erase it before it is sent; always 204

The browser has drawn the picture again, which drops its metadata. Nothing relies on that: the file is checked here, and
its metadata cut.
"""

from __future__ import annotations

import logging
import math

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from voicechat.pictures.image_file import parse_image
from voicechat.security.middleware.context import find_session_owner
from voicechat.security.middleware.request_body import read_body
from voicechat.security.route_access import RouteAccess, RouteRule, path_with_token
from voicechat.session.picture_store import PictureStore

log = logging.getLogger(__name__)

PATH = "/voice-image"
ROUTE_RULES = (
    RouteRule("POST", PATH, RouteAccess.ASSET),
    RouteRule("GET", path_with_token(PATH), RouteAccess.ASSET),
    RouteRule("DELETE", path_with_token(PATH), RouteAccess.ASSET),
)
NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class PictureRoutes:
    """All three routes. Without `is_enabled` they answer 404."""

    def __init__(self, store: PictureStore, max_bytes: int, *, is_enabled: bool) -> None:
        """`max_bytes`: of one picture."""
        self._store = store
        self._max_bytes = max_bytes
        self._is_enabled = is_enabled

    def add_to(self, router: APIRouter) -> None:
        """Add the routes. They are internal to the page, so the API schema does not list them."""
        router.add_route(PATH, self._upload, methods=["POST"], include_in_schema=False)
        router.add_route(f"{PATH}/{{name}}", self._show, methods=["GET"], include_in_schema=False)
        router.add_route(f"{PATH}/{{name}}", self._discard, methods=["DELETE"], include_in_schema=False)

    async def _upload(self, request: Request) -> Response:
        if not self._is_enabled:
            return _refuse(404, "off")
        owner = find_session_owner(request)
        if wait_s := self._store.try_upload(owner):
            return _refuse(429, "too_many", {"Retry-After": str(math.ceil(wait_s))})
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            return _refuse(413, "too_large")
        body = await read_body(request.receive, self._max_bytes)
        if body is None:
            return _refuse(413, "too_large")
        image = parse_image(body)
        if image is None:
            return _refuse(415, "not_an_image")
        view = self._store.put(owner, image).view
        log.info("picture: uploaded width=%d height=%d bytes=%d", view.width, view.height, len(image.content))
        answer = {"name": view.name, "width": view.width, "height": view.height}
        return JSONResponse(answer, status_code=201, headers=NO_STORE)

    async def _show(self, request: Request) -> Response:
        picture = self._store.get(find_session_owner(request), request.path_params["name"])
        if picture is None or picture.image is None:
            return _refuse(404, "not_found")
        return Response(picture.image.content, media_type=picture.image.media_type, headers=NO_STORE)

    async def _discard(self, request: Request) -> Response:
        self._store.discard(find_session_owner(request), [request.path_params["name"]])
        return Response(status_code=204, headers=NO_STORE)


def _refuse(status: int, code: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": code}, status_code=status, headers={**NO_STORE, **(headers or {})})
