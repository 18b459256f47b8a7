"""Which torso an observation gets, told before TensorFlow is loaded, and how much it weighs."""

from __future__ import annotations

import dataclasses
import itertools
import math

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.pictures import LARGE, WORDS
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

Layout = tuple[tuple[int, int, int], ...]  # of (filters, size, stride)

# The built-in convolutional torsos, each with the widths of the dense layers after it.
LAYOUTS: dict[str, Layout] = {
    "nature_cnn": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
    "nips_cnn": ((16, 8, 4), (32, 4, 2)),
    "small_cnn": ((16, 4, 2), (32, 4, 3)),
    "minatar_cnn": ((16, 3, 1),),
}
DENSE_UNITS: dict[str, tuple[int, ...]] = {
    "nature_cnn": (512,),
    "nips_cnn": (256,),
    "small_cnn": (256,),
    "minatar_cnn": (128,),
}
SEQUENTIAL = ("transformer", "gru")  # torsos that read one step after the other
BAG_OF_WORDS = "bag_of_words"  # counts tokens
PRETRAINED = "pretrained"  # reads messages by a language model
SMALL = 20  # the smallest side from which nips_cnn has more than one place left to look at


def automatic(spaces: Spaces) -> str:
    """Return the name of the torso for these observations.

    Messages go to the language model, other tokens to the Transformer. A small array of things that
    are there or not, [height, width, kinds] bool, is MinAtar's kind.
    """
    if spaces.messages:
        return PRETRAINED
    if spaces.vocabulary:
        return "transformer"
    picture = spaces.picture_shape
    if picture is not None:
        side = min(picture[:2])
        if side >= LARGE:
            return "nature_cnn"
        return "nips_cnn" if side >= SMALL else "minatar_cnn"
    is_grid = spaces.observation_dtype == "bool" and len(spaces.observation_shape) == 3
    if is_grid and not too_small("minatar_cnn", spaces.observation_shape):
        return "minatar_cnn"
    return "mlp"


def resolved(config: DQNConfig, spaces: Spaces) -> str:
    """Return the name of the torso that a run has for these observations."""
    return automatic(spaces) if config.network == "auto" else config.network


def too_small(network: str, picture: tuple[int, ...]) -> bool:
    """Return whether the torso's convolutions do not fit into a picture [height, width, ...]."""
    return convolved(LAYOUTS[network], picture[0], picture[1]) is None


def require_fit(network: str, spaces: Spaces) -> None:
    """Raise UserError if a torso cannot take these spaces: see `refusal`."""
    unfit = refusal(network, spaces)
    if unfit:
        raise UserError(f"--network={network}: {unfit}")


def refusal(network: str, spaces: Spaces) -> str:
    """Say in a sentence why a built-in torso cannot take these spaces; empty if it can.

    Of choices told as texts it reads the state alone. Empty, too, for `auto`, which takes what
    fits, and for a torso of the user's own.
    """
    if network in LAYOUTS:
        return refusal_of_convolutions(LAYOUTS[network], spaces)
    if network == BAG_OF_WORDS:
        return refusal_of_counts(spaces)
    if network == PRETRAINED:
        return refusal_of_messages(spaces)
    return refusal_of_sequences(spaces) if network in SEQUENTIAL else ""


def refusal_of_convolutions(layout: Layout, spaces: Spaces) -> str:
    """Say in a sentence why convolutions cannot take these spaces; empty if they can."""
    shape = list(spaces.observation_shape)
    picture = spaces.picture_shape or spaces.observation_shape
    if len(picture) != 3:
        return (
            "convolutions need observations of shape [height, width, channels], or with the"
            f" channels or frames first, and here it is {shape}. Use --network=mlp."
        )
    if convolved(layout, picture[0], picture[1]) is None:
        return (
            f"pictures of {picture[0]}x{picture[1]} (observations of shape {shape}) are too"
            f" small for these convolutions. Use --network={automatic(spaces)}."
        )
    return ""


def refusal_of_sequences(spaces: Spaces) -> str:
    """Say in a sentence why a torso that reads steps cannot take these spaces; empty if it can."""
    shape = spaces.observation_shape
    if spaces.vocabulary or (len(shape) == 2 and not spaces.picture):
        return ""
    return (
        "it reads tokens [T], or numbers of T steps [T, N], and here observations are"
        f" {list(shape)}.{_naming_tokens(spaces)} Let a wrapper (--env_wrappers) put the"
        " last observations in a row, as gymnasium.wrappers.FrameStackObservation does, or use"
        " --network=auto."
    )


def refusal_of_counts(spaces: Spaces) -> str:
    """Say in a sentence why tokens cannot be counted in these spaces; empty if they can."""
    if spaces.vocabulary:
        return ""
    return (
        f"it counts tokens, and here observations are {list(spaces.observation_shape)}"
        f" {spaces.observation_dtype}.{_naming_tokens(spaces)} Use --network=auto."
    )


