"""Outgoing proxies: which proxy a connection goes through, by the environment or the system's settings.

`proxy_for` decides for one URL. `prepare_environment` rewrites the process's variables once, because Gradio and child
processes read them by themselves, through httpx. It fails on forms that other programs accept, and asks a proxy even
for addresses of this computer. Both functions give proxies in one form, always with a scheme and a port.

No message and no log text holds a user or a password: `address_of` is the part to show.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import suppress
from importlib.util import find_spec
from urllib import request
from urllib.parse import quote, unquote, urlsplit

import httpx

from .hosts import is_loopback_host

Proxies = Mapping[str, str]
"""Proxies by URL scheme ("all" for any), and "no" for the exceptions, as `urllib.request.getproxies` returns them."""

HTTP_SCHEMES = ("http", "https", "all", "socks")
"""Names of proxies that httpx has to understand. macOS calls the SOCKS proxy of its settings "socks"."""
WEBSOCKET_SCHEMES = ("ws", "wss")
"""Names of proxies for WebSockets alone, as websockets reads them."""
DEFAULT_PORTS = {"http": 80, "https": 443, "socks5h": 1080, "socks4": 1080, "socks4a": 1080}
SOCKS_PACKAGES = {"socksio": "socksio", "python_socks": "python-socks"}
"""Packages with which httpx and websockets use a SOCKS proxy: module and name in requirements.txt."""
OWN_HOSTS = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
"""Hosts of this computer. httpx and urllib compare them as text, so that networks do not help."""

_ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?:(?P<userinfo>.*)@)?"
    r"(?P<host>\[[0-9a-f:.]+\]|[\w.-]+)(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE | re.DOTALL,
)
_EXCEPTION = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[\w.*-]*)(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)


class ProxySettingError(ValueError):
    """Unusable proxy setting. The message is one sentence that names the variable and not its value."""


def proxy_for(url: str, proxies: Proxies | None = None) -> str | None:
    """Return the URL of the proxy for `url`; None for a direct connection. Raises `ProxySettingError`.

    This computer is always reached directly. For a WebSocket a SOCKS proxy comes first, then the one for HTTPS (RFC
    6455, 4.1), and the one for plain HTTP only without TLS. The URL of the proxy holds its password.
    """
    parts = urlsplit(url)
    host, scheme = (parts.hostname or "").rstrip("."), parts.scheme.lower()
    if not host or is_loopback_host(host) or _is_unspecified(host):
        return None
    if proxies is None:
        proxies = _read_proxies()
    port = parts.port or (443 if scheme in ("https", "wss") else 80)
    if _is_excepted(host, port, proxies.get("no", "")) or _is_excepted_by_system(host):
        return None
    candidates = {"ws": ("ws", "socks", "https", "http", "all"), "wss": ("wss", "socks", "https", "all")}
    for name in candidates.get(scheme, (scheme, "all", "socks")):
        if proxies.get(name):
            return parse_proxy(proxies[name], name)
    return None


def parse_proxy(text: str, name: str) -> str:
    """Return the URL of a proxy as httpx and websockets take it. Raises `ProxySettingError`.

    `name` is the proxy's scheme in `Proxies`. Without a scheme of its own an address is an HTTP proxy, as for curl.
    Through SOCKS5 the proxy always looks up host names: networks that need a proxy often have no names of the outside.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None:
        raise ProxySettingError(_malformed(name))
    given = match["scheme"].lower() if match["scheme"] else ""
    if name == "socks" and given in ("", "http"):  # macOS' settings come as http://host:port
        given = "socks5h"
    scheme = {"": "http", "socks": "socks5h", "socks5": "socks5h"}.get(given, given)
    port = int(match["port"] or DEFAULT_PORTS.get(scheme, 0))
    if scheme not in DEFAULT_PORTS or not 0 < port <= 65535:
        raise ProxySettingError(_malformed(name))
    if scheme.startswith("socks4") and name in HTTP_SCHEMES:
        raise ProxySettingError(
            f"{_variable(name)} names a SOCKS4 proxy, which only calls can use, through wss_proxy: "
            "most of these servers also take socks5://."
        )
    try:
        host = match["host"].encode("idna").decode("ascii").lower() if match["host"][0] != "[" else match["host"]
        if host[0] == "[":
            ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        raise ProxySettingError(_malformed(name)) from None
    if scheme.startswith("socks"):
        _require_socks_packages(name)
    user, _, password = (match["userinfo"] or "").partition(":")
    login = f"{quote(unquote(user), safe='')}:{quote(unquote(password), safe='')}@" if match["userinfo"] else ""
    return f"{scheme}://{login}{host}:{port}"


def address_of(proxy: str) -> str:
    """Return host and port of a proxy, which are safe to show."""
    return urlsplit(proxy).netloc.rpartition("@")[2]


