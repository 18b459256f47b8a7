"""`dqn_tf.evaluate`: what evaluate.py does, as a function."""

from pathlib import Path

import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import make_q_function
from dqn_tf.config import presets, seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.flags import require_ranges
from dqn_tf.envs import registry
from dqn_tf.evaluation import plan
from dqn_tf.evaluation.episodes import (
    DEFAULT_EPISODES,
    DEFAULT_SEED,
    MAX_EPISODE_STEPS,
    ActFunction,
    Evaluation,
    Rules,
    play,
    require_episodes,
)
from dqn_tf.evaluation.exported_policy import ExportedPolicy
from dqn_tf.evaluation.find_export import Version, find_export
from dqn_tf.evaluation.flags import RANGES
from dqn_tf.evaluation.kept_envs import KeptEnvs, parallel_of
from dqn_tf.support.errors import UserError

Model = str | Path | ExportedPolicy | DQN | ActFunction


def evaluate(
    model: Model,
    env: str | DQNConfig | None = None,
    episodes: int = DEFAULT_EPISODES,
    seed: int = DEFAULT_SEED,
    max_episode_steps: int = MAX_EPISODE_STEPS,
    epsilon: float = 0.0,
) -> Evaluation:
    """Play episodes and return their scores: mean, IQM, their intervals, every return.

        >>> scores = evaluate("saved_models/CartPole-v1", episodes=20)
        >>> scores.mean, scores.mean_ci95, scores.iqm, scores.returns

    `model` is a path, as `evaluate.py --model` takes it; what `load_policy` returned; an agent; or
    any function from observations [N, *shape] and masks of legal actions [N, A] (None where the
    environment gives none) to the environment's own actions [N].

    `env` is an id or a configuration. If it is not given, it is what the model was trained on, an
    Atari game with its protocol. The episodes' seeds derive from `seed`; whatever it is, no
    training episode has one of them. The actions are greedy, but for a random legal one with
    probability `epsilon`. The same arguments give the same scores as evaluate.py. Raises UserError.
    """
    values = {"seed": seed, "max_episode_steps": max_episode_steps, "epsilon": epsilon}
    require_ranges(values, RANGES, typed="")
    act, config = _resolve(model, env)
    seeds = seeding.episode_seeds(seed, seeding.TEST, episodes)
    require_episodes(seeds)
    make = registry.maker(config)
    most = parallel_of(config, make)
    with KeptEnvs(make, most) as envs:
        return play(act, envs.ready(episodes), seeds, Rules(max_episode_steps, epsilon))


def _resolve(model: Model, env: str | DQNConfig | None) -> tuple[ActFunction, DQNConfig]:
    """Return how to act, and the configuration of the environment to act in."""
    if isinstance(model, str | Path):
        version = find_export(str(model))
        config = _environment_of(version, env)
        return ExportedPolicy(version.path, registry.spaces(config)), config
    if isinstance(model, ExportedPolicy):
        return model, _environment_of(find_export(str(model.version)), env)
    if isinstance(model, DQN):
        config = model.settings if env is None else _configuration(env)
        if registry.spaces(config) != model.spaces:
            raise UserError(
                f"The agent was made for {model.settings.env}, and {config.env} has other spaces."
            )
        return greedy_policy(model), config
    if env is None:
        raise UserError('A function does not say what it plays: name it, as env="CartPole-v1".')
    return model, _configuration(env)


def _environment_of(version: Version, env: str | DQNConfig | None) -> DQNConfig:
    """Return the configuration that an export is to be played in. Raises UserError if none fits."""
    config = env if isinstance(env, DQNConfig) else plan.configuration([version], env)
    plan.require_fit(version, config.env, registry.spaces(config))
    return config


def _configuration(env: str | DQNConfig) -> DQNConfig:
    return env if isinstance(env, DQNConfig) else presets.configure(env, {})


def greedy_policy(agent: DQN) -> ActFunction:
    """Return how an agent acts with the weights that it has now."""
    q_function = make_q_function(agent)
    q_function.refresh()

    def act(observation: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        # [N, *shape] and [N, A] -> [N] of the environment's own action numbers
        return q_function.greedy_action(observation, mask) + agent.spaces.action_start

    return act
