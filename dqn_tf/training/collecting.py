"""What is told and refused of how a run's steps are taken, before it starts."""

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support.errors import UserError


def explain(config: DQNConfig) -> str:
    """Return a sentence on shards, workers and lag."""
    where = "in this process"
    if config.workers:
        where = f"on {config.workers} worker{'s' * (config.workers > 1)}"
        if config.ray_address:
            where += f" of the Ray at {config.ray_address}"
    shards = f"{config.shards} shard{'s' * (config.shards > 1)} of {config.shard_size}"
    return (
        f"Collecting: {config.num_envs} environments in {shards} {where},"
        f" acting {config.lag} block{'s' * (config.lag != 1)} of updates behind."
    )


def require_work(config: DQNConfig) -> None:
    """Raise UserError if there are more workers than shards."""
    if config.workers <= config.shards:
        return
    raise UserError(
        f"--workers={config.workers}: --num_envs={config.num_envs} in shards of"
        f" {config.shard_size} gives work to {config.shards}. Give a larger --num_envs, a smaller"
        " --shard_envs, or fewer workers."
    )
