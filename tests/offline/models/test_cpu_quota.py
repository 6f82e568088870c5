"""CPU quota of the benchmark of the voice: cgroups of both versions, and a computer that has none to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.support.voice.cpu_quota import PERIOD_US, QuotaUnavailable, cpu_quota


def test_cpu_quota_in_cgroups_of_version_2_limits_all_processors_together(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu memory\n")
    (tmp_path / "cgroup.subtree_control").write_text("memory\n")
    with cpu_quota(60, tmp_path, processors=2) as processes:
        assert (processes.parent / "cpu.max").read_text() == f"{PERIOD_US * 6 // 5} {PERIOD_US}"
        assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"
        assert processes.name == "cgroup.procs"


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
def test_cpu_quota_in_cgroups_of_version_1(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    with cpu_quota(25, tmp_path, processors=4) as processes:
        assert processes.parent.parent == tmp_path / folder
        assert (processes.parent / "cpu.cfs_quota_us").read_text() == str(PERIOD_US)
        assert (processes.parent / "cpu.cfs_period_us").read_text() == str(PERIOD_US)


def test_cpu_quota_without_a_controller_says_so(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    with pytest.raises(QuotaUnavailable, match="no controller"), cpu_quota(60, tmp_path):
        raise AssertionError("there is no quota")
    assert [path.name for path in tmp_path.iterdir()] == ["cgroup.controllers"]
