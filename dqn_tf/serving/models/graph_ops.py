"""Finds out whether the time that a signature takes depends on the shapes of its inputs alone."""

from collections.abc import Iterable

from tensorflow.core.framework import graph_pb2, node_def_pb2

# Operations without loops, randomness, waiting, or outputs whose size is one of their input values.
SHAPE_BOUND_OPS = {
    *("Abs", "Add", "AddN", "AddV2", "All", "Any", "ArgMax", "ArgMin", "Assert", "AvgPool"),
    *("BatchMatMul", "BatchMatMulV2", "BiasAdd", "Cast", "Ceil", "ClipByValue", "Concat"),
    *("ConcatV2", "Const", "Conv2D", "Cos", "Cumsum", "DepthwiseConv2dNative", "Elu"),
    *("EnsureShape", "Equal", "Erf", "Exp", "ExpandDims", "Floor", "FusedBatchNormV3", "GatherV2"),
    *("Greater", "GreaterEqual", "Identity", "IdentityN", "LeakyRelu", "Less", "LessEqual", "Log"),
    *("LogSoftmax", "LogicalAnd", "LogicalNot", "LogicalOr", "MatMul", "Max", "MaxPool"),
    *("Maximum", "Mean", "Min", "Minimum", "Mul", "Neg", "NoOp", "NotEqual", "Pack", "Pad"),
    *("PadV2", "PartitionedCall", "Placeholder", "Pow", "Prod", "ReadVariableOp", "RealDiv"),
    *("Relu", "Relu6", "Reshape", "Round", "Rsqrt", "Select", "SelectV2", "Selu", "Shape"),
    *("Sigmoid", "Sign", "Sin", "Slice", "Softmax", "Softplus", "Split", "SplitV", "Sqrt"),
    *("Square", "SquaredDifference", "Squeeze", "StatefulPartitionedCall", "StopGradient"),
    *("StridedSlice", "Sub", "Sum", "Tanh", "Transpose", "Unpack", "VarHandleOp", "ZerosLike"),
}


class GraphOps:
    """The operations of a graph, with those of the functions that it calls."""

    def __init__(self, graph: graph_pb2.GraphDef) -> None:
        self._nodes = {node.name: node for node in graph.node}
        self._functions = {
            function.signature.name: function.node_def for function in graph.library.function
        }

    def is_shape_bound(self, tensor_names: Iterable[str]) -> bool:
        """Return True if the time to compute these tensors depends on input shapes alone."""
        return self._reachable_ops(tensor_names) <= SHAPE_BOUND_OPS

    def _reachable_ops(self, tensor_names: Iterable[str]) -> set[str]:
        ops: set[str] = set()
        seen: set[str] = set()
        waiting = [_node_name(name) for name in tensor_names]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            node = self._nodes.get(name)
            if node is None:
                return {"unknown"}
            ops.add(node.op)
            self._add_called_ops(node, ops, seen)
            waiting.extend(_node_name(source) for source in node.input)
        return ops

    def _add_called_ops(self, node: node_def_pb2.NodeDef, ops: set[str], seen: set[str]) -> None:
        """Add the operations of the functions that a node calls, and of those that they call."""
        for attribute in node.attr.values():
            function = attribute.func.name
            key = f"function {function}"
            if function and key not in seen:
                seen.add(key)
                for inner in self._functions.get(function, ()):
                    ops.add(inner.op)
                    self._add_called_ops(inner, ops, seen)


def _node_name(tensor_name: str) -> str:
    return tensor_name.lstrip("^").split(":")[0]
