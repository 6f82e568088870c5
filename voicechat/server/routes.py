"""HTTP routes and WebSocket endpoints beside the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.routing import APIRoute
from starlette.websockets import WebSocket

from voicechat import TITLE, VERSION
from voicechat.config.session_update import SessionMode
from voicechat.gateway.gateway import RealtimeGateway
from voicechat.security.route_access import WEBSOCKET_METHOD, RouteAccess, RouteRule

from .prometheus import METRICS_CONTENT_TYPE

WEBSOCKET_ROUTES = {
    "/realtime-voice": SessionMode.VOICE,
    "/text-chat": SessionMode.TEXT,
    "/v1/realtime": SessionMode.VOICE,  # where the official client looks, given `base_url="http://HOST:PORT/v1"`
}
ROUTE_RULES = (
    RouteRule("GET", "/health", RouteAccess.PUBLIC),
    RouteRule("HEAD", "/health", RouteAccess.PUBLIC),
    RouteRule("GET", "/docs", RouteAccess.PAGE),
    RouteRule("GET", "/openapi.json", RouteAccess.ASSET),
    RouteRule("GET", "/metrics", RouteAccess.API),
    *(RouteRule(WEBSOCKET_METHOD, path, RouteAccess.API) for path in WEBSOCKET_ROUTES),
)


@dataclass(frozen=True, slots=True)
class Health:
    """The body of `GET /health`."""

    status: str
    """ok, loading (the embedded server's models), failed (they are missing), unreachable (another server), or draining
    (the app ends and takes nobody any more)."""
    server: str
    """Which kind of Realtime server answers calls: offline, openai or custom."""
    model: str
    """"" when the server chooses."""
    calls: int
    """Voice calls open now: on the page, and programs at /realtime-voice and /v1/realtime."""
    chats: int
    """Text chats open now: on the page, and programs at /text-chat."""
    uptime_s: float
    """Seconds since the app was started."""
    version: str
    detail: str = ""
    """With any status but "ok": one sentence why."""


def build_router(
    health: Callable[[], Awaitable[Health]], gateway: RealtimeGateway, render_metrics: Callable[[], bytes] | None = None
) -> APIRouter:
    """The routes; `health` is asked on every request. Without `figures`, for Prometheus, there is no /metrics."""
    router = APIRouter()

    @router.get(
        "/health",
        summary="Is the app ready for conversations?",
        response_model=Health,
        responses={503: {"description": "Not now; `detail` says why", "model": Health}},
    )
    async def get_health() -> JSONResponse:
        now = await health()
        return JSONResponse(asdict(now), status_code=200 if now.status == "ok" else 503)

    # Monitors that only want to know whether there is service ask so.
    router.add_api_route("/health", get_health, methods=["HEAD"], include_in_schema=False)

    @router.get("/openapi.json", summary="These routes, as OpenAPI", response_model=dict[str, Any])
    async def get_openapi_json() -> JSONResponse:
        return JSONResponse(openapi_schema(router))

    @router.get("/docs", summary="These routes, for people", response_class=HTMLResponse)
    async def get_docs() -> str:
        return render_docs_page(router)

    if render_metrics is not None:

        @router.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse)
        async def get_metrics() -> Response:
            return Response(render_metrics(), media_type=METRICS_CONTENT_TYPE)

    for path, mode in WEBSOCKET_ROUTES.items():
        router.add_api_websocket_route(path, _websocket_endpoint(gateway, mode))
    return router


def _websocket_endpoint(gateway: RealtimeGateway, mode: SessionMode) -> Callable[[WebSocket], Awaitable[None]]:
    async def serve(websocket: WebSocket) -> None:
        await gateway.serve(websocket, mode)

    return serve


def openapi_schema(router: APIRouter) -> dict[str, Any]:
    """The HTTP routes as OpenAPI: ours only, however the app was started."""
    about = f"The page is at /. WebSocket endpoints, described in docs/protocol.md: {', '.join(WEBSOCKET_ROUTES)}."
    return get_openapi(title=TITLE, version=VERSION, description=about, routes=router.routes)


def render_docs_page(router: APIRouter) -> str:
    """The same as a page that needs nothing from any other host, as FastAPI's own does."""
    known = [(route.path, route.summary or "") for route in router.routes if isinstance(route, APIRoute)]
    rows = [  # the links are relative: a proxy may show all of this under a path of its own
        f'<li><a href="{path.lstrip("/") or "./"}">GET {path}</a> {summary}</li>'
        for path, summary in [("/", "The page"), *known]
    ]
    sockets = [f"<li>{path} ({mode.value})</li>" for path, mode in WEBSOCKET_ROUTES.items()]
    return (
        f'<!doctype html><meta charset="utf-8"><title>{TITLE}</title><h1>{TITLE} {VERSION}</h1>'
        f"<h2>HTTP</h2><ul>{''.join(rows)}</ul>"
        f"<h2>WebSocket, OpenAI Realtime protocol</h2><ul>{''.join(sockets)}</ul>"
    )
