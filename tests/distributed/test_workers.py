"""Workers take the same steps to the bit as one process does, whatever becomes of them.

All tests share one cluster of two nodes with one CPU each. The last ones change it.
"""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.numpy_forward import NumpyQFunction
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.distributed import ray_cluster
from dqn_tf.distributed.fingerprint import Versions, differing_versions
from dqn_tf.distributed.pool import refusal
from dqn_tf.envs import registry
from dqn_tf.experience.collector import LocalCollector
from dqn_tf.support.errors import UserError

ray = pytest.importorskip("ray", reason="the extra `distributed` is not installed")

from ray.cluster_utils import Cluster  # noqa: E402 (only where there is Ray)

from dqn_tf.distributed.collector import RayCollector  # noqa: E402

BLOCK = 12  # steps of each environment
WORLD = {
    "env": "remote_worlds:World-v0",
    "num_envs": 4,
    "shard_envs": 2,
    "lag": 1,
    "seed": 3,
    "hidden_units": (16,),
    "updates_per_block": 24,
    "warmup_env_steps": 128,
}
ODD_NODE = {"ODD_NODE": "1", "OPENBLAS_CORETYPE": "Prescott"}  # an old type of CPU


@pytest.fixture(scope="module")
def cluster():
    """Two nodes; connected, as a user's own program may be."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=options | {"include_dashboard": False})
    cluster.second = cluster.add_node(**options)
    cluster.options = options
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def plans():
    """Forward passes and weights by configuration: networks of TensorFlow are made once."""
    known = {}

    def of(config):
        key = (config.env, config.noisy)
        if key not in known:
            network = DQN(config, registry.spaces(config)).online
            known[key] = network.plan(), network.flat_weights()
        return known[key]

    return of


@pytest.fixture
def make(cluster, plans):
    """Makes the collector of a configuration with so many workers; 0 is this process."""
    collectors = []

    def made(workers, **overrides):
        settings = WORLD | overrides
        config = DQNConfig(**settings, workers=workers)
        plan, weights = plans(config)
        generator = np.random.default_rng(1)
        if workers:
            collector = RayCollector(config, plan, lambda: weights, generator)
        else:
            maker = registry.maker(config)
            collector = LocalCollector(config, maker, NumpyQFunction(plan, weights), generator)
        collectors.append(collector)
        collector.weights = weights
        return collector

    yield made
    for collector in collectors:
        collector.close()


def blocks(collector, count, before=lambda number: None):
    """The steps of some blocks, each under other weights."""
    collected = []
    for number in range(count):
        before(number)
        collector.refresh(weights_of(collector, number))
        collected.append(copies(collector.collect(*arguments(collector))))
    return collected


def blocks_begun_ahead(collector, count, meanwhile=lambda number: None, first=0):
    """The same from number `first` on, each begun before the one before it is asked for."""
    collected = []
    for number in range(first - 1, count):
        if number + 1 < count:
            collector.refresh(weights_of(collector, number + 1))
            collector.begin(*arguments(collector))
        if number >= first:
            meanwhile(number)
            collected.append(copies(collector.collect(*arguments(collector))))
    return collected


def weights_of(collector, number):
    return collector.weights * np.float32(1.0 + number)


def arguments(collector):
    length = collector._config.block_steps
    return length, np.full((length, collector._config.num_envs), 0.3)


def copies(steps):
    return {name: column.copy() for name, column in vars(steps).items()}


def require_same(one, other):
    for block, expected in zip(one, other, strict=True):
        for name, column in expected.items():
            assert column.tobytes() == block[name].tobytes(), name


def kill(member):
    os.kill(member.process.pid, signal.SIGKILL)


def wait_for_cpus(count):
    """Until so many CPUs are free."""
    deadline = time.monotonic() + 30
    while ray.available_resources().get("CPU", 0) < count and time.monotonic() < deadline:
        time.sleep(0.1)


def test_masks_and_noise_and_a_kill_between_blocks_and_a_resume(make):
    """What comes back is what this process would have done, and a checkpoint's state, too."""
    settings = {"noisy": True, "env_kwargs": {"masked": True}, "num_envs": 6}
    local = make(0, **settings)
    expected = blocks(local, 4)
    assert np.concatenate([block["env_ended"] for block in expected]).any()
    remote = make(2, **settings)
    assert not any(member.process.has_tensorflow for member in remote.pool.members)
    assert all(member.process.memory < 250 * 2**20 for member in remote.pool.members)
    first = blocks(remote, 2, lambda number: number == 1 and kill(remote.pool.members[0]))
    require_same(first, expected[:2])
    values, arrays = remote.state()
    local_again = make(0, **settings)
    assert local_again.restore(values, arrays) == []
    local_again._generator.bit_generator.state = remote._generator.bit_generator.state
    require_same(blocks(remote, 2)[:1], blocks(local_again, 2)[:1])
    assert remote.state()[0] == local_again.state()[0]
    for name, array in local_again.state()[1].items():
        assert array.tobytes() == remote.state()[1][name].tobytes()
    remote.restore(values, arrays)  # to workers that have played on meanwhile
    assert remote.state()[0] == values


