"""benchmarks.graph_walk: the player of all starts, its data, its runs, and its tables."""

import json
import re

import numpy as np
import pytest

from benchmark_helpers import ROOT, help_without
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append, read
from benchmarks.graph_walk import __main__ as command
from benchmarks.graph_walk import acting, experiments, page, records, summary, walks
from benchmarks.graph_walk.experiments import ALL, BY_NAME, EXPERIMENTS, RETURNS, SUCCESSES
from benchmarks.graph_walk.run_one import Runner
from benchmarks.language import tasks
from dqn_tf.envs import registry
from dqn_tf.envs.text import exact
from dqn_tf.envs.text.graph_walk import walk_model
from dqn_tf.envs.text.graphs import find_graph, shipped_walks
from dqn_tf.envs.text.walk_baselines import monte_carlo, yardsticks
from dqn_tf.experience.logged.shares import load_all
from dqn_tf.support.errors import UserError

TINY = {
    "total_steps": 256,
    "warmup_env_steps": 64,
    "batch_size": 8,
    "num_envs": 8,
    "updates_per_block": 4,
    "pretrain_updates": 2,
    "env_steps_per_update": 8.0,
    "replay_unit": "transition",
    "network": "mlp",
    "hidden_units": (8,),
}


def configured(name="online", graph="1", seed=100, **overrides):
    return experiments.configure(BY_NAME[name], graph, seed, overrides)


def logged(config, kind=ALL):
    make = registry.maker(config)
    (source,) = load_all(config.data, make.spaces, make.corpus)
    return walks.changed(source.episodes, kind)


def row(name="online", graph="1", seed=1, **values) -> records.Row:
    """A run as the command would record it."""
    pairs = {"q": (-4.0, 0.5), "support": (-3.0, 1.0), "model": (-15.0, 0.0)}
    pairs |= {f"beta_{weight}": (-3.5, 1.0) for weight in (1, 4, 16)}
    result = {
        "score": -2.82,
        "success": 1.0,
        "pretrained_cross_entropy": 0.9,
        "held_out_cross_entropy": 1.0,
        "kl_to_pretrained": 0.1,
        "seconds": 20.0,
        "cpu_seconds": 40.0,
        "compiling_cpu_seconds": 10.0,
        "updates": 100,
        "env_steps": 4000,
        "model": {
            name + end: value
            for name in ("greedy", "sampled", "best")
            for end, value in (("", -14.0), ("_success", 0.1))
        },
        "acting": pairs,
        "curve": "1000:2.0:-9.000 2000:4.0:-2.900",
    }
    config = experiments.configure(BY_NAME[name], graph, seed, {})
    return records.row(name, config, result)._replace(**values)


def random_policy(graph, seed):
    """A policy that depends on the last token alone, and often writes what is no edge."""
    generator = np.random.default_rng(seed)
    nodes = len(graph.nodes)
    chosen = generator.integers(nodes, size=nodes)
    ways = [np.flatnonzero(edges) if edges.any() else [0] for edges in graph.edges]
    by_edge = np.array([generator.choice(nodes) for nodes in ways])
    chosen = np.where(generator.random(nodes) < 0.1, chosen, by_edge)

    def act(observation, mask):
        last = (observation > 0).sum(axis=1) - 1
        return 1 + chosen[observation[np.arange(len(observation)), last] - 1]

    return act


@pytest.mark.parametrize("name", ["1", "3"])
def test_its_player_is_the_environment(name):
    graph, config = find_graph(name), configured(graph=name)
    make = registry.maker(config)
    for seed in range(5):
        policy = random_policy(graph, seed)
        expected = tasks.score(policy, make, tasks.starts(make()))
        found = acting.play(policy, graph, np.array(graph.starts))
        np.testing.assert_array_equal(found.returns, expected.returns)
        np.testing.assert_array_equal(found.succeeded, expected.succeeded)


