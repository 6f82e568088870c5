"""HTTP routes beside the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from fastapi import APIRouter
from fastapi.responses import JSONResponse


@dataclass(frozen=True, slots=True)
class Health:
    """The body of `GET /health`."""

    status: str
    """ok, loading, or failed (the voice models are missing)."""
    server: str
    """Which kind of Realtime server answers calls: offline, openai or custom."""
    model: str
    calls: int
    """Voice calls open now."""
    version: str
    detail: str = ""
    """With any status but "ok": one sentence why."""


def routes(health: Callable[[], Health]) -> APIRouter:
    """The routes; `health` is asked on every request."""
    router = APIRouter()

    @router.get("/health", summary="Is the app ready for calls?", responses={503: {"description": "Not yet"}})
    async def get_health() -> JSONResponse:
        now = health()
        return JSONResponse(asdict(now), status_code=200 if now.status == "ok" else 503)

    return router