def test_killed_in_the_middle_of_a_block(make, capfd):
    """Its other shards, done or not, go to its successor with it; so does what was begun ahead."""
    settings = {"num_envs": 8, "env_kwargs": {"seconds": 0.01}}
    expected = blocks(make(0, num_envs=8), 4)
    remote = make(1, **settings)
    (member,) = remote.pool.members
    timer = threading.Timer(0.4, kill, [member])
    found = blocks_begun_ahead(remote, 4, lambda number: number == 1 and timer.start())
    require_same(found, expected)
    assert remote.pool.members[0].process.pid != member.process.pid
    assert "is lost: its block is played again by worker 1." in capfd.readouterr().err


def test_a_block_begun_ahead_is_in_no_checkpoint(make):
    """What is saved is where the run was after the last block that came back."""
    local, remote = make(0), make(2)
    states = []
    blocks(local, 3, lambda number: states.append(saved(local)))
    seen = []
    # a worker of two is lost between two blocks, when both have the next one
    blocks_begun_ahead(
        remote,
        3,
        lambda number: (seen.append(saved(remote)), number == 1 and kill(remote.pool.members[1])),
    )
    assert seen == states
    assert saved(remote) == saved(local)


def saved(collector):
    values, arrays = collector.state()
    generator = collector._generator.bit_generator.state
    return values, {name: array.tobytes() for name, array in arrays.items()}, generator


def test_an_environment_that_hangs_once_costs_a_block(make, tmp_path, capfd):
    hang = {"fault": "hang", "once": str(tmp_path / "hung")}
    remote = make(1, env_kwargs=hang, worker_timeout=2.0)
    require_same(blocks(remote, 2), blocks(make(0), 2))
    assert "has not answered for 2 seconds (--worker_timeout)" in capfd.readouterr().err


def test_an_environment_that_ends_its_process_each_time_is_named(make):
    remote = make(1, env_kwargs={"fault": "exit"})
    with pytest.raises(UserError, match="in the same block of environments 0 to 1. They end or"):
        blocks(remote, 1)


def test_after_a_loss_it_goes_on_from_where_the_environment_is(make, capfd):
    """What is stored of a step is what the environment was in before it and after it."""
    remote = make(1, env_kwargs={"drifts": True})
    _, after = blocks(remote, 2, lambda number: number == 1 and kill(remote.pool.members[0]))
    assert "did not repeat its running episode from its seed and" in capfd.readouterr().err
    assert remote.differing == [0, 1, 2, 3]
    moved = after["next_observation"] - 0.9 * after["observation"]
    assert np.abs(moved).max() < 2.0
    values, arrays = remote.state()
    assert remote.restore(values, arrays) == [0, 1, 2, 3]
    (again,) = blocks(remote, 1)
    assert remote.differing == []
    assert np.abs(again["next_observation"] - 0.9 * again["observation"]).max() < 2.0


def test_first_steps_that_take_too_long_are_named(make):
    with pytest.raises(UserError) as caught:
        make(1, env_kwargs={"seconds": 0.3}, worker_timeout=0.5)
    assert "has not played its first steps in 0.5 seconds (--worker_timeout)." in str(caught.value)


def test_a_ray_that_is_gone_is_a_sentence(make, monkeypatch):
    remote = make(1)

    def gone(value):
        raise ray.exceptions.RaySystemError("no raylet")

    monkeypatch.setattr(ray, "put", gone)
    with pytest.raises(UserError, match="--workers=1: the Ray that they run on does not answer"):
        blocks(remote, 1)


