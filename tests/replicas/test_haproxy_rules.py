"""Rules of HAProxy in front of two fake replicas: stickiness, drain, what it refuses and what it logs."""

from __future__ import annotations

import os
import pwd
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from replicas.haproxy_config import CHROOT
from tests.support.network.certificates import make_server_context
from tests.support.scale.fake_replica import DRAINING, HEALTHY, STREAM_PATH, FakeReplica
from tests.support.scale.haproxy_process import HaproxyProcess, running_haproxy

CANARY = "canary4711"
MAX_EXCHANGES = 15
"""Most requests that are answered before the first part of a streamed answer which is not held back. The 200 ms of the
system's cork are long enough for many more."""


class Front:
    """HAProxy, its replicas, and visitors."""

    def __init__(self, proxy: HaproxyProcess, replicas: list[FakeReplica]) -> None:
        self.proxy, self.replicas = proxy, replicas

    def visitor(self) -> httpx.Client:
        """Return a browser without cookies."""
        return httpx.Client(base_url=self.proxy.url, trust_env=False, timeout=20)

    def requests(self) -> list[tuple[str, dict[str, str]]]:
        return [request for each in self.replicas for request in each.requests]

    def drain(self, name: str) -> FakeReplica:
        """Let a replica drain, wait until HAProxy knows it, and return the other one."""
        (drained,) = (each for each in self.replicas if each.name == name)
        (other,) = (each for each in self.replicas if each is not drained)
        drained.health = DRAINING
        self.proxy.wait_for_replicas(1)
        return other


@pytest.fixture(scope="module")
def running_front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    one, two = FakeReplica("one"), FakeReplica("two")
    with one.running(), two.running():
        folder = tmp_path_factory.mktemp("haproxy")
        with running_haproxy(folder, [one.address, two.address]) as proxy:
            yield Front(proxy, [one, two])


@pytest.fixture
def front(running_front: Front) -> Front:
    for each in running_front.replicas:
        each.health, each.refuses_programs = HEALTHY, False
        each.requests.clear()
    running_front.proxy.wait_for_replicas(2)
    return running_front


def test_visitor_stays_at_one_replica_and_visitors_are_spread(front: Front) -> None:
    names = []
    for _ in range(4):
        with front.visitor() as visitor:
            names.append(visitor.get("/").text)
            assert {visitor.get("/config").text for _ in range(3)} == {names[-1]}
    assert set(names) == {"one", "two"}


def exchanges_before_first_part(front: Front, visitor: httpx.Client) -> int:
    """Return how many requests are answered, one after the other, before the first part of a streamed answer comes."""
    received = threading.Event()
    for each in front.replicas:
        each.may_end_streams.clear()

    def read_stream() -> None:
        with visitor.stream("GET", STREAM_PATH) as answer:
            parts = answer.iter_text()
            assert next(parts) in {"one", "two"}
            received.set()
            assert list(parts) == []

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read_stream)
        exchanges = 0
        while not received.is_set() and not reading.done():
            visitor.get("/")
            exchanges += 1
        for each in front.replicas:
            each.may_end_streams.set()
        reading.result()
    return exchanges


def test_first_part_of_a_streamed_answer_is_not_held_back(front: Front) -> None:
    with front.visitor() as visitor:
        visitor.get("/")
        exchanges = [exchanges_before_first_part(front, visitor) for _ in range(3)]
    assert min(exchanges) < MAX_EXCHANGES


def test_draining_replica_keeps_its_visitors_and_gets_no_new_ones(front: Front) -> None:
    with front.visitor() as known:
        name = known.get("/").text
        other = front.drain(name)
        assert known.post("/gradio_api/queue/join").text == name
        for _ in range(3):
            with front.visitor() as new:
                assert new.get("/").text == other.name
        assert known.get("/").text == name


def test_page_that_asks_again_gets_another_replica_and_its_cookie(front: Front) -> None:
    with front.visitor() as visitor:
        visitor.cookies.set("voice_visitor", "abc", domain="127.0.0.1")
        name = visitor.get("/").text
        other = front.drain(name)
        asked = visitor.get("/page-connection?again=1")
        assert (asked.text, "set-cookie" in asked.headers) == (other.name, False)
        assert visitor.get("/page-connection").text == name
        assert visitor.get("/?again=1").text == other.name
        assert visitor.get("/config").text == other.name
        assert "voice_visitor=abc" in other.requests[-1][1]["cookie"]
        assert "voice_replica" not in other.requests[-1][1]["cookie"], "the cookie is HAProxy's own"


@pytest.mark.parametrize("site", ["same-origin", None])
def test_own_page_that_opens_again_leaves_its_replica(front: Front, site: str | None) -> None:
    headers = {"Sec-Fetch-Site": site} if site else {}
    with front.visitor() as visitor:
        other = front.drain(visitor.get("/").text)
        assert visitor.get("/?again=1", headers=headers).text == other.name


