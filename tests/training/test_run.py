"""dqn_tf.training.run and trainer: a run in memory, and those who observe it."""

import os

import pytest

from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.library import evaluate
from dqn_tf.run_files.report import score_line
from dqn_tf.training import trainer
from dqn_tf.training.run import Run, RunObserver, crossed
from small_runs import SMALL, finished_run, report


def small_config(**overrides) -> DQNConfig:
    """The configuration of `small_runs.small_run`."""
    flags = SMALL | {"hidden_units": (SMALL["hidden_units"],)} | overrides
    return presets.configure(flags["env"], flags)


class Diary(RunObserver):
    """Writes down what it is told: (event, environment step, ...)."""

    def __init__(self) -> None:
        self.entries: list[tuple] = []

    def before_block(self, run):
        self.entries.append(("before", run.engine.env_step))

    def after_block(self, run, block):
        self.entries.append(("after", run.engine.env_step))

    def after_evaluation(self, run, mean_return):
        self.entries.append(("evaluation", run.engine.env_step))

    def between_blocks(self, run):
        self.entries.append(("between", run.engine.env_step))

    def steps(self, event: str) -> list[int]:
        return [step for name, step in self.entries if name == event]


@pytest.fixture(scope="module")
def observed(tmp_path_factory) -> tuple[Run, Diary, list[str]]:
    """A small run in memory, who observed it, and what it left in its working directory."""
    directory = tmp_path_factory.mktemp("memory")
    before = os.getcwd()
    os.chdir(directory)
    try:
        diary = Diary()
        (run,) = trainer.make_runs([small_config()], observers=[diary])
        trainer.run_blocks([run])
    finally:
        os.chdir(before)
    return run, diary, os.listdir(directory)


def test_a_run_in_memory_ends_with_the_weights_and_scores_of_train_py(observed):
    run, _, files = observed
    last, best = run.score_both()
    expected = report(finished_run(xla=True))
    assert (last.sha256, last.test) == (expected["weights_sha256"], expected["last"])
    assert (best.sha256, best.test) == (
        expected["best"]["weights_sha256"],
        expected["best"]["test"],
    )
    assert weights_sha256(last.weights) == last.sha256
    assert run.best.env_step == expected["best"]["env_step"]
    assert files == []


def test_the_final_test_alone_plays_with_its_epsilon(observed):
    """The evaluations that choose the best weights, and so the run, stay as they are."""
    greedy, *_ = observed
    config = small_config(test_epsilon=0.5)
    (run,) = trainer.make_runs([config])
    trainer.run_blocks([run])
    assert run.best.mean == greedy.best.mean
    last, _ = run.score_both()
    assert last.sha256 == greedy.score_last().sha256
    run.agent.online.set_weights(last.weights)
    episodes, seed = config.test_episodes, config.seed
    expected = evaluate(run.agent, config, episodes, seed, epsilon=0.5)
    assert last.test == expected.summary() and last.test["epsilon"] == 0.5
    assert last.test != evaluate(run.agent, config, episodes, seed).summary()
    assert f"{episodes} episodes with epsilon 0.5 on seeds" in score_line(last.test)
    assert f"{episodes} greedy episodes on seeds" in score_line(greedy.score_last().test)


def test_an_observer_is_told_of_every_event_in_order(observed):
    _, diary, _ = observed
    blocks = list(range(8, 401, 8))  # 4 updates of 2 steps each
    assert diary.steps("before") == [0, *blocks[:-1]]
    assert diary.steps("after") == blocks
    assert diary.steps("between") == [0, *blocks]
    assert diary.steps("evaluation") == [152, 304, 400]
    place = diary.entries.index(("evaluation", 152))
    assert diary.entries[place - 1 : place + 3] == [
        ("after", 152),
        ("evaluation", 152),
        ("between", 152),
        ("before", 152),
    ]


def test_the_timings_are_those_of_a_run_without_files(observed):
    seconds = observed[0].timings.to_dict()
    assert all(seconds[part] > 0 for part in ("compile", "collect", "learn", "evaluate"))
    assert all(seconds[part] == 0 for part in ("import", "record", "checkpoint", "export", "plot"))


def test_runs_of_several_seeds_tell_their_observers_in_turn():
    config = small_config(env="CartPole-v1", engine="graph", evaluation_period_env_steps=0)
    seeds = []

    class Seeds(RunObserver):
        def after_block(self, run, block):
            seeds.append(run.config.seed)

    configs = [small_config(**config.to_dict() | {"seed": seed}) for seed in (3, 4)]
    runs = trainer.make_runs(configs, observers=[Seeds()])
    trainer.run_blocks(runs)
    assert seeds == [3, 4] * (len(seeds) // 2) and len(seeds) >= 10
    assert [run.engine.env_step for run in runs] == [400, 400]


def test_what_an_observer_raises_ends_the_run():
    class Stop(RunObserver):
        def between_blocks(self, run):
            if run.engine.env_step == 16:
                raise KeyboardInterrupt

    (run,) = trainer.make_runs([small_config()], observers=[Stop()])
    with pytest.raises(KeyboardInterrupt):
        trainer.run_blocks([run])
    assert run.engine.env_step == 16


def test_averages_are_over_the_runs_that_have_a_value():
    rows = [{"loss": 1.0, "epsilon": 0.5}, {"epsilon": 0.1}, {"loss": 3.0, "epsilon": 0.6}]
    assert trainer.averages(rows) == {"loss": 2.0, "epsilon": pytest.approx(0.4)}


@pytest.mark.parametrize(
    ("period", "before", "now", "expected"),
    [
        (0, 0, 100, False),
        (10, 0, 9, False),
        (10, 0, 10, True),
        (10, 10, 19, False),
        (10, 19, 40, True),
    ],
)
def test_a_period_is_crossed_at_its_multiples(period, before, now, expected):
    assert crossed(period, before, now) == expected


def test_a_resume_with_shorter_evaluations_compares_on_episodes_that_none_has_played():
    (before,) = trainer.make_runs([small_config(evaluation_episodes=30)])
    (after,) = trainer.make_runs([small_config(evaluation_episodes=5)])
    values, arrays = before.state()
    after.restore(values, before.best.weights, arrays)
    played = []
    after._play = lambda stream, episodes, first: (
        played.append((episodes, first)) or before._play(stream, episodes)
    )
    after._fresh_returns(after.best.weights, range(2, 4))
    assert played == [(2, 32)]
