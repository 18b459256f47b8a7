"""From a language model to a helpdesk that goes on learning: the whole pipeline, measured.

python examples/text.py           # about two minutes on one core; prints what each stage brings
python examples/text.py --quick   # the same stages, far too short to learn

Each stage is a command that it prints, and that you can run yourself; here all of them run in one
process. Runs, logged dialogues, exports and a log are left in runs/text, or in --directory=DIR.
"""

import argparse
import contextlib
import json
import os
import shlex
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dqn_tf import configure, evaluate, load_policy
from dqn_tf.envs.applications.helpdesk import Helpdesk
from dqn_tf.envs.text.logged_play import logged_play
from dqn_tf.support import tensorflow_loading
from dqn_tf.support.errors import UserError
from dqn_tf.training.flags import parse_training_flags
from dqn_tf.training.plan import prepare

ENV_ID = "dqn_tf/Helpdesk-v0"
DESKS = Path(os.path.relpath(Path(__file__).parent / "desks"))
VOCABULARY = str(DESKS / "all.json")  # has the words of both desks: one network reads both
FIRST, SECOND = (str(DESKS / f"{name}.json") for name in ("access_and_cards", "parcels_and_phones"))
SLIPS = 0.4  # how often the clerks of the logs say anything at all
ACT_BY_BEHAVIOUR = 0.001  # --q_weight: the model's probabilities count, Q-values hardly


class Size(NamedTuple):
    """How much is done; `episodes` are played for each number that is printed."""

    dialogues: int = 4_000
    pretrain_updates: int = 400
    offline_updates: int = 1_500
    total_steps: int = 8_000
    warmup_env_steps: int = 500
    episodes: int = 500


class HastyDesk(Helpdesk):
    """Has clerks who answer whatever the customer may mean, and ask by mistake alone."""

    def behaviour(self) -> np.ndarray:
        """Return the chances of their actions."""
        chances = np.full(len(self.actions), SLIPS / len(self.actions))
        chances[sorted(self.possible)] += (1.0 - SLIPS) / len(self.possible)
        return chances


class Row(NamedTuple):
    """A stage, the mean returns with the customers of both desks, and its seconds of CPU."""

    stage: str
    first: float
    second: float
    seconds: float


QUICK = Size(60, 8, 8, 160, 64, 10)


