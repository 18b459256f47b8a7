"""The torsos by name, and those of a module of your own."""

from collections.abc import Callable, Iterator
from typing import Any

from dqn_tf.agent.networks.choice import automatic
from dqn_tf.agent.networks.torsos.bag_of_words import BagOfWords
from dqn_tf.agent.networks.torsos.base import Torso
from dqn_tf.agent.networks.torsos.cnn import CNN, MinAtarCNN, NatureCNN, NipsCNN, SmallCNN
from dqn_tf.agent.networks.torsos.gru import GRU
from dqn_tf.agent.networks.torsos.mlp import MLP
from dqn_tf.agent.networks.torsos.pretrained import Pretrained
from dqn_tf.agent.networks.torsos.transformer import Transformer
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError, UsersCode
from dqn_tf.support.imports import import_named

TORSOS: dict[str, type[Torso]] = {
    "mlp": MLP,
    "nature_cnn": NatureCNN,
    "nips_cnn": NipsCNN,
    "small_cnn": SmallCNN,
    "minatar_cnn": MinAtarCNN,
    "transformer": Transformer,
    "gru": GRU,
    "bag_of_words": BagOfWords,
    "pretrained": Pretrained,
}
# a torso's class, or any function of (spaces, config, seeds) that returns one
TorsoMaker = Callable[..., Torso]


def make_torso(
    config: DQNConfig,
    spaces: Spaces,
    seeds: Iterator[int],
    num_agents: int = 1,
    maker: TorsoMaker | None = None,
) -> Torso:
    """Return the torso that `config.network` names or, if given, that `maker` makes.

    Raises UserError if there is no such torso, or if it cannot take the spaces or several agents.
    """
    name = f"--network={config.network}" if maker is None else f"The torso {maker}"
    if maker is None:
        maker = find_torso(config.network, spaces)
    if isinstance(maker, type) and issubclass(maker, Torso):
        reason = maker.refusal(spaces)
        if reason:
            raise UserError(f"{name}: {reason}")
    options: dict[str, Any] = {}
    if num_agents > 1:
        if not getattr(maker, "can_stack", False):
            raise UserError(f"{name} cannot train several seeds at once: leave out --num_seeds.")
        if config.noisy:
            raise UserError(
                f"--noisy has noise for one agent, and here are {num_agents}: leave out --noisy or"
                " num_agents."
            )
        options["num_agents"] = num_agents
    with UsersCode(name):
        torso = maker(spaces, config, seeds, **options)
    if not isinstance(torso, Torso):
        raise UserError(f"{name} is no dqn_tf.agent.Torso, but a {type(torso).__name__}.")
    return torso


def find_torso(network: str, spaces: Spaces) -> type[Torso]:
    """Return the torso of a name, `auto`, or `my_module:MyTorso`. Raises UserError."""
    if network == "auto":
        network = automatic(spaces)
    if network in TORSOS:
        return TORSOS[network]
    torso = import_named("network", network)
    if not (isinstance(torso, type) and issubclass(torso, Torso)):
        raise UserError(f"--network={network} is no subclass of dqn_tf.agent.Torso.")
    return torso


def require_steps(torso: type[Torso]) -> None:
    """Raise UserError unless a torso gives features of every step, as whole episodes need them."""
    if not hasattr(torso, "steps"):
        raise UserError(
            f"--replay_unit=episode asks a torso for the features of every step, and"
            f" {torso.__name__} has no method `steps`. Use --network=transformer or gru, or"
            " --replay_unit=transition."
        )


__all__ = [
    "CNN",
    "MLP",
    "TORSOS",
    "Torso",
    "automatic",
    "find_torso",
    "make_torso",
    "require_steps",
]
