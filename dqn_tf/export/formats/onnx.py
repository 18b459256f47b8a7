"""The network for ONNX, written node by node.

A library could convert it, but tf2onnx pins an older protobuf than TensorFlow needs. The torso adds
itself to the graph; encoding, head and values are added here. The gate compares the result with the
agent.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from onnx import helper, numpy_helper

import dqn_tf
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.heads import Head
from dqn_tf.agent.networks.layers import NoisyDense
from dqn_tf.agent.networks.numpy_forward import Encoding
from dqn_tf.agent.networks.q_network import QNetwork
from dqn_tf.agent.values import Categorical, Quantile
from dqn_tf.envs.spaces import Spaces
from dqn_tf.export.runtimes import FILES

OPSET = 17  # ONNX 1.12, 2022
IR_VERSION = 8  # the file format of that version
FLOAT = onnx.TensorProto.FLOAT
INT64 = onnx.TensorProto.INT64


def write_onnx(agent: DQN, version: Path) -> None:
    """Write observation → q_values, and the greedy action where all actions are legal.

    Raises NotImplementedError, which says why, for a network without an ONNX twin.
    """
    onnx.save(make_model(agent.online, agent.spaces), str(version / FILES["onnx"]))


def make_model(network: QNetwork, spaces: Spaces) -> onnx.ModelProto:
    """Return the network, without noise, as a model.

    Raises NotImplementedError for a network without an ONNX twin, and
    onnx.checker.ValidationError if a torso's twin is not valid.
    """
    if spaces.choices:
        raise NotImplementedError("choices told as texts have no ONNX twin")
    graph = Graph()
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(spaces.observation_dtype))
    observation = helper.make_tensor_value_info(
        "observation", dtype, ["batch", *spaces.observation_shape]
    )
    features = network.torso.onnx(graph, add_encoding(graph, network.torso.encoding))
    graph.add("Identity", add_q_values(graph, network, features, spaces), output="q_values")
    outputs = [helper.make_tensor_value_info("q_values", FLOAT, ["batch", spaces.actions])]
    if not spaces.masked:
        candidates = add_scores(graph, network, features)
        best = graph.add("ArgMax", candidates, axis=1, keepdims=0)
        graph.add("Add", best, graph.constant(np.array(spaces.action_start)), output="action")
        outputs.append(helper.make_tensor_value_info("action", INT64, ["batch"]))
    model = helper.make_model(
        helper.make_graph(graph.nodes, "q_network", [observation], outputs, graph.constants),
        producer_name="dqn_tf",
        producer_version=dqn_tf.__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class Graph:
    """Nodes and constants; a tensor is referred to by its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node; return its output's name."""
        name = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: np.ndarray) -> str:
        """Add an array, such as weights; return its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def layer(self, layer: tf.keras.layers.Layer, inputs: str) -> str:
        """Add a dense layer, or a convolution with the channels first, with its activation.

        Raises NotImplementedError for another kind of layer or activation.
        """
        kernel = tf.convert_to_tensor(layer.kernel).numpy()
        bias = self.constant(tf.convert_to_tensor(layer.bias).numpy())
        if isinstance(layer, tf.keras.layers.Conv2D):
            # [size, size, inputs, filters] → [filters, inputs, size, size]
            weights = self.constant(kernel.transpose(3, 2, 0, 1))
            outputs = self.add("Conv", inputs, weights, bias, strides=layer.strides)
        elif isinstance(layer, (tf.keras.layers.Dense, NoisyDense)):
            outputs = self.add("Gemm", inputs, self.constant(kernel), bias)
        else:
            raise NotImplementedError(f"a layer of type {type(layer).__name__}")
        if layer.activation is tf.keras.activations.relu:
            return self.add("Relu", outputs)
        if layer.activation is tf.keras.activations.linear:
            return outputs
        raise NotImplementedError(f"the activation {layer.activation.__name__}")

    def reshape(self, tensor: str, shape: Sequence[int]) -> str:
        """Reshape a tensor to [B, *shape]."""
        return self.add("Reshape", tensor, self.constant(np.array([-1, *shape], np.int64)))

    def channels_first(self, images: str) -> str:
        """[B, H, W, C] → [B, C, H, W], as ONNX convolves."""
        return self.add("Transpose", images, perm=(0, 3, 1, 2))

    def channels_last(self, images: str) -> str:
        """[B, C, H, W] → [B, H, W, C], as TensorFlow does."""
        return self.add("Transpose", images, perm=(0, 2, 3, 1))

    def reduce_mean(self, tensor: str, axis: int) -> str:
        """Average along an axis, which is kept with length 1."""
        return self.add("ReduceMean", tensor, axes=[axis], keepdims=1)


def add_scores(graph: Graph, network: QNetwork, features: str) -> str:
    """Add what `QNetwork.greedy_action` takes the largest of, the lowest number where it may not.

    Without --support and --q_weight these are the Q-values.
    """
    if network.behaviour is None or not (network.support or network.q_weight):
        return "q_values"
    behaviour = add_head(graph, network.behaviour, features)
    scores = "q_values"
    if network.q_weight:
        weight = graph.constant(np.array(network.q_weight, np.float32))
        scores = graph.add("Add", behaviour, graph.add("Mul", "q_values", weight))
    if not network.support:
        return scores
    likeliest = graph.add("ReduceMax", behaviour, axes=[1], keepdims=1)
    log_tau = graph.constant(np.log(network.support).astype(np.float32))
    least = graph.add("Add", likeliest, log_tau)
    is_supported = graph.add("GreaterOrEqual", behaviour, least)
    lowest = graph.constant(np.array(np.finfo(np.float32).min))
    return graph.add("Where", is_supported, scores, lowest)


def add_q_values(graph: Graph, network: QNetwork, features: str, spaces: Spaces) -> str:
    """Add what head and values of a `QNetwork` do, features [B, width] → [B, A]."""
    outputs = add_head(graph, network.head, features)
    return add_expectation(graph, network.values, outputs, spaces.actions)


def add_encoding(graph: Graph, encoding: Encoding) -> str:
    """Add what `Torso.encode` does."""
    if encoding.categories:
        start = graph.constant(np.array(encoding.category_start, np.int64))
        place = graph.add("Sub", graph.add("Cast", "observation", to=INT64), start)
        depth = graph.constant(np.array(encoding.categories))
        off_and_on = graph.constant(np.array([0.0, 1.0], np.float32))
        features = graph.add("OneHot", place, depth, off_and_on, axis=-1)
        if encoding.counts_tokens:
            counts = graph.add("ReduceSum", features, graph.constant(np.array([1])), keepdims=0)
            features = graph.add("Mul", counts, graph.constant(encoding.counted))
        return features
    features = graph.add("Cast", "observation", to=FLOAT)
    if encoding.scales_pixels:
        features = graph.add("Div", features, graph.constant(np.array(255.0, np.float32)))
    return features


def add_head(graph: Graph, head: Head, features: str) -> str:
    """Add what `Head.call` does, [B, width] → [B, A], or [B, A, N] with N > 1 atoms."""
    streams = []
    for layers in head.streams:
        outputs = features
        for layer in layers:
            outputs = graph.layer(layer, outputs)
        if head.atoms > 1:
            outputs = graph.reshape(outputs, (layers[-1].units // head.atoms, head.atoms))
        streams.append(outputs)
    if len(streams) == 1:
        return streams[0]
    value, advantage = streams
    centred = graph.add("Sub", advantage, graph.reduce_mean(advantage, axis=1))
    return graph.add("Add", value, centred)


def add_expectation(graph: Graph, values: object, outputs: str, actions: int) -> str:
    """Add what `values.q_values` does: [B, A], or [B, A, N] for distributions → [B, A]."""
    if isinstance(values, Categorical):
        probabilities = graph.add("Softmax", outputs, axis=2)
        weighted = graph.add("Mul", probabilities, graph.constant(values.support))
        return graph.add("ReduceSum", weighted, graph.constant(np.array([2])), keepdims=0)
    if isinstance(values, Quantile):
        return graph.reshape(graph.reduce_mean(outputs, axis=2), (actions,))
    return outputs
