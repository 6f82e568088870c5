"""Deployments: a Hugging Face Space, a container, a proxy, a public link, the start scripts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from typing import Any

import httpx
import pytest

import app
from offline.engines import ENGINES
from tests.support.network.fake_proxy import running_proxy, set_proxies
from tests.support.offline.fake_model_host import running_model_host
from tests.support.paths import ROOT
from tests.support.requirements import INTEL_MAC, pinned_requirements
from voicechat.config.deployment_defaults import HF_SPACE_DEFAULTS, with_deployment_defaults
from voicechat.config.settings import Settings, SettingsError
from voicechat.server.embedded_server import EmbeddedServerPhase
from voicechat.ui.i18n import CALL_NOTICE_TEXTS, get_message

SPACE_ENVIRONMENT = {"SPACE_ID": "someone/voice"}


def front_matter() -> dict[str, str]:
    _, head, _ = (ROOT / "README.md").read_text("utf-8").split("---\n", 2)
    return {key: value.strip('"') for key, value in re.findall(r"^(\w+): (.+)$", head, re.MULTILINE)}


def test_a_space_runs_what_the_requirements_pin() -> None:
    matter = front_matter()
    assert (matter["sdk"], matter["sdk_version"]) == ("gradio", pinned_requirements()["gradio"])
    assert (ROOT / matter["app_file"]).is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    low, high = (re.search(f"{sign}(3\\.\\d+)", project["requires-python"]) for sign in (">=", "<"))
    assert low and high
    assert low[1] <= matter["python_version"] < high[1]
    assert len(matter["short_description"]) <= 60, "Hugging Face refuses longer ones"


@pytest.mark.parametrize("environment", [None, INTEL_MAC], ids=["here", "Intel Mac"])
def test_every_requirement_is_pinned_once(environment: dict[str, str] | None) -> None:
    lines = (re.split(r"\s#", line)[0].strip() for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines())
    named = {re.split("==|;", line)[0] for line in lines if line and not line.startswith(("#", "--"))}
    assert named == set(pinned_requirements(environment=environment))


def test_no_installer_compiles_a_package() -> None:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert any(line.startswith("--only-binary :all:") for line in lines)


def test_engines_are_the_packages_of_the_embedded_server() -> None:
    """The modules that `offline/engines.py` checks are those that the requirements list for the embedded server."""
    section = (ROOT / "requirements.txt").read_text("utf-8").partition("# The embedded server")[2]
    pinned = set(re.findall(r"^([\w.-]+)==", section.partition("\n\n")[0], re.MULTILINE))
    packages = packages_distributions()
    assert {packages[name][0] for name in ENGINES} == pinned | {"soxr"}


def test_a_space_is_careful() -> None:
    space, here = Settings.from_env(SPACE_ENVIRONMENT), Settings.from_env({})
    assert space.host == "0.0.0.0"
    assert space.fetch_models and not here.fetch_models
    assert not space.metrics
    assert space.max_calls < here.max_calls
    assert space.max_sockets < here.max_sockets
    assert space.max_call_seconds < here.max_call_seconds
    assert 0 < space.max_call_cost < space.max_day_cost


@pytest.mark.parametrize("name", sorted(HF_SPACE_DEFAULTS))
def test_what_is_set_goes_before_the_defaults_of_a_space(name: str) -> None:
    others = {"FRAME_ANCESTORS": "https://a.example", "TRUSTED_PROXIES": "192.0.2.1"}
    given = {"HOST": "127.0.0.9", "FETCH_MODELS": "no", "METRICS": "yes", **others}.get(name, "77")
    assert with_deployment_defaults({**SPACE_ENVIRONMENT, name: given})[name] == given
    assert with_deployment_defaults({**SPACE_ENVIRONMENT, name: " "})[name] == HF_SPACE_DEFAULTS[name]
    Settings.from_env({**SPACE_ENVIRONMENT, name: given})


def test_gradios_own_names_go_before_the_defaults_of_a_space() -> None:
    assert Settings.from_env({**SPACE_ENVIRONMENT, "GRADIO_SERVER_NAME": "::"}).host == "::"


def test_a_public_link_bounds_a_visitors_day() -> None:
    for environ in ({"SHARE": "1"}, {"GRADIO_SHARE": "True"}):
        assert Settings.from_env(environ).limits.max_visitor_seconds_per_day == 3600
        own = {**environ, "MAX_VISITOR_SECONDS_PER_DAY": "60"}
        assert Settings.from_env(own).limits.max_visitor_seconds_per_day == 60
    assert Settings.from_env({"SHARE": "0", "GRADIO_SHARE": "1"}).limits.max_visitor_seconds_per_day == 0


def test_elsewhere_nothing_changes() -> None:
    for environ in ({}, {"SPACE_ID": " "}, {"PORT": "1"}):
        assert with_deployment_defaults(environ) is environ


@pytest.mark.parametrize(("name", "own"), [("SHARE", "GRADIO_SHARE"), ("ROOT_PATH", "GRADIO_ROOT_PATH")])
def test_share_and_root_path_also_by_gradios_names(name: str, own: str) -> None:
    value, other = {"SHARE": ("1", "0")}.get(name, ("/voice", "/other"))
    read = [Settings.from_env(e) for e in ({name: value}, {own: value}, {name: value, own: other})]
    assert len({(s.share, s.root_path) for s in read}) == 1
    assert read[0] != Settings.from_env({})


class FakeBlocks:
    """Stands in for the page: remembers how it was launched."""

    def __init__(self, share_url: str | None) -> None:
        self.share_url = share_url
        self.launch_options: dict[str, Any] = {}
        self.close_count = 0

    def launch(self, **options: Any) -> None:
        self.launch_options = options

    def close(self, verbose: bool = True) -> None:
        self.close_count += 1


@pytest.mark.parametrize(("share_url", "warned"), [(None, True), ("https://x.gradio.live", False)])
def test_a_link_that_cannot_be_made_is_said_and_the_page_is_served(
    share_url: str | None, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    page = FakeBlocks(share_url)
    monkeypatch.setattr(app.application, "settings", Settings(share=True, root_path="/voice"))
    for name in ("start", "stop"):
        monkeypatch.setattr(app.application, name, lambda: None)
    monkeypatch.setattr(app.application, "page", page)
    for name in ("install_signal_handlers", "wait"):  # the signals of this process are not the app's
        monkeypatch.setattr(app.application.shutdown, name, lambda: None)
    app.main()
    assert (page.launch_options["share"], page.launch_options["root_path"], page.close_count) == (True, "/voice", 1)
    assert ("no public link" in caplog.text) is warned


def test_page_that_does_not_answer_its_own_computer_ends_the_start_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = FakeBlocks(None)

    def fail(**_: Any) -> None:
        raise httpx.ConnectError("refused by 10.0.0.1")

    page.launch = fail  # type: ignore[method-assign]
    for name, value in {"start": lambda: None, "stop": lambda: None, "page": page, "settings": Settings()}.items():
        monkeypatch.setattr(app.application, name, value)
    monkeypatch.setattr(app.application.shutdown, "install_signal_handlers", lambda: None)
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert str(caught.value) == "The page at 127.0.0.1 port 7860 does not answer this computer: ConnectError."


def test_the_page_says_that_models_are_being_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    application = app.create_application(Settings(fetch_models=True))
    assert application.embedded_server is not None
    monkeypatch.setattr(application.embedded_server, "_phase", EmbeddedServerPhase.DOWNLOADING)
    stage, notice, _ = application.server_status()
    assert (stage, notice) == ("loading", "models_fetching")
    assert "download" in get_message(CALL_NOTICE_TEXTS, "models_fetching", "en")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ICE_SERVERS": "secret"}, "ICE_SERVERS must be a JSON list"),
        ({"ICE_SERVERS": '[{"urls": "http://secret"}]'}, "ICE_SERVERS must be a JSON list"),
        ({"TURN_URL": "secret:3478"}, "TURN_URL must be"),
        ({"TURN_URL": "turn:h:1", "TURN_CREDENTIAL": "secret"}, "must be set together"),
        ({"TWILIO_AUTH_TOKEN": "secret"}, "must be set together"),
        ({"CLOUDFLARE_TURN_KEY_ID": "secret"}, "must be set together"),
    ],
)
def test_bad_turn_setting_is_one_sentence_without_its_secret(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)) as caught:
        Settings.from_env(environ)
    assert "secret" not in str(caught.value)


def test_turn_secrets_are_not_in_a_repr() -> None:
    servers = json.dumps([{"urls": "turn:h", "username": "secret", "credential": "secret"}])
    names = ("TURN_USERNAME", "TURN_CREDENTIAL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TURN_HF_TOKEN")
    settings = Settings.from_env({"ICE_SERVERS": servers, **dict.fromkeys(names, "secret")})
    assert settings.ice.ice_servers[0]["username"] == "secret"
    assert "secret" not in repr(settings)


# -------------------------------------------------------------------- the container


def dockerfile() -> list[tuple[str, str]]:
    """Its instructions, in order."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_container_does_not_run_as_root() -> None:
    instructions = dockerfile()
    users = [value for kind, value in instructions if kind == "USER"]
    assert users and users[-1] not in ("root", "0")
    assert ("EXPOSE", "7860") in instructions
    assert any(kind == "HEALTHCHECK" and "/health" in value for kind, value in instructions)
    assert any(kind == "ENV" and "HOST=0.0.0.0" in value for kind, value in instructions)


