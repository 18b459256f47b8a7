"""docs/keras.md: its code runs, and its columns are those that are read."""

import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from dqn_tf.agent.columns import Columns
from dqn_tf.envs.spaces import Spaces

PAGE = (Path(__file__).parents[2] / "docs" / "keras.md").read_text(encoding="utf-8")


def transitions(count: int) -> dict[str, np.ndarray]:
    """What NumPy makes of an ordinary log: float64 and int64."""
    generator = np.random.default_rng(0)
    return {
        "observation": generator.normal(size=(count, 4)),
        "action": generator.integers(2, size=count),
        "reward": np.ones(count),
        "discount": np.full(count, 0.99),
        "next_observation": generator.normal(size=(count, 4)),
    }


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    code = code.replace("epochs=10", "epochs=2, verbose=0").replace(
        "(dataset)", "(dataset, verbose=0)"
    )
    names = {"transitions": transitions(200), "held_out": transitions(50)}
    exec(compile(code, "docs/keras.md", "exec"), names)  # the project's own page, only in a test
    assert {"loss", "q_selected", "mae", "val_loss"} <= set(names["history"].history)
    assert names["q_values"].shape == (50, 2)
    # best.keras is one of two epochs of four batches; `fit` on it takes one epoch more
    assert int(names["same_agent"].updates) in (8, 12)


def test_the_table_has_the_columns_that_are_read():
    rows = re.findall(r"^\| (`.*?`) \| `\[B", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    columns = Columns(Spaces((4,), "float32", 2, masked=True))
    masks = np.ones((3, 2), bool)
    optional = {"weight": np.ones(3), "is_logged": np.ones(3)}
    batch = transitions(3) | optional | {"action_mask": masks, "next_action_mask": masks}
    assert named == set(batch)
    assert all(isinstance(tensor, tf.Tensor) for tensor in columns.read(batch).values())
