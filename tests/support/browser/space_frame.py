"""Frame of a Space: a stand-in for Hugging Face's page, which shows an app from another site in a frame, over TLS.

The browser resolves both sites to one local TLS server. It answers for the outer page, and passes everything else on to
the app, as the proxy of a Space does.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Browser, Frame

from .browser_page import BrowserPage
from .page_scripts import CALL_BUTTON, FAKE_AUDIO_DEVICES_SCRIPT

OUTER_HOST, SPACE_HOST = "huggingface.co", "someone-voice.hf.space"
SHARE_HOST = "0123456789abcdef.gradio.live"
VISITOR_ADDRESS = "203.0.113.7"
SPACE_ENVIRONMENT = {
    "SYSTEM": "spaces",
    "SPACE_ID": "someone/voice",
    "SPACE_HOST": SPACE_HOST,
    "SPACE_AUTHOR_NAME": "someone",
    "SPACE_REPO_NAME": "voice",
    "GRADIO_SERVER_NAME": "0.0.0.0",
    "GRADIO_THEME": "huggingface",
    "GRADIO_ALLOW_FLAGGING": "never",
    "GRADIO_NUM_PORTS": "1",
    "HOST": "",
}
"""Environment of a Gradio Space."""

ALLOWED_FEATURES = (
    "accelerometer; autoplay; camera; clipboard-read; clipboard-write; display-capture; encrypted-media; fullscreen; "
    "geolocation; gyroscope; magnetometer; microphone; midi; payment; picture-in-picture; usb"
)
"""Features that the outer page allows its frame. Hugging Face's page does not allow `screen-wake-lock`."""
SANDBOX = (
    "allow-downloads allow-forms allow-modals allow-pointer-lock allow-popups allow-popups-to-escape-sandbox "
    "allow-same-origin allow-scripts allow-storage-access-by-user-activation"
)
OUTER_PAGE = f"""<!doctype html><html lang="en"><title>Spaces</title>
<style>html, body {{ height: 100%; margin: 0; }} body {{ display: flex; flex-direction: column; }}
header {{ flex: none; height: 60px; background: #fff; }} iframe {{ flex: 1; width: 100%; border: 0; }}</style>
<header>Spaces</header>
<iframe title="app" scrolling="no" allow="{ALLOWED_FEATURES}" sandbox="{SANDBOX}"
 src="https://{SPACE_HOST}/?__theme=light&__sign=abc"></iframe>"""
"""Fills the window below its header. The frame itself does not scroll: Hugging Face resizes it to its content instead,
but only where the content asks for it."""


def _create_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, *form) + certificate.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(pem)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


class _SpaceProxy:
    """Answers one request for each connection: with the outer page, or with the app's response."""

    def __init__(self, app_port: int) -> None:
        self._app_port = app_port
        self._tasks: set[asyncio.Future[None]] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            lines = (await reader.readuntil(b"\r\n\r\n")).rstrip().split(b"\r\n")
            fields = {line.partition(b":")[0].lower(): line.partition(b":")[2].strip() for line in lines[1:]}
            if fields.get(b"host") == OUTER_HOST.encode():
                writer.write(_outer_response(is_page=lines[0].startswith(b"GET / ")))  # it also asks for an icon
                await writer.drain()
            else:
                await self._forward(lines, b"upgrade" in fields, reader, writer)
        writer.close()

    def start_handling(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a connection in a task of its own."""
        self._tasks.add(task := asyncio.ensure_future(self.handle(reader, writer)))
        task.add_done_callback(self._tasks.discard)

    async def _forward(
        self, lines: list[bytes], is_websocket: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines += [b"X-Forwarded-Proto: https", f"X-Forwarded-For: {VISITOR_ADDRESS}".encode()]
        if not is_websocket:  # every other connection ends after its response
            lines = [line for line in lines if not line.lower().startswith(b"connection:")] + [b"Connection: close"]
        app_reader, app_writer = await asyncio.open_connection("127.0.0.1", self._app_port)
        app_writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        copies = {asyncio.ensure_future(_copy(reader, app_writer)), asyncio.ensure_future(_copy(app_reader, writer))}
        _, unfinished = await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        for copy in unfinished:
            copy.cancel()
        app_writer.close()


def _outer_response(*, is_page: bool) -> bytes:
    body = OUTER_PAGE.encode() if is_page else b""
    status = "200 OK" if is_page else "204 No Content"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _cancel_other_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def running_outer_page(folder: Path, app_url: str) -> Iterator[str]:
    """Serve the outer page and the app; yield the browser's flag that resolves their hosts to this server."""
    _create_certificate(folder / "certificate.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "certificate.pem")
    proxy = _SpaceProxy(int(app_url.rpartition(":")[2]))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)  # Playwright's own loop runs in the main thread
    thread.start()
    starting = asyncio.start_server(proxy.start_handling, "127.0.0.1", 0, ssl=tls)
    server = asyncio.run_coroutine_threadsafe(starting, loop).result(10)
    here = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    mapped = ", ".join(f"MAP {host} {here}" for host in (OUTER_HOST, SPACE_HOST, SHARE_HOST))
    yield f"--host-resolver-rules={mapped}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    asyncio.run_coroutine_threadsafe(_cancel_other_tasks(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class FramedPage(BrowserPage):
    """Drives the page in a frame of the outer page. `page` is the frame: it has the methods of a page."""

    def __init__(self, browser: Browser, *, before: str = "", size: tuple[int, int] = (1000, 860)) -> None:
        width, height = size
        self.context = browser.new_context(
            locale="en-US", viewport={"width": width, "height": height}, ignore_https_errors=True
        )
        self.outer = self.context.new_page()
        self.errors: list[str] = []
        self.outer.on("pageerror", lambda error: self.errors.append(str(error)))
        self.outer.add_init_script(before + FAKE_AUDIO_DEVICES_SCRIPT)
        self.outer.goto(f"https://{OUTER_HOST}/", wait_until="domcontentloaded")
        frame = self.outer.locator("iframe").element_handle().content_frame()
        assert isinstance(frame, Frame)
        self.page = frame  # type: ignore[assignment]
        self.page.wait_for_selector(CALL_BUTTON)
        self.page.evaluate("caller.ready")
