"""The loop: blocks of environment steps and updates, and between two of them what is due."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.language_checks import reads_by_model
from dqn_tf.engines.factory import make_engines, run_block
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged.shares import SharedEpisodes, load_all
from dqn_tf.run_files import checkpoint
from dqn_tf.run_files.report import closing_lines
from dqn_tf.support.closing import closed_on_error
from dqn_tf.support.command_line import resume_command
from dqn_tf.support.errors import UserError
from dqn_tf.support.interrupts import Interrupted, Interrupts
from dqn_tf.training import initial_replay, initial_weights, seeds_report
from dqn_tf.training.plan import RunPlan, require_same_spaces
from dqn_tf.training.progress import Progress
from dqn_tf.training.recorder import RunRecorder
from dqn_tf.training.run import Run, RunObserver
from dqn_tf.training.timings import Timings
from dqn_tf.training.update_cost import UpdateCost


def train(plans: Sequence[RunPlan], timings: Timings | None = None) -> int:
    """Train one run, or those of several seeds at once; return the exit status.

    It is 0 or, after a signal, 128 and its number: 130 after SIGINT. Raises UserError.
    """
    timings = timings or Timings()
    with contextlib.ExitStack() as stack:
        for plan in plans:
            stack.enter_context(plan.run_dir)
        interrupts = stack.enter_context(Interrupts())
        stack.enter_context(_error_sentences(plans))
        progress = stack.enter_context(contextlib.closing(Progress(plans[0].config.length)))
        with timings.part("build"):
            recorders = start(plans, progress, interrupts, timings, stack)
        try:
            run_blocks([recorder.run for recorder in recorders], progress)
            reports = [recorder.finish() for recorder in recorders]
        except Interrupted:
            for recorder in recorders:
                recorder.save()
            step = recorders[0].run.engine.progress
            progress.say(f"Stopped at step {step:,}. {way_back(plans, step)}")
            return interrupts.exit_status
        progress.close()
        if plans[0].is_one_of_several_seeds:
            print(seeds_report.summarize(plans[0].directory))
        else:
            print(closing_lines(reports[0], plans[0].run_dir, plans[0].export_dir))
        return interrupts.exit_status  # a signal during the export lets it finish


def run_blocks(runs: Sequence[Run], progress: Progress | None = None) -> None:
    """Train runs that `make_runs` made together, to their last step.

    Raises UserError if learning breaks, and Interrupted after a signal.
    """
    engines = [run.engine for run in runs]
    while True:
        for run in runs:
            run.do_what_is_due()
        if all(run.finished for run in runs):
            return
        for run in runs:
            run.before_block()
        start = time.perf_counter()
        blocks = run_block(engines)
        collect_seconds = sum(block.collect_seconds for block in blocks)
        runs[0].timings.add_block(time.perf_counter() - start, collect_seconds)
        for run, block in zip(runs, blocks, strict=True):
            run.after_block(block)
        if progress is not None:
            progress.update(engines[0].progress, **averages([run.latest for run in runs]))


def make_runs(
    configs: Sequence[DQNConfig],
    observers: Sequence[RunObserver] = (),
    timings: Timings | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    check: Callable[[], None] = lambda: None,
    spaces: Spaces | None = None,
    logged: Sequence[SharedEpisodes] | None = None,
    goes_on: bool = False,
) -> list[Run]:
    """Build the runs of configurations that differ in nothing but their seeds.

    They share one compiled program where the engine can (`make_engines`), the `observers`, and
    `timings`. Nothing is written to disk. `say` and `check` are as for `Run`. Without `spaces`, the
    environment is asked for them; without `logged`, the configuration's data are read. The weights
    of runs that go on come from their checkpoints.
    """
    timings = timings or Timings()
    make_env = make_maker(configs[0], spaces)
    spaces = spaces or make_env.spaces
    for sentence in make_env.caveats:
        say(sentence)
    agents = [DQN(config, spaces) for config in configs]
    for agent, config in zip(agents, configs, strict=True):
        agent.compile()
        if not goes_on:
            initial_weights.begin_with(agent, config)
    network = agents[0].online
    trainable = sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)
    for sentence in network.torso.sentences(trainable):
        say(sentence)
    if logged is None:
        logged = load_all(configs[0].data, spaces, make_env.corpus, make_env.tokenizer)
    engines = make_engines(configs, agents, make_env, logged)
    with closed_on_error() as opened:
        for engine, config in zip(engines, configs, strict=True):
            opened.callback(engine.close)
            if not goes_on:
                initial_replay.begin_with(engine, config)
        return [Run(engine, make_env, list(observers), timings, say, check) for engine in engines]


def make_maker(config: DQNConfig, spaces: Spaces | None = None) -> registry.EnvMaker:
    """Return what makes the environments of a run that was planned with these `spaces`.

    Raises UserError if they have others by now.
    """
    make_env = registry.maker(config)
    if spaces is not None:
        require_same_spaces(spaces, make_env.spaces)
    return make_env


def start(
    plans: Sequence[RunPlan],
    progress: Progress,
    interrupts: Interrupts,
    timings: Timings,
    stack: contextlib.ExitStack,
) -> list[RunRecorder]:
    """Build or resume the planned runs, each with the recorder of its run directory.

    `stack` closes what is opened, whatever happens.
    """
    configs = [plan.config for plan in plans]
    learns_model = reads_by_model(configs[0]) and configs[0].fine_tune != "head"
    # Of a run of an earlier version, the networks are those of the spaces that it recorded.
    runs = make_runs(
        configs,
        [UpdateCost()] if learns_model else (),
        timings,
        progress.say,
        interrupts.check,
        spaces=plans[0].spaces,
        logged=plans[0].logged,
        goes_on=plans[0].checkpoint is not None,
    )
    for run in runs:
        stack.callback(run.close)
    recorders = []
    for plan, run in zip(plans, runs, strict=True):
        if plan.is_one_of_several_seeds:
            run.say = _say_with_seed(progress.say, plan.seed)
        run.make_evaluation_envs()
        recorder = RunRecorder(plan, run)
        stack.callback(recorder.close)
        recorders.append(recorder)
    step = runs[0].engine.progress
    progress.start(step)
    verb = "Going on with" if plans[0].checkpoint else "Training on"
    seeds = ", ".join(str(plan.seed) for plan in plans)
    progress.say(
        f"{verb} {configs[0].env}, seed{'s' * (len(plans) > 1)} {seeds}, from step {step:,}"
        f" in {plans[0].directory}"
    )
    if configs[0].protocol:
        progress.say(f"Protocol: {configs[0].protocol}")
    return recorders


def averages(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Average each value over the runs that have one, by name."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in columns.items()}


def way_back(plans: Sequence[RunPlan], ended_at: int | None = None) -> str:
    """Return what to type to lose as little as possible of a run that ended at this step.

    It is None after an error. Its own moment is not saved: it lies inside a block.
    """
    steps = checkpoint.steps(plans[-1].run_dir.checkpoints)
    if not steps:
        return "No checkpoint had been taken."
    way = resume_command(plans[0].directory)
    if steps[-1] == ended_at:
        return f"Go on with: {way}"
    return f"The last checkpoint is of step {steps[-1]:,}; go on from it with: {way}"


@contextlib.contextmanager
def _error_sentences(plans: Sequence[RunPlan]) -> Iterator[None]:
    """Add to an error's sentence the environment's id and the way back to the last checkpoint."""
    try:
        yield
    except UserError as error:
        sentence = str(error).rstrip(".")
        raise UserError(f"{plans[0].config.env}: {sentence}. {way_back(plans)}") from error


def _say_with_seed(say: Callable[[str], None], seed: int) -> Callable[[str], None]:
    return lambda sentence: say(f"seed {seed}: {sentence}")