def prepare_environment(
    environ: MutableMapping[str, str] = os.environ, own_hosts: Iterable[str] = (), server_hosts: Iterable[str] = ()
) -> None:
    """Rewrite the proxy variables of this process and its children, as said above. Raises `ProxySettingError`.

    `own_hosts`: further names and addresses of this computer. `server_hosts`: hosts that the app connects to; those
    that the system's settings reach directly stay so. Without a proxy only unreadable exceptions are removed.
    """
    proxies = _read_proxies()
    wanted = {name: parse_proxy(proxies[name], name) for name in HTTP_SCHEMES + WEBSOCKET_SCHEMES if proxies.get(name)}
    if "socks" in wanted and "all" not in wanted:
        wanted["all"] = wanted["socks"]  # httpx does not know "socks"
    exceptions = [entry for text in proxies.get("no", "").split(",") if (entry := _readable_exception(text))]
    if wanted:
        direct = [host for host in server_hosts if _is_excepted_by_system(host)]
        own = [host.strip("[]") for host in (*OWN_HOSTS, *own_hosts, *direct)]
        exceptions += [host for host in own if _readable_exception(host) and host not in exceptions]
    handled = {f"{name}_proxy" for name in (*HTTP_SCHEMES, *WEBSOCKET_SCHEMES, "no")}
    for variable in [variable for variable in environ if variable.lower() in handled]:
        del environ[variable]
    for name, value in {**wanted, "no": ",".join(exceptions)}.items():
        if value:  # programs differ in the case they read, or read first
            environ[f"{name}_proxy"] = environ[f"{name}_PROXY".upper()] = value


class ProxyTransport(httpx.BaseTransport):
    """Transport of an `httpx.Client` that asks `proxy_for` at each request, redirected ones included."""

    def __init__(self) -> None:
        self._transports: dict[str | None, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises `ProxySettingError` beside httpx's own errors."""
        proxy = proxy_for(str(request.url))
        if proxy not in self._transports:
            self._transports[proxy] = httpx.HTTPTransport(proxy=proxy)
        return self._transports[proxy].handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        for transport in self._transports.values():
            transport.close()


def _read_proxies() -> Proxies:
    """Return the proxies of the environment, else of the system's settings.

    Windows' settings do not say which SOCKS it is, and urllib adds it as SOCKS4 for HTTP. It counts as SOCKS5 here.
    """
    found = request.getproxies()
    if request.getproxies_environment() or not found.get("socks", "").startswith("socks://"):
        return found
    derived = found["socks"].replace("socks://", "socks4://", 1)
    return {name: found["socks"] if value == derived else value for name, value in found.items()}


def _is_unspecified(host: str) -> bool:
    """Return whether the host is 0.0.0.0 or ::, which connects to this computer."""
    return host in ("0.0.0.0", "::")


def _is_excepted(host: str, port: int, exceptions: str) -> bool:
    """Return whether a list of exceptions names the host: "*", a domain, an address or a network, with or without port.

    A domain includes its subdomains, with and without a dot or "*." before it.
    """
    for text in exceptions.split(","):
        entry = text.strip().lower()
        if entry == "*":
            return True
        with suppress(ValueError):
            network = ipaddress.ip_network(entry.strip("[]"), strict=False)
            with suppress(ValueError):
                if ipaddress.ip_address(host) in network:
                    return True
            continue
        match = _EXCEPTION.fullmatch(entry)
        if match is None or (match["port"] and int(match["port"]) != port):
            continue
        name = match["host"].strip("[]").removeprefix("*").lstrip(".")
        if name and (host == name or host.endswith(f".{name}")):
            return True
    return False


def _is_excepted_by_system(host: str) -> bool:
    """Return whether the settings of macOS or Windows reach a host directly. The environment goes before them."""
    return not request.getproxies_environment() and bool(request.proxy_bypass(host))


def _readable_exception(text: str) -> str:
    """Return one exception in a form that httpx, urllib and curl can read; "" without such a form."""
    entry = text.strip().lower()
    with suppress(ValueError):
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
        if network.version == 4 or "/" not in entry:
            return entry.strip("[]")
        return ""  # httpx fails on networks of IPv6
    match = _EXCEPTION.fullmatch(entry)
    if match is None or "[" in entry:
        return ""
    with suppress(UnicodeError):
        bare = match["host"].removeprefix("*").lstrip(".").encode("idna").decode("ascii")
        if entry == "*" or not bare:
            return entry if entry == "*" else ""
        dot = "." if match["host"].startswith((".", "*.")) else ""
        return f"{dot}{bare}" + (f":{match['port']}" if match["port"] else "")
    return ""


def _require_socks_packages(name: str) -> None:
    missing = [package for module, package in SOCKS_PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise ProxySettingError(
            f"{_variable(name)} names a SOCKS proxy, which needs {' and '.join(missing)}: "
            "install the packages of requirements.txt again."
        )


def _malformed(name: str) -> str:
    return f"{_variable(name)} is not the address of a proxy, like http://host:port or socks5://host:port."


def _variable(name: str) -> str:
    """Return the variable of a proxy as it is written in the environment, else what it is in the system's settings."""
    wanted = f"{name}_proxy"
    found = [variable for variable in os.environ if variable.lower() == wanted and os.environ[variable]]
    return min(found, key=lambda variable: variable != wanted) if found else f"The system's proxy for {name}"
