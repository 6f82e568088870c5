"""Limits of the candidates of a peer, with real aioice connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aioice import Candidate, Connection, stun

from voicechat.transport.ice_limits import MAX_REMOTE_CANDIDATES, install_ice_limits

PEER_ADDRESSES = ["192.168.1.7", "10.0.0.7", "203.0.113.7", "100.64.0.7", "169.254.1.7", "2001:db8::7", "fd00::7"]
NO_PEER_ADDRESSES = [
    *("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"),
    *("0.0.0.0", "::", "224.0.0.251", "239.1.2.3", "ff02::fb", "240.0.0.1", "255.255.255.255"),
]


@pytest.fixture(autouse=True)
def limits() -> None:
    install_ice_limits()


def candidate(host: str = "192.0.2.7", port: int = 5000) -> Candidate:
    return Candidate("1", 1, "udp", 1, host, port, "host")


@asynccontextmanager
async def gathered(*, controlling: bool = False) -> AsyncIterator[Connection]:
    connection = Connection(ice_controlling=controlling)
    await connection.gather_candidates()
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("host", PEER_ADDRESSES)
async def test_address_of_a_peer_is_kept(host: str) -> None:
    async with gathered() as connection:
        await connection.add_remote_candidate(candidate(host))
        assert [each.host for each in connection.remote_candidates] == [host]


@pytest.mark.parametrize("host", NO_PEER_ADDRESSES)
async def test_address_that_no_peer_has_gets_no_packet(host: str) -> None:
    async with gathered() as connection:
        await connection.add_remote_candidate(candidate(host))
        assert connection.remote_candidates == [] and connection._check_list == []


@pytest.mark.parametrize("port", [0, -1, 65_536, 10**12])
async def test_port_that_does_not_exist_gets_no_packet(port: int) -> None:
    async with gathered() as connection:
        await connection.add_remote_candidate(candidate(port=port))
        assert connection.remote_candidates == []


async def test_candidates_above_the_limit_are_ignored() -> None:
    async with gathered() as connection:
        for number in range(MAX_REMOTE_CANDIDATES + 50):
            await connection.add_remote_candidate(candidate(port=5000 + number))
        assert len(connection.remote_candidates) == MAX_REMOTE_CANDIDATES
        assert len(connection._check_list) <= MAX_REMOTE_CANDIDATES * len(connection._protocols)


def check_message() -> Any:
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    message.attributes["PRIORITY"] = 1
    return message


async def test_addresses_learned_from_checks_are_limited_and_known_ones_still_checked() -> None:
    async with gathered() as connection:
        connection.remote_username, connection.remote_password = "abcd", "p" * 24
        protocol = connection._protocols[0]
        host = "192.0.2.7" if ":" not in protocol.local_candidate.host else "2001:db8::7"
        for number in range(MAX_REMOTE_CANDIDATES + 50):
            connection.check_incoming(check_message(), (host, 5000 + number), protocol)
        assert len(connection.remote_candidates) == len(connection._check_list) == MAX_REMOTE_CANDIDATES
        nominating = check_message()
        nominating.attributes["USE-CANDIDATE"] = None
        connection.check_incoming(nominating, (host, 5000), protocol)
        assert [pair.remote_addr[1] for pair in connection._check_list if pair.remote_nominated] == [5000]


async def test_two_peers_with_as_many_candidates_as_allowed_connect() -> None:
    async with gathered(controlling=True) as browser, gathered() as server:
        for number in range(MAX_REMOTE_CANDIDATES - len(browser.local_candidates)):
            await server.add_remote_candidate(candidate(port=5000 + number))
        for one, other in ((browser, server), (server, browser)):
            one.remote_username, one.remote_password = other.local_username, other.local_password
            for each in other.local_candidates:
                await one.add_remote_candidate(each)
            await one.add_remote_candidate(None)
        async with asyncio.timeout(20):
            await asyncio.gather(browser.connect(), server.connect())
        await browser.send(b"hello")
        assert await server.recv() == b"hello"
