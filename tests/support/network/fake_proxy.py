"""Fake proxy: HTTP, SOCKS5 and SOCKS4 on one port, as desktop proxies offer them. It records what it was asked for."""

from __future__ import annotations

import asyncio
import base64
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import urlsplit

import pytest

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


class ProxyBehaviour(Enum):
    """What the proxy does with a request that it understood."""

    FORWARD = auto()
    REFUSE = auto()
    """Answers with `status` over HTTP, with "not allowed by ruleset" over SOCKS5, with "rejected" over SOCKS4."""
    CLOSE = auto()
    HANG = auto()
    GARBAGE = auto()
    """Answers in no protocol."""


@dataclass(frozen=True)
class ProxyRequest:
    """One request to the proxy."""

    protocol: str
    """"CONNECT", "GET", "SOCKS5" or "SOCKS4"."""
    host: str
    port: int
    login: str = ""
    """User and password with a colon between, decoded."""


@dataclass
class FakeProxy:
    """The proxy. Only it knows the names in `routes`, and forwards them to ports of this computer."""

    routes: dict[str, int] = field(default_factory=dict)
    behaviour: ProxyBehaviour = ProxyBehaviour.FORWARD
    status: int = 403
    login: str = ""
    """Required user and password; "" admits everyone."""
    port: int = 0
    requests: list[ProxyRequest] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def hosts(self) -> list[str]:
        """Return the requested hosts, in order."""
        return [request.host for request in self.requests]

    async def handle(self, reader: Reader, writer: Writer) -> None:
        """Serve one connection."""
        with suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(1)
            serve = {b"\x05": self._socks5, b"\x04": self._socks4}.get(first)
            if serve is not None:
                await serve(reader, writer)
            else:
                await self._http(first, reader, writer)
        writer.close()

    async def _http(self, first: bytes, reader: Reader, writer: Writer) -> None:
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        credentials = headers.get("proxy-authorization", "").removeprefix("Basic ")
        login = base64.b64decode(credentials).decode()
        self.requests.append(ProxyRequest(method, url.hostname or "", url.port or 80, login))
        if login != self.login and self.login:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        elif self.behaviour is ProxyBehaviour.REFUSE:
            writer.write(f"HTTP/1.1 {self.status} Refused\r\nContent-Length: 0\r\n\r\n".encode())
        elif await self._may_forward(writer):
            if method == "CONNECT":
                await self._forward(self.requests[-1], reader, writer, b"HTTP/1.1 200 Connected\r\n\r\n", b"")
            else:
                path = url.path + (f"?{url.query}" if url.query else "")
                kept = [line for line in lines if not line.lower().startswith("proxy-")]
                request = "\r\n".join([f"{method} {path} HTTP/1.1", *kept])
                await self._forward(self.requests[-1], reader, writer, b"", request.encode("latin-1"))

    async def _socks5(self, reader: Reader, writer: Writer) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        login = ""
        if b"\x02" in [bytes([method]) for method in methods] and self.login:
            writer.write(b"\x05\x02")
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            login = f"{user.decode()}:{password.decode()}"
            writer.write(b"\x01\x00" if login == self.login else b"\x01\x01")
        elif self.login:
            writer.write(b"\x05\xff")
        else:
            writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            family = socket.AF_INET if kind == 1 else socket.AF_INET6
            host = socket.inet_ntop(family, await reader.readexactly(4 if kind == 1 else 16))
        port = struct.unpack("!H", await reader.readexactly(2))[0]
        self.requests.append(ProxyRequest("SOCKS5", host, port, login))
        if self.behaviour is ProxyBehaviour.REFUSE:
            writer.write(b"\x05\x02\x00\x01" + bytes(6))
        elif await self._may_forward(writer):
            await self._forward(self.requests[-1], reader, writer, b"\x05\x00\x00\x01" + bytes(6), b"")

    async def _socks4(self, reader: Reader, writer: Writer) -> None:
        _, port, address = struct.unpack("!BH4s", await reader.readexactly(7))
        login = (await reader.readuntil(b"\0"))[:-1].decode()
        host = socket.inet_ntoa(address)
        if host.startswith("0.0.0."):
            host = (await reader.readuntil(b"\0"))[:-1].decode()
        self.requests.append(ProxyRequest("SOCKS4", host, port, login))
        if self.behaviour is ProxyBehaviour.REFUSE:
            writer.write(b"\x00\x5b" + bytes(6))
        elif await self._may_forward(writer):
            await self._forward(self.requests[-1], reader, writer, b"\x00\x5a" + bytes(6), b"")

    async def _may_forward(self, writer: Writer) -> bool:
        if self.behaviour is ProxyBehaviour.GARBAGE:
            writer.write(b"SSH-2.0-none\r\n\r\n" * 8)
        elif self.behaviour is ProxyBehaviour.HANG:
            await asyncio.Event().wait()
        return self.behaviour is ProxyBehaviour.FORWARD

    async def _forward(
        self, request: ProxyRequest, reader: Reader, writer: Writer, confirmation: bytes, head: bytes
    ) -> None:
        """Connect to the route of the requested host, and copy both directions until one side ends."""
        if request.host not in self.routes:
            failed = {"SOCKS5": b"\x05\x04\x00\x01" + bytes(6), "SOCKS4": b"\x00\x5b" + bytes(6)}
            writer.write(failed.get(request.protocol, b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"))
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.routes[request.host])
        writer.write(confirmation)
        there_writer.write(head)
        copies = {
            asyncio.ensure_future(_copy(reader, there_writer)),
            asyncio.ensure_future(_copy(there_reader, writer)),
        }
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        for copy in copies:
            copy.cancel()
        there_writer.close()


async def _copy(reader: Reader, writer: Writer) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


@contextmanager
def running_proxy(routes: dict[str, int] | None = None, login: str = "") -> Iterator[FakeProxy]:
    """Run a proxy in a thread of its own until the block ends."""
    proxy = FakeProxy(routes or {}, login=login)
    is_ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        is_ready.set()
        await stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert is_ready.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


NO_PROXIES = {
    variable: ""
    for name in ("http", "https", "all", "socks", "ws", "wss", "no")
    for variable in (f"{name}_proxy", f"{name}_proxy".upper())
}
"""Environment without proxies, to override a developer's own."""


def set_proxies(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Set the proxy variables of this process to `variables` alone. The end of the test restores all of them."""
    for name in NO_PROXIES:
        monkeypatch.setenv(name, "")  # recorded, so that one that the test's subject adds is removed too
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