def test_health_check_of_the_container_asks_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    check = next(value for kind, value in dockerfile() if kind == "HEALTHCHECK")
    _, *arguments = json.loads(check.partition("CMD ")[2])
    with running_model_host({"/health": b"{}"}) as app_, running_proxy() as proxy:
        set_proxies(monkeypatch, http_proxy=f"http://{proxy.address}", all_proxy=f"http://{proxy.address}")
        environ = {**os.environ, "PORT": str(app_.server_address[1])}
        done = subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, text=True)
    assert (done.returncode, proxy.requests, app_.requests) == (0, [], [("/health", None)]), done.stderr


def test_the_container_copies_what_is_there_and_requirements_before_the_code() -> None:
    copies = [[w for w in value.split() if not w.startswith("--")] for kind, value in dockerfile() if kind == "COPY"]
    sources = [source for words in copies for source in words[:-1]]
    assert sources[0] == "requirements.txt" and sources[-1] == "."
    assert all((ROOT / source).exists() for source in sources)
    fetching = [i for i, (kind, value) in enumerate(dockerfile()) if kind == "RUN" and "offline.models fetch" in value]
    copying = [i for i, (kind, value) in enumerate(dockerfile()) if kind == "COPY" and value.split()[-2] == "."]
    assert fetching and fetching[0] < copying[0], "a change of the code must not fetch the models again"


