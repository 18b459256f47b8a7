"""examples/text.py: its stages, far too short to learn, follow from each other."""

import runpy
import shlex

import numpy as np
import pytest

from command_server import ROOT
from dqn_tf.run_files import checkpoint
from dqn_tf.training.flags import parse_training_flags


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(ROOT / "examples" / "text.py"))


def test_solved_dialogues_are_numbered_anew(example):
    columns = {
        "episode": np.array([0, 1, 1, 2, 3, 3]),
        "reward": np.array([-1.0, -0.1, 1.0, 1.0, -0.1, -1.0]),
        "action": np.arange(6),
        "final_observation": np.arange(4)[:, None],
    }
    kept = example["solved"](columns)
    assert kept["episode"].tolist() == [0, 0, 1] and kept["action"].tolist() == [1, 2, 3]
    assert kept["final_observation"].tolist() == [[1], [2]]


@pytest.mark.usefixtures("traced_updates")
@pytest.mark.timeout(900)  # six runs, half a minute of CPU
def test_each_stage_begins_with_the_one_before(example, tmp_path, capsys):
    rows = example["main"](["--quick", f"--directory={tmp_path / 'walk'}"])
    assert len(rows) == 6
    assert all(np.isfinite([row.first, row.second]).all() and row.seconds > 0 for row in rows)
    text = capsys.readouterr().out
    assert all(f"| {row.stage} | {row.first:.3f} | {row.second:.3f} |" in text for row in rows)
    typed = [line.removeprefix("$ python ") for line in text.splitlines() if line[:2] == "$ "]
    flags = [parse_training_flags(shlex.split(words)) for words in typed if "train.py" in words]
    names = ["1_model", "2_tuned", "3_offline", "4_online", "5_alone", "5_reservoir"]
    assert [each.run_dir for each in flags] == [str(tmp_path / "walk" / name) for name in names]
    before = [each.overrides.get("initial_weights") for each in flags]
    assert before == [None, *(str(tmp_path / "walk" / name) for name in names[:4]), before[4]]
    added = [
        checkpoint.load_latest(tmp_path / "walk" / name / "checkpoints").state["engine"]["replay"]
        for name in names[3:]
    ]
    assert [replay["added"] for replay in added] == [160, 160, 320]
    with pytest.raises(SystemExit, match="is there already"):
        example["main"]([f"--directory={tmp_path / 'walk'}"])
