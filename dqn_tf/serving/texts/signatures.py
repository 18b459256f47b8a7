"""Which signatures a server adds to a version that can read texts only from tokens.

    text       text [B] string, one message of the user              action, q_values, action_text
    messages   role [B, M], content [B, M] string, a dialogue        the same

Where choices are told as texts, both take choices [B, K] string, too; the twins `..._masked` take
action_mask. They stand on two of the version's own: `text_features` and `from_features`.
"""

from tensorflow.core.framework import tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

READS = "text_features"
DECIDES = "from_features"
TEXT, MESSAGES = "text", "messages"
MASKED = "_masked"
# inputs of `from_features` that clients do not send
OWN = ("features", "role", "choice_features")
TOKENS, FEATURES = "tokens", "features"


def can_read(meta_graph: meta_graph_pb2.MetaGraphDef) -> bool:
    """Return whether a version has the signatures that this stands on, in the shapes of dqn_tf."""
    signatures = meta_graph.signature_def
    if READS not in signatures or not any(DECIDES + end in signatures for end in ("", MASKED)):
        return False
    return min(length(meta_graph), *places(meta_graph)) > 0


def length(meta_graph: meta_graph_pb2.MetaGraphDef) -> int:
    """Return the tokens of a text; 0 if that is not known."""
    return _sizes(meta_graph, READS, TOKENS, 2)[1]


def places(meta_graph: meta_graph_pb2.MetaGraphDef) -> tuple[int, int]:
    """Return room for messages, and numbers of a message's features; 0 if that is not known."""
    signatures = meta_graph.signature_def
    name = DECIDES if DECIDES in signatures else DECIDES + MASKED
    _, room, width = _sizes(meta_graph, name, FEATURES, 3)
    return room, width


def add(meta_graph: meta_graph_pb2.MetaGraphDef) -> dict[str, str]:
    """Add the signatures; return for each the one that it is decided by.

    `messages` is there where there is room for more than one.
    """
    decided_by = {}
    names = [TEXT, MESSAGES] if places(meta_graph)[0] > 1 else [TEXT]
    for end in ("", MASKED):
        if DECIDES + end not in meta_graph.signature_def:
            continue
        for name in names:
            if name + end not in meta_graph.signature_def:
                _add_one(meta_graph, name + end, DECIDES + end)
                decided_by[name + end] = DECIDES + end
    return decided_by


def _add_one(meta_graph: meta_graph_pb2.MetaGraphDef, name: str, decides: str) -> None:
    below = meta_graph.signature_def[decides]
    made = meta_graph.signature_def[name]
    made.method_name = below.method_name
    own = {"text": 1} if name.startswith(TEXT) else {"role": 2, "content": 2}
    for alias, rank in own.items():
        info = made.inputs[alias]
        info.name, info.dtype = f"{name}_{alias}:0", types_pb2.DT_STRING
        dimension = tensor_shape_pb2.TensorShapeProto.Dim(size=-1)
        info.tensor_shape.dim.extend([dimension] * rank)
    for alias, info in below.inputs.items():
        if alias not in OWN:
            made.inputs[alias].CopyFrom(info)
    for alias, info in below.outputs.items():
        made.outputs[alias].CopyFrom(info)
        made.outputs[alias].name = f"{name}_{alias}:0"  # of no operation: it is not quick


def _sizes(
    meta_graph: meta_graph_pb2.MetaGraphDef, signature: str, alias: str, rank: int
) -> list[int]:
    """Return the dimensions of an input, 0 where they are free or unknown."""
    inputs = meta_graph.signature_def[signature].inputs
    if alias not in inputs or len(inputs[alias].tensor_shape.dim) != rank:
        return [0] * rank
    return [max(0, dimension.size) for dimension in inputs[alias].tensor_shape.dim]
