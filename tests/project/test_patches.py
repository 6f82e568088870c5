"""Internals of other packages: unchanged in the installed versions, all listed, and replaced where the app starts."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.support.dependency_source import source_hash
from tests.support.paths import ROOT
from voicechat.patched_internals import INTERNAL_USES, PINNED_VERSIONS, package_of
from voicechat.server.gradio_patches import session_retention
from voicechat.transport import rtp_fast_path

STATE_HOLDER = "gradio.routes:StateHolder"
TARGETS = [(use.used_in, target, sha256) for use in INTERNAL_USES for target, sha256 in use.sha256.items()]
INSTALL_AND_COMPARE = """
import logging, sys
from voicechat.dependency_checks import find_target
from voicechat.patched_internals import INTERNAL_USES
from voicechat.patches import install_patches
logging.basicConfig(format="%(message)s", stream=sys.stdout)
replaced = [target for use in INTERNAL_USES for target in use.replaced]
before = [find_target(target) for target in replaced]
install_patches(lambda _: None, 1000)
print("unchanged:", [target for target, stock in zip(replaced, before) if find_target(target) is stock])
after = [find_target(target) for target in replaced]
install_patches(lambda _: None, 1000)
print("stable:", after == [find_target(target) for target in replaced])
"""
CHANGED_PACKAGES = """
import gradio.routes, aiortc.rtcrtpsender
async def other(self, codec, something): ...
aiortc.rtcrtpsender.RTCRtpSender._run_rtp = other
gradio.routes.StateHolder = object
"""


def install_in_process(*scripts: str) -> str:
    """Install the patches in a process of their own, and return what it prints."""
    command = [sys.executable, "-c", "\n".join(scripts)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("used_in", "target", "sha256"), TARGETS, ids=[f"{target}" for _, target, _ in TARGETS])
def test_internal_is_as_it_was_when_its_use_was_written(used_in: str, target: str, sha256: str) -> None:
    """After an upgrade: read what changed, adapt `used_in` where needed, and enter the new hash and version."""
    found = source_hash(target)[:16]
    assert found == sha256, f"{target} changed in {package_of(target)} {version(package_of(target))}; see {used_in}"


def test_versions_are_those_that_are_installed_and_pinned() -> None:
    assert {package_of(target) for _, target, _ in TARGETS} == set(PINNED_VERSIONS)
    assert {package: version(package) for package in PINNED_VERSIONS} == PINNED_VERSIONS
    pins = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert {package: dict(pins)[package] for package in PINNED_VERSIONS} == PINNED_VERSIONS


def test_every_use_says_where_and_why() -> None:
    for use in INTERNAL_USES:
        assert (ROOT / use.used_in).exists(), use.used_in
        assert use.used_for and use.lost_when_skipped and use.sha256


@pytest.mark.parametrize("module", [rtp_fast_path, session_retention])
def test_attributes_that_an_installer_checks_are_listed(module: object) -> None:
    file = str(vars(module)["__name__"]).replace(".", "/") + ".py"
    listed = {target for use in INTERNAL_USES if use.used_in == file for target in use.sha256}
    checked: dict[str, set[str]] = vars(module)["RELIED_ON"]
    names = {name for attributes in checked.values() for name in attributes}
    assert names - {target.rpartition(".")[2] for target in listed} <= {
        "session_data",
        "time_last_used",
        "delete_state",
    }
    assert "gradio.state_holder:StateHolder" in listed or module is rtp_fast_path  # the class with these three


def test_all_patches_are_active_with_the_pinned_versions() -> None:
    """The fast path of RTP packets among them."""
    assert install_in_process(INSTALL_AND_COMPARE).splitlines() == ["unchanged: []", "stable: True"]


def test_a_changed_target_is_skipped_with_one_line_and_the_others_are_installed() -> None:
    lines = install_in_process(CHANGED_PACKAGES, INSTALL_AND_COMPARE).splitlines()
    skipped, unchanged, again, stable = lines[:2], lines[2], lines[3:5], lines[5]
    assert skipped == again
    assert skipped == [
        "patches: skipped target=aiortc.rtcrtpsender:RTCRtpSender._run_rtp reason=parameters"
        " lost=Calls cost more processor time.",
        "patches: skipped target=gradio.routes:StateHolder reason=not Gradio's own"
        " lost=Memory grows with every page, and holds visitors' words.",
    ]
    left = [target for use in INTERNAL_USES for target in use.replaced if f"'{target}'" in unchanged]
    assert left == [rtp_fast_path.SENDER_LOOP, rtp_fast_path.DTLS_RUN, rtp_fast_path.STUN_RECEIVED, STATE_HOLDER]
    assert stable == "stable: True"
