"""systemd units: keys that systemd knows, the time to drain, and settings with which a replica starts."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.settings_docs import GROUPS, iter_settings
from tests.support.deploy.deploy_files import DEPLOY, OTHER_VARIABLES, SETTING_NAMES
from tests.support.paths import ROOT
from voicechat.config.groups.embedded_settings import EmbeddedServerSettings
from voicechat.config.settings import Settings

UNITS = sorted(path.name for path in DEPLOY.iterdir() if path.suffix in {".service", ".target"})
KNOWN_KEYS = {
    "Unit": {"Description", "Documentation", "PartOf", "Wants", "After"},
    "Service": {
        *(
            "User",
            "WorkingDirectory",
            "Environment",
            "EnvironmentFile",
            "UnsetEnvironment",
            "ExecStart",
            "StateDirectory",
            "LimitNOFILE",
        ),
        *("KillMode", "TimeoutStopSec", "Restart", "RestartSec"),
        *("NoNewPrivileges", "CapabilityBoundingSet", "PrivateTmp", "PrivateDevices", "ProtectSystem", "ProtectHome"),
        *("ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules"),
        *("ProtectKernelTunables", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime"),
        *("RestrictSUIDSGID", "LockPersonality", "SystemCallArchitectures", "UMask"),
    },
    "Install": {"WantedBy"},
}
"""Keys of systemd 252 that the units use, by section."""
VERIFY_TIMEOUT_S = 60

KILL_MODES = {"control-group", "mixed", "process", "none"}

Line = tuple[str, str, str]
"""Section, key and value."""


def read_unit(path: Path) -> list[Line]:
    """Return the lines of a unit. A key may be repeated."""
    section, found = "", []
    for line in path.read_text("utf-8").splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        elif line and not line.startswith("#"):
            key, separator, value = line.partition("=")
            assert section and separator, line
            found.append((section, key, value))
    return found


def values_of(name: str, key: str) -> list[str]:
    """Return all values of a key."""
    return [value for _, found, value in read_unit(DEPLOY / name) if found == key]


def environment_of(name: str, instance: str = "") -> dict[str, str]:
    """Return the variables that a unit sets, for one instance of a template."""
    pairs = [pair for value in values_of(name, "Environment") for pair in shlex.split(value)]
    return {key: value.replace("%i", instance) for key, _, value in (pair.partition("=") for pair in pairs)}


def copy_units(folder: Path, change: tuple[str, str] = ("", "")) -> None:
    """Copy the units into `folder`, with this checkout and its Python in place of the installed ones.

    `change`: text that is replaced, and by what.
    """
    for name in UNITS:
        text = (DEPLOY / name).read_text("utf-8").replace("/opt/voice-chat/.venv/bin/python", sys.executable)
        text = text.replace("/opt/voice-chat", str(ROOT))
        (folder / name).write_text(text.replace(*change) if change[0] else text, encoding="utf-8")


def find_mistakes(folder: Path) -> list[str]:
    """Return unknown sections, keys and programs of the units in a folder, and what systemd's own check says.

    The own check is there for computers without systemd.
    """
    found = []
    for name in UNITS:
        for section, key, value in read_unit(folder / name):
            if key not in KNOWN_KEYS.get(section, ()):
                found.append(f"{name}: unknown {key} in {section}")
            if key == "KillMode" and value not in KILL_MODES:
                found.append(f"{name}: unknown {key}={value}")
            if key == "ExecStart" and not shutil.which(shlex.split(value)[0]):
                found.append(f"{name}: missing program {value}")
    if shutil.which("systemd-analyze"):
        files = [str(folder / name.replace("@.", "@1.")) for name in UNITS]
        command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *files]
        checked = subprocess.run(command, capture_output=True, text=True, timeout=VERIFY_TIMEOUT_S)
        found += checked.stderr.splitlines() or (["systemd-analyze failed"] if checked.returncode else [])
    return found


def test_units_are_the_replica_its_target_and_the_embedded_server() -> None:
    assert UNITS == ["voice-offline.service", "voice.target", "voice@.service"]


def test_units_pass_the_check_of_systemd(tmp_path: Path) -> None:
    copy_units(tmp_path)
    assert find_mistakes(tmp_path) == []


@pytest.mark.parametrize(
    "change",
    [("KillMode=mixed", "KillMode=some"), ("UMask", "UMusk"), (sys.executable, "/nowhere/python"), ("[Unit]", "[One]")],
    ids=["value", "key", "program", "section"],
)
def test_mistake_in_a_unit_is_found(change: tuple[str, str], tmp_path: Path) -> None:
    copy_units(tmp_path, change)
    assert find_mistakes(tmp_path)


@pytest.mark.parametrize("name", UNITS)
def test_only_the_environment_is_given_in_several_lines(name: str) -> None:
    keys = [key for _, key, _ in read_unit(DEPLOY / name) if key not in ("Environment", "UnsetEnvironment")]
    assert len(keys) == len(set(keys))
    assert values_of(name, "Description")


@pytest.mark.parametrize("name", ["voice@.service", "voice-offline.service"])
def test_service_leaves_the_app_time_to_end_its_conversations(name: str) -> None:
    assert values_of(name, "KillMode") == ["mixed"]
    assert values_of(name, "Restart") == ["on-failure"]
    (stop,) = values_of(name, "TimeoutStopSec")
    assert float(stop) > Settings().limits.drain_seconds + 5


@pytest.mark.parametrize("instance", ["1", "9"])
def test_replica_starts_with_a_port_of_its_own(instance: str) -> None:
    settings = Settings.from_env(environment_of("voice@.service", instance))
    assert (settings.host, settings.port) == ("127.0.0.1", 7860 + int(instance))


def test_variables_of_the_units_are_settings_or_listed() -> None:
    names = {name for unit in UNITS for name in environment_of(unit)}
    assert names - SETTING_NAMES - set(OTHER_VARIABLES) == set()


def test_replicas_find_the_embedded_server_where_its_unit_listens() -> None:
    (command,) = values_of("voice-offline.service", "ExecStart")
    options = shlex.split(command)
    port = options[options.index("--port") + 1]
    assert environment_of("voice@.service")["OFFLINE_URL"] == f"ws://127.0.0.1:{port}"


def test_services_run_without_rights_of_the_machine() -> None:
    for name in ("voice@.service", "voice-offline.service"):
        (user,) = values_of(name, "User")
        assert user not in ("", "root")
        assert values_of(name, "CapabilityBoundingSet") == [""]
        assert values_of(name, "NoNewPrivileges") == ["yes"]
        assert values_of(name, "ProtectSystem") == ["strict"]


def test_embedded_server_gets_no_secret_of_the_app() -> None:
    unit = (DEPLOY / "voice-offline.service").read_text("utf-8")
    removed = set(" ".join(re.findall(r"^UnsetEnvironment=(.*)$", unit, re.MULTILINE)).split())
    secret = {each.name for group in GROUPS for each in iter_settings(group) if not each.field.repr}
    own = {each.name for each in iter_settings(EmbeddedServerSettings)}
    assert secret - own <= removed, secret - own - removed
    assert not own & removed
