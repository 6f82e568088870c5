"""ONNX Runtime sessions on the CPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

from .ascii_path import ascii_path


def open_onnx_session(model: Path | bytes, threads: int) -> ort.InferenceSession:
    """Open a model that runs on `threads` threads. They sleep while idle: spinning takes CPU time from other models."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if isinstance(model, bytes):
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    with ascii_path(model) as path:
        source = str(path) if path is not None else model.read_bytes()
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