def test_space_and_container_have_the_system_libraries_of_the_wheels() -> None:
    installed = next(value for kind, value in dockerfile() if kind == "RUN" and "apt-get install" in value)
    assert all(package in installed.split() for package in (ROOT / "packages.txt").read_text("utf-8").split())


def test_what_must_not_be_in_an_image_is_left_out() -> None:
    left_out = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert {".env", ".git", ".venv*", "tests", "benchmarks"} <= set(left_out)


# -------------------------------------------------------------------- licences


def test_every_pinned_package_and_every_model_has_its_licence_named() -> None:
    folder = ROOT / "offline" / "licences"
    notice = (folder / "NOTICE.md").read_text("utf-8")
    assert [name for name in pinned_requirements() if not re.search(rf"\b{re.escape(name)}\b", notice)] == []
    for model in json.loads((ROOT / "offline" / "models" / "manifest.json").read_text("utf-8"))["models"]:
        family = re.split(r"[-\d]", model["name"])[0]
        rows = [row for row in notice.splitlines() if row.lower().startswith(f"| {family}")]
        assert rows, family
        assert all(re.split("[, ]", model["licence"])[0] in "".join(rows) for _ in rows)
    texts = re.findall(r"`([\w.-]+\.txt)`", notice)
    assert texts and all((folder / text).is_file() for text in texts)
    data = {path.name for path in (ROOT / "offline" / "tts" / "data").iterdir()}
    assert all(f"offline/tts/data/{name}" in notice for name in data)
