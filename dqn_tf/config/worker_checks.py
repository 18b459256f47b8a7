"""What is wrong with how a run's steps are to be taken: shards, workers and lag."""

from dqn_tf.config.settings import Settings


def check_shards(config: Settings) -> str | None:
    """Require shards of equal size."""
    if not config.shard_envs or config.num_envs % config.shard_envs == 0:
        return None
    return (
        f"--shard_envs={config.shard_envs} must divide --num_envs={config.num_envs}: all shards"
        " have the same size."
    )


def check_workers(config: Settings) -> str | None:
    """Require what workers can do: the host engine's steps, a block behind."""
    if config.engine == "graph":
        for name in ("workers", "lag", "shard_envs"):
            if getattr(config, name):
                return (
                    f"--engine=graph has no --{name}: its environments are in its program. Use"
                    " --engine=host."
                )
    if not config.workers:
        for name in ("ray_address", "accept_other_workers"):
            if getattr(config, name):
                return f"--{name} is about workers: give --workers, or leave it out."
        return None
    if not config.lag:
        return (
            f"--workers={config.workers} collects a block while the one before is learned from,"
            " which is --lag=1: leave out --lag=0. A run that began with it stays in one process."
        )
    if config.collector != "local":
        return (
            f"--collector={config.collector} takes its steps in this process: leave out --workers."
        )
    if config.evaluation_envs == 0:
        return (
            "--evaluation_envs=0 plays evaluations on the training's environments, which --workers"
            " have: leave it out."
        )
    return None
