"""Closes the loop with Helpdesk: serve, log, join rewards, learn from the log, publish, compare.

    python -m benchmarks.dialogues --seed=1

Version 1 learns for a short while. It is served, and customers write to it over REST, who take any
action in place of its own in some turns. Version 2 learns from the log of that alone. Then the
newest version holds the dialogues that evaluate.py plays, over REST.

    python -m benchmarks.dialogues --model=saved_models/Helpdesk-v0

An agent that was exported before, such as one on a language model, only holds these dialogues.
"""

import json
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from benchmarks.common import machine, records
from benchmarks.common.flags import DOCS, define_output_flags, make_results_dir
from benchmarks.common.tables import markdown
from benchmarks.dialogues import served
from benchmarks.dialogues.customer import converse, pester
from benchmarks.dialogues.programs import run_program
from benchmarks.serving.server import Server
from dqn_tf.envs import registry
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

ENV = "dqn_tf/Helpdesk-v0"
PAGE = DOCS / "language.md"
BEGIN, END = "<!-- dialogues measured, generated -->", "<!-- end of dialogues measured -->"
# the preset, but for these
SHARED = ("--evaluation_period_env_steps=0", "--test_episodes=100")
FIRST = ("--total_steps=8000", "--epsilon_decay_env_steps=8000")
LEARN = ("--total_steps=0", "--offline_updates=4000", "--cql_alpha=0.3")
LOGGED, EPSILON = 4_000, 0.3  # dialogues, and how often a customer's agent explores
FIRST_SEED = 10**6  # of the logged dialogues
EPISODES = 1_000
ODD_ROUNDS = 100


class Row(NamedTuple):
    """One loop."""

    date: str
    seed: int
    logged: int
    steps: int  # in the log
    logged_return: float
    first: float
    second: float
    difference: float
    low: float
    high: float
    verdict: str
    served: float  # the return over REST of the newest version
    equal: int  # dialogues whose return is exactly evaluate.py's
    episodes: int
    p50_ms: float
    p99_ms: float
    odd_p99_ms: float
    machine: str
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str


class DialoguesFlags(NamedTuple):
    """Which loop to close, and where the rows are kept."""

    seed: int
    model: str
    results_dir: Path
    page: Path
    render_only: bool


def parse(argv: Sequence[str]) -> DialoguesFlags:
    """Read the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    return DialoguesFlags(
        values.seed,
        values.model,
        Path(values.results_dir),
        Path(values.page),
        values.render_only,
    )


def define(values: flags.FlagValues) -> None:
    """Define all flags."""
    flags.DEFINE_integer("seed", 1, "of the trainings", flag_values=values)
    flags.DEFINE_string(
        "model", "", "versions of an agent for Helpdesk that is served as it is", flag_values=values
    )
    define_output_flags(values, "dialogues", PAGE, "the rows")


def _help_page(command: str, values: flags.FlagValues) -> str:
    text = "Serves Helpdesk, learns from the log of it, and compares the versions."
    return command_line.help_page([command], text, {"": command_line.entries(values)})


def main(options: DialoguesFlags) -> None:
    """Close the loop once, unless only the page is to be written; write the page."""
    make_results_dir(options.results_dir)
    loops, answered = options.results_dir / "loops.csv", options.results_dir / "served.csv"
    if not options.render_only:
        with tempfile.TemporaryDirectory(prefix="dqn_tf-dialogues-") as work:
            if options.model:
                records.append(answered, served.measure(options.model, Path(work)))
            else:
                records.append(loops, _close_loop(options.seed, Path(work)))
    text = options.page.read_text(encoding="utf-8")
    text = _with_part(text, options.page, BEGIN, END, render(records.read(loops, Row)))
    rows = records.read(answered, served.Row) if answered.is_file() else []
    text = _with_part(text, options.page, served.BEGIN, served.END, served.render(rows))
    options.page.write_text(text, encoding="utf-8")


def _with_part(text: str, page: Path, begin: str, end: str, lines: list[str]) -> str:
    """Return the page's text with these lines between two marks. Raises UserError without them."""
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise UserError(f"{page} has no {begin} with an {end} behind it.")
    return before + "\n".join([begin, "", *lines, "", end]) + after


def _close_loop(seed: int, work: Path) -> Row:
    """Train, serve and log, learn, compare, and serve again."""
    models, logs, rewards = work / "models", work / "logs", work / "rewards.csv"
    outputs = (f"--export_dir={models}", f"--seed={seed}")
    run_program("train.py", f"--env={ENV}", *SHARED, *FIRST, *outputs, f"--run_dir={work / 'run1'}")
    env = registry.make_env(ENV)
    with Server(models, "off", {"rest"}, frozenset(), f"--log_requests={logs}") as server:
        seeds = range(FIRST_SEED, FIRST_SEED + LOGGED)
        logged = converse(server.ports["rest"], env, seeds, EPSILON, rewards)
        server.stop()  # writes what the log still holds
    data = f"--data=requests:{logs}+{rewards}"
    learned = (*SHARED, *LEARN, data, *outputs, f"--run_dir={work / 'run2'}")
    run_program("train.py", f"--env={ENV}", *learned)
    report = work / "report.json"
    versions = [str(models / number) for number in ("1", "2")]
    run_program("evaluate.py", "--compare", *versions, f"--episodes={EPISODES}", f"--json={report}")
    compared = json.loads(report.read_text(encoding="utf-8"))
    with Server(models, "off", {"rest"}, frozenset()) as server:
        served = converse(server.ports["rest"], env, compared["seeds"])
        odd = pester(server.ports["rest"], ODD_ROUNDS)
    low, high = compared["comparison"]["ci95"]
    middle, slow = np.percentile(served.milliseconds, (50, 99)).tolist()
    return Row(
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seed=seed,
        logged=LOGGED,
        steps=len(logged.milliseconds),
        logged_return=float(np.mean(logged.returns)),
        first=compared["A"]["mean"],
        second=compared["B"]["mean"],
        difference=compared["comparison"]["mean_difference"],
        low=low,
        high=high,
        verdict=compared["comparison"]["verdict"],
        served=float(np.mean(served.returns)),
        equal=int(np.sum(np.array(served.returns) == np.array(compared["B"]["returns"]))),
        episodes=EPISODES,
        p50_ms=middle,
        p99_ms=slow,
        odd_p99_ms=float(np.percentile(odd, 99)),
        machine=machine.describe(),
        **records.provenance(),
    )


def render(rows: Sequence[Row]) -> list[str]:
    """Return the table of the newest row of each seed, and a line about the server."""
    newest = {row.seed: row for row in rows}
    lines = [
        [
            str(row.seed),
            f"{row.first:.3f}",
            f"{row.logged:,} ({row.steps:,} requests), {row.logged_return:.3f}",
            f"{row.second:.3f}",
            f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]",
            f"{row.served:.3f}, {row.equal:,} of {row.episodes:,}",
            f"{row.p50_ms:.1f} / {row.p99_ms:.1f} ms",
            f"{row.odd_p99_ms:.1f} ms",
        ]
        for _, row in sorted(newest.items())
    ]
    header = [
        *("seed", "version 1", "logged dialogues, return", "version 2", "2 - 1, paired"),
        *("over REST, equal", "p50 / p99", "odd requests, p99"),
    ]
    about = f"One thread for learning; {served.made_on(rows[-1])}."
    return [*markdown(header, lines), "", about]


if __name__ == "__main__":
    command_line.run(main, parse)
