"""Several seeds in one program:

each is the run that it would be alone but for rounding, and their files, resume and summary.
"""

import json
import signal
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

import oracles
from command_server import run, start
from dqn_tf.agent import losses
from dqn_tf.agent.autograph import compile_loops
from dqn_tf.agent.dqn import DQN, weights_sha256
from dqn_tf.agent.networks.kernels import narrow_matmul
from dqn_tf.agent.networks.layers import StackedDense
from dqn_tf.config import seeding
from dqn_tf.engines import factory
from dqn_tf.engines.graph.engine import GraphEngine
from dqn_tf.envs import registry
from dqn_tf.run_files.checkpoint import load_latest
from dqn_tf.support.errors import UserError
from small_runs import SMALL, arguments

SEEDS = (3, 8, 5)


def make_engines(**overrides) -> list:
    """One engine for each seed, all in one program; traced only unless `xla`, as it is quicker."""
    xla = overrides.pop("xla", False)
    configs = [
        oracles.make_config(
            **{
                "env": "CartPole-v1",
                "engine": "graph",
                "num_envs": 2,
                "n_step": 3,
                "double": True,
                "total_steps": 400,
                "replay_capacity": 101,
                "warmup_env_steps": 20,
                "updates_per_block": 5,
                "log_period_env_steps": 1,
                "seed": seed,
            }
            | overrides
        )
        for seed in SEEDS
    ]
    agents = [oracles.make_agent(config, registry.spaces(config)) for config in configs]
    engines = factory.make_engines(configs, agents, None)
    if not xla:
        leave_out_xla(engines[0])
    return engines


def leave_out_xla(engine: GraphEngine) -> None:
    """Has its program traced only."""
    engine.program.program = compile_loops(engine.program._program, jit_compile=False)


def run_together(engines: list) -> list[list]:
    """All blocks to the end; the episodes of each seed."""
    episodes = [[] for _ in engines]
    while engines[0].env_step < engines[0].config.total_steps:
        for own, block in zip(episodes, factory.run_block(engines), strict=True):
            own += block.episodes
    for engine in engines:
        engine.sync_agent()
    return episodes


def each_alone(configs: list, xla: bool) -> Iterator[GraphEngine]:
    """The engine of each seed by itself, one after the other.

    They share the program of the first, which is compiled once and begins anew for each.
    """
    agents = [oracles.make_agent(config, registry.spaces(config)) for config in configs]
    (first,) = factory.make_engines(configs[:1], agents[:1], None)
    if not xla:
        leave_out_xla(first)
    program = first.program
    new = program.arrays(0)
    yield first
    for config, agent in zip(configs[1:], agents[1:], strict=True):
        program.load(new, 0)
        program.packed.assign(tf.zeros_like(program.packed))
        yield GraphEngine(config, agent, seeding.generators(config.seed), program)


@pytest.mark.parametrize(
    "overrides",
    [
        {"xla": True, "log_period_env_steps": 150},
        {"dueling": True, "max_gradient_norm": 0.05, "env": "Acrobot-v1"},
        {"distribution": "c51", "atoms": 5, "double": False, "total_steps": 100},
    ],
    ids=str,
)
def test_each_seed_is_what_it_is_alone(overrides):
    """Weights, target, optimizer, replay and episodes; the gradient limit of the second case binds
    at every update, for each by itself.
    """
    together = make_engines(**overrides)
    episodes = run_together(together)
    configs = [engine.config for engine in together]
    for number, alone in enumerate(each_alone(configs, "xla" in overrides)):
        engine = together[number]
        own = run_together([alone])
        assert episodes[number] == own[0] and engine.updates == alone.updates > 50
        for name, array in alone.agent.arrays().items():
            np.testing.assert_allclose(
                engine.agent.arrays()[name], array, rtol=1e-4, atol=1e-5, err_msg=name
            )
        for name, column in alone.replay.rows().items():
            np.testing.assert_allclose(
                engine.replay.rows()[name], column, rtol=1e-4, atol=1e-5, err_msg=name
            )
    assert len({weights_sha256(engine.agent.online.get_weights()) for engine in together}) == len(
        SEEDS
    ), "two seeds are one"


