"""The run:

blocks of an engine; between two of them, evaluation and checkpoint; at the end, test and export.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.agent.dqn import DQN, weights_sha256
from dqn_tf.config import seeding
from dqn_tf.engines.engine import Block, Engine
from dqn_tf.engines.factory import make_engines, run_block
from dqn_tf.envs import registry
from dqn_tf.evaluation.episodes import MAX_EPISODE_STEPS, Evaluation, evaluate
from dqn_tf.experience import exploration
from dqn_tf.export import manifest
from dqn_tf.export.publish import export
from dqn_tf.export.run_snapshot import RECORDED
from dqn_tf.run_files import checkpoint, plots
from dqn_tf.run_files import report as summary
from dqn_tf.run_files.metrics import MetricsWriter
from dqn_tf.support.errors import UserError
from dqn_tf.support.files import write_json
from dqn_tf.support.interrupts import Interrupted, Interrupts
from dqn_tf.training import seeds_report
from dqn_tf.training.plan import Plan
from dqn_tf.training.progress import Progress


def train(plans: Sequence[Plan]) -> int:
    """Carries out one run, or those of several seeds at once; returns the exit status: 0, or 130
    and 143 after SIGINT and SIGTERM.

    Raises UserError.
    """
    with contextlib.ExitStack() as opened:
        for plan in plans:
            opened.enter_context(plan.run_dir)
        interrupts = opened.enter_context(Interrupts())
        opened.enter_context(_sentences(plans))
        progress = opened.enter_context(contextlib.closing(Progress(plans[0].config.total_steps)))
        runs = [
            opened.enter_context(contextlib.closing(run))
            for run in start(plans, progress, interrupts)
        ]
        try:
            while all([run.goes_on() for run in runs]):  # a list: each run does what is due
                blocks = run_block([run.engine for run in runs])
                progress.update(
                    runs[0].engine.env_step,
                    **averages(
                        [run.record(block) for run, block in zip(runs, blocks, strict=True)]
                    ),
                )
            reports = [run.finish() for run in runs]
        except Interrupted:
            for run in runs:
                run.save()
            progress.say(
                f"Stopped at step {runs[0].engine.env_step:,}. Go on with: python train.py"
                f" --resume={plans[0].directory}"
            )
            return interrupts.exit_status
        progress.close()
        print(
            seeds_report.summarize(plans[0].directory)
            if at_once(plans[0])
            else summary.text(reports[0], plans[0].run_dir, plans[0].export_dir)
        )
        return interrupts.exit_status  # a signal during the export lets it finish


def start(plans: Sequence[Plan], progress: Progress, interrupts: Interrupts) -> list["Run"]:
    """The runs, each where its plan has it begin. They differ in nothing but their seeds and files."""
    configs, make_env = (
        [plan.config for plan in plans],
        registry.maker(plans[0].config),
    )
    agents = [DQN(plan.config, plan.spaces) for plan in plans]
    for agent in agents:
        agent.compile()
    engines = make_engines(configs, agents, make_env)
    runs = [
        Run(
            plan,
            engine,
            make_env,
            progress,
            interrupts,
            f"seed {plan.config.seed}: " if at_once(plan) else "",
        )
        for plan, engine in zip(plans, engines, strict=True)
    ]
    env_step, seeds = engines[0].env_step, ", ".join(str(config.seed) for config in configs)
    progress.start(env_step)
    progress.say(
        f"{'Going on with' if plans[0].checkpoint else 'Training on'} {configs[0].env},"
        f" seed{'s' * (len(plans) > 1)} {seeds}, from step {env_step:,} in {plans[0].directory}"
        + (f"\nProtocol: {configs[0].protocol}" if configs[0].protocol else "")
    )
    return runs


def averages(shown: Sequence[dict[str, float | None]]) -> dict[str, float]:
    """Of what each run shows, the mean by name; without those that have nothing to show."""
    values = {name: [each[name] for each in shown if each[name] is not None] for name in shown[0]}
    return {name: float(np.mean(each)) for name, each in values.items() if each}


@contextlib.contextmanager
def _sentences(plans: Sequence[Plan]) -> Iterator[None]:
    """Puts the environment's id before an error's sentence, and the way back to the last checkpoint
    after it.
    """
    try:
        yield
    except UserError as error:
        raise UserError(
            f"{plans[0].config.env}: {str(error).rstrip('.')}. {way_back(plans)}"
        ) from error


def way_back(plans: Sequence[Plan]) -> str:
    """What to type after an error to lose as little as possible.

    An error's own moment is not saved: it lies inside a block.
    """
    steps = checkpoint.steps(plans[-1].run_dir.checkpoints)
    if not steps:
        return "No checkpoint had been taken."
    return (
        f"The last checkpoint is of step {steps[-1]:,}; go on from it with: python train.py"
        f" --resume={plans[0].directory}"
    )


def at_once(plan: Plan) -> bool:
    """Whether the run is one of several seeds that are trained at once, be it the only one left."""
    return plan.directory != plan.run_dir.path


class Run:
    """One run between its two ends.

    What it remembers beside the engine's state goes into every checkpoint.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        make_env: Callable[[], gym.Env],
        progress: Progress,
        interrupts: Interrupts,
        name: str,
    ) -> None:
        self.plan, self.config, self.files, self.interrupts = (
            plan,
            plan.config,
            plan.run_dir,
            interrupts,
        )
        self.engine, self.agent, self.make_env = engine, engine.agent, make_env
        self.progress, self.name = progress, name
        self.saved, self.evaluated, self.seconds = 0, 0, -time.monotonic()
        self.best: dict[str, Any] = {"env_step": 0, "mean": -np.inf}
        self.best_weights = self.agent.online.get_weights()
        self.files.write_config(self.config, plan.spaces, plan.export_dir)
        if plan.checkpoint is not None:
            self._restore(plan.checkpoint)
        self.metrics = MetricsWriter(
            self.files.metrics, self.files.tensorboard, self.engine.env_step
        )

    def goes_on(self) -> bool:
        """Does what is due at this step, after a resume too: evaluation, checkpoint. False once the
        last step is done.

        Raises Interrupted after a signal.
        """
        config, env_step = self.config, self.engine.env_step
        ended = env_step >= config.total_steps
        if config.evaluation_period_env_steps and (
            ended or crossed(config.evaluation_period_env_steps, self.evaluated, env_step)
        ):
            self.evaluate()
        if ended or crossed(config.checkpoint_period_env_steps, self.saved, env_step):
            self.save()
        self.interrupts.check()
        self.block_start = env_step, time.monotonic()
        return not ended

    def say(self, sentence: str) -> None:
        """A line on the terminal, with the seed before it where there are several."""
        self.progress.say(self.name + sentence)

    def record(self, block: Block) -> dict[str, float | None]:
        """Writes the block's episodes, and its metrics if a log period ended in it.

        Returns what is worth a look meanwhile.
        """
        (before, clock), env_step, episode_return = self.block_start, self.engine.env_step, None
        first = self.engine.episodes - len(block.episodes) + 1
        for number, (step, episode_return, length) in enumerate(block.episodes, first):
            self.metrics.write(
                step, episode=number, episode_return=episode_return, episode_length=length
            )
        epsilon = float(self.engine.epsilon(env_step))
        if crossed(self.config.log_period_env_steps, before, env_step):
            speed = (env_step - before) / (time.monotonic() - clock)
            self.metrics.write(
                env_step,
                epsilon=epsilon,
                updates=self.engine.updates,
                env_steps_per_second=speed,
                **block.metrics,
            )
            self.metrics.flush()
        return {
            "episode_return": episode_return,
            "epsilon": epsilon,
            "loss": block.metrics.get("loss"),
        }

    def evaluate(self) -> None:
        """Scores the policy as it is on the seeds of selection, and keeps its weights if none
        before were better.
        """
        env_step, episodes = self.engine.env_step, self.config.evaluation_episodes
        if self.evaluated == env_step:
            return
        self.engine.settle()
        mean = float(self._play(seeding.SELECTION, episodes).returns.mean())
        self.evaluated = env_step
        self.metrics.write(env_step, evaluation_return=mean)
        self.say(f"step {env_step:,}: greedy return {mean:.1f}, mean of {episodes} episodes")
        if mean >= self.best["mean"]:
            self.best, self.best_weights = (
                {
                    "env_step": env_step,
                    "mean": mean,
                },
                self.agent.online.get_weights(),
            )

    def save(self) -> None:
        """Takes a checkpoint, unless this step has one.

        Raises UserError if the disk, or what was learned, does not allow it.
        """
        if self.saved == self.engine.env_step > 0:
            return
        self.metrics.flush()
        values, arrays = self.engine.state()
        require_finite(arrays, self.engine.env_step)
        state = {
            "engine": values,
            "evaluated": self.evaluated,
            "best": self.best,
            "seconds": self.seconds + time.monotonic(),
        }
        best = {str(number): array for number, array in enumerate(self.best_weights)}
        try:
            checkpoint.save(
                self.files.checkpoints,
                self.engine.env_step,
                state,
                {"state.npz": arrays, "best.npz": best, "replay.npz": self.engine.replay.rows()},
            )
        except OSError as error:
            sentence = (
                f"The checkpoint of step {self.engine.env_step} cannot be written to"
                f" {self.files.checkpoints}: {error.strerror}."
            )
            if self.plan.on_checkpoint_error == "stop":
                raise UserError(
                    sentence
                    + " Those before it are untouched. --on_checkpoint_error=continue would"
                    " train on."
                ) from error
            self.say(f"warning: {sentence} Training goes on.")
        self.saved = self.engine.env_step

    def finish(self) -> dict[str, Any]:
        """Tests the last and the best weights on fresh seeds, exports, draws the learning curve;
        returns the report that it wrote.
        """
        self.engine.settle()
        config, last = self.config, self.agent.online.get_weights()
        if not self.evaluated:  # nothing to choose by
            self.best, self.best_weights = {"env_step": self.engine.env_step, "mean": None}, last
        report: dict[str, Any] = {
            "env": config.env,
            "protocol": config.protocol,
            "seed": config.seed,
            "env_steps": self.engine.env_step,
            "updates": self.engine.updates,
            "weights_sha256": weights_sha256(last),
            "last": self._test(),
        }
        report["best"] = self.best | {
            "weights_sha256": weights_sha256(self.best_weights),
            "test": report["last"],
        }
        if report["best"]["weights_sha256"] != report["weights_sha256"]:
            self._load(self.best_weights)
            report["best"]["test"] = self._test()
        self._load(last if config.export_weights == "last" else self.best_weights)
        score = report["last"] if config.export_weights == "last" else report["best"]["test"]
        version = export(
            self.agent,
            self.plan.export_dir,
            self.engine.replay.observations(RECORDED),
            manifest.about(
                config,
                config.export_weights,
                report["env_steps"],
                score,
                self.engine.replay.rows()["observation"],
                self.plan.spaces,
                registry.action_meanings(self.make_env),
            ),
        )
        report |= {
            "score": score,
            "exported": config.export_weights,
            "export": str(version.resolve()),
            "seconds": round(self.seconds + time.monotonic(), 2),
        }
        self.metrics.flush()
        plots.learning_curve(
            self.files.metrics,
            self.files.learning_curve,
            f"DQN on {config.env}, seed {config.seed}",
        )
        write_json(self.files.evaluation, report)
        return report

    def close(self) -> None:
        """Closes files and environments."""
        self.metrics.close()
        self.engine.close()

    def _restore(self, found: checkpoint.Checkpoint) -> None:
        state, best, rows = (found.files[name] for name in ("state.npz", "best.npz", "replay.npz"))
        differing = self.engine.restore(found.state["engine"], state, rows)
        if rows is not None:
            rows.close()
        self.saved, self.evaluated, self.best = (
            self.engine.env_step,
            found.state["evaluated"],
            found.state["best"],
        )
        self.best_weights = [best[str(number)] for number in range(len(best))]
        self.seconds += found.state["seconds"]
        if (
            len(self.engine.replay)
            and self.engine.replay.capacity < found.state["engine"]["replay"]["capacity"]
        ):
            self.say(
                f"Of the saved replay, the newest {len(self.engine.replay):,} transitions fit."
            )
        if differing:
            self.say(
                f"warning: environment {differing[0]} did not repeat its running episode from its"
                " seed and actions, so the rest of this run will differ from an uninterrupted one."
            )

    def _load(self, weights: list[np.ndarray]) -> None:
        self.agent.online.set_weights(weights)

    def _greedy(self, observation: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        return (
            exploration.greedy_action(self.engine.actor.q_values(observation), mask)
            + self.plan.spaces.action_start
        )

    def _test(self) -> dict[str, Any]:
        return self._play(seeding.TEST, self.config.test_episodes).summary()

    def _play(self, stream: int, episodes: int) -> Evaluation:
        self.engine.actor.refresh()
        played = evaluate(
            self._greedy,
            self.make_env,
            seeding.episode_seeds(self.config.seed, stream, episodes),
            check=self.interrupts.check,
        )
        if played.capped:
            self.say(
                f"note: {played.capped} of {episodes} episodes did not end within {MAX_EPISODE_STEPS:,}"
                " steps and were cut there."
            )
        return played


def require_finite(arrays: dict[str, np.ndarray], env_step: int) -> None:
    """Raises UserError if networks or optimizer hold NaN or infinity:

    such a checkpoint would be no way back.
    """
    broken = [
        name
        for name, array in arrays.items()
        if array.dtype.kind == "f" and not np.isfinite(array).all()
    ]
    if broken:
        raise UserError(
            f"Learning broke by environment step {env_step}: {broken[0]} is not finite, so nothing"
            " was saved. Lower --learning_rate or --max_gradient_norm, or scale the rewards."
        )


def crossed(period: int, before: int, now: int) -> bool:
    """Whether a multiple of `period` lies in (before, now]; never for a period of 0."""
    return bool(period) and now // period > before // period
