"""docs/tracking.md: the flags that it names exist."""

import re
from pathlib import Path

from absl import flags

from dqn_tf.export import flags as export_flags
from dqn_tf.tracking import flags as tracking_flags
from dqn_tf.training import flags as training_flags

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tracking.md"


def test_every_flag_of_the_page_is_one_of_the_commands():
    known = set()
    for module in (export_flags, tracking_flags, training_flags):
        values = flags.FlagValues()
        module.define(values)
        known |= set(values)
    text = PAGE.read_text(encoding="utf-8")
    of_others = {"backend", "logdir", "cores"}  # MLflow's, TensorBoard's, the benchmark's
    named = set(re.findall(r"--([a-z_]+)", text)) - of_others
    assert named <= known
    values = flags.FlagValues()
    tracking_flags.define(values)
    assert set(values) <= named | {"period_seconds"}