def test_one_seed_restored_leaves_the_others_as_they_are():
    one, other = make_engines(), make_engines()
    run_together(one)
    kept = [other[place].state() for place in (0, 2)]
    values, arrays = one[1].state()
    other[1].restore(values, arrays, one[1].replay.rows())
    for place, (values, before) in zip((0, 2), kept, strict=True):
        now = other[place].state()
        assert now[0] == values
        # the count of updates, which all have in common
        names = [name for name in before if name != "optimizer/0"]
        oracles.equal([now[1][name] for name in names], [before[name] for name in names])
        assert len(other[place].replay) == 0
    oracles.equal(list(other[1].state()[1].values()), list(arrays.values()))
    oracles.equal(list(other[1].replay.rows().values()), list(one[1].replay.rows().values()))


def test_the_gradient_limit_is_each_agent_s_own():
    """By hand: norms 5 and 0.5 against a limit of 1; together they would be 5.02."""
    gradients = [tf.constant([[3.0, 0.0], [0.3, 0.0]]), tf.constant([[[4.0]], [[0.4]]])]
    limited, norm = losses.limit_gradients(gradients, 1.0, num_agents=2)
    oracles.close(norm, [5.0, 0.5], 1e-6)
    oracles.close(limited[0], [[0.6, 0.0], [0.3, 0.0]], 1e-6)
    oracles.close(limited[1], [[[0.8]], [[0.4]]], 1e-6)


