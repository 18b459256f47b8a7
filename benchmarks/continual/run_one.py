"""One chain: learns one task after the other, and plays all of them after each."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.continual import experiments
from benchmarks.continual.experiments import TASKS
from benchmarks.scores.run_one import CostObserver
from dqn_tf.agent.dqn import DQN
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.kept_envs import KeptEnvs, automatic_parallel
from dqn_tf.evaluation.library import evaluate
from dqn_tf.record import npz_output
from dqn_tf.record.behaviour import Behaviour
from dqn_tf.record.play import Recorder
from dqn_tf.run_files.run_directory import RunDirectory
from dqn_tf.training import trainer
from dqn_tf.training.plan import RunPlan
from dqn_tf.training.recorder import RunRecorder
from dqn_tf.training.run import Run

EPISODES = 500  # of each score, on the same seeds for all chains
LOGGED_DIALOGUES = 4_000  # of each task, for those that come later
LOGGED_EPSILON = 0.3  # with which the agent that learned the task holds them
MOST_TURNS = 100


def run(last: DQNConfig) -> dict[str, Any]:
    """Do a chain, told by the configuration of its last task.

    Returns `returns` [4, 3], the mean greedy returns on each task at the start and after each task,
    and costs by column of the record. Raises UserError if learning breaks.
    """
    costs = CostObserver()
    returns: list[list[float]] = []
    dialogues: list[str] = []
    earlier = ""
    updates = 0
    env_steps = 0
    with tempfile.TemporaryDirectory() as directory:
        for number in range(len(TASKS)):
            config = experiments.of_task(last, number, earlier, dialogues)
            earlier = str(Path(directory) / f"task{number + 1}")
            (trained,) = trainer.make_runs([config], [costs])
            try:
                if number == 0:
                    returns.append(_scores(trained.agent, config))
                _train(trained, config, Path(earlier))
                returns.append(_scores(trained.agent, config))
                if last.data and number + 1 < len(TASKS):
                    path = Path(directory) / f"task{number + 1}.npz"
                    _log_dialogues(trained, path)
                    dialogues.append(str(path))
            finally:
                trained.close()
            updates += trained.engine.updates
            env_steps += trained.engine.env_step
    return {
        "returns": returns,
        "episodes": EPISODES,
        "seconds": costs.seconds,
        "cpu_seconds": costs.cpu_seconds,
        "updates": updates,
        "env_steps": env_steps,
    }


def _train(trained: Run, config: DQNConfig, directory: Path) -> None:
    """Train, and leave a run directory that the next task begins with."""
    with RunDirectory.create(directory) as run_dir:
        export_dir = directory / "saved_model"  # none is made
        plan = RunPlan(config, trained.agent.spaces, run_dir, directory, export_dir, "stop")
        recorder = RunRecorder(plan, trained)
        try:
            trainer.run_blocks([trained])
        finally:
            recorder.close()
    trained.engine.sync_agent()


def _scores(agent: DQN, config: DQNConfig) -> list[float]:
    """Return the mean greedy return on each task."""
    return [
        evaluate(
            agent,
            dataclasses.replace(config, env_kwargs=config.env_kwargs | {"wordings": task}),
            episodes=EPISODES,
        ).mean
        for task in TASKS
    ]


def _log_dialogues(trained: Run, path: Path) -> None:
    """Record dialogues of the agent with its task, as `python -m dqn_tf.record` does."""
    q_function, spaces = trained.engine.q_function, trained.agent.spaces
    q_function.refresh()

    def greedy(observation: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        return q_function.greedy_action(observation, mask) + spaces.action_start

    seed = seeding.episode_seed(trained.config.seed or 0, seeding.RECORDED)
    behaviour = Behaviour(greedy, LOGGED_EPSILON, spaces)
    recorder = Recorder(behaviour, seed, LOGGED_DIALOGUES, None, MOST_TURNS)
    make_env = trainer.make_maker(trained.config)
    with KeptEnvs(make_env, automatic_parallel(make_env)) as envs:
        episodes = recorder.record(
            envs.ready(LOGGED_DIALOGUES), lambda: None, lambda sentence: None
        )
    npz_output.write(path, episodes, spaces)
