"""`dqn_tf.export_policy`: publishes an agent that no run trained, such as one of `DQN.fit`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import random_observations
from dqn_tf.envs import registry
from dqn_tf.export import manifest, publish
from dqn_tf.export.flags import require_formats
from dqn_tf.export.run_snapshot import GATE_OBSERVATIONS
from dqn_tf.support.errors import UserError, describe_value


def export_policy(
    agent: DQN,
    directory: str | Path,
    observations: np.ndarray | None = None,
    formats: Sequence[str] = ("savedmodel",),
    env_steps: int = 0,
) -> Path:
    """Publish the agent's greedy policy as the next version in `directory`; return its path.

        >>> version = export_policy(agent, "saved_models/CartPole-v1", observations)
        >>> policy = load_policy(version)

    What is written is loaded again and must answer `observations` [n, *shape] as the agent does.
    They should come from the environment: the manifest keeps their range, by which served traffic
    is judged. Made-up ones serve if none are given. `formats` are savedmodel, tflite and onnx;
    `env_steps` of training go into the manifest. Raises UserError with nothing published.
    """
    config = agent.settings
    _require_one(agent)
    formats = [formats] if isinstance(formats, str) else formats
    require_formats(formats, "formats=")
    shape = agent.spaces.observation_shape
    seen = np.zeros((0, *shape)) if observations is None else np.asarray(observations)
    if seen.dtype.kind not in "biuf" or not np.isfinite(seen).all():
        raise UserError(
            f"observations must be finite numbers, and are {describe_value(observations)}."
        )
    if seen.ndim != 1 + len(shape) or seen.shape[1:] != shape:
        wanted = ", ".join(map(str, ("n", *shape)))
        raise UserError(f"observations must be [{wanted}], and are {list(seen.shape)}.")
    about = manifest.describe_run(
        config,
        "last",
        env_steps,
        None,
        seen,
        agent.spaces,
        registry.names(config),
    )
    asked = seen if len(seen) else random_observations(agent.spaces, GATE_OBSERVATIONS)
    return publish.export(agent, directory, asked, about, formats)


def _require_one(agent: DQN) -> None:
    if agent.num_agents > 1:
        raise UserError(
            f"A version is of one agent, and here are {agent.num_agents}: load the arrays of one,"
            " `agent.arrays(index)`, into a DQN of its own."
        )
