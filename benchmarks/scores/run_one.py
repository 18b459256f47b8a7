"""One run of a sweep:

trains as `train.py` does with the same seed, without its files, and tests the weights on fresh
seeds.
"""

import time
from typing import Any

from dqn_tf.agent.dqn import DQN
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.factory import make_engines
from dqn_tf.envs import registry
from dqn_tf.evaluation.episodes import evaluate
from dqn_tf.experience import exploration


def run(config: DQNConfig) -> dict[str, Any]:
    """Score and costs of the run, by column of the record.

    `score` is the mean of `test_episodes` greedy episodes on seeds used nowhere else, after the
    last update; `score_best` the same for the weights that did best in the evaluations during the
    run. `curve` holds those, (environment step, mean return). `seconds` and `cpu_seconds` are of
    collecting and learning, compilation included, evaluation left out. Raises UserError if learning
    breaks.
    """
    spaces, make = registry.spaces(config), registry.maker(config)
    agent = DQN(config, spaces)
    agent.compile()
    engine = make_engines([config], [agent], make)[0]

    def play(stream: int, episodes: int) -> float:
        engine.actor.refresh()

        def greedy(observation, mask):
            return (
                exploration.greedy_action(engine.actor.q_values(observation), mask)
                + spaces.action_start
            )

        return float(
            evaluate(
                greedy, make, seeding.episode_seeds(config.seed, stream, episodes)
            ).returns.mean()
        )

    curve: list[tuple[int, float]] = []
    best, best_weights, seconds, cpu_seconds = float("-inf"), None, 0.0, 0.0
    try:
        while engine.env_step < config.total_steps:
            before, clock, cpu_clock = engine.env_step, time.monotonic(), time.process_time()
            engine.run_block()
            seconds, cpu_seconds = (
                seconds + time.monotonic() - clock,
                cpu_seconds + time.process_time() - cpu_clock,
            )
            period = config.evaluation_period_env_steps
            if period and (
                engine.env_step >= config.total_steps
                or engine.env_step // period > before // period
            ):
                curve.append((engine.env_step, play(seeding.SELECTION, config.evaluation_episodes)))
                if curve[-1][1] >= best:
                    best, best_weights = curve[-1][1], agent.online.get_weights()
        score = score_best = play(seeding.TEST, config.test_episodes)
        if curve and curve[-1][1] < best:
            agent.online.set_weights(best_weights)
            score_best = play(seeding.TEST, config.test_episodes)
    finally:
        engine.close()
    return {
        "score": score,
        "score_best": score_best,
        "curve": curve,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "updates": engine.updates,
    }
