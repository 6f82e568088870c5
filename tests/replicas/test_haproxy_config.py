"""HAProxy configuration: what is rendered, and that HAProxy takes it."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicas import haproxy_config
from replicas.haproxy_config import (
    MAX_REPLICAS,
    HaproxyValueError,
    NamedReplicas,
    render_compose_config,
    render_haproxy_config,
)
from tests.support.network.certificates import make_server_context
from tests.support.paths import ROOT
from tests.support.scale.haproxy_process import haproxy_path
from voicechat.gateway.gateway_client import REPLICAS_HEADER
from voicechat.server.application import ROUTE_RULES
from voicechat.server.routes import WEBSOCKET_ROUTES

TWO = ("127.0.0.1:7861", "127.0.0.1:7862")
SECRET = "0123456789abcdef"


def check(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Let HAProxy check a configuration."""
    config = folder / "haproxy.cfg"
    config.write_text(text)
    return subprocess.run([haproxy_path(), "-c", "-f", str(config)], capture_output=True, text=True)


def test_file_of_the_repository_is_the_rendering_of_the_default_values(capsys: pytest.CaptureFixture[str]) -> None:
    haproxy_config.main([])
    text = (ROOT / "deploy" / "haproxy.cfg").read_text("utf-8")
    assert capsys.readouterr().out == render_compose_config() == text


@pytest.mark.parametrize("replicas", [TWO, ("app.example:7860",), NamedReplicas(), NamedReplicas("app:80", 30)])
@pytest.mark.parametrize("has_certificate", [False, True], ids=["http", "https"])
def test_haproxy_takes_every_variant_without_a_warning(
    replicas: tuple[str, ...] | NamedReplicas, has_certificate: bool, tmp_path: Path
) -> None:
    pem = tmp_path / "voice.pem"
    make_server_context("voice.example", pem)
    more = {"certificate": str(pem), "redirect_from": "*:8080"} if has_certificate else {}
    for logs_requests in (True, False):
        text = render_haproxy_config("*:8443", replicas, SECRET, logs_requests=logs_requests, **more)
        done = check(tmp_path, text.replace("app.example", "localhost"))
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr and "ALERT" not in done.stderr
        assert ("%ci" in text) is ("log stdout" in text) is logs_requests


def test_haproxy_takes_the_file_of_the_repository(tmp_path: Path) -> None:
    pem = tmp_path / "voice.pem"
    make_server_context("voice.example", pem)
    text = (ROOT / "deploy" / "haproxy.cfg").read_text("utf-8")
    assert text.count("/etc/haproxy/certificates/voice.pem") == 1
    done = check(tmp_path, text.replace("/etc/haproxy/certificates/voice.pem", str(pem)))
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr


def test_user_of_the_command_line_is_one_that_haproxy_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    haproxy_config.main(["--listen", ":8080", "--replica", TWO[0], "--user", "haproxy"])
    text = capsys.readouterr().out
    words = [line.split() for line in text.partition("\ndefaults")[0].splitlines()]
    assert all(line in words for line in (["user", "haproxy"], ["group", "haproxy"], ["chroot", "/var/lib/haproxy"]))
    done = check(tmp_path, text)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    assert not {"user", "group", "chroot"} & {line.split(" ")[0] for line in render_compose_config().split("\n    ")}


def test_command_of_the_documentation_writes_a_file_that_haproxy_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    (block,) = re.findall(r"```bash\n(\S+ -m replicas\.haproxy_config .*?)```", page, re.DOTALL)
    command, _, rest = block.replace("\\\n", " ").partition(" > ")
    new_file, *then = shlex.split(rest)
    python, _, _, *arguments = shlex.split(command)
    assert python == ".venv/bin/python"
    assert then[:5] == ["&&", "haproxy", "-c", "-f", new_file] and not new_file.endswith("haproxy.cfg"), "checked first"
    haproxy_config.main(arguments)
    pem = tmp_path / "voice.pem"
    make_server_context("voice.example", pem)
    done = check(tmp_path, capsys.readouterr().out.replace("/etc/haproxy/certificates/voice.pem", str(pem)))
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr


def test_command_line_renders_what_its_options_say(capsys: pytest.CaptureFixture[str]) -> None:
    haproxy_config.main(["--listen", ":80", "--replica", TWO[0], "--replica", TWO[1], "--cookie-secret", SECRET])
    assert capsys.readouterr().out == render_haproxy_config(":80", TWO, SECRET)
    haproxy_config.main(["--listen", ":80", "--replica-name", "voice:1", "--replica-count", "3"])
    assert capsys.readouterr().out == render_haproxy_config(":80", NamedReplicas("voice:1", 3))


@pytest.mark.parametrize(
    "arguments",
    [["--listen", ":80"], ["--replica", TWO[0]], ["--listen", "no port", "--replica", TWO[0]]],
)
def test_command_line_without_an_address_ends_with_its_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        haproxy_config.main(arguments)
    assert ended.value.code == 2 and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("values", "more"),
    [
        ((":80", ()), {}),
        ((":80", TWO * 2), {}),
        ((":80", [f"h:{port}" for port in range(1, MAX_REPLICAS + 2)]), {}),
        ((":80", NamedReplicas(max_count=0)), {}),
        ((":80", NamedReplicas("app")), {}),
        ((":80", TWO, "short"), {}),
        ((":80", TWO), {"redirect_from": ":81"}),
        ((":80", TWO), {"certificate": "/a b.pem"}),
        ((":80", TWO), {"user": "haproxy\n    daemon"}),
        ((":80", TWO), {"user": "-x"}),
    ],
)
def test_values_that_haproxy_could_misread_are_refused(values: tuple[object, ...], more: dict[str, str]) -> None:
    with pytest.raises(HaproxyValueError):
        render_haproxy_config(*values, **more)  # type: ignore[arg-type]


@given(st.text(max_size=30))
def test_value_never_adds_a_line_or_a_word(text: str) -> None:
    plain = render_haproxy_config("*:8080", TWO, SECRET)
    for values in ((text, TWO, SECRET), ("*:8080", (text,), SECRET), ("*:8080", TWO, text)):
        try:
            rendered = render_haproxy_config(*values)
        except HaproxyValueError:
            continue
        words = {len(line.split()) for line in rendered.splitlines()}
        assert len(rendered.splitlines()) <= len(plain.splitlines())
        assert words <= {len(line.split()) for line in plain.splitlines()}


def test_paths_are_those_of_the_app() -> None:
    with_token = {
        str(rule.path.pattern).partition("/[")[0].replace("\\", "")
        for rule in ROUTE_RULES
        if not isinstance(rule.path, str) and rule.path.pattern.endswith(r"/[\w-]+")
    }
    assert with_token <= set(haproxy_config.TOKEN_PATHS)
    assert set(haproxy_config.PROGRAM_PATHS) == set(WEBSOCKET_ROUTES)
    assert REPLICAS_HEADER in render_haproxy_config(":80", TWO).lower()
