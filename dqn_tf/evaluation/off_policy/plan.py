"""Plans an estimate from logged episodes before TensorFlow is loaded."""

from typing import Any, NamedTuple

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry, tokenizer
from dqn_tf.envs.dialogues import MessageReader
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.tokenizer import Tokenizer
from dqn_tf.evaluation import plan
from dqn_tf.evaluation.find_export import Version, find_export
from dqn_tf.evaluation.flags import EvaluateFlags
from dqn_tf.evaluation.off_policy.join import join
from dqn_tf.experience.logged import sources
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.support.errors import UserError


class OffPolicyPlan(NamedTuple):
    """A checked evaluation from logged episodes."""

    version: Version
    env: str
    spaces: Spaces
    episodes: LoggedEpisodes
    gamma: float
    epsilon: float
    flags: EvaluateFlags


def prepare(flags: EvaluateFlags) -> OffPolicyPlan:
    """Find the export and read the data. Raises UserError."""
    version = find_export(str(flags.model))
    env, spaces = _environment(version, flags)

    def corpus() -> Any:
        return registry.corpus(plan.configuration([version], flags.env, flags.overrides))

    def find_tokenizer() -> Tokenizer | MessageReader | None:
        if spaces.messages:
            return registry.find_tokenizer(
                plan.configuration([version], flags.env, flags.overrides)
            )
        return tokenizer.of_names(version.manifest, spaces)

    parts = []
    for name in flags.data:
        spec, share = sources.parse_share(name)
        if share is not None:
            raise UserError(
                f"--data={name}: a share is of a training's batches; an evaluation takes all"
                f" episodes: --data={spec}."
            )
        parts.append(sources.load(spec, spaces, corpus, find_tokenizer))
    episodes = join(parts)
    return OffPolicyPlan(
        version, env, spaces, episodes, _gamma(version, flags), flags.epsilon, flags
    )


def _environment(version: Version, flags: EvaluateFlags) -> tuple[str, Spaces]:
    """Return the environment's id and spaces.

    The manifest knows them. The environment itself is made only if a flag names another one, or if
    there is no manifest.
    """
    recorded = version.manifest.get("spaces")
    env = version.manifest.get("env")
    is_as_trained = not flags.overrides and flags.env in (None, env)
    if is_as_trained and isinstance(recorded, dict) and isinstance(env, str):
        return env, Spaces.from_dict(recorded)
    config = plan.configuration([version], flags.env, flags.overrides)
    spaces = registry.spaces(config)
    plan.require_fit(version, config.env, spaces)
    return config.env, spaces


def _gamma(version: Version, flags: EvaluateFlags) -> float:
    """Return the discount: the flag's, or the training's, or the default of all trainings.

    Raises UserError for a training's of 0: of rewards that come later it says nothing.
    """
    if flags.gamma is not None:
        return flags.gamma
    trained = (version.manifest.get("config") or {}).get("gamma")
    if trained == 0:
        raise UserError(
            f"{version.path} was trained with --gamma=0, by which only the next reward counts: name"
            " the discount of the returns to estimate with --gamma, such as --gamma=0.99."
        )
    if isinstance(trained, int | float) and 0.0 < trained <= 1.0:
        return float(trained)
    return DQNConfig.gamma
