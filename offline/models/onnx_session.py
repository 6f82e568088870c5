"""ONNX Runtime sessions on the CPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort


def open_onnx_session(model: Path | bytes, threads: int) -> ort.InferenceSession:
    """Open a model that runs on `threads` threads. They sleep while idle: spinning takes CPU time from other models."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(
        model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
    )
