"""Picture routes: upload, checks, and who gets a picture back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

import app
from tests.support.pictures.image_files import SECRET_PLACE, jpeg, jpeg_with_metadata, opened
from voicechat.config.groups.image_settings import ImageMode, ImageSettings
from voicechat.config.settings import Settings
from voicechat.security.client_identity import VISITOR_COOKIE
from voicechat.server.application import build_asgi_app

ORIGIN = "http://voice.localhost"


def new_client(settings: Settings, cookie: str = "anna") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(build_asgi_app(app.create_application(settings)), client=("203.0.113.7", 4711))
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"Cookie": f"{VISITOR_COOKIE}={cookie}"})


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    async with new_client(Settings(realtime_url="ws://127.0.0.1:9")) as client:
        yield client


async def test_uploaded_picture_comes_back_without_metadata(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/voice-image", content=jpeg_with_metadata(320, 200))
    assert answer.status_code == 201
    assert (answer.json()["width"], answer.json()["height"]) == (320, 200)
    shown = await browser.get(f"/voice-image/{answer.json()['name']}")
    assert shown.status_code == 200
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["cache-control"] == "no-store"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert SECRET_PLACE not in shown.content
    assert opened(shown.content).size == (320, 200)


async def test_picture_is_hidden_from_another_browser(browser: httpx.AsyncClient) -> None:
    name = (await browser.post("/voice-image", content=jpeg())).json()["name"]
    other = await browser.get(f"/voice-image/{name}", headers={"Cookie": f"{VISITOR_COOKIE}=ben"})
    assert other.status_code == 404


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 415), (b"<svg onload=alert(1)/>", 415), (jpeg()[:200], 415), (jpeg() + bytes(400_000), 413)],
)
async def test_unfit_upload_is_refused(browser: httpx.AsyncClient, content: bytes, status: int) -> None:
    assert (await browser.post("/voice-image", content=content)).status_code == status


async def test_body_of_unknown_length_is_read_to_the_limit_only(browser: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(100_000)

    assert (await browser.post("/voice-image", content=endless())).status_code == 413


async def test_another_site_cannot_upload(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/voice-image", content=jpeg(), headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


async def test_uploads_are_rate_limited(browser: httpx.AsyncClient) -> None:
    statuses = [(await browser.post("/voice-image", content=jpeg())).status_code for _ in range(15)]
    assert statuses[:12] == [201] * 12
    assert 429 in statuses[12:]


async def test_deleted_draft_is_erased_for_its_owner_alone(browser: httpx.AsyncClient) -> None:
    path = f"/voice-image/{(await browser.post('/voice-image', content=jpeg())).json()['name']}"
    stranger = await browser.delete(path, headers={"Cookie": f"{VISITOR_COOKIE}=ben"})
    assert stranger.status_code == 204, "it does not say whether there is such a picture"
    assert (await browser.get(path)).status_code == 200
    assert (await browser.delete(path)).status_code == 204
    assert (await browser.get(path)).status_code == 404
    foreign = await browser.delete(path, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403


@pytest.mark.parametrize("mode", [ImageMode.AUTO, ImageMode.OFF])
async def test_camera_is_allowed_only_where_pictures_are(mode: ImageMode) -> None:
    settings = Settings(realtime_url="ws://127.0.0.1:9", pictures=ImageSettings(images=mode))
    is_off = mode is ImageMode.OFF
    async with new_client(settings) as client:
        policy = (await client.get("/health")).headers["permissions-policy"]
        assert ("camera=()" in policy) is is_off
        assert ("camera=(self)" in policy) is not is_off
        assert ((await client.post("/voice-image", content=jpeg())).status_code == 404) is is_off
