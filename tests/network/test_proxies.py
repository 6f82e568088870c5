"""Proxy choice and normal form, over generated addresses, and the rewritten environment as other packages read it."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib import request
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.uri import parse_proxy as websockets_parse_proxy

from network import proxies
from network.hosts import is_loopback_host
from network.proxies import ProxySettingError, parse_proxy, prepare_environment, proxy_for
from tests.support.network.fake_proxy import set_proxies

PROXY = "http://192.0.2.1:3128"
URL_SCHEMES = ("http", "https", "ws", "wss")
EVERY_SCHEME = dict.fromkeys(("http", "https", "all", "socks", "ws", "wss"), PROXY)
SECRET = "hush-4711"


def httpx_proxy_of(url: str) -> bool:
    """Return whether a plain `httpx.Client`, such as Gradio's, uses a proxy for `url`."""
    with httpx.Client() as client:
        return client._transport_for_url(httpx.URL(url)) is not client._transport


# ---------------------------------------------------------------- choice


@given(
    st.one_of(
        st.ip_addresses(network="127.0.0.0/8").map(str),
        st.sampled_from(["[::1]", "localhost", "LOCALHOST", "localhost.", "a.localhost", "0.0.0.0", "[::]"]),
    ),
    st.sampled_from(URL_SCHEMES),
    st.integers(1, 65535),
)
def test_proxy_for_this_computer_is_none_whatever_is_set(host: str, scheme: str, port: int) -> None:
    assert proxy_for(f"{scheme}://{host}:{port}/path", EVERY_SCHEME) is None


@given(st.ip_addresses(v=4).filter(lambda address: not address.is_loopback and not address.is_unspecified))
@example(ipaddress.IPv4Address("192.168.1.5"))
def test_proxy_for_other_addresses_is_used_unless_excepted(address: ipaddress.IPv4Address) -> None:
    url = f"ws://{address}:9/"
    assert proxy_for(url, EVERY_SCHEME) is not None
    around = ipaddress.ip_network(f"{address}/12", strict=False)
    for exceptions in (str(address), f"{address}:9", str(around), "*", f"x.example, {address} "):
        assert proxy_for(url, {**EVERY_SCHEME, "no": exceptions}) is None
    assert proxy_for(url, {**EVERY_SCHEME, "no": f"{address}:8"}) is not None


@pytest.mark.parametrize(
    ("exception", "host", "is_direct"),
    [
        ("corp.example", "corp.example", True),
        ("corp.example", "ai.corp.example", True),
        (".corp.example", "ai.corp.example", True),
        ("*.corp.example", "ai.corp.example", True),
        ("CORP.example", "ai.corp.EXAMPLE", True),
        ("corp.example", "acorp.example", False),
        ("corp.example", "corp.example.net", False),
        ("fd00::/8", "[fd00::5]", True),
        ("[fd00::5]", "[fd00::5]", True),
        ("fd00::5", "[fd00::6]", False),
        ("10.0.0.0/8", "ten.example", False),
        (",, ,", "corp.example", False),
        ("][", "corp.example", False),
    ],
)
def test_exceptions_name_domains_and_networks(exception: str, host: str, is_direct: bool) -> None:
    assert (proxy_for(f"wss://{host}/v1", {**EVERY_SCHEME, "no": exception}) is None) is is_direct


@pytest.mark.parametrize(
    ("url", "names", "chosen"),
    [
        ("wss://a.example", ("wss", "socks", "https", "all", "http"), "wss"),
        ("wss://a.example", ("socks", "https", "all", "http"), "socks"),
        ("wss://a.example", ("https", "all", "http"), "https"),
        ("wss://a.example", ("all", "http"), "all"),
        ("wss://a.example", ("http",), None),
        ("ws://a.example", ("http", "all"), "http"),
        ("ws://a.example", ("all",), "all"),
        ("https://a.example", ("https", "all", "socks"), "https"),
        ("https://a.example", ("all", "socks"), "all"),
        ("https://a.example", ("socks",), "socks"),
        ("https://a.example", ("http", "wss"), None),
        ("http://a.example", ("http", "https"), "http"),
    ],
)
def test_proxy_is_that_of_the_scheme_before_the_general_one(
    url: str, names: tuple[str, ...], chosen: str | None
) -> None:
    found = proxy_for(url, {name: f"http://{name}.example:1" for name in names})
    assert (found and urlsplit(found).hostname) == (chosen and f"{chosen}.example")


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_loopback_hosts(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.0.0.1.example", "example"])
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback_host(host)


# ---------------------------------------------------------------- form

HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,5})?", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
GIVEN_SCHEMES = st.sampled_from(["", "http://", "HTTP://", "https://", "socks://", "socks5://", "socks5h://"])
PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)


