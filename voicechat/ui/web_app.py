"""Web app: manifest and icons, with which a browser installs the page as an app. There is no offline cache of pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from voicechat import TITLE
from voicechat.security.route_access import RouteAccess, RouteRule

ICON_DIR = Path(__file__).resolve().parent / "static" / "icons"
ICONS = ("icon.svg", "icon-192.png", "icon-512.png", "maskable-512.png", "apple-touch-icon.png")
MANIFEST_PATH = "/app.webmanifest"
ICON_PATH = "/app-icons"
ROUTE_RULES = (
    RouteRule("GET", MANIFEST_PATH, RouteAccess.ASSET),
    *(RouteRule("GET", f"{ICON_PATH}/{name}", RouteAccess.ASSET) for name in ICONS),
)
HEAD_HTML = (
    f'<link rel="manifest" href="{MANIFEST_PATH[1:]}" crossorigin="use-credentials">'
    f'<link rel="icon" href="{ICON_PATH[1:]}/icon.svg" type="image/svg+xml">'
    f'<link rel="apple-touch-icon" href="{ICON_PATH[1:]}/apple-touch-icon.png">'
    '<meta name="theme-color" content="#f6f7fc">'
)
"""Links of the page's head. With credentials: the manifest too may need the login cookie."""
CACHE_HEADERS = {"Cache-Control": "public, max-age=86400"}


def build_manifest() -> dict[str, Any]:
    """Return the web app manifest. Its addresses are relative to it, so that the page may be below any path."""
    icons = ICON_PATH[1:]
    return {
        "name": TITLE,
        "short_name": "Voice Chat",
        "id": "./",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": "#f6f7fc",
        "theme_color": "#f6f7fc",
        "categories": ["productivity", "education", "utilities"],
        "icons": [
            {"src": f"{icons}/icon.svg", "type": "image/svg+xml", "sizes": "any"},
            {"src": f"{icons}/icon-192.png", "type": "image/png", "sizes": "192x192"},
            {"src": f"{icons}/icon-512.png", "type": "image/png", "sizes": "512x512"},
            {"src": f"{icons}/maskable-512.png", "type": "image/png", "sizes": "512x512", "purpose": "maskable"},
        ],
    }


def add_to(router: APIRouter) -> None:
    """Add the routes. They are part of the page, so the API schema does not list them."""

    async def get_manifest(_: Request) -> Response:
        return JSONResponse(build_manifest(), media_type="application/manifest+json", headers=CACHE_HEADERS)

    async def get_icon(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ICONS:
            return PlainTextResponse("Not Found", status_code=404)
        return FileResponse(ICON_DIR / name, headers=CACHE_HEADERS)

    router.add_route(MANIFEST_PATH, get_manifest, methods=["GET"], include_in_schema=False)
    router.add_route(f"{ICON_PATH}/{{name}}", get_icon, methods=["GET"], include_in_schema=False)
