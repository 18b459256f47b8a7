"""Small agents of every kind that can be exported, and observations for them."""

import dataclasses
import functools
from importlib import util
from pathlib import Path

import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import CompiledQFunction, make_q_function
from dqn_tf.agent.networks.numpy_forward import NumpyQFunction
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.export.publish import export

KINDS = {
    "vector": Spaces((4,), "float32", actions=3, action_start=-1),
    "image": Spaces((84, 84, 4), "uint8", actions=4),
    "discrete": Spaces((), "int64", actions=2, categories=6, category_start=2, action_start=5),
    "bytes": Spaces((10,), "uint8", actions=2),
    "masked": Spaces((3,), "float32", 4, action_start=7, masked=True),
    "picture": Spaces((10, 10, 4), "bool", actions=6),
}
TOKENS = Spaces((7,), "int32", 3, categories=9, category_start=2, action_start=3, padding=4)
CHOICES = dataclasses.replace(
    TOKENS, observation_shape=(13,), masked=True, choices=3, choice_tokens=2
)
SEQUENTIAL = {"layers": 2, "heads": 2, "width": 8}
VARIANTS = {  # kind of spaces, settings; Rainbow is dueling, noisy and C51
    "linear": ("vector", {}),
    "quantile": ("vector", {"distribution": "quantile", "dueling": True}),
    "masked": ("masked", presets.RAINBOW),
    "nature": ("image", {}),
    "minatar": ("picture", {}),
    "discrete": ("discrete", {}),
    "supported": ("vector", {"support": 0.8, "dueling": True}),
    "transformer": ("tokens", SEQUENTIAL | {"network": "transformer", "dueling": True}),
    "gru": ("tokens", SEQUENTIAL | {"network": "gru"}),
    "bag_of_words": ("tokens", {"network": "bag_of_words", "dueling": True}),
    "choices": ("choices", SEQUENTIAL | {"network": "gru"}),
}
TOKENIZERS = {"transformer": "words", "gru": "spaced", "choices": "words"}
TOKEN_NAMES = ["<unk>", "there", "<pad>", "a", "b", "don't", "d", "é", "f"]  # from 2 on
FORMATS = ["savedmodel", "tflite"] + ["onnx"] * (
    util.find_spec("onnx") is not None and util.find_spec("onnxruntime") is not None
)


def formats(name: str) -> list[str]:
    """What a variant can be exported as here."""
    kind, settings = VARIANTS[name]
    has_onnx = kind not in ("tokens", "choices") or settings["network"] == "bag_of_words"
    return [each for each in FORMATS if each != "onnx" or has_onnx]


def manifest(name: str) -> dict:
    """What a variant says of itself."""
    texts = {
        "tokens": TOKEN_NAMES,
        "tokenizer": TOKENIZERS.get(name),
        "action_meanings": ["up", "down", "stay"],
    }
    return {"env": name} | (texts if name in TOKENIZERS else {})


def observations(spaces: Spaces, count: int = 64) -> np.ndarray:
    generator = np.random.default_rng(1)
    if spaces.categories:
        shape = (count, *spaces.observation_shape)
        end = spaces.category_start + spaces.categories
        drawn = generator.integers(spaces.category_start, end, shape, spaces.observation_dtype)
        if spaces.padding is not None:  # behind texts of every length, none at all among them
            place = np.arange(shape[1])
            drawn[place >= generator.integers(shape[1] + 1, size=(count, 1))] = spaces.padding
        return drawn
    if np.issubdtype(spaces.observation_dtype, np.integer):
        most = min(256, np.iinfo(spaces.observation_dtype).max + 1)
        return generator.integers(
            0, most, (count, *spaces.observation_shape), spaces.observation_dtype
        )
    if spaces.observation_dtype == "bool":
        return generator.random((count, *spaces.observation_shape)) < 0.2
    return generator.normal(size=(count, *spaces.observation_shape)).astype(np.float32)


def agent(spaces: Spaces, **settings) -> DQN:
    """With biases that show, and noise too large to be overlooked."""
    made = DQN(DQNConfig(**{"seed": 4, "hidden_units": (16,)} | settings), spaces)
    made.online.set_weights(
        [array + 0.1 * (array.ndim == 1) for array in made.online.get_weights()]
    )
    for variable in made.online.variables:
        if "sigma" in variable.name:
            variable.assign(np.full(variable.shape, 10.0, np.float32))
    return made


def greedy_actions(agent: DQN, seen: np.ndarray) -> list[int]:
    """The environment's own numbers of the best actions, by the agent's NumPy twin."""
    actions = _q_function(agent).greedy_action(seen) + agent.spaces.action_start
    return actions.tolist()


@functools.cache
def _q_function(agent: DQN) -> NumpyQFunction | CompiledQFunction:
    """What chooses for this agent, whose weights stay as they are; some trace themselves anew."""
    return make_q_function(agent)


@functools.cache
def variant(name: str) -> DQN:
    """The agent of one variant, the same at every call; nothing may change it."""
    kind, settings = VARIANTS[name]
    return agent((KINDS | {"tokens": TOKENS, "choices": CHOICES})[kind], **settings)


def without_rounding(version_q_values: np.ndarray, expected: np.ndarray) -> None:
    """Q-values that differ in rounding only."""
    assert version_q_values.dtype == np.float32 and version_q_values.shape == expected.shape
    assert (np.abs(version_q_values - expected) <= 1e-4 * np.abs(expected).max(initial=1.0)).all()


def export_untrained(env: str, directory: Path, seed: int = 0) -> tuple[Path, DQN]:
    """Exports an untrained agent for `env` as the next version in `directory`."""
    agent = DQN(DQNConfig(env=env, hidden_units=(8,), seed=seed))
    spaces = agent.spaces
    zeros = np.full((4, *spaces.observation_shape), spaces.category_start, spaces.observation_dtype)
    version = export(agent, directory, zeros, {"env": env, "weights": "last", "env_steps": 1234})
    return version, agent