def test_the_optimum_plays_the_optimum():
    graph = find_graph("2")
    model = walk_model(graph)
    best = exact.best_policy(model).argmax(axis=1)
    nodes = len(graph.nodes)

    def act(observation, mask):
        written = (observation > 0).sum(axis=1) - 1
        node = observation[np.arange(len(observation)), written] - 1
        return 1 + best[written * nodes + node]

    scores = acting.play(act, graph, np.array(graph.starts))
    assert scores.returns.mean() == pytest.approx(exact.optimum(model)) and scores.succeeded.all()


class Answers:
    """Fixed outputs of a network."""

    def __init__(self, q_values, behaviour):
        self._q_values, self._behaviour = (np.array([each]) for each in (q_values, behaviour))

    def q_values(self, observation):
        return self._q_values

    def behaviour(self, observation):
        return self._behaviour


def test_ways_of_acting():
    answers = Answers([0.0, -1.0, -2.0], [np.log(0.001), np.log(0.1), np.log(0.8)])
    chosen = {
        name: int(way.policy(answers, 1)(np.zeros((1, 16), int), None)[0])
        for name, way in acting.all_ways().items()
    }
    assert chosen == {
        "q": 1,
        "support": 2,  # 0.001 is below 0.005 of 0.8
        "beta_1": 3,  # -6.9, -3.3, -2.2
        "beta_4": 2,  # -6.9, -6.3, -8.2
        "beta_16": 1,
        "model": 3,
    }


def test_walks_that_arrive_are_all_kept_and_no_others():
    config = configured("cloned_successes", "4")
    kept = logged(config, SUCCESSES)
    goal = find_graph("4").goal + 1
    arrived = shipped_walks("4")
    assert kept.count == walks.COPIES * (arrived[:, 1:] == goal).any(axis=1).sum() > 0
    assert kept.terminated[kept.last_rows].all()
    assert (kept.action[kept.last_rows] + 1 == goal).all()


def test_returns_of_walks_are_those_of_the_table():
    config = configured("monte_carlo")
    episodes, graph = logged(config, RETURNS), find_graph("1")
    assert episodes.terminated[episodes.last_rows].all()
    nodes = len(graph.nodes)
    sums, counts = np.zeros((nodes, nodes)), np.zeros((nodes, nodes))
    for first, end in zip(episodes.starts[:-1], episodes.starts[1:], strict=True):
        left = np.cumsum(episodes.reward[first:end][::-1])[::-1]
        for place in range(end - first):
            node = episodes.observation[first + place, place] - 1
            sums[node, episodes.action[first + place]] += left[place]
            counts[node, episodes.action[first + place]] += 1
    table = monte_carlo(graph, shipped_walks("1"))
    seen = counts > 0
    np.testing.assert_array_equal(seen, np.isfinite(table))
    np.testing.assert_allclose(sums[seen] / counts[seen], table[seen], atol=1e-4)


@pytest.fixture(scope="module")
def runner():
    """One that has done a run of another seed and graph."""
    runner = Runner()
    first = runner.run(configured(**TINY), ALL, 2, False)
    assert first["curve"].count(":") == 4 and first["starts"] == 39
    return runner


def test_a_compiled_agent_is_as_new_for_every_run(runner):
    config = configured(seed=101, graph="2", **TINY)
    again, alone = (each.run(config, ALL, 0, True) for each in (runner, Runner()))
    costs = {"seconds", "cpu_seconds", "compiling_cpu_seconds"}
    assert {name: again[name] for name in again.keys() - costs} == {
        name: alone[name] for name in alone.keys() - costs
    }
    assert again["pretrained_cross_entropy"] > 0 and 0 <= again["model"]["best_success"] <= 1


def test_what_is_held_out_is_measured_without_pretraining_too(runner):
    config = configured("no_pretraining", **TINY | {"pretrain_updates": 0})
    result = runner.run(config, ALL, 0, False)
    assert result["held_out_cross_entropy"] > 0
    assert result["pretrained_cross_entropy"] is result["kl_to_pretrained"] is None