@pytest.mark.parametrize("multiply", [tf.matmul, narrow_matmul])
def test_stacked_layers_are_dense_layers_side_by_side(multiply, generator):
    """Outputs and gradients, with and without the outer products."""
    made = StackedDense(3, 2, None, "glorot_uniform", "glorot_uniform", multiply, "stacked")
    inputs = tf.constant(generator.normal(size=(3, 7, 4)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = made(inputs, training=True)
        loss = tf.reduce_sum(outputs**2)
    gradients = tape.gradient(loss, [inputs, made.kernel, made.bias])
    for agent in range(3):
        x, kernel, bias = (
            inputs[agent].numpy(),
            made.kernel[agent].numpy(),
            made.bias[agent].numpy(),
        )
        expected = x @ kernel + bias
        oracles.close(outputs[agent], expected, 1e-5)
        for gradient, by_hand in zip(
            gradients,
            (2 * expected @ kernel.T, 2 * x.T @ expected, 2 * expected.sum(axis=0)),
            strict=True,
        ):
            oracles.close(gradient[agent], by_hand, 1e-4)


def test_stacked_agents_can_be_read_and_set_one_by_one():
    config = oracles.make_config(engine="graph")
    single, together = oracles.make_agent(config), DQN(config, oracles.BOX, num_agents=2)
    together.compile()
    before = together.arrays(0)
    together.load_arrays(single.arrays(), 1)
    oracles.equal(list(together.arrays(1).values()), list(single.arrays().values()))
    oracles.equal(list(together.arrays(0).values()), list(before.values()))


def words(directory, **flags) -> list[str]:
    """A small run of three seeds in `directory`/run."""
    return arguments(
        **SMALL
        | {
            "env": "CartPole-v1",
            "engine": "graph",
            "seed": 3,
            "num_seeds": 3,
            "n_step": 3,
            "total_steps": 1200,
            "checkpoint_period_env_steps": 200,
            "evaluation_period_env_steps": 600,
            "run_dir": directory / "run",
        }
        | flags
    )


def test_a_whole_run_of_several_seeds_and_one_that_was_stopped(tmp_path):
    """Directories, exports, summary; stopped and resumed it ends with the same weights, and a
    complete one is left alone.
    """
    hashes = []
    for name in ("whole", "stopped"):
        directory = tmp_path / name
        directory.mkdir()
        command = words(directory)
        if name == "stopped":
            running = start(command, directory)
            running.wait_for(text="seed 5: step 600")
            running.kill(signal.SIGKILL)
            running.wait()
            command = [f"--resume={directory / 'run'}"]
        status, text = run(command, directory)
        assert status == 0 and "3 seeds at once" in text, text
        summary = json.loads((directory / "run" / "summary.json").read_text(encoding="utf-8"))
        assert [row["seed"] for row in summary["seeds"]] == [3, 4, 5] and summary["min"] <= summary[
            "iqm"
        ] <= summary["max"]
        assert (directory / "run" / "learning_curves.png").stat().st_size > 10_000
        hashes.append([row["weights_sha256"] for row in summary["seeds"]])
        for row in summary["seeds"]:
            assert row["updates"] == 568 and row["export"] == str(
                directory / "run" / f"seed{row['seed']}" / "saved_model" / "1"
            )
            assert (
                directory / "run" / f"seed{row['seed']}" / "saved_model" / "1" / "saved_model.pb"
            ).is_file()
    assert hashes[0] == hashes[1] and len(set(hashes[0])) == 3
    (directory / "run" / "summary.json").unlink()  # lost with a full disk
    status, text = run(command, directory)
    assert status == 0 and text.count("is already complete") == 3, text
    assert (directory / "run" / "summary.json").is_file()
    # as if it had been killed amid the last of all reports
    for lost in ("summary.json", "seed4/evaluation.json"):
        (directory / "run" / lost).unlink()
    status, text = run(command, directory)
    assert status == 0 and text.count("is already complete") == 2 and "3 seeds at once" in text, (
        text
    )
    assert [
        row["weights_sha256"]
        for row in json.loads((directory / "run" / "summary.json").read_text(encoding="utf-8"))[
            "seeds"
        ]
    ] == hashes[1]
    # one of them goes on alone
    status, text = run(["--resume=run/seed4", "--total_steps=1400"], directory)
    assert status == 0 and "Score of the last weights" in text, text
    status, text = run([*command, "--total_steps=1200"], directory)
    assert status == 0 and "3 seeds at once, 1,200 to 1,400 steps each" in text, text
    summary = json.loads((directory / "run" / "summary.json").read_text(encoding="utf-8"))
    assert [row["env_steps"] for row in summary["seeds"]] == [1200, 1400, 1200]
    status, text = run(command, directory)  # now it is that of these runs
    assert status == 0 and "seeds at once" not in text, text


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (
            {"engine": "host"},
            "--num_seeds=3 trains them in one program, which --engine=host does not support:"
            " add --engine=graph.",
        ),
        ({"num_seeds": 0}, "--num_seeds=0: must be at least 1."),
        ({"num_seeds": 10**7}, "--num_seeds=10000000: must be at most 10,000."),
        (
            {"seed": 2**32 - 2},
            f"--seed={2**32 - 2} and --num_seeds=3: the last seed would be {2**32}, and must be at"
            f" most {2**32 - 1}.",
        ),
        (
            {"run_dir": None, "resume": "run"},
            "--resume goes on with the seeds that are in the directory; leave out --num_seeds.",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_is_said(flags, sentence, tmp_path):
    status, text = run(words(tmp_path, **flags), tmp_path)
    assert status == 1 and sentence in text and not list(tmp_path.glob("[!.]*")), text


def test_where_one_replay_is_lost_all_seeds_fill_theirs_anew(tmp_path):
    running = start(words(tmp_path), tmp_path)
    running.wait_for(text="seed 5: step 600")
    running.kill(signal.SIGKILL)
    running.wait()
    for replay in (tmp_path / "run" / "seed3" / "checkpoints").glob("*/replay.npz"):
        replay.unlink()
    resume = [f"--resume={tmp_path / 'run'}"]
    status, text = run(resume, tmp_path)
    assert status == 1 and "--refill_replay" in text, text
    status, text = run([*resume, "--refill_replay"], tmp_path)
    assert status == 0, text
    rows = [
        len(load_latest(tmp_path / "run" / f"seed{seed}" / "checkpoints").replay["action"])
        for seed in (3, 4, 5)
    ]
    assert rows[0] < 1200 - 2 and len(set(rows)) == 1


def test_seeds_whose_replays_were_filled_at_other_times_are_refused():
    engines = make_engines()
    factory.run_block(engines)
    engines[1].learning_starts += 40
    with pytest.raises(UserError, match=r"the replay of seed 8 was filled at another time"):
        for _ in range(10):
            factory.run_block(engines)
