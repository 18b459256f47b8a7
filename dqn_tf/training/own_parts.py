"""Refuses parts of the user's own that a run cannot use, before the run leaves anything."""

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.settings.experience import EPISODE
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support import command_line, tensorflow_loading
from dqn_tf.support.errors import UserError


def require_usable(config: DQNConfig, spaces: Spaces) -> None:
    """Raise UserError unless the torso and the losses can be had, and the torso fits the spaces.

    It loads TensorFlow, as the modules of these do, and only where there are such parts.
    """
    has_own_torso = ":" in config.network
    if has_own_torso or config.auxiliary_losses:
        tensorflow_loading.load_tensorflow(command_line.verbose())
    if has_own_torso:
        _require_torso(config, spaces)
    if config.auxiliary_losses:
        from dqn_tf.agent.auxiliary import make_auxiliary_losses

        make_auxiliary_losses(config)


def _require_torso(config: DQNConfig, spaces: Spaces) -> None:
    from dqn_tf.agent.networks.torsos import find_torso, require_steps

    torso = find_torso(config.network, spaces)
    reason = torso.refusal(spaces.of_state())
    if reason:
        raise UserError(f"--network={config.network}: {reason}")
    if config.replay_unit == EPISODE:
        require_steps(torso)
