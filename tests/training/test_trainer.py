"""dqn_tf.training.trainer: a run that cannot start leaves nothing open."""

import pytest

from dqn_tf.run_files.run_directory import RunDirectory
from dqn_tf.support.errors import UserError
from dqn_tf.training import trainer
from dqn_tf.training.flags import parse_training_flags
from dqn_tf.training.plan import prepare
from faulty import Counted
from small_runs import small_run


def start(directory, **flags) -> None:
    """Train a small run of three environments in this process."""
    flags = {"env": "faulty:Counted-v0", "num_envs": 3} | flags
    trainer.train(prepare(parse_training_flags(["train.py", *small_run(directory, **flags)])))


# The first instance tells the spaces, and is the first environment's then.
@pytest.mark.parametrize("flags", [{}, {"shard_envs": 1}, {"lag": 1}])
@pytest.mark.parametrize("moment", ["made", "reset"])
@pytest.mark.parametrize("number", [2, 3])
def test_an_environment_that_fails_leaves_none_open(number, moment, flags, tmp_path):
    Counted.break_at(moment, number)
    with pytest.raises(UserError, match=f"instance {number} cannot be {moment}"):
        start(tmp_path, **flags)
    assert Counted.made >= number
    assert Counted.open == set()


def test_a_folder_that_cannot_be_written_leaves_none_open(tmp_path, monkeypatch):
    def refuse(*values):
        raise UserError("config.json cannot be written.")

    Counted.break_at("never", 0)
    monkeypatch.setattr(RunDirectory, "write_config", refuse)
    with pytest.raises(UserError, match="cannot be written"):
        start(tmp_path)
    assert Counted.made >= 3
    assert Counted.open == set()