@given(GIVEN_SCHEMES, HOSTS, st.integers(1, 65535) | st.none(), PASSWORDS, st.sampled_from(["", "/"]))
def test_every_usual_form_is_one_that_httpx_and_websockets_take(
    scheme: str, host: str, port: int | None, password: str, end: str
) -> None:
    encoded = password.replace("%", "%25")  # a percent sign alone is ambiguous
    for login in ("", f"user:{encoded}@", "user@"):
        found = parse_proxy(f" {scheme}{login}{host}{f':{port}' if port else ''}{end}\n", "https")
        parts = urlsplit(found)
        assert parts.scheme == {"": "http", "socks": "socks5h", "socks5": "socks5h"}.get(
            scheme.lower()[:-3], scheme.lower()[:-3]
        )
        assert unquote(parts.password or "") == (password if ":" in login else "")
        assert (parts.port == port) if port else parts.port in (80, 443, 1080)
        httpx.HTTPTransport(proxy=found).close()
        assert websockets_parse_proxy(found).host == httpx.Proxy(found).url.host.strip("[]")
        assert parse_proxy(found, "https") == found
        assert proxies.address_of(found) in found and "user" not in proxies.address_of(found)


BROKEN = [
    f"ftp://user:{SECRET}@h:1",
    f"http://user:{SECRET}@h:99999",
    f"http://user:{SECRET}@ho st:1",
    f"http://user:{SECRET}@h:port",
    f"http://user:{SECRET}@h:0",
    f"http://user:{SECRET}@h:1/path",
    f"http://user:{SECRET}@[::g]:1",
    f"http://user:{SECRET}@",
    f"socks6://user:{SECRET}@h:1",
    f"http:/user:{SECRET}",
    f"://{SECRET}",
    f"{SECRET} {SECRET}",
    f"http://user:{SECRET}@{'a' * 70}:1",
]


@pytest.mark.parametrize("value", BROKEN)
@pytest.mark.parametrize("variable", ["http_proxy", "HTTPS_PROXY", "all_proxy"])
def test_broken_address_is_one_sentence_with_the_variable_and_without_the_value(
    value: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_proxies(monkeypatch, **{variable: value})
    with pytest.raises(ProxySettingError) as caught:
        prepare_environment()
    sentence = str(caught.value)
    assert re.fullmatch(rf"{variable} is not the address of a proxy, [^\n]*\.", sentence) and SECRET not in sentence
    assert os.environ[variable] == value, "nothing is changed by half"


@given(st.text(max_size=30))
def test_any_text_is_a_proxy_or_a_sentence(text: str) -> None:
    try:
        found = parse_proxy(text, "all")
    except ProxySettingError as error:
        assert str(error).endswith(".")
    else:
        httpx.HTTPTransport(proxy=found).close()
        websockets_parse_proxy(found)


def test_socks4_is_for_calls_alone() -> None:
    assert parse_proxy("socks4://h", "wss") == "socks4://h:1080"
    for name in ("http", "https", "all", "socks"):
        with pytest.raises(ProxySettingError, match=r"SOCKS4.*socks5://"):
            parse_proxy("socks4a://h:1", name)


@pytest.mark.parametrize("module", ["socksio", "python_socks"])
def test_missing_socks_package_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "find_spec", lambda name: None if name == module else object())
    assert parse_proxy("http://h:1", "all")
    with pytest.raises(ProxySettingError, match=module.replace("_", "-")):
        parse_proxy("socks5://h:1", "all")