def test_help_and_mistakes_come_without_tensorflow():
    assert "no_rehearsal" in help_without("graph_walk", "tensorflow", "keras", "scipy")
    for words, sentence in (
        (["--env=CartPole-v1"], "--env is for train.py"),
        (["--experiments=walk"], "'walk' is none of"),
        (["--graphs=9"], "'9' is none of"),
        (["--seeds=1,x"], "'x' is no whole number"),
        (["--gamma=2"], "--gamma"),
    ):
        with pytest.raises(UserError, match=sentence):
            command.parse(["graph_walk", *words])


def test_a_run_that_is_recorded_is_not_done_again(tmp_path):
    words = [f"--results_dir={tmp_path}", f"--page={tmp_path / 'page.md'}"]
    for graph in experiments.GRAPHS:
        append(tmp_path / records.FILE, row(graph=graph))
    options = command.parse(["graph_walk", *words, "--experiments=online", "--seeds=1"])
    command.main(options)  # no process is started
    assert len(read(tmp_path / records.FILE, records.Row)) == 4
    assert "-2.82 [-2.82, -2.82] (100.0%), 1 run" in (tmp_path / "page.md").read_text("utf-8")


def test_the_page_says_what_is_missed(tmp_path):
    for each in (
        *(row(seed=seed) for seed in range(1, 5)),
        row(seed=5, score=-5.0, success=0.9),
        *(row(graph="2", seed=seed, score=-3.1) for seed in range(1, 6)),
        *(row(graph="3", seed=seed, success=0.97, score=-3.2) for seed in range(1, 6)),
        row("offline", cpu_seconds=70.0),
        row("whole", held_out_cross_entropy=1.06),
        row("no_rehearsal", held_out_cross_entropy=4.0),
        row("online_no_rehearsal", held_out_cross_entropy=2.0),
        row("whole", graph="2", seed=100),
        row("unit_transition", curve="1000:2.0:-9.000"),
        row("uniform"),
    ):
        append(tmp_path / records.FILE, each)
    text = page.render(tmp_path)
    page.draw(tmp_path)
    assert "/ablation.png" in text and (tmp_path / "ablation.png").exists()
    assert "graph 1 **met**, 4 of 5; graph 2 **met**, 5 of 5; graph 3 **missed**, 0 of 5" in text
    assert "offline from 8,000 walks: graph 1 open, 1 of 1; within" in text
    assert "within 120 s **met**, 40.0 CPU s" in text and "within 60 s **missed**, 70" in text
    assert "rises by at most 0.15 by the preset, with rehearsal: **met**, in 15 of 15" in text
    assert "more than 2 without it, in as many steps: **missed**, in 0 of 1 runs, 1.10" in text
    assert re.search(r"\| 64 transitions .* \| never \| 30 \| 300 \| 1 \|", text)


def test_summary():
    rows = [row(), row(score=-9.0), row(seed=100), row()._replace(config_hash="another")]
    found = summary.current(BY_NAME["online"], "1", rows)
    assert [(run.seed, run.score) for run in found] == [(1, -9.0)]
    assert summary.seconds_to(found[0], -3.0) == 4.0 and summary.seconds_to(found[0], 0) is None
    assert summary.rises(found) == [pytest.approx(0.1)]
    assert json.loads(found[0].acting)["q"] == [-4.0, 0.5]


def test_the_page_in_the_project_is_what_its_records_give():
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    between = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert between == f"\n{page.render(RESULTS / 'graph_walk')}\n", (
        "python -m benchmarks.graph_walk --render_only"
    )


def test_reported_seeds_are_not_those_of_the_search():
    for each in EXPERIMENTS:
        assert not {100, 101} & {seed for graph in each.graphs for seed in each.seeds_of(graph)}


def test_the_tables_name_yardsticks_that_there_are():
    graph = find_graph("1")
    known = yardsticks(graph, walk_model(graph), shipped_walks("1"))
    assert set(page.EXACT) <= set(known)
