"""Integer graph: a quantised ONNX model whose convolutions are matrix products, which many processors compute faster.

ONNX Runtime computes `ConvInteger` with uint8 weights, for which it has no kernel that uses the dot products of VNNI
or the tiles of AMX. For `MatMulInteger` with int8 weights it has. A convolution of stride 1 is such a product: each
row holds the inputs of one output frame. The integers are the same, so the results differ in the rounding of the bias.
On a processor with AMX, Kokoro's decoder then takes 0.4 of the time.

`prefers_matrix_products` decides on each computer: processors with AVX2 only cut off sums of products at 16 bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from offline.models.onnx_session import open_onnx_session

MICROSOFT_DOMAIN = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""
MIN_INPUT_CHANNELS = 16
"""Input channels from which a convolution is worth the copy of its inputs."""
PROBE_RUNS = 3
"""Runs of each form of the probe. The fastest counts: other programs only add time."""
MIN_SPEED_RATIO = 1.3
"""Ratio of the times, convolution to product, from which products are used. The copies take the rest."""

_PROBE_CHANNELS, _PROBE_TAPS, _PROBE_FRAMES = 128, 7, 1200


class _Graph:
    """Nodes of a model by the names of their inputs and outputs, and its constants."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes = list(model.graph.node)
        self.producers = {name: node for node in self.nodes for name in node.output}
        self._constants = {each.name: each for each in model.graph.initializer}
        self._consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)

    def consumer(self, name: str, operator: str) -> onnx.NodeProto | None:
        """Return the first node of the type that takes `name`."""
        return next((node for node in self._consumers.get(name, ()) if node.op_type == operator), None)

    def constant(self, name: str) -> npt.NDArray[np.generic] | None:
        """Return the value of a constant; None for a computed tensor."""
        return numpy_helper.to_array(self._constants[name]) if name in self._constants else None

    def first_constant(self, name: str) -> str:
        """Return the constant from which `name` is computed, along the first inputs."""
        while name not in self._constants:
            name = self.producers[name].input[0]
        return name

    def add_constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """Add a constant unless there is one of the name. Return the name."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(value, name)
        return name

    def rebuild(self, replaced: dict[str, list[onnx.NodeProto]]) -> onnx.ModelProto:
        """Return the model with these nodes in place of those with the outputs, without what is unused then."""
        nodes = [new for node in self.nodes for new in replaced.get(node.output[0], [node])]
        needed = {each.name for each in self.model.graph.output}
        kept = []
        for node in reversed(nodes):  # in topological order, so that one pass finds all that is needed
            if not needed.isdisjoint(node.output):
                kept.append(node)
                needed.update(node.input)
        result = onnx.ModelProto()
        result.CopyFrom(self.model)
        del result.graph.node[:], result.graph.initializer[:]
        result.graph.node.extend(reversed(kept))
        result.graph.initializer.extend(value for name, value in self._constants.items() if name in needed)
        if not any(each.domain == MICROSOFT_DOMAIN for each in result.opset_import):
            result.opset_import.append(helper.make_opsetid(MICROSOFT_DOMAIN, 1))
        return result


def with_matrix_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with its quantised 1-D convolutions of stride 1 as matrix products.

    Such a convolution is DynamicQuantizeLinear, ConvInteger, an optional Add of the bias, Cast, and Mul by the scales.
    """
    graph, replaced, prepared = _Graph(model), dict[str, list[onnx.NodeProto]](), set[str]()
    for node in graph.nodes:
        if node.op_type != "ConvInteger" or not _is_plain(graph, node):
            continue
        biased = graph.consumer(node.output[0], "Add")
        cast = graph.consumer((biased or node).output[0], "Cast")
        scaled = graph.consumer(cast.output[0], "Mul") if cast is not None else None
        scales = graph.producers.get(scaled.input[1]) if scaled is not None else None
        if scaled is None or scales is None:
            continue
        bias = graph.first_constant(biased.input[1]) if biased is not None else ""
        replaced[scaled.output[0]] = list(_matrix_product(graph, node, scales, bias, scaled.output[0], prepared))
    return graph.rebuild(replaced)


