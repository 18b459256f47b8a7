"""One run: trains as `train.py` does with the same seed, without its files; plays all starts."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.graph_walk import walks
from benchmarks.graph_walk.acting import Acting, Scores, all_ways, own_way, play, sampled
from benchmarks.graph_walk.experiments import SUCCESSES
from benchmarks.scores.run_one import CostObserver
from benchmarks.scores.variants import config_hash
from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.factory import make_engines
from dqn_tf.engines.held_out import CROSS_ENTROPY, DIVERGENCE, HeldOut
from dqn_tf.envs.registry import EnvMaker
from dqn_tf.experience.logged.held_out import hold_out
from dqn_tf.experience.logged.shares import SharedEpisodes, load_all
from dqn_tf.training import trainer
from dqn_tf.training.run import Run
from dqn_tf.training.timings import Timings

# what may differ between two runs of one compiled update
NOT_COMPILED = ("seed", "env_kwargs", "replay_capacity", "explore_with", "data")
WARM_UP_BLOCKS = 2


class WalkObserver(CostObserver):
    """Adds up the costs, scores the greedy policy on the way, looks at the pretrained model.

    Attributes:
      curve: (environment step, CPU seconds, mean return) of each score.
      pretrained: the held-out cross-entropy, and the model's own scores, at the pretraining's end.
    """

    def __init__(
        self, score: Callable[[Acting], Scores], points: int, look: Callable[[], dict[str, float]]
    ) -> None:
        super().__init__()
        self.points: list[tuple[int, float, float]] = []
        self.pretrained: dict[str, float] = {}
        self._score = score
        self._count = points
        self._look = look

    def after_block(self, run: Run, block: Any) -> None:
        """Add the costs; score if it is time."""
        super().after_block(run, block)
        engine = run.engine
        if run.config.pretrain_updates == engine.logged_updates and not engine.env_step:
            self.pretrained = engine.behaviour_metrics() | self._look()
        done = engine.progress / run.config.length * self._count
        if self._count and int(done) > len(self.points):
            mean = float(self._score(own_way(run.config)).returns.mean())
            self.points.append((engine.env_step, self.cpu_seconds, mean))


class Runner:
    """Does runs one after the other; those that differ in seed or graph share a compiled update."""

    def __init__(self) -> None:
        self._agents: dict[str, tuple[DQN, float]] = {}

    def run(self, config: DQNConfig, kind: str, points: int, samples_model: bool) -> dict[str, Any]:
        """Train once; return scores of the last weights and costs by column of the record.

        `cpu_seconds` counts compilation, also where an earlier run has paid for it. Raises
        UserError if learning breaks.
        """
        make_env = trainer.make_maker(config)
        agent, compiling = self._agent(config, make_env, kind)
        logged, held_out = _data(config, make_env, kind)
        run = _make_run(config, agent, make_env, logged)
        task: Any = make_env().unwrapped
        graph, first = task.graph, int(agent.spaces.action_start)
        q_function = run.engine.q_function

        def score(way: Acting) -> Scores:
            return play(way.policy(q_function, first), graph, np.array(graph.starts))

        def look() -> dict[str, float]:
            return sampled(q_function, graph, first) if samples_model else {}

        observer = WalkObserver(score, points, look)
        run.observers.append(observer)
        try:
            trainer.run_blocks([run])
            result = _scores(config, score, kind)
            known = run.engine.behaviour_metrics()
            if not known and held_out is not None:
                known = held_out.measure(run.engine.q_function)
        finally:
            run.close()
        if kind != SUCCESSES:
            result |= {name: known.get(name) for name in (CROSS_ENTROPY, DIVERGENCE)}
            result["pretrained_cross_entropy"] = observer.pretrained.pop(CROSS_ENTROPY, None)
        shown = " ".join(f"{step}:{cpu:.1f}:{mean:.3f}" for step, cpu, mean in observer.points)
        return result | {
            "curve": shown,
            "model": observer.pretrained,
            "seconds": observer.seconds,
            "cpu_seconds": observer.cpu_seconds + compiling,
            "compiling_cpu_seconds": compiling,
            "updates": run.engine.updates,
            "env_steps": run.engine.env_step,
        }

    def _agent(self, config: DQNConfig, make_env: EnvMaker, kind: str) -> tuple[DQN, float]:
        """Return a compiled agent with the weights of this seed, and what it took to compile."""
        default = DQNConfig()
        same = {name: getattr(default, name) for name in NOT_COMPILED}
        same["data"] = config.data  # a batch has one more column
        key = config_hash(dataclasses.replace(config, **same))
        if key not in self._agents:
            agent = DQN(config, make_env.spaces)
            agent.compile()
            self._agents[key] = agent, _warm_up(config, agent, make_env, kind)
        agent, seconds = self._agents[key]
        fresh = DQN(config, make_env.spaces)
        fresh.compile()
        agent.load_arrays(fresh.arrays())
        return agent, seconds


def _warm_up(config: DQNConfig, agent: DQN, make_env: EnvMaker, kind: str) -> float:
    """Compile an agent's updates by a run of a few; return its CPU seconds.

    Its weights are of no use then.
    """
    block = config.block_steps * config.num_envs
    short = dataclasses.replace(
        config,
        total_steps=min(config.total_steps, config.warmup_env_steps + WARM_UP_BLOCKS * block),
        pretrain_updates=min(1, config.pretrain_updates),
        offline_updates=min(1, config.offline_updates),
    )
    run = _make_run(short, agent, make_env, _data(config, make_env, kind)[0])
    start = time.process_time()
    trainer.run_blocks([run])
    run.engine.close()
    return time.process_time() - start


def _make_run(
    config: DQNConfig, agent: DQN, make_env: EnvMaker, logged: list[SharedEpisodes]
) -> Run:
    (engine,) = make_engines([config], [agent], make_env, logged)
    return Run(engine, make_env, [], Timings(), lambda sentence: None, lambda: None)


def _data(
    config: DQNConfig, make_env: EnvMaker, kind: str
) -> tuple[list[SharedEpisodes], HeldOut | None]:
    """Return what a run learns from, and what is held out where the run itself does not.

    So every run learns from the same walks.
    """
    if not config.data:
        return [], None
    (source,) = load_all(config.data, make_env.spaces, make_env.corpus)
    episodes = walks.changed(source.episodes, kind)
    if config.pretrain_updates:
        return [source._replace(episodes=episodes)], None
    kept, apart = hold_out(episodes)
    return [source._replace(episodes=kept)], HeldOut([apart]) if config.learns_behaviour else None


def _scores(config: DQNConfig, score: Callable[[Acting], Scores], kind: str) -> dict[str, Any]:
    """Score the last weights, as they act and, where there is a model, in every other way."""
    way = Acting(only_behaviour=True) if kind == SUCCESSES else own_way(config)
    own = score(way)
    ways = {}
    if config.learns_behaviour:
        for name, other in all_ways().items():
            scores = score(other)
            ways[name] = [float(scores.returns.mean()), float(np.mean(scores.succeeded))]
    return {
        "score": float(own.returns.mean()),
        "success": float(own.succeeded.mean()),
        "starts": len(own.returns),
        "acting": ways,
    }
