"""Where the first weights of a run come from: `--initial_weights`, another run or an export.

Only the weights of the online network are taken. Optimizer, replay, exploration and the counts of
steps begin anew, and a resumed run goes on from its own checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqn_tf.agent.networks import choice
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.find_export import find_export
from dqn_tf.export.run_snapshot import read_weights
from dqn_tf.support.errors import UserError
from dqn_tf.support.plain_paths import plain
from dqn_tf.training import earlier_run

if TYPE_CHECKING:
    from dqn_tf.agent.dqn import DQN

# settings that decide which weights there are, or what they mean
OF_NETWORK = (
    "hidden_units",
    "layers",
    "heads",
    "width",
    "dueling",
    "noisy",
    "choices",
    "distribution",
)
OF_DISTRIBUTION = ("atoms", "v_min", "v_max")
# what a language model says of a text, which the weights above it read
OF_LANGUAGE = ("language_layers", "language_prompt", "skip_tokens", "dialogue", "message_torso")
# what need not be the same: how choices told as texts lie, and whether there are masks
FREE_OF_SPACES = ("masked", "choices", "choice_tokens")
NAME_OF_VARIABLE = "network_variables/{}/.ATTRIBUTES/VARIABLE_VALUE"  # in an export


class Origin(NamedTuple):
    """What first weights were learned with, and how to read them.

    Attributes:
      identity: what the torso took from files, by its hash; None if that is not known.
    """

    config: DQNConfig
    spaces: Spaces
    tokens: list[str] | None
    read: Callable[[], list[np.ndarray]]
    identity: str | None = None


def require_fit(config: DQNConfig, spaces: Spaces) -> None:
    """Raise UserError unless the network of a run can begin with its first weights.

    TensorFlow is not needed to see that.
    """
    if not config.initial_weights:
        return
    origin = find(config.initial_weights)
    differences = [*_settings(origin, config, spaces), *_spaces(origin.spaces, spaces, config)]
    here = registry.names(config).get("tokens")
    differences += earlier_run.parted_tokens(origin.tokens, here)
    earlier_run.require_none(differences, "initial_weights", config.initial_weights)


def begin_with(agent: DQN, config: DQNConfig) -> None:
    """Give online and target network the first weights of a run, where it names any.

    Raises UserError if they cannot be read or do not fit.
    """
    if not config.initial_weights:
        return
    origin = find(config.initial_weights)
    if origin.identity not in (None, agent.online.torso.identity):
        raise UserError(
            f"--initial_weights={config.initial_weights} was trained with another language model"
            f" than --language_model={config.language_model}"
        )
    weights = origin.read()
    variables = list(agent.online.variables)
    shapes = [tuple(array.shape) for array in weights]
    if len(weights) < len(variables):  # of layers above a language model that was frozen there
        of_model = {id(variable) for variable in agent.online.torso.model_variables()}
        variables = [variable for variable in variables if id(variable) not in of_model]
    if shapes != [tuple(variable.shape) for variable in variables]:
        raise UserError(
            f"--initial_weights={config.initial_weights} holds weights of other shapes than the"
            " network's"
        )
    for variable, array in zip(variables, weights, strict=True):
        variable.assign(array)
    agent.copy_to_target()


def find(name: str) -> Origin:
    """Return what a run directory or an export was trained with. Raises UserError."""
    path = Path(os.path.expanduser(name))
    try:
        earlier_run.require_one(path)
        return _of_run(path) if earlier_run.is_run(path) else _of_export(path)
    except UserError as error:
        raise UserError(f"--initial_weights={name}: {error}") from error


def _of_run(path: Path) -> Origin:
    """Return a run's last weights, or its best ones where it exports those."""
    config, spaces, latest = earlier_run.read(path)
    name = config.export_weights if latest.state["evaluated"] else "last"
    tokens = registry.names(config).get("tokens")
    identity = latest.state.get("torso")
    return Origin(config, spaces, tokens, lambda: read_weights(latest, name), identity)


def _of_export(path: Path) -> Origin:
    version = find_export(str(path))
    config, spaces = (version.manifest.get(name) for name in ("config", "spaces"))
    if not isinstance(config, dict) or not isinstance(spaces, dict):
        raise UserError(
            f"{version.path} does not say what it was trained with (no assets.extra/dqn_tf.json)."
        )
    tokens = version.manifest.get("tokens")
    return Origin(
        DQNConfig.from_dict(config),
        Spaces.from_dict(spaces),
        tokens,
        lambda: _read_export(version.path),
    )


def _read_export(version: Path) -> list[np.ndarray]:
    """Return the variables of an export in the order of the network's. Raises UserError."""
    import tensorflow as tf

    try:
        with plain(version) as path:
            reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
            count = len([name for name in reader.get_variable_to_shape_map() if _is_weight(name)])
            return [reader.get_tensor(NAME_OF_VARIABLE.format(n)) for n in range(count)]
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise UserError(f"{version}: its weights cannot be read: {error}") from error


def _is_weight(name: str) -> bool:
    first, _, last = NAME_OF_VARIABLE.partition("{}")
    return name.startswith(first) and name.endswith(last)


def _settings(origin: Origin, config: DQNConfig, spaces: Spaces) -> list[str]:
    """Name the settings of the network that differ."""
    before, now = origin.config, config
    distribution = OF_DISTRIBUTION if now.distribution != "none" else ()
    language = OF_LANGUAGE if now.language_model else ()
    names = (*OF_NETWORK, *distribution, *language)
    phrases = earlier_run.differing(
        {"--network": choice.resolved(before, origin.spaces)} | earlier_run.settings(before, names),
        {"--network": choice.resolved(now, spaces)} | earlier_run.settings(now, names),
    )
    if before.learns_behaviour != now.learns_behaviour:
        has = "has" if before.learns_behaviour else "has no"
        phrases.append(f"it {has} behaviour head, which --support, --imitation and others need")
    return phrases


def _spaces(before: Spaces, now: Spaces, config: DQNConfig) -> list[str]:
    """Name what differs in the observations that the torso reads, and in the actions."""
    free = (*FREE_OF_SPACES, *(("actions",) if config.choices == "texts" else ()))
    here = now.of_state().to_dict()
    return earlier_run.differing(
        before.of_state().to_dict(),
        {name: value for name, value in here.items() if name not in free},
    )
