"""benchmarks.offline: its data sets, one run of each kind, and the arithmetic of its tables."""

import numpy as np
import pytest

from benchmark_helpers import ROOT, help_without
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append, read
from benchmarks.offline import __main__ as command
from benchmarks.offline import data_sets, methods, page, recording, records, summary
from benchmarks.offline.data_sets import NONE, SETS, path
from benchmarks.offline.methods import METHODS, Job
from benchmarks.offline.run_one import Runner, Stopped, ThresholdObserver
from dqn_tf.agent.dqn import DQN
from dqn_tf.envs import registry
from dqn_tf.experience.logged.sources import load
from dqn_tf.support.errors import UserError

ENV = "CartPole-v1"
TINY = {
    "warmup_env_steps": 64,
    "batch_size": 16,
    "hidden_units": (8,),
    "updates_per_block": 8,
    "evaluation_episodes": 2,
    "test_episodes": 2,
}
TINY_WORDS = [f"--{name}={str(value).strip('(),')}" for name, value in TINY.items()]


def cart_pole_row(method="cql", data_set="replay", seed=0, **values) -> records.Row:
    """A run as the command would record it."""
    config = methods.configure(Job(ENV, data_set, method, seed), RESULTS, {})
    result = {
        "score": 400.0 if METHODS[method].is_scored else None,
        "steps_to_threshold": None,
        "curve": [],
        "seconds": 2.0,
        "cpu_seconds": 1.0,
        "updates": 3000,
        "env_steps": 0,
    }
    digest = "" if data_set == NONE else f"{data_set}-digest"
    job = Job(ENV, data_set, method, seed)
    return records.row(job, config, digest, result | values)