# ---------------------------------------------------------------- environment


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("value", [PROXY, "192.0.2.1:3128", "socks://192.0.2.1:1", "socks5://u:p@192.0.2.1:1"])
def test_prepared_environment_keeps_this_computer_direct_for_other_packages(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_proxies(monkeypatch, **{variable: value})
    prepare_environment(own_hosts=["192.168.7.9", "voice.lan", "[fd00::9]", ""])
    scheme = "https" if "https" in variable else "http"
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "192.168.7.9", "voice.lan", "[fd00::9]"):
        assert not httpx_proxy_of(f"{scheme}://{host}:7860/")
        if host[0] != "[":
            assert request.proxy_bypass(f"{host}:7860")
    assert httpx_proxy_of(f"{scheme}://outside.example/") and proxy_for(f"{scheme}://outside.example/")
    before = dict(os.environ)
    prepare_environment(own_hosts=["192.168.7.9", "voice.lan", "[fd00::9]"])
    assert dict(os.environ) == before, "a child process changes nothing"


@pytest.mark.parametrize(
    "given_list", ["[::1]", "::1/128", "[fe80::1%eth0]:80", "host:abc", "中文.example", "a b", "*"]
)
@pytest.mark.parametrize("proxy", ["", PROXY])
def test_exceptions_that_httpx_cannot_read_are_left_out(
    given_list: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_proxies(monkeypatch, http_proxy=proxy, NO_PROXY=f"{given_list},.corp.example,10.0.0.0/8")
    prepare_environment()
    assert not httpx_proxy_of("http://ai.corp.example/")
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"]
    assert ".corp.example,10.0.0.0/8" in os.environ["no_proxy"]
    assert proxy_for("http://ai.corp.example/") is None


@given(st.text(max_size=30))
def test_any_list_of_exceptions_can_be_read_by_httpx(text: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(request, "getproxies", lambda: {"http": PROXY, "no": text})
        environ: dict[str, str] = {}
        prepare_environment(environ)
        proxy_for("http://corp.example/")
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_proxies(monkeypatch, **environ)
        httpx.Client().close()


def test_no_proxy_alone_and_an_empty_environment_stay_as_they_are() -> None:
    for environ in ({}, {"PATH": "/bin"}):
        with pytest.MonkeyPatch.context() as monkeypatch:
            set_proxies(monkeypatch)
            found = dict(environ)
            prepare_environment(found)
            assert found == environ


@pytest.mark.parametrize(
    "system",
    [
        {"socks": "http://192.0.2.1:1080"},  # as urllib reads macOS' settings
        dict.fromkeys(("http", "https"), "socks4://192.0.2.1:1080") | {"socks": "socks://192.0.2.1:1080"},  # Windows'
    ],
)
def test_socks_proxy_of_the_systems_settings_reaches_httpx_and_calls(
    system: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_proxies(monkeypatch)
    monkeypatch.setattr(request, "getproxies", lambda: request.getproxies_environment() or system)
    monkeypatch.setattr(request, "proxy_bypass", lambda host: host == "ai.corp.example")
    for url in ("wss://api.example/v1", "https://models.example/file"):
        assert proxy_for(url) == "socks5h://192.0.2.1:1080"
    assert proxy_for("wss://ai.corp.example/v1") is None
    prepare_environment(server_hosts=["ai.corp.example", "api.example"])
    assert request.getproxies_environment(), "the environment goes before the system's settings"
    for url in ("wss://api.example/v1", "https://models.example/file"):
        assert proxy_for(url) == "socks5h://192.0.2.1:1080"
    assert proxy_for("wss://ai.corp.example/v1") is None
    assert httpx_proxy_of("https://models.example/file") and not httpx_proxy_of("http://127.0.0.1:7860/")


def test_broken_proxy_of_the_systems_settings_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    set_proxies(monkeypatch)
    monkeypatch.setattr(request, "getproxies", lambda: {"https": "a b"})
    with pytest.raises(ProxySettingError, match="The system's proxy for https"):
        prepare_environment()
