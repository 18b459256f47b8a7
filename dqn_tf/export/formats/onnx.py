"""The network for ONNX, written node by node.

Converting would be a library's work, but tf2onnx pins an older protobuf than TensorFlow needs; a
QNetwork has few kinds of layers, and the gate compares what comes out. Convolutions are turned to
channels first and back, since ONNX knows no others.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import tensorflow as tf
from onnx import helper, numpy_helper

import dqn_tf
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.layers import NoisyDense
from dqn_tf.agent.networks.numpy_forward import Encoding
from dqn_tf.agent.networks.q_network import QNetwork
from dqn_tf.agent.values import Categorical, Quantile
from dqn_tf.envs.spaces import Spaces
from dqn_tf.export.runtimes import FILES

OPSET = 17  # ONNX 1.12, 2022
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def write_onnx(agent: DQN, version: Path) -> None:
    """Writes observation → q_values, and the greedy action where all actions are legal."""
    onnx.save(model(agent.online, agent.spaces), str(version / FILES["onnx"]))


def model(network: QNetwork, spaces: Spaces) -> onnx.ModelProto:
    """The network without noise.

    Raises onnx.checker.ValidationError if what was built is no valid model.
    """
    graph = Graph()
    given = helper.make_tensor_value_info(
        "observation",
        helper.np_dtype_to_tensor_dtype(np.dtype(spaces.observation_dtype)),
        ["batch", *spaces.observation_shape],
    )
    graph.add("Identity", q_values(graph, network, spaces), output="q_values")
    outputs = [helper.make_tensor_value_info("q_values", FLOAT, ["batch", spaces.actions])]
    if not spaces.masked:
        best = graph.add("ArgMax", "q_values", axis=1, keepdims=0)
        graph.add("Add", best, graph.constant(np.int64(spaces.action_start)), output="action")
        outputs.append(helper.make_tensor_value_info("action", INT64, ["batch"]))
    made = helper.make_model(
        helper.make_graph(graph.nodes, "q_network", [given], outputs, graph.constants),
        producer_name="dqn_tf",
        producer_version=dqn_tf.__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
    )
    onnx.checker.check_model(made, full_check=True)
    return made


class Graph:
    """Nodes and constants. Tensors are spoken of by name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: object) -> str:
        """A node; returns its output's name."""
        name = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: np.ndarray) -> str:
        """An array of the network's own."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def reshape(self, tensor: str, shape: Sequence[int]) -> str:
        """To [-1, *shape]."""
        return self.add("Reshape", tensor, self.constant(np.array([-1, *shape], np.int64)))

    def channels_first(self, images: str) -> str:
        """[B, H, W, C] → [B, C, H, W], as ONNX convolves."""
        return self.add("Transpose", images, perm=(0, 3, 1, 2))

    def channels_last(self, images: str) -> str:
        """[B, C, H, W] → [B, H, W, C], as TensorFlow does."""
        return self.add("Transpose", images, perm=(0, 2, 3, 1))

    def layer(self, layer: tf.keras.layers.Layer, inputs: str) -> str:
        """Add a dense layer, or a convolution with the channels first, with its activation.

        Raises NotImplementedError for another kind of layer or activation.
        """
        kernel = tf.convert_to_tensor(layer.kernel).numpy()
        bias = self.constant(tf.convert_to_tensor(layer.bias).numpy())
        if isinstance(layer, tf.keras.layers.Conv2D):
            kernel = self.constant(kernel.transpose(3, 2, 0, 1))
            outputs = self.add("Conv", inputs, kernel, bias, strides=layer.strides)
        elif isinstance(layer, (tf.keras.layers.Dense, NoisyDense)):
            outputs = self.add("Gemm", inputs, self.constant(kernel), bias)
        else:
            raise NotImplementedError(f"a layer of type {type(layer).__name__}")
        if layer.activation is tf.keras.activations.relu:
            return self.add("Relu", outputs)
        if layer.activation is tf.keras.activations.linear:
            return outputs
        raise NotImplementedError(f"the activation {layer.activation.__name__}")

    def reduce_mean(self, tensor: str, axis: int) -> str:
        """The mean along an axis, which is kept with length 1."""
        return self.add("ReduceMean", tensor, axes=[axis], keepdims=1)


def q_values(graph: Graph, network: QNetwork, spaces: Spaces) -> str:
    """As of `QNetwork.call`."""
    features = network.torso.onnx(graph, encode(graph, network.torso.encoding))
    atoms = network.head.atoms
    streams = []
    for stream in network.head.streams:
        out = features
        for layer in stream:
            out = graph.layer(layer, out)
        streams.append(graph.reshape(out, (stream[-1].units // atoms, atoms)) if atoms > 1 else out)
    if len(streams) == 2:
        value, advantage = streams
        streams = [
            graph.add(
                "Add", value, graph.add("Sub", advantage, graph.reduce_mean(advantage, axis=1))
            )
        ]
    return expected(graph, network.values, streams[0], spaces.actions)


def encode(graph: Graph, encoding: Encoding) -> str:
    """Add what `Torso.encode` does."""
    if encoding.categories:
        start = graph.constant(np.array(encoding.category_start, encoding.observation_dtype))
        place = graph.add("Cast", graph.add("Sub", "observation", start), to=INT64)
        depth = graph.constant(np.int64(encoding.categories))
        off_and_on = graph.constant(np.array([0.0, 1.0], np.float32))
        return graph.add("OneHot", place, depth, off_and_on, axis=-1)
    features = graph.add("Cast", "observation", to=FLOAT)
    if encoding.scales_pixels:
        features = graph.add("Div", features, graph.constant(np.float32(255.0)))
    return features


def expected(graph: Graph, values: object, outputs: str, actions: int) -> str:
    """As of `values.q_values`: [B, A], or [B, A, N] for distributions → [B, A]."""
    if isinstance(values, Categorical):
        weighted = graph.add(
            "Mul", graph.add("Softmax", outputs, axis=2), graph.constant(values.support)
        )
        return graph.add("ReduceSum", weighted, graph.constant(np.array([2], np.int64)), keepdims=0)
    if isinstance(values, Quantile):
        return graph.reshape(graph.reduce_mean(outputs, axis=2), (actions,))
    return outputs