def test_an_environment_that_raises_is_a_sentence(make):
    remote = make(1, env_kwargs={"fault": "raise"})
    with pytest.raises(UserError) as caught:
        blocks(remote, 1)
    sentence = str(caught.value)
    assert sentence.startswith("Worker 0 (process ")
    assert ": Environment 0 raised ValueError in step(" in sentence
    assert "the world is broken (step 3 of the episode reset with seed " in sentence


def test_pixels(make, monkeypatch):
    """Frames travel once, and stacks are put together again."""
    pytest.importorskip("ale_py")
    game = {"env": "ALE/Pong-v5", "updates_per_block": 8, "noop_max": 1}
    require_same(blocks(make(2, **game), 2), blocks(make(0, **game), 2))


def test_more_workers_than_the_cluster_has_cpus_for(make):
    with pytest.raises(UserError, match=r"--workers=9: the cluster has \d free of \d CPUs"):
        make(9, num_envs=18)


def test_a_node_that_is_lost(make, cluster):
    """What it owned goes to the other node's worker, and back once there is a node again."""
    expected = blocks(make(0, num_envs=8), 4)
    remote = make(2, num_envs=8)
    members = []

    def change(number):
        members.append(len(remote.pool.members))
        if number == 1:
            cluster.remove_node(cluster.second, allow_graceful=False)
        if number == 2:
            cluster.add_node(**cluster.options)
            wait_for_cpus(1)
            remote.pool._next_try = 0.0  # not in a minute

    found = blocks(remote, 2, change)
    require_same(found + blocks_begun_ahead(remote, 4, change, first=2), expected)
    assert members == [2, 2, 1, 2]


def test_a_node_with_other_bits_or_without_a_package(make, cluster, capfd):
    node = cluster.add_node(**cluster.options, env_vars=ODD_NODE)
    wait_for_cpus(3)
    with pytest.raises(UserError) as caught:
        make(3, num_envs=6, env_kwargs={"needs": "no_such_package"})
    assert "no module named 'no_such_package'" in str(caught.value)
    with pytest.raises(UserError) as caught:
        make(3, num_envs=24, shard_envs=8)
    assert "other last bits of the same Q-values" in str(caught.value)
    assert "add --accept_other_workers" in str(caught.value)
    make(3, num_envs=24, shard_envs=8, accept_other_workers=True)
    assert "so that the run could not be repeated; it goes on" in capfd.readouterr().err
    cluster.remove_node(node)


# --- without a worker -----------------------------------------------------------------------------


def test_versions_that_differ_are_named():
    own = Versions("0.1.0", "2.0.1")
    assert differing_versions(own, own) == ""
    expected = "dqn_tf 0.2.0 where this process has 0.1.0"
    assert differing_versions(own, Versions("0.2.0", "2.0.1")) == expected
    assert "and NumPy 1.26.4 where" in differing_versions(own, Versions("0.2.0", "1.26.4"))


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:1", "--ray_address=127.0.0.1:1: nothing answers there"),
        ("somewhere", "--ray_address=somewhere: must be host:port"),
        ("host:99999999", "--ray_address=host:99999999: nothing answers there"),
        ("head..local:6379", "--ray_address=head..local:6379: nothing answers there"),
    ],
)
def test_a_wrong_address_is_a_sentence(address, sentence):
    config = DQNConfig(workers=1, lag=1, ray_address=address)
    with pytest.raises(UserError) as caught:
        ray_cluster.require_usable(config)
    assert sentence in str(caught.value)


def test_without_ray_it_says_what_to_type(monkeypatch):
    monkeypatch.setattr(ray_cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install 'dqn_tf\\[distributed\\]'"):
        ray_cluster.require_usable(DQNConfig(workers=1, lag=1))


def test_a_ray_that_cannot_be_imported_is_a_sentence(monkeypatch, tmp_path):
    (tmp_path / "ray.py").write_text("raise RuntimeError('half installed')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ray")
    monkeypatch.setattr(ray_cluster, "_connected", None)
    with pytest.raises(UserError, match="--workers: Ray cannot be used: .*half installed"):
        ray_cluster.connect(DQNConfig(workers=1, lag=1), 1)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("dqn_tf", "Worker 0 has no dqn_tf: install it"),
        ("dqn_tf.distributed", "Worker 0 has another dqn_tf: install "),
        ("dqn", "Worker 0 failed: "),
    ],
)
def test_a_worker_without_this_dqn_tf_is_named(module, sentence):
    error = ModuleNotFoundError(f"No module named '{module}'", name=module)
    assert refusal(error, "worker 0").startswith(sentence)
