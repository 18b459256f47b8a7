"""Every torso with every layout and dtype of observations that it takes, as it is exported."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.envs.spaces import Spaces
from dqn_tf.export.publish import export
from dqn_tf.export.signatures import ExportModule
from sample_agents import agent, observations, without_rounding

LAYOUTS = {
    "number": (),
    "vector": (5,),
    "matrix": (4, 3),
    "picture": (6, 7, 3),
    "image": (36, 36, 2),
    "channels first": (2, 36, 37),
    "one channel": (36, 37),
    "frames first": (2, 36, 37, 3),
}
TORSOS = {  # with the layouts that each takes
    "mlp": ("number", "vector", "matrix", "picture", "image", "channels first"),
    "minatar_cnn": ("picture", "image"),
    "nips_cnn": ("image",),
    "small_cnn": ("image",),
    "nature_cnn": ("image",),
}
# turned before they are convolved, by the one encoding that all convolutions share
TURNED = [
    pytest.param("nips_cnn", layout, dtype, id=f"nips_cnn-{layout}-{dtype}")
    for layout, dtypes in (
        ("channels first", ("uint8", "float32")),
        ("frames first", ("uint8", "float32")),
        ("one channel", ("uint8",)),
    )
    for dtype in dtypes
]
DTYPES = ("float32", "bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "uint64")
CASES = [
    pytest.param(torso, layout, dtype, id=f"{torso}-{layout}-{dtype}")
    for torso, layouts in TORSOS.items()
    for layout in layouts
    for dtype in DTYPES
]
HAS_ONNX = importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxruntime")
FORMATS = ["savedmodel", "tflite"] + ["onnx"] * bool(HAS_ONNX)


@pytest.mark.parametrize("torso, layout, dtype", [*CASES, *TURNED])
def test_the_compiled_signature_answers_any_batch_as_the_agent_does(torso, layout, dtype):
    """An empty batch too: a server may be asked for it, and the gate asks for it."""
    spaces = Spaces(LAYOUTS[layout], dtype, actions=3, action_start=2)
    made = agent(spaces, network=torso)
    serve = ExportModule(made, {}).endpoints["serving_default"]
    for batch in (0, 1, 3):
        seen = observations(spaces, batch)
        answer = serve(tf.constant(seen))
        expected = made(tf.constant(seen)).numpy() if batch else np.zeros((0, 3), np.float32)
        without_rounding(answer["q_values"].numpy(), expected)
        assert answer["action"].numpy().tolist() == (expected.argmax(axis=1) + 2).tolist()


@pytest.mark.parametrize(
    "torso, layout", [("nature_cnn", "image"), ("nips_cnn", "image"), ("minatar_cnn", "picture")]
)
def test_images_of_floats_are_published_in_every_format(torso, layout, tmp_path):
    spaces = Spaces(LAYOUTS[layout], "float32", actions=3)
    made = agent(spaces, network=torso)
    assert export(made, tmp_path, observations(spaces), {}, FORMATS) == tmp_path / "1"


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_tokens_are_published_in_every_format(dtype, tmp_path):
    spaces = Spaces((5,), dtype, actions=3, categories=7, category_start=1, padding=1)
    seen = (observations(Spaces((5,), dtype, actions=3)) % 7 + 1).astype(dtype)
    made = agent(spaces, network="mlp")
    assert export(made, tmp_path, seen, {}, FORMATS) == tmp_path / "1"


def test_pictures_with_their_frames_first_are_published_in_every_format(tmp_path):
    spaces = Spaces(LAYOUTS["frames first"], "uint8", actions=3)
    made = agent(spaces, network="nips_cnn")
    assert export(made, tmp_path, observations(spaces), {}, FORMATS) == tmp_path / "1"
