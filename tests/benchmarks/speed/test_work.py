"""benchmarks.speed: the watch, and the same work for every system."""

import dataclasses

import numpy as np

from benchmarks.speed import jobs, ours, settings, stopwatch, systems
from benchmarks.speed.settings import ANCHOR, SETTINGS, SWEEPS
from dqn_tf.experience.replay import UniformReplay


def test_the_watch_leaves_out_what_is_before_the_start(monkeypatch):
    now = iter([10.0, 10.5, 12.0, 14.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(now))
    watch = stopwatch.Stopwatch(start=200, steps=1000)
    # 250 lies in the tenth that 240 opened, 840 in that of 800
    for env_step in (0, 160, 240, 250, 320, 800, 840, 1200):
        watch.at(env_step)
    assert [step for step, _ in watch.marks] == [240, 320, 800, 1200]
    assert (watch.steps, watch.seconds) == (960, 4.0)
    np.testing.assert_allclose(
        watch.tenths(), [(80, 0.5 / 80 * 1e6), (560, 1.5 / 480 * 1e6), (960, 2.0 / 400 * 1e6)]
    )


def test_the_steps_of_several_environments_keep_the_ratio():
    for envs in settings.SWEEPS["envs"]:
        calls, updates = dataclasses.replace(ANCHOR, num_envs=envs).vector_steps()
        assert calls * envs == 10 * updates, "one update per ten environment steps"
    assert ANCHOR.vector_steps() == (10, 1) and SETTINGS["zoo"].vector_steps() == (256, 128)


def test_settings_are_the_same_work_for_dqn_tf():
    anchor = ours.configure(ANCHOR, 1)
    zoo = ours.configure(SETTINGS["zoo"], 1)
    assert (
        anchor.env_steps_per_update,
        anchor.total_steps,
        anchor.batch_size,
        anchor.hidden_units,
    ) == (10.0, 22_000, 128, (120, 84))
    assert (zoo.env_steps_per_update, zoo.total_steps, zoo.target_update_period_env_steps) == (
        2.0,
        50_000,
        10,
    )
    for sweep, values in settings.SWEEPS.items():
        for value in values:
            # raises on what no run could do
            ours.configure(settings.swept(sweep, value, None), 1)
    wide = settings.swept("width", 512, 100)
    long = settings.swept("length", 10, 100)
    assert (
        wide == dataclasses.replace(ANCHOR, hidden_units=(512, 512), steps=100)
        and long.steps == 1000
    )
    assert (
        dataclasses.replace(
            settings.swept("capacity", 100_000, None), replay_capacity=10_000, filled=False
        )
        == ANCHOR
    )


def test_filling_a_replay_copies_what_is_there():
    replay = UniformReplay(10, {"reward": ((), "float32")}, np.random.default_rng(0))
    replay.add({"reward": np.arange(4, dtype=np.float32)})
    ours.fill(replay)
    assert len(replay) == 10 and sorted(set(replay.columns["reward"])) == [0, 1, 2, 3]


def test_a_round_gives_every_system_the_work_that_it_can_do(capsys):
    names = ("host", "graph", "tf_agents")
    chosen = [systems.BY_KEY[name] for name in names]
    anchor = jobs.one_round("anchor", [], 500, chosen)
    assert [(job.system.key, job.setting.num_envs, job.setting.steps) for job in anchor] == [
        ("host", 1, 500),
        ("graph", 10, 500),
        ("tf_agents", 1, 500),
    ]
    scaling = jobs.one_round("scaling", ["seeds", "envs"], None, chosen)
    points = [(job.system.key, job.name, job.value) for job in scaling]
    assert points == [
        *(("graph", "seeds", value) for value in SWEEPS["seeds"]),
        ("host", "envs", 1),
        ("graph", "envs", 1),
        ("tf_agents", "envs", 1),
        *(
            (key, "envs", value)
            for value in SWEEPS["envs"]
            if value > 1
            for key in ("host", "graph")
        ),
    ]
    assert [job.setting.num_envs for job in scaling if job.name == "envs"][:4] == [1, 1, 1, 2]
    memory = jobs.one_round("memory", [], None, chosen)
    assert [(job.system.key, job.value, job.setting.filled) for job in memory] == [
        ("host", 10_000, True),
        ("graph", 10_000, True),
        ("tf_agents", 10_000, False),
        ("host", 1_000_000, True),
        ("graph", 1_000_000, True),
    ]
    printed = capsys.readouterr().out
    assert "Several seeds at once are trained by dqn_tf graph only." in printed
    assert "TF-Agents is left out of memory 1,000,000" in printed
