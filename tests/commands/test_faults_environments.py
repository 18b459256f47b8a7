"""Faults of environments (faults.md), as the command's user sees them.

Which of them a vector environment and the transitions catch is tested in test_vector.py and
test_transitions.py; here: that the command ends as it should, and that nothing bad was saved.
"""

import json
import re

import numpy as np
import pytest

from command_server import refusal, run
from dqn_tf.run_files import checkpoint
from small_runs import report, resume_run, signal_at, small_run


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ("BoxActions", "DQN needs a Discrete action space, and this environment has Box"),
        ("MultiDiscreteActions", "DQN needs a Discrete"),
        ("MultiBinaryActions", "DQN needs a Discrete"),
        ("TupleActions", "DQN needs a Discrete"),
        ("DictObservations", "its space says that observation['a'] is there (reset with seed 0)"),
        ("TupleObservations", "in observation[0]"),
        ("GraphObservations", "Put a wrapper around it that chooses what the agent sees"),
        ("TextObservations", "--env_wrappers=dqn_tf.envs.text.wrappers:Characters"),
        ("RaisesInConstructor", "OSError: no simulator found"),
        ("NaNReset", "observation of nan at index [0]: it must be finite (reset with seed 0)"),
        ("OldReset", "Change it to: return observation, {} (reset with seed 0)"),
        ("NoNumbers", "Observations of shape [0] are empty"),
        ("Sized", "Its arguments are given by --env_kwargs"),
    ],
)
def test_an_environment_that_cannot_be_used_is_refused_before_anything_is_written(
    tmp_path, env, said
):
    sentence = refusal(small_run(tmp_path, env=f"faulty:{env}-v0"), tmp_path)
    assert f"--env=faulty:{env}-v0" in sentence and said in sentence
    assert not (tmp_path / "run").exists()


def test_categories_that_do_not_fit_into_memory_are_refused(tmp_path):
    sentence = refusal(
        small_run(tmp_path, env="faulty:HugeDiscrete-v0", hidden_units=100_000), tmp_path
    )
    assert "does not fit into memory: for 10,000,000 categories, 2 actions" in sentence
    assert not (tmp_path / "run").exists()


def test_a_reset_that_raises_is_named_with_its_seed(tmp_path):
    sentence = refusal(small_run(tmp_path, env="faulty:RaisesInReset-v0"), tmp_path)
    assert re.search(
        r"--env=faulty:RaisesInReset-v0: The environment raised OSError in reset\(seed=\d+\): no"
        r" simulator found",
        sentence,
    )
    assert not (tmp_path / "run").exists(), (
        "the same --run_dir can be used once the environment is mended"
    )


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (
            "NaNObservation",
            r"observation of nan at index \[1\]: it must be finite \(step 5 of the episode reset",
        ),
        (
            "InfObservation",
            r"observation of inf at index \[0\]: it must be finite \(step 5 of the episode reset",
        ),
        ("NaNReward", r"reward nan: it must be one finite number \(step 5 of"),
        ("InfReward", r"reward -inf: it must be one finite number \(step 5 of"),
        ("WrongShape", r"shape \[1\], but its space says \[2\]"),
        ("Broadcastable", r"shape \[\], but its space says \[2\]"),
        ("WrongType", "type float64, but its space says uint8"),
        ("NoReward", "reward None"),
        ("TextReward", "reward '1'"),
        (
            "NoInfo",
            r"info None: it must be a dict, such as \{\} \(step 1 of the episode reset with",
        ),
        ("RaggedObservation", "of type list, but its space says float32"),
        ("HugeIntReward", "which float32 does not hold"),
        ("TooLargeReward", r"reward 1e\+39, which float32 does not hold: the largest is 3.4e\+38"),
        ("LateMask", "an action_mask, though it gave none before; every reset"),
        ("TwoRewards", r"reward array\(\[1., 1.\]\)"),
        ("OldStep", "Change it to: return observation, reward, done, False, info"),
    ],
)
def test_a_bad_value_ends_the_run_at_the_first_offence(tmp_path, env, said):
    sentence = refusal(
        small_run(tmp_path, env=f"faulty:{env}-v0", checkpoint_period_env_steps=1), tmp_path
    )
    assert sentence.startswith(f"error: faulty:{env}-v0: ") and re.search(said, sentence), sentence
    for step in checkpoint.steps(tmp_path / "run" / "checkpoints"):
        rows = checkpoint.load(tmp_path / "run" / "checkpoints" / str(step)).replay
        assert all(np.isfinite(column).all() for column in rows.values()), "it reached the replay"


@pytest.mark.parametrize("env", ["IntReward", "ArrayReward", "OneReward"])
def test_a_reward_that_is_one_number_is_taken(tmp_path, env):
    status, text = run(
        small_run(tmp_path, env=f"faulty:{env}-v0"), tmp_path, **signal_at("training", 50)
    )
    assert status == 143, text
    rewards = checkpoint.load_latest(tmp_path / "run" / "checkpoints").replay["reward"]
    assert rewards.dtype == np.float32 and (rewards == 1).sum() >= 2