@pytest.mark.parametrize("address", ["/?again=1", "/?again", "/?x=1&again=1"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_link_of_another_site_and_typed_address_keep_the_replica(front: Front, site: str, address: str) -> None:
    with front.visitor() as visitor:
        name = visitor.get("/").text
        front.drain(name)  # else the new choice may be the same one
        assert visitor.get(address, headers={"Sec-Fetch-Site": site}).text == name
        assert visitor.get("/config").text == name


def test_health_counts_the_replicas_that_take_visitors(front: Front) -> None:
    with front.visitor() as visitor:
        assert visitor.get("/health").json() == {"status": "ok", "replicas": 2}
        front.replicas[0].health = '{"status": "unreachable"}'  # the page explains it
        front.drain("two")
        assert visitor.get("/health").json() == {"status": "ok", "replicas": 1}
        front.replicas[0].health = DRAINING
        front.proxy.wait_for_replicas(0)
        refused = visitor.get("/health")
        assert (refused.status_code, refused.json()) == (503, {"status": "no replica"})


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/%6Detrics", "/metric%73?x=1", "/voice/metrics"])
def test_metrics_of_a_random_replica_are_not_served(front: Front, path: str) -> None:
    with front.visitor() as visitor:
        assert visitor.get(path).status_code == 404
    assert front.requests() == []


def test_forged_headers_do_not_reach_a_replica(front: Front) -> None:
    names = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Voice-Replicas")
    with front.visitor() as visitor:
        visitor.get("/", headers=dict.fromkeys(names, CANARY))
        visitor.get("/v1/realtime", headers=dict.fromkeys(names, CANARY))
    (_, page), (_, program) = sorted(front.requests())
    for received in (page, program):
        assert received["x-forwarded-for"] == "127.0.0.1"
        assert received["x-forwarded-proto"] == "http"
        assert CANARY not in str(received)
    assert "x-voice-replicas" not in page and program["x-voice-replicas"] == "2"


def test_program_that_a_replica_refuses_goes_to_the_other_one(front: Front) -> None:
    front.replicas[0].refuses_programs = True
    with front.visitor() as program:
        assert {program.get("/v1/realtime").text for _ in range(4)} == {"two"}
    assert front.replicas[0].requests, "it was asked first"


def test_log_has_no_query_and_no_token(front: Front) -> None:
    paths = ("/voice-socket", "/voice-export", "/voice-image", "/gradio_api/heartbeat", "/voice/voice-socket")
    with front.visitor() as visitor:
        for path in paths:
            assert visitor.get(f"{path}/{CANARY}", params={"api_key": CANARY}).status_code == 200
        visitor.get("/v1/realtime", params={"api_key": CANARY})
    assert sum(CANARY in path for path, _ in front.requests()) == len(paths) + 1, "the replicas get everything"
    log = front.proxy.log_path.read_text()
    assert all(f" GET {path}/_\n" in log for path in paths) and " GET /v1/realtime\n" in log
    assert CANARY not in log


def test_logins_of_one_address_are_limited(front: Front) -> None:
    with front.visitor() as visitor:
        allowed = [visitor.post(path).status_code for path in ["/login", "/log%69n"] * 6]
        assert allowed == [200] * 12
        assert [visitor.post(path).status_code for path in ("/login", "/log%69n", "/login/")] == [429] * 3
        assert visitor.get("/").status_code == 200


def test_https_marks_the_cookie_as_secure_and_names_the_scheme(tmp_path: Path) -> None:
    pem = tmp_path / "voice.pem"
    make_server_context("voice.example", pem)
    with (
        FakeReplica("one").running() as replica,
        running_haproxy(tmp_path, [replica.address], certificate=str(pem)) as proxy,
        httpx.Client(base_url=proxy.url, verify=False, trust_env=False) as visitor,  # the certificate is self-signed
    ):
        proxy.wait_for_replicas(1)
        cookie = visitor.get("/").headers["set-cookie"]
        assert {"HttpOnly", "Secure", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
        assert replica.requests[0][1]["x-forwarded-proto"] == "https"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_haproxy_of_root_serves_as_its_user_with_a_certificate_of_root(tmp_path: Path) -> None:
    pem = tmp_path / "voice.pem"
    make_server_context("voice.example", pem)
    pem.chmod(0o400)
    account = pwd.getpwnam("haproxy")
    with (
        FakeReplica("one").running() as replica,
        running_haproxy(tmp_path, [replica.address], certificate=str(pem), user="haproxy") as proxy,
        httpx.Client(base_url=proxy.url, verify=False, trust_env=False) as visitor,  # the certificate is self-signed
    ):
        proxy.wait_for_replicas(1)
        process = Path(f"/proc/{proxy.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        ids = {name: set(status[name].split()) for name in ("Uid", "Gid", "CapEff")}
        assert ids == {"Uid": {str(account.pw_uid)}, "Gid": {str(account.pw_gid)}, "CapEff": {"0" * 16}}
        assert (process / "root").readlink() == Path(CHROOT)
        assert [visitor.get("/").text for _ in range(2)] == ["one", "one"]
        assert " GET /\n" in proxy.log_path.read_text(), "the log is open to the user"