class Walk:
    """Does the stages one after the other, each on top of the one before."""

    def __init__(self, directory: Path, size: Size, seed: int) -> None:
        self.directory = directory
        self.size = size
        self.seed = seed
        self.rows: list[Row] = []

    def path(self, name: str) -> str:
        """Return where something of this walk lies."""
        return str(self.directory / name)

    def log_dialogues(self, wordings: str, name: str) -> str:
        """Write dialogues of a desk's hasty clerks; return the file, to learn from."""
        desk = HastyDesk(wordings=wordings, vocabulary=VOCABULARY)
        path = self.path(name)
        columns = logged_play(desk, self.size.dialogues, self.seed)
        np.savez(path, **columns)  # type: ignore[arg-type]
        returns = np.bincount(columns["episode"], columns["reward"])
        print(
            f"{path}: {len(returns):,} dialogues of hasty clerks, mean return {returns.mean():.3f}"
        )
        return path

    def keep_solved(self, path: str, name: str) -> str:
        """Write those of logged dialogues in which the customer was helped."""
        with np.load(path) as columns:
            good = solved(dict(columns))
        np.savez(self.path(name), **good)  # type: ignore[arg-type]
        return self.path(name)

    def train(self, stage: str, name: str, **flags: Any) -> str:
        """Train a stage, play with both desks' customers, and return its run directory."""
        from dqn_tf.training import trainer

        start = time.process_time()
        run_dir = self.path(name)
        words = [
            f"--env={ENV_ID}",
            f"--seed={self.seed}",
            f"--run_dir={run_dir}",
            f"--export_dir={run_dir}/saved_model",
            "--evaluation_period_env_steps=0",
            "--test_episodes=1",
            *(f"--{flag}={value}" for flag, value in flags.items()),
        ]
        self.say("python train.py", words)
        with self.log():
            status = trainer.train(prepare(parse_training_flags(["train.py", *words])))
        if status:
            raise SystemExit(status)
        seconds = time.process_time() - start
        first, second = self.play(run_dir)
        self.rows.append(Row(stage, first, second, seconds))
        return run_dir

    def play(self, run_dir: str, split: str = "train") -> list[float]:
        """Return the mean returns of a stage's export, as evaluate.py plays it, at both desks."""
        policy = load_policy(f"{run_dir}/saved_model")
        returns = []
        for wordings in (FIRST, SECOND):
            config = configure(ENV_ID, {"env_kwargs": json.loads(desk(wordings, split))})
            returns.append(evaluate(policy, config, episodes=self.size.episodes).mean)
        return returns

    def say(self, program: str, words: list[str]) -> None:
        """Print a command as it could be typed."""
        print(f"$ {program} {shlex.join(words)}", flush=True)

    @contextlib.contextmanager
    def log(self) -> Any:
        """Let the commands print into a file."""
        with (
            open(self.path("log.txt"), "a", encoding="utf-8") as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            yield


def desk(wordings: str, split: str = "train") -> str:
    """Return --env_kwargs of a desk, whose customers say the sentences of one split."""
    arguments = {"wordings": wordings, "vocabulary": VOCABULARY}
    return json.dumps(arguments | ({} if split == "train" else {"split": split}))


def solved(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the logged episodes whose customers were helped, numbered anew."""
    returns = np.bincount(columns["episode"], columns["reward"])
    is_solved = returns > 0
    kept = is_solved[columns["episode"]]
    final = {name: values for name, values in columns.items() if name.startswith("final")}
    steps = {name: values[kept] for name, values in columns.items() if name not in final}
    steps["episode"] = (np.cumsum(is_solved) - 1)[steps["episode"]]
    return steps | {name: values[is_solved] for name, values in final.items()}


def learn(walk: Walk) -> str:
    """Do the stages at the first desk; return the run directory of the last one."""
    size = walk.size
    everything = walk.log_dialogues(FIRST, "first.npz")
    good = walk.keep_solved(everything, "first_solved.npz")
    here = {"env_kwargs": desk(FIRST)}
    offline = here | {"total_steps": 0}
    # The language model: which reply comes next, whoever gave it.
    model = walk.train(
        "language model of all dialogues",
        "1_model",
        **offline,
        data=everything,
        pretrain_updates=size.pretrain_updates,
        q_weight=ACT_BY_BEHAVIOUR,
    )
    tuned = walk.train(
        "fine-tuned on those that were solved",
        "2_tuned",
        **offline,
        data=good,
        initial_weights=model,
        pretrain_updates=size.pretrain_updates,
        q_weight=ACT_BY_BEHAVIOUR,
    )
    # From here on actions are chosen by Q-values, and the model is rehearsed.
    logged = walk.train(
        "offline DQN on all dialogues",
        "3_offline",
        **offline,
        data=everything,
        initial_weights=tuned,
        offline_updates=size.offline_updates,
        cql_alpha=0.3,
        imitation=0.1,
    )
    return walk.train(
        "online DQN with replay",
        "4_online",
        **here,
        **online(size),
        data=everything,
        data_share=0.25,
        initial_weights=logged,
        replay_eviction="reservoir",
    )


def go_on(walk: Walk, before: str) -> None:
    """Learn the second desk, with a memory of its own and with that of the first one."""
    logs = walk.log_dialogues(SECOND, "second.npz")
    there = {"env_kwargs": desk(SECOND), "data": logs, "data_share": 0.25, "epsilon_start": 1.0}
    there |= online(walk.size) | {"initial_weights": before}
    walk.train("second desk, new replay", "5_alone", **there)
    walk.train(
        "second desk, reservoir of both",
        "5_reservoir",
        **there,
        initial_replay=before,
        replay_eviction="reservoir",
    )


def online(size: Size) -> dict[str, Any]:
    """Return the settings of learning with customers."""
    return {
        "total_steps": size.total_steps,
        "warmup_env_steps": size.warmup_env_steps,
        "epsilon_decay_env_steps": size.total_steps // 2,
        "env_steps_per_update": 4,
        "replay_capacity": size.total_steps,
        "imitation": 0.1,
    }


def table(rows: list[Row]) -> str:
    """Write the stages as a table in Markdown."""
    lines = ["| stage | first desk | second desk | CPU s |", "|---|---:|---:|---:|"]
    lines += [f"| {row[0]} | {row.first:.3f} | {row.second:.3f} | {row[3]:.0f} |" for row in rows]
    return "\n".join(lines)


def main(words: list[str] | None = None) -> list[Row]:
    """Do the walk, print the table, and return its rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="far too short to learn")
    parser.add_argument("--directory", type=Path, default=Path("runs/text"))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(words)
    size = QUICK if given.quick else Size()
    try:
        given.directory.mkdir(parents=True)
    except FileExistsError as error:
        sentence = f"error: {given.directory} is there already: name another --directory."
        raise SystemExit(sentence) from error
    tensorflow_loading.load_tensorflow()
    walk = Walk(given.directory, size, given.seed)
    try:
        last = learn(walk)
        first, _ = walk.play(last, "test")
        go_on(walk, last)
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
    print(f"\n{table(walk.rows)}\n")
    best = HastyDesk(wordings=FIRST, vocabulary=VOCABULARY).optimal_return()
    print(
        f"Each number is the mean return of {size.episodes} greedy dialogues; the optimum is"
        f" {best:.3f}. With sentences that were not there to learn from, online DQN has"
        f" {first:.3f} at the first desk."
    )
    return walk.rows


if __name__ == "__main__":
    main()