def _is_plain(graph: _Graph, convolution: onnx.NodeProto) -> bool:
    weights = graph.constant(convolution.input[1])
    attributes = _attributes(convolution)
    return (
        weights is not None
        and weights.ndim == 3
        and weights.dtype == np.uint8
        and weights.shape[1] >= MIN_INPUT_CHANNELS
        and attributes["strides"] == [1]
        and attributes["group"] == 1
    )


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _matrix_product(
    graph: _Graph, convolution: onnx.NodeProto, scales: onnx.NodeProto, bias: str, output: str, prepared: set[str]
) -> Iterator[onnx.NodeProto]:
    """Yield the nodes that compute `output`, float32 [1, channels, frames]. `prepared` names shared tensors."""
    name, inputs, zero_point = convolution.name, convolution.input[0], convolution.input[2]
    weights, weights_zero = graph.constant(convolution.input[1]), graph.constant(convolution.input[3])
    assert weights is not None and weights_zero is not None
    out_channels, in_channels, taps = weights.shape
    attributes = _attributes(convolution)
    before, after = attributes["pads"]
    [dilation] = attributes["dilations"]
    rows = f"{inputs}_rows"  # uint8 [1, frames, channels]
    if rows not in prepared:
        prepared.add(rows)
        yield helper.make_node("Transpose", [inputs], [rows], perm=[0, 2, 1])
    if taps > 1:
        padded = f"{rows}_{before}_{after}"
        if padded not in prepared:
            prepared.add(padded)
            pads = graph.add_constant(f"pads_{before}_{after}", np.array([0, before, 0, 0, after, 0], np.int64))
            yield helper.make_node("Pad", [rows, pads, zero_point], [padded])
        zero, one = (graph.add_constant(f"integer_{i}", np.array(i, np.int64)) for i in (0, 1))
        last = graph.add_constant("last_axis", np.array([1], np.int64))
        offsets = graph.add_constant(f"taps_{taps}_{dilation}", np.arange(taps, dtype=np.int64)[None] * dilation)
        shape = graph.add_constant(f"row_{taps * in_channels}", np.array([1, -1, taps * in_channels], np.int64))
        for operator, given, made in (
            ("Shape", [rows], "shape"),
            ("Gather", [f"{name}/shape", one], "frames"),
            ("Range", [zero, f"{name}/frames", one], "range"),
            ("Unsqueeze", [f"{name}/range", last], "starts"),
            ("Add", [f"{name}/starts", offsets], "indices"),
        ):
            yield helper.make_node(operator, given, [f"{name}/{made}"])
        yield helper.make_node("Gather", [padded, f"{name}/indices"], [f"{name}/windows"], axis=1)
        rows = f"{name}/columns"
        yield helper.make_node("Reshape", [f"{name}/windows", shape], [rows])
    matrix = (weights.astype(np.int16) - 128).astype(np.int8).transpose(2, 1, 0).reshape(-1, out_channels)
    factors = [
        rows,
        graph.add_constant(f"{name}/matrix", matrix),
        *scales.input,  # of the inputs, of the weights
        zero_point,
        graph.add_constant(f"{name}/matrix_zero", (weights_zero.astype(np.int16) - 128).astype(np.int8)),
        *([bias] if bias else []),
    ]
    yield helper.make_node("MatMulIntegerToFloat", factors, [f"{name}/product"], domain=MICROSOFT_DOMAIN)
    yield helper.make_node("Transpose", [f"{name}/product"], [output], perm=[0, 2, 1])


