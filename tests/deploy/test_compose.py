"""Compose file: its shape, and what the parts must have in common."""

from __future__ import annotations

import ipaddress
import re

import pytest
import yaml
from pydantic import ValidationError

from offline.endpoints.settings import Endpoints, read_endpoints
from offline.models.catalogue import parse_llm_choice, parse_stt_choice
from offline.settings import max_sessions, upgrades_enabled
from replicas.haproxy_config import NamedReplicas
from scripts.settings_docs import iter_settings
from tests.support.deploy.deploy_files import (
    DEPLOY,
    OTHER_VARIABLES,
    SETTING_NAMES,
    ComposeFile,
    ComposeService,
    interpolate,
    read_compose,
    read_yaml,
    redis_bytes_for,
    redis_size,
    seconds_of,
)
from tests.support.paths import ROOT
from voicechat.config.groups.embedded_settings import EmbeddedServerSettings
from voicechat.config.settings import ServerKind, Settings

VALUES = {"DOMAIN": "voice.example", "TURN_SECRET": "s" * 32, "METRICS_TOKEN": "m" * 16}
"""What the head of the file asks the operator to write."""


def app_environment(**more: str) -> dict[str, str]:
    """Return the environment of a replica."""
    values = {**VALUES, **more}
    return {name: interpolate(value, values) for name, value in read_compose().services["app"].environment.items()}


def test_compose_file_has_the_shape_of_the_specification() -> None:
    services = read_compose().services
    assert set(services) == {"app", "haproxy", "valkey", "offline", "coturn", "prometheus", "grafana"}
    assert all((service.image is None) is not (service.build is None) for service in services.values())


@pytest.mark.parametrize(
    "change",
    [
        {"stop_grace": "20s"},
        {"stop_grace_period": 20},
        {"image": "haproxy"},
        {"image": "registry.example/haproxy:2.6.31"},
        {"environment": {"PORT": 7860}},
        {"ports": ["80"]},
    ],
    ids=str,
)
def test_compose_model_refuses_what_docker_refuses_or_we_do_not_want(change: dict[str, object]) -> None:
    service = {"image": "haproxy:2.6.31", "restart": "unless-stopped"}
    ComposeService.model_validate(service)
    with pytest.raises(ValidationError):
        ComposeService.model_validate({**service, **change})


def test_names_in_the_compose_file_are_declared() -> None:
    compose = read_compose()
    for service in compose.services.values():
        assert set(service.networks) <= set(compose.networks)
        assert set(service.secrets) <= set(compose.secrets)
        assert {use.source for use in service.configs} <= set(compose.configs)
        assert set(service.depends_on) <= set(compose.services)
        for volume in service.volumes:
            source = volume.split(":")[0]
            if source != "./certificates":  # the operator's
                assert (DEPLOY / source).is_file() if source.startswith("./") else source in compose.volumes


def test_variables_of_the_compose_file_are_settings_or_listed() -> None:
    compose = read_compose()
    names = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text("utf-8")))
    names |= {name for service in compose.services.values() for name in service.environment}
    names |= {secret.environment for secret in compose.secrets.values()}
    assert names - SETTING_NAMES - set(OTHER_VARIABLES) == set()


def test_head_of_the_compose_file_names_every_value_without_a_default() -> None:
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    needed = set(re.findall(r"\$\{(\w+)(?:\}|:\?)", text))
    head = set(re.findall(r"^#     (\w+)=", text, re.MULTILINE))
    assert needed == set(VALUES)
    assert needed <= head
    with pytest.raises(KeyError):
        interpolate(read_compose().services["app"].environment["TURN_SECRET"], {"DOMAIN": "voice.example"})


def test_replicas_of_the_compose_file_start_with_their_settings() -> None:
    settings = Settings.from_env(app_environment())
    assert (settings.host, settings.port) == ("0.0.0.0", 7860)
    assert settings.ice.turn_url == "turn:voice.example:3478"
    assert settings.security.api_tokens == ("m" * 16,)
    more = Settings.from_env(app_environment(API_TOKENS="a" * 16))
    assert more.security.api_tokens == ("m" * 16, "a" * 16)


