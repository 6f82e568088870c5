"""HTTP routes and WebSocket endpoints beside the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.routing import APIRoute
from starlette.websockets import WebSocket

from voicechat import TITLE, VERSION
from voicechat.config.session_update import SessionMode
from voicechat.gateway.gateway import RealtimeGateway
from voicechat.limits.admission import AdmissionKind
from voicechat.security.route_access import WEBSOCKET_METHOD, RouteAccess, RouteRule

from .prometheus import METRICS_CONTENT_TYPE
from .shared_services import SharedStateStatus, SlotUse

WEBSOCKET_ROUTES = {
    "/realtime-voice": SessionMode.VOICE,
    "/text-chat": SessionMode.TEXT,
    "/v1/realtime": SessionMode.VOICE,  # address of the official client with `base_url="http://HOST:PORT/v1"`
}
ROUTE_RULES = (
    RouteRule("GET", "/health", RouteAccess.PUBLIC),
    RouteRule("GET", "/docs", RouteAccess.PAGE),
    RouteRule("GET", "/openapi.json", RouteAccess.ASSET),
    RouteRule("GET", "/metrics", RouteAccess.API),
    *(RouteRule(WEBSOCKET_METHOD, path, RouteAccess.API) for path in WEBSOCKET_ROUTES),
)


@dataclass(frozen=True, slots=True)
class Health:
    """The body of `GET /health`."""

    status: str
    """ok, loading (the embedded server's models), failed (its models are missing), unreachable (another server), or
    draining (the app is shutting down)."""
    server: str
    """Kind of the Realtime server: offline, openai or custom."""
    model: str
    """Model name; "" when the server chooses."""
    calls: int
    """Open voice calls: on the page, and of programs at /realtime-voice and /v1/realtime."""
    chats: int
    """Open text chats: on the page, and of programs at /text-chat."""
    uptime_s: float
    """Seconds since the start of the app."""
    version: str
    detail: str = ""
    """One sentence with the reason of any status but "ok"."""
    replica: str = ""
    """Random name of this process."""
    shared_state: SharedStateStatus = SharedStateStatus.MEMORY
    """Whether Redis answers; "memory" without `REDIS_URL`."""
    replicas: int = 1
    """Processes that share their slots, as far as this one knows."""
    slots: dict[AdmissionKind, SlotUse] = field(default_factory=dict)
    """Slots taken by kind of session: here, at all replicas, and the limit."""
    waiting: SlotUse = field(default_factory=lambda: SlotUse(0, 0, 0))
    """Visitors in the waiting queue."""


def build_router(
    health: Callable[[], Awaitable[Health]], gateway: RealtimeGateway, render_metrics: Callable[[], bytes] | None = None
) -> APIRouter:
    """Return the router. `health` is called on every request. Without `render_metrics` there is no /metrics."""
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

    @router.get("/openapi.json", summary="These routes, as OpenAPI", response_model=dict[str, Any])
    async def get_openapi_json() -> JSONResponse:
        return JSONResponse(openapi_schema(router))

    @router.get("/docs", summary="These routes, for people", response_class=HTMLResponse)
    async def get_docs() -> str:
        return render_docs_page(router)

    if render_metrics is not None:

        @router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
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
    """Return our HTTP routes as OpenAPI, without Gradio's."""
    about = f"The page is at /. WebSocket endpoints, described in docs/protocol.md: {', '.join(WEBSOCKET_ROUTES)}."
    return get_openapi(title=TITLE, version=VERSION, description=about, routes=router.routes)


def render_docs_page(router: APIRouter) -> str:
    """Return the routes as a page that loads nothing from other hosts, unlike FastAPI's."""
    known = [(route.path, route.summary or "") for route in router.routes if isinstance(route, APIRoute)]
    rows = [  # relative links work under a proxy's path too
        f'<li><a href="{path.lstrip("/") or "./"}">GET {path}</a> {summary}</li>'
        for path, summary in [("/", "The page"), *known]
    ]
    sockets = [f"<li>{path} ({mode.value})</li>" for path, mode in WEBSOCKET_ROUTES.items()]
    return (
        f'<!doctype html><meta charset="utf-8"><title>{TITLE}</title><h1>{TITLE} {VERSION}</h1>'
        f"<h2>HTTP</h2><ul>{''.join(rows)}</ul>"
        f"<h2>WebSocket, OpenAI Realtime protocol</h2><ul>{''.join(sockets)}</ul>"
    )
