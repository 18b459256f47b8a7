"""dqn_tf.training.trainer: runs that cannot start, and runs stopped within an evaluation."""

import errno

import pytest

from dqn_tf.run_files import checkpoint
from dqn_tf.run_files.run_directory import RunDirectory
from dqn_tf.support.errors import UserError
from dqn_tf.support.interrupts import Interrupted
from dqn_tf.training import trainer
from dqn_tf.training.flags import parse_training_flags
from dqn_tf.training.plan import prepare
from dqn_tf.training.recorder import RunRecorder
from dqn_tf.training.run import Run
from faulty import Counted
from small_runs import report, resume_run, small_run


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


def stopped(*values):
    """In the place of a method: what a signal makes of it."""
    raise Interrupted


def crash(*values):
    raise UserError("the machine is gone")


def saved(directory) -> dict:
    """The state in the newest checkpoint."""
    return checkpoint.load_latest(directory / "run" / "checkpoints").state


def test_a_run_stopped_at_its_last_comparison_saves_the_best_once_known(tmp_path, monkeypatch):
    flags = {"env": "faulty:Corridor-v0", "num_envs": 1, "evaluation_period_env_steps": 50}
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_choose_best", stopped)
        start(tmp_path, **flags)
    assert not saved(tmp_path)["is_chosen"]
    trainer.train(prepare(parse_training_flags(["train.py", *resume_run(tmp_path)])))
    state = saved(tmp_path)
    assert state["is_chosen"]
    assert state["best"]["env_step"] == report(tmp_path)["best"]["env_step"]


def test_a_run_stopped_within_an_evaluation_saves_that_it_is_over(tmp_path, monkeypatch):
    """Else a crash after it would evaluate, and record, once more."""
    with monkeypatch.context() as patch:
        patch.setattr(Run, "evaluate", stopped)
        start(tmp_path, env="faulty:Corridor-v0", num_envs=1)
    assert saved(tmp_path)["evaluated"] == 0
    with monkeypatch.context() as patch, pytest.raises(UserError, match="the machine is gone"):
        patch.setattr(Run, "before_block", crash)
        trainer.train(prepare(parse_training_flags(["train.py", *resume_run(tmp_path)])))
    assert saved(tmp_path)["evaluated"] >= 150


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (400, "Stopped at step 400. Go on with: "),
        (300, "Stopped at step 400. The last checkpoint is of step 200; go on from it with: "),
        (0, "Stopped at step 400. No checkpoint had been taken."),
    ],
)
def test_a_stopped_run_names_the_step_that_it_can_go_on_from(
    written, sentence, tmp_path, monkeypatch, capsys
):
    write = RunRecorder._write_checkpoint

    def write_until_the_disk_is_full(recorder, progress):
        if progress > written:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(recorder, progress)

    monkeypatch.setattr(RunRecorder, "_write_checkpoint", write_until_the_disk_is_full)
    monkeypatch.setattr(Run, "_choose_best", stopped)
    start(tmp_path, env="faulty:Corridor-v0", num_envs=1, on_checkpoint_error="continue")
    assert sentence in capsys.readouterr().out
