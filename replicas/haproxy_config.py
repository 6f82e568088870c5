"""HAProxy configuration for several replicas of the app, rendered from the values of a deployment. Pure.

`deploy/haproxy.cfg` is the rendering for `deploy/compose.yaml`; a test compares both. For other deployments:

    python -m replicas.haproxy_config --listen '*:8080' --replica 10.0.0.5:7860 --replica 10.0.0.6:7860 > haproxy.cfg

Written for HAProxy 2.6, the version of Debian 12.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from .haproxy_template import (
    ACCESS_LOG_TEMPLATE,
    CHECK_LINES,
    LOG_LINE,
    PROXIES_TEMPLATE,
    REDIRECT_TEMPLATE,
    RESOLVERS_TEMPLATE,
    RIGHTS_TEMPLATE,
    TEMPLATE,
)

REPLICA_COOKIE = "voice_replica"
"""Cookie that HAProxy gives to a browser: the replica of its pages."""
TOKEN_PATHS = ("/voice-socket", "/voice-export", "/voice-image", "/gradio_api/heartbeat")
"""Paths of the app that are followed by a token. The log has them without it."""
PROGRAM_PATHS = ("/v1/realtime", "/realtime-voice", "/text-chat")
"""WebSocket endpoints for programs."""
DEFAULT_COOKIE_SECRET = "realtime-voice-chat"
CHROOT = "/var/lib/haproxy"
"""Folder of Debian's package to which HAProxy confines itself. It has no files."""
MAX_REPLICAS = 256
"""Replicas that one configuration may name."""
_ADDRESS = re.compile(r"(?:[\w.*-]+|\[[0-9a-fA-F:.]+\]|):\d{1,5}")
_FILE = re.compile(r"[^\s\"'\\#$]+")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_SECRET = re.compile(r"[\w+/=.-]{8,200}")


class HaproxyValueError(ValueError):
    """A value that HAProxy could misread."""


@dataclass(frozen=True, slots=True)
class NamedReplicas:
    """Replicas that share one name in DNS, as the containers of one Compose service do."""

    address: str = "app:7860"
    """Name and port."""
    max_count: int = 8
    """Replicas that HAProxy finds at most."""
    nameserver: str = "127.0.0.11:53"
    """Address of the name server; the default is Docker's."""


def render_haproxy_config(
    listen: str,
    replicas: Sequence[str] | NamedReplicas,
    cookie_secret: str = DEFAULT_COOKIE_SECRET,
    *,
    certificate: str = "",
    redirect_from: str = "",
    trusted_proxies: Sequence[str] = (),
    user: str = "",
    logs_requests: bool = True,
) -> str:
    """Return the text of haproxy.cfg. Raises HaproxyValueError.

    `listen`: address and port of the page. `replicas`: addresses with ports, or their common name. `cookie_secret`: key
    of the sticky cookie's hash, the same in every HAProxy in front of these replicas. `certificate`: path of a PEM file
    with certificate and key; "" for plain HTTP. `redirect_from`: address and port that send browsers to https; "" for
    no such address. `trusted_proxies`: networks of other proxies in front, whose X-Forwarded headers are kept. `user`:
    user, with a group of the same name, as which a HAProxy that is started as root goes on in `CHROOT`; "" to stay.
    `logs_requests`: a line for each request. Without it, only problems and changes of the replicas are on stderr.
    """
    check_values(listen, replicas, cookie_secret, certificate, redirect_from)
    if user and not _USER.fullmatch(user):
        raise HaproxyValueError(f"not the name of a user: {user!r}")
    named = replicas if isinstance(replicas, NamedReplicas) else None
    networks = "\n".join(f"    acl is_proxy src {network}" for network in parse_networks(trusted_proxies))
    replacements = {
        "log": LOG_LINE if logs_requests else "",
        "access_log": ACCESS_LOG_TEMPLATE.format(token_paths="|".join(TOKEN_PATHS)) if logs_requests else "",
        "rights": RIGHTS_TEMPLATE.format(user=user, folder=CHROOT) if user else "",
        "proxies": PROXIES_TEMPLATE.format(networks=networks)
        if networks
        else " Behind another proxy, remove these lines.",
        "by_visitor": " unless is_proxy" if networks else "",
        "and_by_visitor": " !is_proxy" if networks else "",
        "listen": listen,
        "tls": f" ssl crt {certificate} alpn h2,http/1.1" if certificate else "",
        "secure": " secure" if certificate else "",
        "redirect": REDIRECT_TEMPLATE.format(redirect_from=redirect_from) if redirect_from else "",
        "resolvers": RESOLVERS_TEMPLATE.format(nameserver=named.nameserver) if named else "",
        "servers": _join(_server_lines(replicas)),
        "program_servers": _join(_program_server_lines(replicas)),
        "cookie": REPLICA_COOKIE,
        "secret": cookie_secret,
        "program_paths": " ".join(PROGRAM_PATHS),
    }
    return re.sub(r"<(\w+)>", lambda found: replacements[found[1]], TEMPLATE)


