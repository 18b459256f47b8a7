"""What one run leaves on disk: metrics, checkpoints, and at its end the export and the report."""

import contextlib
import time
from collections.abc import Iterator

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.settings.experience import RESERVOIR
from dqn_tf.engines import held_out
from dqn_tf.engines.engine import RUNNING_RETURN, Block, against_breaking
from dqn_tf.experience.running_episodes import ACTIONS, not_repeated
from dqn_tf.export import manifest
from dqn_tf.export.publish import export
from dqn_tf.export.run_snapshot import GATE_OBSERVATIONS, observations_of
from dqn_tf.run_files import checkpoint, hparams, plots
from dqn_tf.run_files.metrics import MetricsWriter
from dqn_tf.run_files.report import BestWeights, Report
from dqn_tf.support.errors import UserError
from dqn_tf.support.files import write_json
from dqn_tf.training.plan import RunPlan
from dqn_tf.training.run import Moment, Run, RunObserver, ScoredWeights, crossed
from dqn_tf.training.what_to_try import read_outcome, what_to_try

MANY_STEPS = 1_000  # that are played back: they may take a while


class RunRecorder(RunObserver):
    """Fills a run directory while its run goes on, and resumes the run from a checkpoint."""

    def __init__(self, plan: RunPlan, run: Run) -> None:
        """Restore the checkpoint, write config.json, open metrics.csv, and observe the run."""
        self.plan = plan
        self.run = run
        self.files = plan.run_dir
        self._saved: Moment | None = None  # of the newest checkpoint
        self._start = time.monotonic()
        self._earlier_seconds = 0.0  # before the run was resumed
        if plan.checkpoint is not None:
            self._restore(plan.checkpoint)
        # only now: settings with which a run cannot go on are not those of its next resume
        self.files.write_config(plan.config, plan.spaces, plan.export_dir)
        self._resumed_at = run.engine.progress
        self.recorded = run.engine.progress  # up to here the blocks are in metrics.csv
        self._has_lost_metrics = False
        try:
            self.metrics = MetricsWriter(
                self.files.metrics,
                self.files.tensorboard,
                self.recorded,
                [
                    *(auxiliary.name for auxiliary in run.agent.auxiliary_losses),
                    *(held_out.METRICS if run.config.pretrain_updates else ()),
                ],
                run.say,
            )
            hparams.write_settings(self.files.tensorboard, plan.config)
        except OSError as error:
            raise self._metrics_error(error) from error
        run.observers.append(self)

    @property
    def seconds(self) -> float:
        """Wall time of the run so far, before a resume too, evaluation and saving included."""
        return self._earlier_seconds + time.monotonic() - self._start

    def before_block(self, run: Run) -> None:
        """Start the clock of the block's speed."""
        self._block_start = time.monotonic()
        self._block_env_step = run.engine.env_step

    def after_block(self, run: Run, block: Block) -> None:
        """Write the block's episodes, and its metrics if a log period ended in it."""
        seconds = time.monotonic() - self._block_start
        with run.timings.part("record"), self._recording():
            self._write_episodes(block)
            progress = run.engine.progress
            if crossed(run.config.log_period_env_steps, self.recorded, progress):
                self.metrics.write(
                    progress,
                    epsilon=float(run.engine.epsilon(run.engine.env_step)),
                    updates=run.engine.updates,
                    env_steps_per_second=(run.engine.env_step - self._block_env_step) / seconds,
                    **block.metrics,
                )
                self.metrics.flush()
            self.recorded = progress

    def after_evaluation(self, run: Run, mean_return: float) -> None:
        """Write the evaluation's row."""
        with self._recording():
            self.metrics.write(
                run.engine.progress, evaluation_return=mean_return, **run.behaviour_metrics
            )

    def between_blocks(self, run: Run) -> None:
        """Save a checkpoint if one is due, and at the end of the run.

        A run that was stopped within an evaluation gets another one of the same step after it.
        """
        period = run.config.checkpoint_period_env_steps
        saved = self._saved.progress if self._saved else 0
        is_of_this_step = self._saved is not None and saved == run.engine.progress
        if run.finished or is_of_this_step or crossed(period, saved, run.engine.progress):
            self.save()

    def save(self) -> None:
        """Save a checkpoint, unless there is one of this moment.

        Raises UserError if a weight is not finite, or if the disk refuses and the run should stop
        then.
        """
        moment = self.run.moment
        progress = moment.progress
        if self._saved == moment:
            return
        with self._recording():
            self.metrics.flush()
        try:
            with self.run.timings.part("checkpoint"):
                self._write_checkpoint(progress)
        except OSError as error:
            sentence = (
                f"The checkpoint of step {progress} cannot be written to"
                f" {self.files.checkpoints}: {error.strerror}."
            )
            if self.plan.on_checkpoint_error == "stop":
                raise UserError(
                    f"{sentence} Those before it are untouched. --on_checkpoint_error=continue"
                    " would train on."
                ) from error
            self.run.say(f"warning: {sentence} Training goes on.")
        self._saved = moment

    def finish(self) -> Report:
        """Test the last and the best weights, export one of them, write curve and report.

        A run that is resumed after its export, but before its report, finds its export again.
        Raises UserError.
        """
        behaviour = self.run.engine.behaviour_metrics()
        last, best = self.run.score_both()
        exported = last if self.plan.config.export_weights == "last" else best
        with self.run.timings.part("export"):
            version = self._export(exported)
        seconds = self.seconds
        with self.run.timings.part("plot"):
            self._draw_learning_curve()
        advice = what_to_try(
            self.plan.config,
            read_outcome(self.files.metrics, exported.test, self.run.engine.replay.rows()),
            self.run.make_env.reward_threshold,
            self.run.make_env.time_limit,
        )
        report = Report(
            env=self.plan.config.env,
            protocol=self.plan.config.protocol,
            seed=self.plan.seed,
            env_steps=self.run.engine.env_step,
            offline_updates=self.run.engine.logged_updates,
            updates=self.run.engine.updates,
            behaviour=behaviour,
            weights_sha256=last.sha256,
            last=last.test,
            best=self._best(best),
            score=exported.test,
            exported=self.plan.config.export_weights,
            export=version,
            advice=advice,
            seconds=round(seconds, 2),
            timings=self.run.timings.to_dict(),
        )
        try:
            write_json(self.files.evaluation, report.to_dict())
        except OSError as error:
            raise UserError(
                f"{self.files.evaluation} cannot be written: {error.strerror}. The export {version}"
                " is published"
            ) from error
        with self._recording():
            self.metrics.end(self.run.engine.progress, exported.test["mean"])
        return report

    def close(self) -> None:
        """Close metrics.csv and TensorBoard's file."""
        self.metrics.close()

    def _write_episodes(self, block: Block) -> None:
        first = self.run.engine.episodes - len(block.episodes) + 1
        for number, episode in enumerate(block.episodes, first):
            self.metrics.write(
                self.run.engine.logged_updates + episode.env_step,
                episode=number,
                episode_return=episode.episode_return,
                episode_length=episode.episode_length,
            )

    def _write_checkpoint(self, progress: int) -> None:
        values, arrays = self.run.engine.state()
        require_finite(arrays, progress, self.plan.config)
        run_values, finalists = self.run.state()
        state = {
            "engine": values,
            **run_values,
            "seconds": self.seconds,
            "config": self.plan.config.to_dict(),
            "torso": self.run.agent.online.torso.identity,
        }
        best = {str(number): array for number, array in enumerate(self.run.best.weights)}
        files = {
            "state.npz": arrays,
            "best.npz": best,
            checkpoint.FINALISTS: finalists,
            "replay.npz": self.run.engine.replay.rows(),
        }
        if kept := self.run.agent.online.torso.kept():
            files[checkpoint.FEATURES] = kept
        checkpoint.save(self.files.checkpoints, progress, state, files)

    def _restore(self, saved: checkpoint.Checkpoint) -> None:
        try:
            self._restore_from(saved)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(
                f"The checkpoint {saved.path} does not fit the configuration in {self.files.path}"
                f" ({type(error).__name__}: {error}). Put config.json back as it was"
            ) from error

    def _restore_from(self, saved: checkpoint.Checkpoint) -> None:
        engine = self.run.engine
        arrays = saved.files["state.npz"]
        played = sum(len(arrays[name]) for name in arrays if name.startswith(ACTIONS))
        if played >= MANY_STEPS:
            self.run.say(
                f"Playing back the {played:,} steps of the episodes under way; Ctrl-C twice stops"
                " it at once, and nothing is lost."
            )
        differing = engine.restore(saved.state["engine"], arrays, saved.replay)
        if saved.replay is not None:
            saved.replay.close()
        torso = self.run.agent.online.torso
        if saved.state.get("torso", "") != torso.identity:
            raise UserError(
                f"--language_model={self.plan.config.language_model} is not the model that the run"
                " was trained with: its files have changed. Put them back"
            )
        if checkpoint.FEATURES in saved.files:
            torso.restore_kept(saved.files[checkpoint.FEATURES])
        best = saved.files["best.npz"]
        weights = [best[str(number)] for number in range(len(best))]
        self.run.restore(saved.state, weights, saved.files.get(checkpoint.FINALISTS, {}))
        self._saved = self.run.moment
        self._earlier_seconds = saved.state["seconds"]
        saved_capacity = saved.state["engine"]["replay"]["capacity"]
        if len(engine.replay) and engine.replay.capacity < saved_capacity:
            rows = f"{len(engine.replay):,} {self.plan.config.replay_unit}s"
            is_sample = self.plan.config.replay_eviction == RESERVOIR
            which = "a random sample of" if is_sample else "the newest"
            self.run.say(f"Of the saved replay, {which} {rows} fit.")
        if differing:
            self.run.say(
                f"warning: {not_repeated(differing[0])}, so the rest of this run will differ from"
                " an uninterrupted one."
            )

    def _export(self, exported: ScoredWeights) -> str:
        """Publish the weights as the next version; return its absolute path."""
        run = self.run
        config = self.plan.config
        run.agent.online.set_weights(exported.weights)
        about = manifest.describe_run(
            config,
            config.export_weights,
            run.engine.env_step,
            exported.test,
            observations_of(run.engine.replay.rows()),
            self.plan.spaces,
            run.make_env.names,
        )
        observations = run.engine.replay.observations(GATE_OBSERVATIONS)
        # Only a run that was resumed at its end can have been here before.
        was_at_end = self.plan.checkpoint is not None and self._resumed_at == run.engine.progress
        version = export(run.agent, self.plan.export_dir, observations, about, once=was_at_end)
        return str(version.resolve())

    def _draw_learning_curve(self) -> None:
        """Draw the curve; a picture that cannot be drawn ends no run."""
        config = self.plan.config
        title = f"DQN on {config.env}, seed {config.seed}"
        try:
            self.metrics.flush()
            plots.learning_curve(self.files.metrics, self.files.learning_curve, title)
        except (OSError, ValueError, RuntimeError) as error:
            self.run.say(f"warning: {self.files.learning_curve} cannot be drawn: {error}")

    @contextlib.contextmanager
    def _recording(self) -> Iterator[None]:
        """Stop the run if its metrics cannot be written, or say so once and go on without them."""
        try:
            yield
        except OSError as error:
            sentence = self._metrics_error(error)
            if self.plan.on_checkpoint_error == "stop":
                raise sentence from error
            if not self._has_lost_metrics:
                self._has_lost_metrics = True
                self.run.say(f"warning: {sentence} Training goes on.")

    def _metrics_error(self, error: OSError) -> UserError:
        return UserError(
            f"{self.files.metrics} or the events in {self.files.tensorboard} cannot be written:"
            f" {error.strerror or error}."
        )

    def _best(self, best: ScoredWeights) -> BestWeights:
        if not self.run.evaluated:  # nothing to choose by: the best weights are the last
            return BestWeights(self.run.engine.progress, None, best.sha256, best.test)
        return BestWeights(self.run.best.env_step, self.run.best.mean, best.sha256, best.test)


def require_finite(arrays: dict[str, np.ndarray], progress: int, config: DQNConfig) -> None:
    """Raise UserError if networks or optimizer hold NaN or infinity.

    Such a checkpoint would be no way back. The return of an episode that was given up is NaN.
    """
    for name, array in arrays.items():
        if name == RUNNING_RETURN:
            continue
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(
                f"Learning broke by step {progress}: {name} is not finite, so nothing was saved."
                f" {against_breaking(config)}"
            )
