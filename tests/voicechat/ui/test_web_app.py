"""Web app: a browser can install the page, below any path and behind the password."""

from __future__ import annotations

import re
import struct
from urllib.parse import urljoin

import httpx
import pytest

import app
from tests.support.app.protected_app import PASSWORD, ProtectedApp
from voicechat import TITLE
from voicechat.config.settings import Settings
from voicechat.server.application import build_asgi_app
from voicechat.ui.web_app import HEAD_HTML, ICON_DIR, ICONS, MANIFEST_PATH, build_manifest


def links() -> list[str]:
    return re.findall(r'href="([^"]+)"', HEAD_HTML)


def png_size(content: bytes) -> str:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return f"{width}x{height}"


async def fetch_everything(browser: httpx.AsyncClient, page_url: str) -> dict[str, httpx.Response]:
    """Return all that the page's links and the manifest name, by the address as a browser resolves it."""
    found = {url: await browser.get(url) for url in (urljoin(page_url, link) for link in links())}
    (manifest_url,) = [url for url in found if url.endswith(MANIFEST_PATH)]
    for icon in found[manifest_url].json()["icons"]:
        found.setdefault(url := urljoin(manifest_url, icon["src"]), await browser.get(url))
    return found


def test_manifest_has_what_chrome_needs_to_install_it() -> None:
    manifest = build_manifest()
    assert manifest["name"] == TITLE and 0 < len(manifest["short_name"]) <= 12
    assert manifest["display"] in ("standalone", "fullscreen", "minimal-ui")
    assert "prefer_related_applications" not in manifest
    icons = manifest["icons"]
    purposes = {(icon["sizes"], icon.get("purpose", "any")) for icon in icons}
    assert {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")} <= purposes
    assert urljoin("https://voice.example/deep/app.webmanifest", manifest["start_url"]) == "https://voice.example/deep/"
    assert manifest["scope"] == manifest["id"] == manifest["start_url"]


def test_no_address_is_absolute() -> None:
    addresses = [*links(), *(icon["src"] for icon in build_manifest()["icons"])]
    assert len(addresses) >= 7
    assert not [address for address in addresses if address.startswith("/") or ":" in address]


def test_icons_have_the_sizes_that_the_manifest_names() -> None:
    assert {path.name for path in ICON_DIR.iterdir()} == set(ICONS)
    for icon in build_manifest()["icons"]:
        if icon["type"] == "image/png":
            assert png_size((ICON_DIR / icon["src"].rpartition("/")[2]).read_bytes()) == icon["sizes"]
    assert png_size((ICON_DIR / "apple-touch-icon.png").read_bytes()) == "180x180"


async def test_manifest_and_icons_are_served() -> None:
    async with ProtectedApp().browser_client() as browser:
        found = await fetch_everything(browser, "http://voice.localhost/")
        types = {answer.headers["content-type"].split(";")[0] for answer in found.values()}
        unknown = await browser.get("/app-icons/../web_app.py"), await browser.get("/app-icons/unknown.png")
    assert {answer.status_code for answer in found.values()} == {200}
    assert types == {"application/manifest+json", "image/svg+xml", "image/png"}
    assert {answer.status_code for answer in unknown} == {404}


@pytest.mark.parametrize("forwarded_path", ["", "/voice"], ids=["proxy removes the path", "proxy keeps it"])
async def test_manifest_and_icons_are_served_below_a_path(forwarded_path: str) -> None:
    application = app.create_application(Settings(realtime_url="ws://127.0.0.1:9", root_path="/voice"))
    transport = httpx.ASGITransport(build_asgi_app(application), client=("127.0.0.1", 4711), root_path=forwarded_path)

    def strip(request: httpx.Request) -> None:
        assert request.url.path.startswith("/voice/"), "a link that leaves the page's path"

    async def strip_path(request: httpx.Request) -> None:
        strip(request)
        if not forwarded_path:
            request.url = request.url.copy_with(path=request.url.path.removeprefix("/voice"))

    async with httpx.AsyncClient(transport=transport, event_hooks={"request": [strip_path]}) as browser:
        found = await fetch_everything(browser, "http://localhost/voice/")
    assert {answer.status_code for answer in found.values()} == {200}


async def test_manifest_needs_the_login_cookie_and_is_fetched_with_it() -> None:
    assert 'crossorigin="use-credentials"' in next(
        link for link in re.findall("<link[^>]+>", HEAD_HTML) if "manifest" in link
    )
    async with ProtectedApp(app_password=PASSWORD).browser_client() as browser:
        assert (await browser.get(MANIFEST_PATH)).status_code == 401
        await browser.post("/login", data={"password": PASSWORD})
        found = await fetch_everything(browser, "http://voice.localhost/")
    assert {answer.status_code for answer in found.values()} == {200}


async def test_document_has_no_other_manifest() -> None:
    """A browser takes the first manifest of a document. Gradio has one of its own; ours is in `head=`, which is added
    in the browser."""
    async with ProtectedApp().browser_client() as browser:
        answer = await browser.get("/", headers={"Accept-Encoding": "identity"})
    document = answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert MANIFEST_PATH[1:] in document
    outside_scripts = re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
    assert "<link" in outside_scripts and "manifest" not in outside_scripts
