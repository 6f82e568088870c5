"""Forwarded headers: what a replica is sent about a visitor, directly and behind another proxy. With a real HAProxy.

What a visitor claims without another proxy is in `test_haproxy_rules.py`.
"""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.scale.fake_replica import FakeReplica
from tests.support.scale.haproxy_process import running_haproxy

CLAIM = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "voice.example"}


def forwarded_headers(folder: Path, trusted_proxies: list[str]) -> dict[str, str]:
    """Return the forwarded headers that a replica gets for a request with `CLAIM` from this computer."""
    replica = FakeReplica("one")
    with (
        replica.running(),
        running_haproxy(folder, [replica.address], trusted_proxies=trusted_proxies) as proxy,
        httpx.Client(base_url=proxy.url, trust_env=False) as visitor,
    ):
        proxy.wait_for_replicas(1)
        assert visitor.get("/", headers=CLAIM).text == "one"
    ((_, headers),) = replica.requests
    return {name: value for name, value in headers.items() if name.startswith("x-forwarded-")}


def test_computer_that_is_no_trusted_proxy_cannot_claim_an_address_or_a_scheme(tmp_path: Path) -> None:
    headers = forwarded_headers(tmp_path, ["10.0.0.0/8"])
    assert headers == {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"}


def test_trusted_proxy_in_front_keeps_what_it_says_of_its_visitor(tmp_path: Path) -> None:
    headers = forwarded_headers(tmp_path, ["10.0.0.0/8", "127.0.0.0/8"])
    assert headers == {
        "x-forwarded-for": "203.0.113.9, 127.0.0.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "voice.example",
    }