def test_replicas_use_the_embedded_server_unless_its_address_is_empty() -> None:
    with_key = {"OPENAI_API_KEY": "sk-x"}
    assert Settings.from_env(app_environment() | with_key).server_kind is ServerKind.OFFLINE
    assert Settings.from_env(app_environment(OFFLINE_URL="") | with_key).server_kind is ServerKind.OPENAI


def test_replica_has_time_to_drain_before_docker_ends_it() -> None:
    app = read_compose().services["app"]
    drain_seconds = float(app.environment["DRAIN_SECONDS"])
    assert seconds_of(app.stop_grace_period) > drain_seconds + 5


def test_only_haproxy_and_coturn_are_open_to_the_network() -> None:
    services = read_compose().services
    published = {name: service.ports for name, service in services.items() if service.ports}
    assert published.pop("haproxy") == ["80:80", "443:443"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert [name for name, service in services.items() if service.network_mode] == ["coturn"]


def test_health_checks_do_not_end_a_replica_that_drains() -> None:
    services = read_compose().services
    for name in ("app", "offline"):
        check = services[name].healthcheck
        assert check is not None
        assert "create_connection" in check.test[-1] and "/health" not in check.test[-1]


def test_replicas_trust_the_address_of_haproxy_alone() -> None:
    compose = read_compose()
    networks = compose.services["haproxy"].networks
    assert isinstance(networks, dict) and set(networks) == {"pages"}
    address = ipaddress.ip_address(networks["pages"].ipv4_address or "")
    ipam = compose.networks["pages"].ipam
    assert ipam is not None
    subnet = ipaddress.ip_network(ipam.config[0].subnet)
    replicas = ipaddress.ip_network(ipam.config[0].ip_range)
    assert isinstance(subnet, ipaddress.IPv4Network) and isinstance(replicas, ipaddress.IPv4Network)
    assert replicas.subnet_of(subnet)
    assert address in subnet and address not in replicas
    assert compose.services["app"].environment["TRUSTED_PROXIES"] == str(address)


def test_valkey_writes_nothing_and_evicts_nothing() -> None:
    valkey = read_compose().services["valkey"]
    command = valkey.command
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert (options["--save"], options["--appendonly"]) == ("", "no")
    assert options["--maxmemory-policy"] == "noeviction"
    assert redis_size(options["--maxmemory"]) >= redis_bytes_for(NamedReplicas().max_count)
    assert valkey.tmpfs == ["/data"] and valkey.networks == ["state"]
    assert read_compose().services["app"].environment["REDIS_URL"] == "redis://valkey:6379/0"


def test_coturn_reaches_the_replicas_only_and_takes_timed_credentials() -> None:
    compose = read_compose()
    (use,) = compose.services["coturn"].configs
    assert use.target in compose.services["coturn"].command
    lines = [line for line in compose.configs[use.source].content.splitlines() if not line.startswith("#")]
    options = dict(line.partition("=")[::2] for line in lines)
    assert [line for line in lines if line.startswith("denied-peer-ip")] == [
        "denied-peer-ip=0.0.0.0-255.255.255.255",
        "denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ]
    assert [line.partition("=")[0] for line in lines].count("allowed-peer-ip") == 1
    assert {"use-auth-secret", "no-cli", "no-multicast-peers", "no-tcp-relay"} <= set(options)
    assert not {"user", "lt-cred-mech", "no-auth"} & set(options)
    assert options["static-auth-secret"] == "${TURN_SECRET}"
    assert compose.services["app"].environment["TURN_URL"].endswith(f":{options['listening-port']}")


def test_addresses_that_coturn_reaches_are_those_of_the_replicas_alone() -> None:
    compose = read_compose()
    (text,) = re.findall(r"^allowed-peer-ip=(.+)$", compose.configs["coturn"].content, re.MULTILINE)
    first, last = map(ipaddress.IPv4Address, text.split("-"))
    ipam = compose.networks["pages"].ipam
    assert ipam is not None
    (pages,) = ipam.config
    replicas, subnet = ipaddress.IPv4Network(pages.ip_range), ipaddress.IPv4Network(pages.subnet)
    assert replicas.subnet_of(subnet) and first == replicas[0] and last == subnet.broadcast_address - 1
    fixed = {"gateway": ipaddress.IPv4Address(pages.gateway)}
    for name, service in compose.services.items():
        if "pages" not in service.networks or name == "app":
            continue
        assert isinstance(service.networks, dict), f"Docker would choose the address of {name} among the replicas'"
        address = service.networks["pages"].ipv4_address
        assert address is not None, f"Docker would choose the address of {name} among the replicas'"
        fixed[name] = ipaddress.IPv4Address(address)
    assert {"gateway", "haproxy", "prometheus"} <= set(fixed) and len(set(fixed.values())) == len(fixed)
    for address in fixed.values():
        assert address in subnet and not first <= address <= last
    for name in ("valkey", "offline", "grafana"):
        assert "pages" not in compose.services[name].networks


def test_only_replicas_get_all_settings() -> None:
    services = read_compose().services
    assert [name for name, service in services.items() if service.env_file] == ["app"]
    assert {name for name, service in services.items() if service.environment} == {"app", "offline"}
    assert [name for name, service in services.items() if service.secrets] == ["prometheus"]


def test_embedded_server_of_the_compose_file_gets_its_own_settings_alone() -> None:
    environment = read_compose().services["offline"].environment
    own = {documented.name for documented in iter_settings(EmbeddedServerSettings)} - {"OFFLINE_URL"}
    proxies = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    assert set(environment) == own | proxies | {"OFFLINE_SESSIONS", "HF_ENDPOINT"}
    assert {interpolate(value, {name: "given"}) for name, value in environment.items()} == {"given"}


def test_embedded_server_of_the_compose_file_starts_without_a_value_of_the_operator() -> None:
    environment = {
        name: interpolate(value, VALUES) for name, value in read_compose().services["offline"].environment.items()
    }
    unset = {name: environment[name] for name in ("OFFLINE_SESSIONS", "OFFLINE_UPGRADE")}
    assert unset == {"OFFLINE_SESSIONS": "auto", "OFFLINE_UPGRADE": "false"}, "as in the image"
    assert set(environment.values()) == {"", *unset.values()}
    assert (read_endpoints(environment), max_sessions(environment)) == (Endpoints(), None)
    assert parse_llm_choice(environment) == parse_llm_choice({})
    assert parse_stt_choice(environment) == parse_stt_choice({})
    assert not upgrades_enabled(environment)


def test_secrets_are_in_no_argument_and_in_no_image() -> None:
    for service in read_compose().services.values():
        assert not any("SECRET" in argument or "TOKEN" in argument for argument in service.command)
    assert "deploy" in (ROOT / ".dockerignore").read_text("utf-8").split(), "the key of the certificate is there"
    assert "deploy/certificates/" in (ROOT / ".gitignore").read_text("utf-8").split()


def test_grafana_finds_its_source_and_its_dashboard() -> None:
    compose = read_compose()
    source = yaml.safe_load(compose.configs["grafana_datasource"].content)["datasources"][0]
    folder = yaml.safe_load(compose.configs["grafana_folder"].content)["providers"][0]["options"]["path"]
    assert source["url"] == "http://prometheus:9090"
    assert f"./dashboard.json:{folder}/voice.json:ro" in compose.services["grafana"].volumes
    assert read_yaml("dashboard.json")["panels"][0]["datasource"]["uid"] == source["uid"]


def test_image_has_the_programs_that_the_services_run() -> None:
    compose: ComposeFile = read_compose()
    for service in (compose.services["app"], compose.services["offline"]):
        assert service.build is not None
        assert (DEPLOY / service.build / "Dockerfile").resolve() == ROOT / "Dockerfile"
    assert compose.services["offline"].command[:3] == ["python", "-m", "offline"]
    address = app_environment()["OFFLINE_URL"]
    assert address.endswith(f":{compose.services['offline'].command[-1]}")
