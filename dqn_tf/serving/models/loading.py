"""From a version's directory to a `Loaded` model, or a ServingError that says why not."""

import logging
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from dqn_tf.serving.errors import ServingError, translated
from dqn_tf.serving.models.loaded_model import Loaded
from dqn_tf.serving.options import Options

TAG = "serve"
VARIABLES = {"VarHandleOp", "VariableV2", "Variable"}  # operations that hold weights


def load(name: str, version: int, path: Path, options: Options) -> Loaded:
    """The version at `path`, its weights restored and its initializer run.

    Raises ServingError with the code of what went wrong.
    """
    _refuse_what_is_not_whole(path)
    graph = tf.Graph()
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=options.tensorflow_intra_op_parallelism,
        inter_op_parallelism_threads=options.tensorflow_inter_op_parallelism,
        use_per_session_threads=False,
    )
    session = tf.compat.v1.Session(graph=graph, config=config)
    try:
        with graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(session, [TAG], str(path))
        return Loaded(name, version, session, meta_graph)
    except Exception as error:
        session.close()
        logging.debug("loading %s failed", path, exc_info=True)
        if isinstance(error, (ServingError, tf.errors.OpError)):
            raise translated(error) from error
        raise ServingError(
            "NOT_FOUND" if isinstance(error, OSError) else "INVALID_ARGUMENT", f"{path}: {error}"
        ) from error


def _refuse_what_is_not_whole(path: Path) -> None:
    """TensorFlow loads a model without its variables and fails at every request; here the version
    is refused, and an older one goes on.
    """
    description = path / "saved_model.pb"
    if not description.is_file():
        raise ServingError(
            "NOT_FOUND", f"Could not find SavedModel .pb at supplied export directory path: {path}"
        )
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(description.read_bytes())
    # protobuf's DecodeError is of another kind in each of its implementations
    except Exception as error:
        raise ServingError(
            "OUT_OF_RANGE", f"{description} is cut off or damaged: {error}"
        ) from error
    graphs = [graph for graph in saved.meta_graphs if TAG in graph.meta_info_def.tags]
    if not graphs:
        raise ServingError("NOT_FOUND", f"{description} holds no graph with the tag {TAG!r}")
    if not (path / "variables" / "variables.index").is_file() and _has_variables(
        graphs[0].graph_def
    ):
        raise ServingError(
            "NOT_FOUND",
            f"{path / 'variables' / 'variables.index'} is missing: the model's variables would have"
            " no values",
        )


def _has_variables(graph) -> bool:
    return any(
        node.op in VARIABLES
        for nodes in (graph.node, *(function.node_def for function in graph.library.function))
        for node in nodes
    )