def with_instance_norms(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with each normalisation over the frames as one `InstanceNormalization`, and squares as products.

    A normalisation is (x - mean) / sqrt(variance + epsilon) * scale + shift, with scale and shift [1, channels, 1].
    """
    graph, replaced = _Graph(model), dict[str, list[onnx.NodeProto]]()
    for node in graph.nodes:
        if node.op_type == "Pow" and np.array_equal(graph.constant(node.input[1]), 2.0):  # type: ignore[arg-type]
            replaced[node.output[0]] = [helper.make_node("Mul", [node.input[0]] * 2, list(node.output))]
        if node.op_type != "ReduceMean" or (centred := graph.consumer(node.output[0], "Sub")) is None:
            continue
        divided = graph.consumer(centred.output[0], "Div")
        scaled = graph.consumer(divided.output[0], "Mul") if divided is not None else None
        shifted = graph.consumer(scaled.output[0], "Add") if scaled is not None else None
        root = graph.producers.get(divided.input[1]) if divided is not None else None
        if divided is None or scaled is None or shifted is None or root is None or root.op_type != "Sqrt":
            continue
        epsilons = [graph.constant(name) for name in graph.producers[root.input[0]].input]
        [epsilon] = [float(each.item()) for each in epsilons if each is not None]
        axes = graph.add_constant("outer_axes", np.array([0, 2], np.int64))
        [scale], [shift] = (
            [name for name in user.input if name != source.output[0]]
            for user, source in ((scaled, divided), (shifted, scaled))
        )
        output = shifted.output[0]
        replaced[output] = [
            helper.make_node("Squeeze", [scale, axes], [f"{output}/scale"]),
            helper.make_node("Squeeze", [shift, axes], [f"{output}/shift"]),
            helper.make_node(
                "InstanceNormalization",
                [node.input[0], f"{output}/scale", f"{output}/shift"],
                [output],
                epsilon=epsilon,
            ),
        ]
    return graph.rebuild(replaced)


# ------------------------------------------------------------------ choice


def probe_model(*, channels: int = _PROBE_CHANNELS, taps: int = _PROBE_TAPS, seed: int = 0) -> onnx.ModelProto:
    """Return a model of one quantised convolution, float32 [1, channels, frames] to the same shape.

    Its weights are the extremes of their type, so that sums of products reach the limits of a kernel.
    """
    weights = np.random.default_rng(seed).choice(np.array([0, 1, 254, 255], np.uint8), (channels, channels, taps))
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["quantised", "scale", "zero"]),
        helper.make_node(
            "ConvInteger",
            ["quantised", "weights", "zero", "weights_zero"],
            ["sums"],
            name="convolution",
            pads=[taps // 2, taps // 2],
            strides=[1],
            dilations=[1],
            group=1,
        ),
        helper.make_node("Cast", ["sums"], ["floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["scale", "weights_scale"], ["scales"]),
        helper.make_node("Mul", ["floats", "scales"], ["y"]),
    ]
    constants = {"weights": weights, "weights_zero": np.uint8(128), "weights_scale": np.float32(0.01)}
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, channels, "frames"])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, channels, "frames"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def prefers_matrix_products(threads: int, clock: Callable[[], float] = time.perf_counter) -> bool:
    """Return whether this computer computes matrix products exactly, and faster than convolutions. Takes 0.1 s."""
    plain = probe_model()
    frames = np.random.default_rng(1).choice(np.array([-1, 1], np.float32), (1, _PROBE_CHANNELS, _PROBE_FRAMES))
    results, times = [], []
    for model in (plain, with_matrix_products(plain)):
        session, took = open_onnx_session(model.SerializeToString(), threads), []
        for _ in range(1 + PROBE_RUNS):
            begun = clock()
            [result] = session.run(None, {"x": frames})
            took.append(clock() - begun)
        results.append(result)
        times.append(min(took[1:]))  # the first run allocates
    is_exact = np.allclose(results[0], results[1], rtol=1e-5, atol=1e-3)
    return is_exact and times[0] >= MIN_SPEED_RATIO * times[1]
