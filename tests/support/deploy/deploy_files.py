"""Files of `deploy/`: their text, the settings of the app, and the subset of other programs' formats that they use.

The models forbid unknown fields: a misspelt key of a compose file, which Docker would refuse, is an error here too.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from scripts.settings_docs import GROUPS, iter_settings
from tests.support.paths import ROOT
from voicechat.shared_state.conversations.redis_conversation_store import MAX_HELD_BYTES

DEPLOY = ROOT / "deploy"
SETTING_NAMES = {documented.name for group in GROUPS for documented in iter_settings(group)}
"""Environment variables of the app."""
OTHER_VARIABLES = {
    "ALL_PROXY": "of network/proxies.py, as the next three",
    "HTTP_PROXY": "",
    "HTTPS_PROXY": "",
    "NO_PROXY": "",
    "DOMAIN": "of the compose file: name of the page",
    "HF_ENDPOINT": "of the embedded server (offline/models/store.py)",
    "METRICS_TOKEN": "of the compose file: one of API_TOKENS",
    "OFFLINE_MODELS": "of the embedded server (offline/models/store.py)",
    "PYTHONUNBUFFERED": "of Python",
}
"""Environment variables that are not settings of the app, and who reads them."""

REDIS_BYTES_PER_SEALED_BYTE = 1.5
"""Bytes of Redis 7.0 for each byte of a sealed message of 150 bytes. Longer messages need less: 1.1 at 1,000 bytes."""

Duration = Annotated[str, Field(pattern=r"^\d+[smhd]$")]
Text = Annotated[str, Field(min_length=1)]


def read_yaml(name: str) -> Any:
    """Return the content of a YAML file in `deploy/`."""
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration such as `20s` or `1m`."""
    return float(duration[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[duration[-1]]


def redis_size(text: str) -> int:
    """Return the bytes of a size of Redis or Valkey, such as `400mb`."""
    assert text.endswith("mb"), text
    return int(text.removesuffix("mb")) * 1024**2


def redis_bytes_for(replicas: int) -> float:
    """Return the bytes that Redis needs for the conversations of replicas.

    Each holds as much as it may, and a replica that has died before it left as much.
    """
    return replicas * 2 * MAX_HELD_BYTES * REDIS_BYTES_PER_SEALED_BYTE


def interpolate(text: str, values: dict[str, str]) -> str:
    """Return a text of the compose file with its variables replaced, as Docker does. Raises `KeyError`.

    `${NAME}` and `${NAME:?why}` need a value, `${NAME:-x}` has a default, `${NAME-x}` has one unless it is set to an
    empty text, `${NAME:+x}` is `x` where there is a value.
    """

    def replace(match: re.Match[str]) -> str:
        name, operator, word = match[1], match[2] or "", match[3] or ""
        value = values.get(name, "")
        if operator == ":+":
            return word if value else ""
        if operator == ":-":
            return value or word
        if operator == "-":
            return values.get(name, word)
        return values[name]

    return re.sub(r"\$\{(\w+)(:[-?+]|-)?([^}]*)\}", replace, text)


class ComposeModel(BaseModel):
    """Part of a compose file."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ComposeEnvFile(ComposeModel):
    """File of environment variables."""

    path: Text
    required: bool


class ComposeHealthcheck(ComposeModel):
    """Check of a container."""

    test: Annotated[list[Text], Field(min_length=2)]
    interval: Duration
    timeout: Duration
    start_period: Duration = "0s"


class ComposeScale(ComposeModel):
    """Number of containers of a service."""

    replicas: Annotated[int, Field(ge=1)]


class ComposeConfigUse(ComposeModel):
    """Configuration file inside a container."""

    source: Text
    target: Annotated[str, Field(pattern="^/")]


class ComposeAddress(ComposeModel):
    """Address of a service in a network; None for one that Docker chooses from the network's `ip_range`."""

    ipv4_address: Annotated[str, Field(pattern=r"^[\d.]+$")] | None = None


class ComposeService(ComposeModel):
    """Service: the fields of the compose specification that the project uses, in their list or map form."""

    image: Annotated[str, Field(pattern=r"^[a-z][a-z-]*(/[a-z][a-z-]*)?:v?\d+\.\d+\.\d+$")] | None = None
    """Name without the host of a registry, and the exact version."""
    build: Text | None = None
    command: list[str] = []
    profiles: list[Text] = []
    restart: Annotated[str, Field(pattern="^unless-stopped$")]
    env_file: list[ComposeEnvFile] = []
    environment: dict[str, str] = {}
    deploy: ComposeScale | None = None
    network_mode: Annotated[str, Field(pattern="^host$")] | None = None
    networks: list[Text] | dict[str, ComposeAddress] = []
    ports: list[Annotated[str, Field(pattern=r"^([\d.]+:)?\d+:\d+(/udp)?$")]] = []
    volumes: list[Annotated[str, Field(pattern=r"^(\./)?[\w.]+:/[\w./-]+(:ro)?$")]] = []
    tmpfs: list[Annotated[str, Field(pattern="^/")]] = []
    configs: list[ComposeConfigUse] = []
    secrets: list[Text] = []
    depends_on: list[Text] = []
    stop_grace_period: Duration = "10s"
    healthcheck: ComposeHealthcheck | None = None
    cap_drop: list[Text] = []
    security_opt: list[Text] = []


class ComposeSubnet(ComposeModel):
    """Addresses of a network."""

    subnet: Text
    gateway: Text
    """Address of the host in the network. Without it, Docker may take the first one of `ip_range`."""
    ip_range: Text


class ComposeIpam(ComposeModel):
    """Address management of a network."""

    config: Annotated[list[ComposeSubnet], Field(min_length=1)]


class ComposeNetwork(ComposeModel):
    """Network."""

    ipam: ComposeIpam | None = None


class ComposeVolume(ComposeModel):
    """Named volume without options."""


class ComposeSecret(ComposeModel):
    """Secret from an environment variable."""

    environment: Text


class ComposeConfigContent(ComposeModel):
    """Configuration file whose content stands in the compose file."""

    content: Text


class ComposeFile(ComposeModel):
    """Compose file."""

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]*$")]
    services: dict[str, ComposeService]
    networks: dict[str, ComposeNetwork]
    volumes: dict[str, ComposeVolume]
    secrets: dict[str, ComposeSecret]
    configs: dict[str, ComposeConfigContent]


def read_compose() -> ComposeFile:
    """Return the checked compose file."""
    return ComposeFile.model_validate(read_yaml("compose.yaml"))
