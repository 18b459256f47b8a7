"""Refuses a torso of the user's own that a run cannot use, before the run leaves anything."""

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.settings.experience import EPISODE
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support import command_line, tensorflow_loading
from dqn_tf.support.errors import UserError


def require_usable(config: DQNConfig, spaces: Spaces) -> None:
    """Raise UserError unless `--network=my_module:MyTorso` can be had and takes the observations.

    It loads TensorFlow, as the torso's own module does, and only where there is such a torso.
    """
    if ":" not in config.network:
        return
    tensorflow_loading.load_tensorflow(command_line.verbose())
    from dqn_tf.agent.networks.torsos import find_torso, require_steps

    torso = find_torso(config.network, spaces)
    reason = torso.refusal(spaces.of_state())
    if reason:
        raise UserError(f"--network={config.network}: {reason}")
    if config.replay_unit == EPISODE:
        require_steps(torso)