def refusal_of_messages(spaces: Spaces) -> str:
    """Say in a sentence why a language model cannot read these spaces; empty if it can."""
    if spaces.messages:
        return ""
    return "it reads messages by a language model: give --language_model=PATH as well."


def convolved(layout: Layout, height: int, width: int) -> tuple[int, int] | None:
    """Return height and width after convolutions without padding; None if one does not fit."""
    for _, size, stride in layout:
        if min(height, width) < size:
            return None
        height = (height - size) // stride + 1
        width = (width - size) // stride + 1
    return height, width


def explain(config: DQNConfig, spaces: Spaces) -> str:
    """Return a sentence on which torso the run has, and why."""
    chosen = resolved(config, spaces)
    network = f"{chosen} (chosen by --network=auto)" if config.network == "auto" else chosen
    shape = list(spaces.observation_shape)
    if spaces.picture_shape is not None:
        height, width, channels = spaces.picture_shape
        scaled = ", pixels scaled to [0, 1]" if spaces.scales_pixels else ", numbers as they are"
        what = (
            f"pictures of {height}x{width} with {channels} channels ({shape}:"
            f" {WORDS[spaces.picture]}){scaled}"  # type: ignore[index]
        )
    elif spaces.vocabulary:
        encoded = {
            PRETRAINED: f" in {_count(spaces.messages, 'message')}",
            "mlp": ", one-hot",
            BAG_OF_WORDS: ", counted",
        }.get(chosen, "")
        tokens = _count(spaces.text_tokens, "token")
        what = f"{tokens} of a vocabulary of {spaces.vocabulary:,}{encoded}"
        if spaces.choices:
            room = _count(spaces.choice_tokens, "token")
            what += f", and up to {_count(spaces.choices, 'choice')} of {room}, each by its text"
    elif spaces.categories:
        what = f"{spaces.categories:,} categories, one-hot"
    else:
        what = f"observations {shape} {spaces.observation_dtype}, not taken for pictures"
        if len(shape) < 2:
            what = _count(math.prod(shape), "number")
    return f"Network: {network} for {what}."


def parameters(config: DQNConfig, spaces: Spaces) -> int:
    """Return about how many weights the network has; 0 for a torso of the user's own.

    What is left out, biases and the weights of convolutions, is small.
    """
    if spaces.choices:
        one = dataclasses.replace(spaces.of_state(), actions=1)
        return parameters(config, one) + (5 + config.dueling) * config.width**2
    network = resolved(config, spaces)
    atoms = config.atoms if config.distribution != "none" else 1
    outputs = spaces.actions * (atoms + config.learns_behaviour)
    if network == "mlp":
        inputs = spaces.encoded_width
        widths = config.hidden_units
    elif network == PRETRAINED:
        inputs = spaces.messages * config.width
        widths = config.hidden_units
        if config.message_torso == "gru":
            return 6 * config.width**2 + _dense(config.width, widths, outputs)
    elif network == BAG_OF_WORDS:
        inputs = spaces.vocabulary
        widths = config.hidden_units
    elif network in SEQUENTIAL and spaces.observation_shape:
        entry = (spaces.vocabulary or spaces.observation_shape[-1]) * config.width
        streams = 2 * config.width**2 if config.dueling else 0
        return entry + _sequential(network, config) + streams + config.width * outputs
    elif network in LAYOUTS and (spaces.picture_shape or len(spaces.observation_shape) == 3):
        height, width, _ = spaces.picture_shape or spaces.observation_shape
        size = convolved(LAYOUTS[network], height, width)
        if size is None:
            return 0
        inputs = size[0] * size[1] * LAYOUTS[network][-1][0]
        widths = DENSE_UNITS[network]
    else:
        return 0
    return _dense(inputs, widths, outputs)


def gated_width(width: int) -> int:
    """Return the hidden width of a gated MLP: 8/3 of the stream's, a multiple of 8.

    It then has as many weights as a plain one of four times the width.
    """
    return 8 * -(-width // 3)


def _naming_tokens(spaces: Spaces) -> str:
    """Say how integers become tokens, where observations are integers side by side."""
    are_integers = spaces.observation_dtype.startswith(("int", "uint"))
    if not are_integers or len(spaces.observation_shape) != 1:
        return ""
    return " If these are tokens, name them: the environment's attribute `tokens`, a list."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _sequential(network: str, config: DQNConfig) -> int:
    """Return the weights of the layers of a Transformer or of a GRU, without biases."""
    width = config.width
    per_layer = 6 * width * width
    if network == "transformer":
        per_layer = 4 * width * width + 3 * width * gated_width(width)
    return config.layers * per_layer


def _dense(inputs: int, widths: tuple[int, ...], outputs: int) -> int:
    """Return the weights of dense layers, without biases."""
    return sum(before * after for before, after in itertools.pairwise([inputs, *widths, outputs]))
