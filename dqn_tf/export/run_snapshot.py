"""What a run directory holds of its agent:

weights, score and observations. NumPy only; nothing is locked, so the run may still be going on.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.frames import recorded_stacks
from dqn_tf.experience.replay import spread
from dqn_tf.run_files import checkpoint
from dqn_tf.run_files.run_directory import RunDirectory, seed_directories
from dqn_tf.support.errors import UserError

RECORDED = 256  # observations that an export is proved on


class Recorded(NamedTuple):
    """A run as its last checkpoint has it."""

    config: DQNConfig
    spaces: Spaces
    export_dir: Path
    weights: list[np.ndarray]  # of the online network, in the order of its variables
    which: str  # last or best
    env_steps: int
    report: dict[str, Any] | None  # the run's evaluation.json, once it has finished
    # what the replay holds as observations; where they are stacked frames, the frames' numbers
    held: np.ndarray
    observations: np.ndarray  # some of the observations, evenly spaced


def read(directory: str, which: str | None) -> Recorded:
    """Reads a run directory.

    Raises UserError if it is none, has no checkpoint, or not what is asked for.
    """
    run, path = RunDirectory(directory), Path(directory)
    seeds = seed_directories(path)
    if seeds:
        raise UserError(
            f"--run={directory} holds the runs of {len(seeds)} seeds; name one of them, such as"
            f" --run={seeds[0]}"
        )
    if not path.is_dir():
        raise UserError(f"--run={directory}: there is no such directory.")
    config, spaces, export_dir = run.read_config()
    found = checkpoint.load_latest(run.checkpoints)
    rows, which = found.replay, which or config.export_weights
    if rows is None:
        raise UserError(
            f"{found.path / checkpoint.REPLAY} is missing, so there are no observations to prove an"
            " export on. Put it back."
        )
    held = rows["observation"]
    observations = _observations(held, rows, found.state["engine"]["replay"])
    return Recorded(
        config,
        spaces,
        export_dir,
        _weights(found, which),
        which,
        found.step,
        run.read_evaluation(),
        held,
        observations,
    )


def score(recorded: Recorded, weights_sha256: str) -> dict[str, Any] | None:
    """The final test's summary for the weights with this hash; None if the run did not test these."""
    if recorded.report is None:
        return None
    last, best = recorded.report, recorded.report["best"]
    tested = {last["weights_sha256"]: last["last"]} | {best["weights_sha256"]: best["test"]}
    return tested.get(weights_sha256)


def _weights(found: checkpoint.Checkpoint, which: str) -> list[np.ndarray]:
    if which == "best":
        if not found.state["evaluated"]:
            raise UserError(
                f"--weights=best: by {found.path} the run had not evaluated yet, so there is no"
                " best. Use --weights=last."
            )
        best = found.files["best.npz"]
        return [best[str(number)] for number in range(len(best))]
    state = found.files["state.npz"]
    return [
        state[f"online/{number}"]
        for number in range(sum(name.startswith("online/") for name in state))
    ]


def _observations(
    held: np.ndarray, rows: Mapping[str, np.ndarray], state: Mapping[str, Any]
) -> np.ndarray:
    if "frames" not in state:
        return held[spread(len(held), RECORDED)]
    first = state["frames"]["added"] - state["frames"]["size"]
    # of which no frame has been overwritten
    whole = held[((held < 0) | (held >= first)).all(axis=1)]
    return recorded_stacks(whole[spread(len(whole), RECORDED)], rows, state["frames"])