def check_values(
    listen: str, replicas: Sequence[str] | NamedReplicas, cookie_secret: str, certificate: str, redirect_from: str
) -> None:
    """Raise HaproxyValueError for values that HAProxy could misread."""
    named = isinstance(replicas, NamedReplicas)
    servers = [replicas.address, replicas.nameserver] if isinstance(replicas, NamedReplicas) else list(replicas)
    for each in (listen, *servers, *([redirect_from] if redirect_from else ())):
        if not _ADDRESS.fullmatch(each):
            raise HaproxyValueError(f"not an address with a port: {each!r}")
    count = replicas.max_count if isinstance(replicas, NamedReplicas) else len(replicas)
    if not 1 <= count <= MAX_REPLICAS or (not named and len(set(servers)) != count):
        raise HaproxyValueError(f"1 to {MAX_REPLICAS} different replicas are needed")
    if certificate and not _FILE.fullmatch(certificate):
        raise HaproxyValueError("the path of the certificate has a character that HAProxy could misread")
    if not _SECRET.fullmatch(cookie_secret):
        raise HaproxyValueError("the secret of the cookie needs 8 to 200 letters or digits")
    if redirect_from and not certificate:
        raise HaproxyValueError("only a page with a certificate can be redirected to")


def parse_networks(texts: Sequence[str]) -> list[str]:
    """Return networks as HAProxy takes them. Raises HaproxyValueError."""
    try:
        return [str(ipaddress.ip_network(text, strict=False)) for text in texts]
    except ValueError:
        raise HaproxyValueError("not an address or a network of a proxy") from None


def _join(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def _program_server_lines(replicas: Sequence[str] | NamedReplicas) -> list[str]:
    """Return the lines of the second backend: it uses the checks of the first one where HAProxy can."""
    if not isinstance(replicas, NamedReplicas):
        default = "default-server on-marked-down shutdown-sessions"
        return [default, *(f"{line} track pages/replica{n}" for n, line in enumerate(_server_lines(replicas), 1))]
    return [*CHECK_LINES, *_server_lines(replicas)]


def _server_lines(replicas: Sequence[str] | NamedReplicas) -> list[str]:
    if isinstance(replicas, NamedReplicas):
        return [f"server-template replica {replicas.max_count} {replicas.address} resolvers names init-addr none"]
    return [f"server replica{number} {address}" for number, address in enumerate(replicas, 1)]


def render_compose_config() -> str:
    """Return the text of `deploy/haproxy.cfg`."""
    certificate = "/etc/haproxy/certificates/voice.pem"
    return render_haproxy_config("*:443", NamedReplicas(), certificate=certificate, redirect_from="*:80")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the configuration for the values of the command line to the standard output. Raises SystemExit."""
    named = NamedReplicas()
    parser = argparse.ArgumentParser(
        prog="python -m replicas.haproxy_config",
        description="Write haproxy.cfg. Without an option: the one of deploy/compose.yaml.",
    )
    parser.add_argument("--listen", help="address and port of the page")
    parser.add_argument("--certificate", default="", help="PEM file with certificate and key")
    parser.add_argument("--redirect-from", default="", help="address and port that redirect to https")
    parser.add_argument("--replica", action="append", default=[], help="address and port; repeat it for each replica")
    parser.add_argument("--replica-name", help="name and port that all replicas share in DNS, in place of --replica")
    parser.add_argument("--replica-count", type=int, default=named.max_count, help="replicas of that name at most")
    parser.add_argument("--nameserver", default=named.nameserver, help="name server (%(default)s is Docker's)")
    parser.add_argument("--cookie-secret", default=DEFAULT_COOKIE_SECRET, help="key of the sticky cookie's hash")
    parser.add_argument("--user", default="", help="user as which a HAProxy started as root goes on (Debian: haproxy)")
    given = parser.parse_args(arguments)
    if given == parser.parse_args([]):
        sys.stdout.write(render_compose_config())
        return
    if not given.listen or bool(given.replica) is bool(given.replica_name):
        parser.error("--listen is needed, and --replica or --replica-name")
    name = given.replica_name
    replicas = NamedReplicas(name, given.replica_count, given.nameserver) if name else given.replica
    try:
        text = render_haproxy_config(
            given.listen,
            replicas,
            given.cookie_secret,
            certificate=given.certificate,
            redirect_from=given.redirect_from,
            user=given.user,
        )
    except HaproxyValueError as error:
        parser.error(str(error))
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
