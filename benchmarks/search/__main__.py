"""Searches for settings, and says what was found and what it cost.

python -m benchmarks.search
"""

import datetime
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from absl import flags

from benchmarks.common import flags as common_flags
from benchmarks.common import machine
from benchmarks.common.processes import ROOT
from benchmarks.common.records import append, provenance
from benchmarks.common.report import write_between
from benchmarks.search import page, records, rl_zoo
from benchmarks.search.searches import BY_NAME, Search
from dqn_tf.search.flags import parse as parse_search
from dqn_tf.search.plan import prepare
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

HELP = (
    "Does each search as one types it, with ranges that nobody narrowed, and writes the tables of"
    " docs/search.md. A search that was stopped goes on with the same command, and one that is"
    " recorded is not done again; what all its sessions cost is added up in"
    " benchmarks/results/search/sessions.csv."
)


class Options(NamedTuple):
    """What is to be searched and where it is recorded."""

    searches: list[str]
    processes: int
    rl_zoo_python: str | None
    render_only: bool
    results_dir: Path
    page: Path


def parse(argv: Sequence[str]) -> Options:
    """Read the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, _define, _help_page)
    if values.processes < 1:
        raise UserError(f"--processes={values.processes}: must be at least 1.")
    return Options(
        command_line.words("searches", values.searches, BY_NAME),
        values.processes,
        values.rl_zoo_python,
        values.render_only,
        Path(values.results_dir),
        Path(values.page),
    )


def main(options: Options) -> None:
    """Do the searches that are not recorded yet, then write the page."""
    common_flags.exit_on_sigterm()
    common_flags.make_results_dir(options.results_dir)
    if not options.render_only:
        for name in options.searches:
            chosen = BY_NAME[name]
            if records.finished(options.results_dir, chosen) is None:
                search(chosen, options)
            if options.rl_zoo_python and not records.of_rl_zoo(options.results_dir, chosen):
                search_with_rl_zoo(chosen, options)
    with common_flags.writing_files():
        for lines, text in (
            (page.RANGES, page.ranges()),
            (page.FOUND, page.found(options.results_dir)),
        ):
            write_between(options.page, *lines, text)
    print(page.found(options.results_dir))


def search(chosen: Search, options: Options) -> None:
    """Run the command of a search and record what it cost. Raises UserError if it fails."""
    directory = options.results_dir / chosen.name
    words = [
        *chosen.words,
        f"--storage={directory / records.STUDY}",
        f"--output_dir={directory}",
        f"--processes={options.processes}",
    ]
    print(f"{chosen.title}: python -m dqn_tf.search {' '.join(words)}", flush=True)
    command = [sys.executable, "-m", "dqn_tf.search", *words]
    measure(chosen.name, chosen, options.processes, options, command)


def search_with_rl_zoo(chosen: Search, options: Options) -> None:
    """Have rl-zoo3 search as long and with no more runs, and test its winner on as many seeds.

    Raises UserError if it fails.
    """
    plan = prepare(parse_search(["search", *chosen.words]))
    folder = options.results_dir / chosen.name / "rl_zoo"
    folder.mkdir(parents=True, exist_ok=True)
    order = {
        "env": plan.base.env,
        "steps": plan.base.total_steps,
        "trials": plan.flags.trials * len(plan.seeds),
        "cpu_seconds": records.cpu_seconds_of_trials(options.results_dir, chosen),
        "seeds": list(plan.test_seeds),
        "episodes": plan.base.test_episodes,
    }
    print(f"{chosen.title}: rl-zoo3, {order['cpu_seconds']:,.0f} s of CPU", flush=True)
    program = str(Path(rl_zoo.__file__).absolute())
    to = json.dumps(order | {"folder": str(folder.absolute())})
    command = [str(options.rl_zoo_python), program, to]
    printed = measure(records.rl_zoo_name(chosen), chosen, 1, options, command)
    result = json.loads(printed.strip().splitlines()[-1])
    file = options.results_dir / chosen.name / records.RL_ZOO
    with common_flags.writing_files():
        file.write_text(json.dumps(result | {"order": order}, indent=1) + "\n", encoding="utf-8")


def measure(
    name: str, chosen: Search, processes: int, options: Options, words: Sequence[str]
) -> str:
    """Run a command and record what it cost, also if it is stopped; return what it printed.

    A search's own lines are shown as they come. Raises UserError if it ends with an error.
    """
    is_shown = name == chosen.name
    environ = dict(os.environ)
    if is_shown:
        environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path[1:]])
    (options.results_dir / chosen.name).mkdir(parents=True, exist_ok=True)
    start, cpu_start, status, printed = time.monotonic(), _cpu_seconds(), 1, ""
    output = None if is_shown else subprocess.PIPE
    command = subprocess.Popen(words, env=environ, stdout=output, text=True)
    try:
        printed = command.communicate()[0] or ""
        status = command.returncode
    finally:
        if command.poll() is None:
            command.terminate()
            command.wait()
        row = records.Session(
            search=name,
            words=records.words_of(chosen),
            processes=processes,
            seconds=round(time.monotonic() - start, 1),
            cpu_seconds=round(_cpu_seconds() - cpu_start, 1),
            status=status,
            optuna=metadata.version("optuna"),
            machine=machine.describe(),
            date=datetime.date.today().isoformat(),
            **provenance(),
        )
        append(options.results_dir / records.FILE, row)
    if status:
        raise UserError(f"The search ended with status {status}; the same command goes on.")
    return printed


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _define(values: flags.FlagValues) -> None:
    names = ",".join(BY_NAME)
    flags.DEFINE_string("searches", names, f"which, by commas: {names}", flag_values=values)
    flags.DEFINE_integer("processes", 2, "processes of each search", flag_values=values)
    command_line.define_path(
        "rl_zoo_python",
        None,
        "the python of an environment with rl-zoo3 (pip install rl_zoo3 pandas), which then"
        " searches in as much CPU time",
        values,
    )
    output = common_flags.DOCS / "search.md"
    common_flags.define_output_flags(values, "search", output, "sessions.csv and the searches")


def _help_page(command: str, values: flags.FlagValues) -> str:
    usage = [f"{command} --searches=cartpole"]
    return command_line.help_page(usage, HELP, {"": command_line.entries(values)})


if __name__ == "__main__":
    command_line.run(main, parse)
