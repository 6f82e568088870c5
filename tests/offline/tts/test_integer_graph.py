"""Integer graph: convolutions as matrix products, normalisations as one node, and the choice for this computer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from offline.models.onnx_session import open_onnx_session
from offline.tts import integer_graph
from offline.tts.integer_graph import (
    PROBE_RUNS,
    prefers_matrix_products,
    probe_model,
    with_instance_norms,
    with_matrix_products,
)


def run(model: onnx.ModelProto, x: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = open_onnx_session(model.SerializeToString(), 1).run(None, {"x": x})[0]
    return result


def operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


def with_bias(model: onnx.ModelProto, channels: int) -> onnx.ModelProto:
    """Return the probe with a bias as ONNX Runtime's quantiser writes it: rounded to the scale of the sums."""
    bias = np.linspace(-5, 5, channels, dtype=np.float32)
    convolution, cast = (
        next(i for i, each in enumerate(model.graph.node) if each.op_type == name) for name in ("ConvInteger", "Cast")
    )
    model.graph.initializer.append(numpy_helper.from_array(bias, "bias"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, -1, 1], np.int64), "bias_shape"))
    nodes = list(model.graph.node)
    scales = nodes.pop(next(i for i, each in enumerate(nodes) if each.output[0] == "scales"))
    rounded = [
        helper.make_node("Div", ["bias", "scales"], ["ratio"]),
        helper.make_node("Floor", ["ratio"], ["floor"]),
        helper.make_node("Cast", ["floor"], ["integers"], to=onnx.TensorProto.INT32),
        helper.make_node("Reshape", ["integers", "bias_shape"], ["reshaped"]),
        helper.make_node("Add", ["sums", "reshaped"], ["biased"]),
    ]
    nodes[cast].input[0] = "biased"
    nodes[convolution + 1 : convolution + 1] = [scales, *rounded]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


@settings(max_examples=25, deadline=None)
@given(
    channels=st.sampled_from([16, 20, 64]),
    taps=st.sampled_from([1, 3, 7]),
    dilation=st.integers(1, 3),
    frames=st.integers(1, 40),
    is_biased=st.booleans(),
    seed=st.integers(0, 99),
)
def test_with_matrix_products_computes_what_the_convolutions_compute(
    channels: int, taps: int, dilation: int, frames: int, is_biased: bool, seed: int
) -> None:
    plain = probe_model(channels=channels, taps=taps, seed=seed)
    convolution = next(node for node in plain.graph.node if node.op_type == "ConvInteger")
    for attribute in convolution.attribute:
        if attribute.name == "dilations":
            attribute.ints[:] = [dilation]
        if attribute.name == "pads":
            attribute.ints[:] = [taps // 2 * dilation] * 2
    weights = next(each for each in plain.graph.initializer if each.name == "weights")
    small = np.random.default_rng(seed).integers(100, 156, (channels, channels, taps), np.uint8)
    weights.CopyFrom(numpy_helper.from_array(small, "weights"))  # within the range of every kernel
    if is_biased:
        plain = with_bias(plain, channels)
    rebuilt = with_matrix_products(plain)
    assert "ConvInteger" not in operators(rebuilt) and "MatMulIntegerToFloat" in operators(rebuilt)
    x = np.random.default_rng(seed).standard_normal((1, channels, frames)).astype(np.float32)
    step = 0.01 * (max(0.0, float(x.max())) - min(0.0, float(x.min()))) / 255  # one step of the integer sums
    np.testing.assert_allclose(run(rebuilt, x), run(plain, x), rtol=1e-5, atol=1.1 * step if is_biased else 1e-4)


@pytest.mark.parametrize(
    ("attribute", "value"), [("strides", 2), ("group", 2)], ids=["a stride of two", "two groups of channels"]
)
def test_with_matrix_products_leaves_other_convolutions(attribute: str, value: int) -> None:
    model = probe_model(channels=16)
    convolution = next(node for node in model.graph.node if node.op_type == "ConvInteger")
    for each in convolution.attribute:
        if each.name == attribute:
            each.CopyFrom(helper.make_attribute(attribute, [value] if attribute == "strides" else value))
    assert "ConvInteger" in operators(with_matrix_products(model))


def normalisation_model(epsilon: float) -> onnx.ModelProto:
    """Return a model of one adaptive instance normalisation and a square, as PyTorch's export writes them."""
    constants = {
        "axis": np.array([2], np.int64),
        "epsilon": np.float32(epsilon),
        "two": np.float32(2),
        "scale": np.linspace(0.5, 2, 4, dtype=np.float32).reshape(1, 4, 1),
        "shift": np.linspace(-1, 1, 4, dtype=np.float32).reshape(1, 4, 1),
    }
    nodes = [
        helper.make_node("ReduceMean", ["x", "axis"], ["mean"]),
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "centred"], ["squares"]),
        helper.make_node("ReduceMean", ["squares", "axis"], ["variance"]),
        helper.make_node("Add", ["variance", "epsilon"], ["raised"]),
        helper.make_node("Sqrt", ["raised"], ["deviation"]),
        helper.make_node("Div", ["centred", "deviation"], ["divided"]),
        helper.make_node("Mul", ["scale", "divided"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["shifted"]),
        helper.make_node("Pow", ["shifted", "two"], ["y"]),
    ]
    shape: list[str | int | None] = [1, 4, "frames"]
    graph = helper.make_graph(
        nodes,
        "normalisation",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@given(st.integers(2, 60), st.sampled_from([1e-5, 1e-3]), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_with_instance_norms_computes_the_same(frames: int, epsilon: float, seed: int) -> None:
    plain = normalisation_model(epsilon)
    rebuilt = with_instance_norms(plain)
    assert operators(rebuilt) == {"Squeeze", "InstanceNormalization", "Mul"}
    x = np.random.default_rng(seed).normal(3, 2, (1, 4, frames)).astype(np.float32)
    np.testing.assert_allclose(run(rebuilt, x), run(plain, x), rtol=1e-3, atol=1e-4)


def clock_of(convolution_s: float, product_s: float) -> Callable[[], float]:
    """Return a clock by which each run of either form takes these seconds."""
    steps = [convolution_s] * (1 + PROBE_RUNS) + [product_s] * (1 + PROBE_RUNS)
    times = iter([time for step in steps for time in (0.0, step)])
    return lambda: next(times)


@pytest.mark.parametrize(("product_s", "is_preferred"), [(0.5, True), (0.9, False)])
def test_prefers_matrix_products_only_where_they_are_faster(
    product_s: float, is_preferred: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integer_graph, "with_matrix_products", lambda model: model)  # exact on every processor
    assert prefers_matrix_products(1, clock_of(1.0, product_s)) is is_preferred


def test_prefers_matrix_products_not_where_the_results_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_graph, "with_matrix_products", lambda _: probe_model(seed=1))
    assert not prefers_matrix_products(1, clock_of(1.0, 0.5))
