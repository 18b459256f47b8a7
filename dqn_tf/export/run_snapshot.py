"""Reads an agent from a run directory: its weights, its score and observations to prove an export.

NumPy only. Nothing is locked, so the run may still be going on.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.frames import recorded_stacks
from dqn_tf.experience.mixed_replay import LOGGED_OBSERVATION
from dqn_tf.experience.replay import spread
from dqn_tf.experience.whole_episodes import SEQUENCE, beginnings
from dqn_tf.run_files import checkpoint
from dqn_tf.run_files.run_directory import CONFIG, RunDirectory, seed_directories
from dqn_tf.support.errors import UserError

GATE_OBSERVATIONS = 256  # how many observations an export is proved on


class RunSnapshot(NamedTuple):
    """A run as its last checkpoint has it."""

    config: DQNConfig
    spaces: Spaces
    export_dir: Path
    weights: list[np.ndarray]  # of the online network, in the order of its variables
    weights_name: str  # "last" or "best"
    step: int  # on the run's clock, which counts updates on logged data first
    env_steps: int
    report: dict[str, Any] | None  # the run's evaluation.json, once it has finished
    # The replay's observations; where they are stacks of frames, the frames' numbers.
    replay_observations: np.ndarray
    gate_observations: np.ndarray  # some of the observations, evenly spaced


def read_snapshot(directory: str, weights_name: str | None) -> RunSnapshot:
    """Read a run directory; `weights_name` is "last", "best" or None for the run's own choice.

    Raises UserError if it is no run directory, or has no checkpoint or no such weights.
    """
    path = Path(directory)
    seeds = seed_directories(path)
    if seeds:
        raise UserError(
            f"--run={directory} holds the runs of {len(seeds)} seeds; name one of them, such as"
            f" --run={seeds[0]}"
        )
    if not path.is_dir():
        raise UserError(f"--run={directory}: there is no such directory.")
    if not (path / CONFIG).is_file():
        raise UserError(f"--run={directory}: no {CONFIG} there, so it is not a run directory.")
    run = RunDirectory(path)
    config, spaces, export_dir = run.read_config()
    latest = checkpoint.load_latest(run.checkpoints)
    rows = latest.replay
    if rows is None:
        raise UserError(
            f"{latest.path / checkpoint.REPLAY} is missing, so there are no observations to prove"
            " an export on. Put it back."
        )
    weights_name = weights_name or config.export_weights
    return RunSnapshot(
        config,
        spaces,
        export_dir,
        read_weights(latest, weights_name),
        weights_name,
        latest.step,
        latest.state["engine"]["env_step"],
        run.read_evaluation(),
        observations_of(rows),
        gate_observations(rows, latest.state["engine"]["replay"], spaces),
    )


def score(snapshot: RunSnapshot, weights_sha256: str) -> dict[str, Any] | None:
    """Return the final test's summary for the weights with this hash; None if it has none."""
    report = snapshot.report
    if report is None:
        return None
    tests = {
        report["weights_sha256"]: report["last"],
        report["best"]["weights_sha256"]: report["best"]["test"],
    }
    return tests.get(weights_sha256)


def read_weights(latest: checkpoint.Checkpoint, weights_name: str) -> list[np.ndarray]:
    """Return the "last" or "best" weights of a checkpoint's online network. Raises UserError."""
    if weights_name == "best":
        if not latest.state["evaluated"]:
            raise UserError(
                f"--weights=best: by {latest.path} the run had not evaluated yet, so there is no"
                " best. Use --weights=last."
            )
        best = latest.files["best.npz"]
        return [best[str(number)] for number in range(len(best))]
    state = latest.files["state.npz"]
    count = sum(name.startswith("online/") for name in state)
    return [state[f"online/{number}"] for number in range(count)]


def observations_of(rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a replay's observations or, of a run that took no step, some of its logged data's.

    Of whole episodes they are the last ones.
    """
    observations = rows[SEQUENCE if SEQUENCE in rows else "observation"]
    if not len(observations) and LOGGED_OBSERVATION in rows:
        return rows[LOGGED_OBSERVATION]
    return observations


def gate_observations(
    rows: Mapping[str, np.ndarray], state: Mapping[str, Any], spaces: Spaces
) -> np.ndarray:
    """Return up to GATE_OBSERVATIONS of the replay's observations, [n, *shape]."""
    observations = observations_of(rows)
    if spaces.padding is not None and len(rows.get(SEQUENCE, ())):
        return beginnings(rows, GATE_OBSERVATIONS, spaces.padding)
    if "frames" not in state or not len(rows["observation"]):
        return observations[spread(len(observations), GATE_OBSERVATIONS)]
    # Here an observation is the numbers of its frames; negative ones stand for black frames.
    frames = state["frames"]
    oldest = frames.get("first", frames["added"] - frames["size"])  # earlier versions had no first
    is_whole = ((observations < 0) | (observations >= oldest)).all(axis=1)
    stacks = observations[is_whole]
    chosen = stacks[spread(len(stacks), GATE_OBSERVATIONS)]
    return recorded_stacks(chosen, rows, state["frames"])