def test_an_environment_that_raises_in_step_can_be_found_again_and_the_run_gone_on_with(tmp_path):
    """There is no emergency checkpoint. The error comes amid a block, when the
    environments have moved on from the state that the replay and the counters are in; a checkpoint
    of that could not be resumed exactly. The last good one is named.
    """
    sentence = refusal(small_run(tmp_path, env="faulty:Raises-v0"), tmp_path)
    assert re.fullmatch(
        r"error: faulty:Raises-v0: Environment 0 raised ZeroDivisionError in step\([12]\): the"
        r" simulator broke "
        r"\(step 5 of the episode reset with seed \d+\)\. The last checkpoint is of step 200; go on"
        r" from it with: "
        r"python train.py --resume=\S+/run",
        sentence,
    ), sentence
    assert (
        checkpoint.load_latest(tmp_path / "run" / "checkpoints").state["engine"]["env_step"] == 200
    )


def test_a_loss_that_is_not_finite_stops_the_run_with_the_last_good_weights(tmp_path):
    sentence = refusal(
        small_run(tmp_path, env="faulty:HugeReward-v0", loss="mse", checkpoint_period_env_steps=8),
        tmp_path,
    )
    assert (
        "Learning broke at environment step" in sentence
        and "The last checkpoint is of step" in sentence
    )
    found = checkpoint.load_latest(tmp_path / "run" / "checkpoints")
    assert f"of step {found.state['engine']['env_step']};" in sentence
    assert all(np.isfinite(array).all() for array in found.files["state.npz"].values())


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    """The loss before the one, fatal update was still finite."""
    fatal = {"optimizer": "rmsprop", "learning_rate": 3e38}  # the first step is 4.5 times as long
    sentence = refusal(
        small_run(tmp_path, updates_per_block=1, checkpoint_period_env_steps=66, **fatal), tmp_path
    )
    assert "Learning broke by step 66: online/0 is not finite, so nothing was saved." in sentence
    assert "No checkpoint had been taken." in sentence and not checkpoint.steps(
        tmp_path / "run" / "checkpoints"
    )


def test_a_single_action_is_enough(tmp_path):
    """Discrete(1, start=2): the environment insists on its own number."""
    status, text = run(small_run(tmp_path, env="faulty:OneAction-v0"), tmp_path)
    assert status == 0, text
    assert report(tmp_path)["score"]["mean"] == 10


def test_a_discrete_observation_is_one_hot(tmp_path):
    status, text = run(small_run(tmp_path, env="FrozenLake-v1"), tmp_path, **signal_at("none"))
    assert status == 0, text
    state = checkpoint.load_latest(tmp_path / "run" / "checkpoints").files["state.npz"]
    assert state["online/0"].shape == (
        16,
        8,
    ), "the first layer sees sixteen categories, not one number"


def test_an_episode_that_never_ends_is_cut_and_it_is_said(tmp_path):
    status, text = run(
        small_run(
            tmp_path, env="faulty:Endless-v0", test_episodes=1, evaluation_period_env_steps=0
        ),
        tmp_path,
    )
    assert status == 0, text
    assert re.search(
        r"note: 1 of 1 episodes did not end within 27,000 steps and were cut there\.", text
    )
    assert report(tmp_path)["score"]["capped_episodes"] == 1


def test_without_an_evaluation_the_best_weights_are_the_last(tmp_path):
    """Not the untrained ones that a run begins with; and evaluation.json is JSON that every reader
    takes.
    """
    status, text = run(small_run(tmp_path, evaluation_period_env_steps=0), tmp_path)
    assert status == 0 and "Score of the best" not in text, text
    said = json.loads(
        (tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"),
        parse_constant=pytest.fail,
    )
    assert (
        said["best"]["weights_sha256"] == said["weights_sha256"] and said["best"]["env_step"] == 400
    )


@pytest.mark.parametrize("env", ["CloseRaises", "OnlyOne", "Sampled"])
def test_a_run_ends_well(tmp_path, env):
    """A `close` that raises loses nothing; one living instance is enough; actions as sampled."""
    status, text = run(small_run(tmp_path, env=f"faulty:{env}-v0"), tmp_path)
    assert status == 0 and report(tmp_path)["score"]["episodes"] == 3, text
    assert (
        "warning: Environment 0 raised RuntimeError: the simulator is gone in close()." in text
    ) == (env == "CloseRaises")
    assert ("so evaluations use the training's" in text) == (env == "OnlyOne")
    assert "Network: mlp (chosen by --network=auto) for 2 numbers." in text


def test_arguments_are_kept_by_the_run_and_its_export(tmp_path):
    given = {"env": "faulty:Sized-v0", "env_kwargs": json.dumps({"size": 3})}
    status, text = run(small_run(tmp_path, **given), tmp_path, **signal_at("training", 250))
    assert status == 143, text
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert config["config"]["env_kwargs"] == {"size": 3}
    other = resume_run(tmp_path, env_kwargs=json.dumps({"size": 4}))
    assert '--env_kwargs was {"size": 3} and is now {"size": 4}' in refusal(other, tmp_path)
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0, text
    manifest = tmp_path / "export" / "1" / "assets.extra" / "dqn_tf.json"
    assert json.loads(manifest.read_text(encoding="utf-8"))["config"]["env_kwargs"] == {"size": 3}


def test_a_resumed_run_under_running_statistics_is_warned_of(tmp_path):
    """Observations repeat; rewards do not."""
    wrapped = {"env_wrappers": "gymnasium.wrappers:NormalizeReward"}
    status, text = run(small_run(tmp_path, **wrapped), tmp_path, **signal_at("training", 250))
    assert status == 143, text
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0 and "did not repeat its running episode" in text, text
