"""Engines that cannot be imported: whatever an import raises, the process says it in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from offline.engines import EnginesUnavailable, import_engines
from tests.support.paths import ROOT

OPEN_A_MODEL = """
import numpy as np
import onnx
from onnx import TensorProto, helper
from offline.models.onnx_session import open_onnx_session

values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", values[:1], values[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
session = open_onnx_session(model.SerializeToString(), 1)
assert session.run(None, {"x": np.ones(1, np.float32)})[0] == [1.0]
"""


@pytest.mark.parametrize("raised", ["ImportError('no\\nlib.')", "FileNotFoundError(2, 'x.dll')", "RuntimeError()"])
def test_import_engines_with_any_error_raises_one_sentence(
    raised: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"engine_{abs(hash(raised))}"
    (tmp_path / f"{name}.py").write_text(f"raise {raised}", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EnginesUnavailable, match=rf"because {name} cannot be loaded: [^\n]+[^.]\.$"):
        import_engines([name])


def test_engines_report_nothing_and_keep_no_device_id(tmp_path: Path) -> None:
    """onnxruntime writes its device id as soon as it opens a model, unless its telemetry is off."""
    environ = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environ |= dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME"), str(tmp_path))
    subprocess.run([sys.executable, "-c", OPEN_A_MODEL], cwd=ROOT, env=environ, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux shows them")
def test_voice_detection_of_a_window_starts_no_thread_and_keeps_the_environment() -> None:
    program = """
import os
from offline.stt.turn_detection import VAD_WINDOW_SAMPLES, create_silero_vad

detect = create_silero_vad()
before = len(os.listdir("/proc/self/task"))
detect(bytes(2 * VAD_WINDOW_SAMPLES))
print(len(os.listdir("/proc/self/task")) - before, os.environ.get("OMP_THREAD_LIMIT"))
"""
    for limit in (None, "3"):
        environment = {name: value for name, value in os.environ.items() if name != "OMP_THREAD_LIMIT"}
        if limit:
            environment["OMP_THREAD_LIMIT"] = limit
        ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert ran.stdout.split() == ["0", str(limit)], ran.stderr