def data_row(name: str, mean: float) -> records.DataRow:
    return records.DataRow(
        ENV, name, f"{name}-digest"[:12], "", 0, 10, 2, mean, 1.0, 2.0, 9.0, None
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The tables' command on a tiny size, with data that it makes itself."""
    directory = tmp_path_factory.mktemp("offline")
    words = [
        f"--results_dir={directory}",
        f"--page={directory / 'page.md'}",
        f"--envs={ENV}",
        "--methods=support,offline_first",
        "--data_sets=replay",
        "--seeds=2",
        "--rows=240",
        "--offline_updates=8",
        *TINY_WORDS,
    ]
    options = command.parse(["offline", *words, "--make_data"])
    # A run of this length: what the preset says is too long, for data and for the threshold.
    options.overrides["total_steps"] = 240
    command.make_data(options, ENV)
    runner = Runner()
    command.train(options, ENV, runner)
    command.render(options)
    return directory, options, runner


def test_help_and_mistakes_come_without_tensorflow():
    assert "--make_data" in help_without("offline", "tensorflow", "keras", "scipy")
    for words, sentence in (
        (["--data=x.npz"], "--data is for train.py"),
        (["--methods=cql,what"], "'what' is none of"),
        (["--envs=NoSuch-v0"], "'NoSuch-v0' is none of"),
        (["--cql_alpha=-1"], "--cql_alpha"),
    ):
        with pytest.raises(UserError, match=sentence):
            command.parse(["offline", *words])


def test_the_data_sets_are_what_they_say(made):
    directory, _, _ = made
    rows = {row.data_set: row for row in read(directory / records.DATA_SETS, records.DataRow)}
    assert sorted(rows) == sorted(SETS)
    spaces = registry.spaces(methods.configure(Job(ENV, NONE, "online", 0), directory, {}))
    for name, row in rows.items():
        episodes = load(str(path(directory / "data", ENV, name)), spaces)
        assert (len(episodes), episodes.count) == (row.rows, row.episodes) == (240, row.episodes)
        assert episodes.digest[:12] == row.digest and episodes.has_next.all()
        np.testing.assert_allclose(episodes.returns.mean(), row.mean, atol=1e-4)
        best = load(str(path(directory / "data", ENV, f"{name}-best10")), spaces)
        count = max(1, round(0.1 * row.episodes))
        np.testing.assert_allclose(np.sort(best.returns), np.sort(episodes.returns)[-count:])
    assert rows["random"].digest != rows["medium"].digest != rows["replay"].digest
    assert rows["medium"].policy is not None and rows["random"].policy is None


def test_replay_is_what_the_run_collected(made):
    """The observations and rewards are those in the replay of the same run."""
    directory, options, _ = made
    columns = np.load(path(directory / "data", ENV, "replay"))
    follows = np.append(columns["episode"][1:] == columns["episode"][:-1], False)
    # CartPole: the position moves by 0.02 s of the velocity before it
    moved = columns["observation"][:-1, 0] + np.float32(0.02) * columns["observation"][:-1, 1]
    np.testing.assert_allclose(
        columns["observation"][1:, 0][follows[:-1]], moved[follows[:-1]], atol=1e-6
    )
    np.testing.assert_array_equal(columns["terminated"] | columns["truncated"], ~follows)
    assert (columns["reward"] == 1).all() and options.rows == len(columns["reward"])


def test_every_run_is_recorded_once(made):
    directory, options, _ = made
    rows = read(records.path(directory, ENV), records.Row)
    assert [(row.method, row.seed) for row in rows] == [
        ("support", 0),
        ("offline_first", 0),
        ("support", 1),
        ("offline_first", 1),
    ]
    for row in rows:
        assert row.offline_updates == 8 and "--data=replay.npz" in row.settings
        is_scored = row.method == "support"
        assert (row.score is not None) == is_scored == (row.env_steps == 0)
        assert is_scored or (row.env_steps == 240 and row.curve.startswith("0:"))
    before = len(rows)
    command.train(options, ENV)
    assert len(read(records.path(directory, ENV), records.Row)) == before
    assert "4 further rows" in (directory / "page.md").read_text(encoding="utf-8")


def test_a_compiled_agent_begins_anew_with_each_run(made):
    directory, options, runner = made
    job = Job(ENV, "replay", "support", 7)
    config = methods.configure(job, directory / "data", options.overrides)
    spaces = registry.spaces(config)
    used = runner.agent(config, spaces)
    fresh = DQN(config, spaces)
    fresh.compile()
    assert runner.agent(config, spaces) is used and used.updates == 0
    arrays = used.arrays()
    assert all(np.array_equal(arrays[name], array) for name, array in fresh.arrays().items())


def test_the_best_episodes_in_their_order():
    columns = {
        "observation": np.arange(6.0)[:, np.newaxis],
        "action": np.zeros(6, int),
        "reward": np.array([1.0, 1.0, 5.0, 2.0, 2.0, 2.0]),
        "episode": np.array([0, 0, 1, 2, 2, 2]),
        "final_observation": np.array([[10.0], [11.0], [12.0]]),
    }
    best = recording.best_episodes(columns, 0.67)
    assert best["episode"].tolist() == [0, 1, 1, 1]
    assert best["observation"][:, 0].tolist() == [2, 3, 4, 5]
    assert best["final_observation"][:, 0].tolist() == [11, 12]
    both = recording.joined(columns, best)
    assert recording.returns(both).tolist() == [2, 5, 6, 5, 6]
    assert recording.best_episodes(columns, 0.01)["reward"].tolist() == [2, 2, 2]


def test_the_threshold_stops_a_run():
    class FakeEngine:
        is_offline = False
        env_step = 0

    class FakeRun:
        engine = FakeEngine()
        evaluations = 0

        def evaluate(self):
            self.evaluations += 1

    run, watch = FakeRun(), ThresholdObserver(475.0, 500, 1500)
    for env_step, evaluations in ((0, 1), (400, 1), (512, 2), (900, 2), (1000, 3)):
        run.engine.env_step = env_step
        watch.between_blocks(run)
        assert run.evaluations == evaluations
    watch.after_evaluation(run, 474.0)
    with pytest.raises(Stopped):
        watch.after_evaluation(run, 475.0)
    run.engine.env_step = 1504
    with pytest.raises(Stopped):
        watch.between_blocks(run)
    assert watch.steps == 1000 and watch.curve == [(1000, 474.0), (1000, 475.0)]


def test_scores_are_averaged_and_steps_have_a_bound():
    score = summary.score([cart_pole_row(score=value) for value in (100.0, 200.0, 300.0)])
    assert (score.runs, score.mean.value) == (3, 200.0) and 100 <= score.mean.low < 200
    timed = [(0, 0), (512, 512), (1000, 1000), (None, 50_000), (None, 50_000)]
    steps = summary.steps(timed)
    assert (steps.runs, steps.reached, steps.median.value) == (5, 3, 1000.0)
    assert steps.show() == "1,000 [0, > 50,000]"
    some = summary.steps(timed[:3])
    assert some.show() == "512 [0, 1,000]" and some.share_of(steps) == "0.51"
    assert steps.share_of(summary.steps(timed[3:])) == "≤ 0.02"


def test_the_page_shows_what_is_recorded(tmp_path):
    file = records.path(tmp_path, ENV)
    for name, mean in (("random", 20.0), ("replay", 300.0)):
        append(tmp_path / records.DATA_SETS, data_row(name, mean))
    for row in (
        cart_pole_row("cql", score=480.0),
        cart_pole_row("cql", score=490.0, seed=1),
        cart_pole_row("cql", "random", score=100.0),
        cart_pole_row("online", NONE, score=250.0),
        cart_pole_row("naive", score=1.0)._replace(config_hash="another"),
        cart_pole_row("naive", score=1.0)._replace(digest="another"),
        cart_pole_row("online_alone", NONE, steps_to_threshold=9000, env_steps=9000),
        cart_pole_row("offline_first", steps_to_threshold=3000, env_steps=3000),
    ):
        append(file, row)
    text = page.render(tmp_path)
    assert "| the data's own return | 20.0 [1.0, 2.0] | 300.0 [1.0, 2.0] | — | — | — |" in text
    cells = "100.0 [100.0, 100.0] | 485.0 [480.0, 490.0] | — | 1 to 2 | 1.0"
    assert f"| DQN with `--cql_alpha` | {cells} |" in text
    assert "| online DQN, as many updates | — | — | 250.0 [250.0, 250.0] | 1 | 1.0 |" in text
    assert "- DQN with `--cql_alpha`: **met**, 485.0 [480.0, 490.0]." in text
    assert "| offline first, then online | replay | 1 | 1 | 3,000 [3,000, 3,000] | 0.33 |" in text
    assert "- after `replay`: **met**." in text and "DQN, nothing added" not in text
    assert "2 further rows" in text and "--data=replay.npz" in text


def test_only_what_is_between_the_markers_is_written(tmp_path):
    file = tmp_path / "page.md"
    file.write_text(f"before\n{page.BEGIN}old\n{page.END}after\n", encoding="utf-8")
    page.write(file, "new")
    assert file.read_text(encoding="utf-8") == f"before\n{page.BEGIN}\nnew\n{page.END}after\n"
    file.write_text("no markers\n", encoding="utf-8")
    with pytest.raises(UserError, match="has no lines"):
        page.write(file, "new")


def test_the_page_in_the_project_is_what_its_records_give():
    text = (ROOT / "docs" / "offline.md").read_text(encoding="utf-8")
    between = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert between == f"\n{page.render(RESULTS / 'offline')}\n", (
        "python -m benchmarks.offline --render_only"
    )


def test_the_seeds_of_the_data_are_not_those_of_runs():
    seeds = range(data_sets.SEED, data_sets.SEED + len(SETS) + 1)
    assert not set(seeds) & set(range(200)), "reported and searched seeds"
