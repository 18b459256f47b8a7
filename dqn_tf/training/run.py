"""One run in memory: its engine, the evaluations between two blocks, and the final test.

A run writes nothing. Whoever records, times or saves it is an observer; `RunRecorder` is the one
that fills a run directory.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.config import seeding
from dqn_tf.engines import held_out
from dqn_tf.engines.engine import Block, Engine
from dqn_tf.envs.registry import EnvMaker
from dqn_tf.evaluation.episodes import Evaluation, Rules, play
from dqn_tf.evaluation.watch import ProgressWatch
from dqn_tf.support.digits import return_text
from dqn_tf.training.evaluation_envs import EvaluationEnvs
from dqn_tf.training.finalists import Finalist, Finalists, choose
from dqn_tf.training.timings import Timings


class RunObserver:
    """Is told what happens in a run. Every method does nothing until it is overridden.

    An observer times or records a run without a second training loop:

        class Stopwatch(RunObserver):
            seconds = 0.0

            def before_block(self, run):
                self.start = time.perf_counter()

            def after_block(self, run, block):
                self.seconds += time.perf_counter() - self.start

        (run,) = trainer.make_runs([config], observers=[Stopwatch()])
        trainer.run_blocks([run])

    Runs of several seeds that are trained at once share their blocks: each run tells its observers
    in turn. What an observer raises ends the run.
    """

    def before_block(self, run: "Run") -> None:
        """Handle the start of each block of environment steps and updates."""

    def after_block(self, run: "Run", block: Block) -> None:
        """Handle the end of each block; `run.engine.progress` is the step that it reached."""

    def after_evaluation(self, run: "Run", mean_return: float) -> None:
        """Handle an evaluation between blocks and its mean greedy return."""

    def between_blocks(self, run: "Run") -> None:
        """Handle the moments before the first block, between two, and after the last one.

        An evaluation that is due has been done by then.
        """


class ScoredWeights(NamedTuple):
    """Weights of the online network and the score that they reached on the test seeds."""

    weights: list[np.ndarray]
    sha256: str
    test: dict[str, Any]  # `Evaluation.summary` of the test's episodes


class Moment(NamedTuple):
    """Where a run is: its clock, that at its last evaluation, and whether the best is chosen."""

    progress: int
    evaluated: int
    is_chosen: bool


class Run:
    """One run: its engine, what is due between two blocks, and the best weights so far.

    Attributes:
      engine: takes the steps and does the updates; `engine.progress` is the run's clock.
      evaluated: the clock at the last evaluation; 0 before the first.
      finalists: the weights of the highest evaluations.
      latest: what the terminal shows of the last block, by name.
      behaviour_metrics: of the last evaluation, `Engine.behaviour_metrics`.
      observers: told of every event, in this order.
    """

    def __init__(
        self,
        engine: Engine,
        make_env: EnvMaker,
        observers: list[RunObserver],
        timings: Timings,
        say: Callable[[str], None],
        check: Callable[[], None],
    ) -> None:
        """Take a built engine.

        `make_env` makes the environments of evaluations. `say` takes sentences for the user;
        `check` is called often and may raise to stop the run.
        """
        self.engine = engine
        self.config = engine.config
        self.agent = engine.agent
        self.make_env = make_env
        self.observers = observers
        self.timings = timings
        self.say = say
        self.evaluated = 0
        self.finalists = Finalists(self.config.finalists)
        # no evaluation has played the selection episodes from this number on
        self._fresh_from = self.config.evaluation_episodes
        self._chosen: Finalist | None = None  # of them, once compared
        self._first = Finalist(0, -np.inf, self.agent.online.get_weights())
        self.latest: dict[str, float] = {}
        self.behaviour_metrics: dict[str, float] = {}
        self._check = check
        self._envs = EvaluationEnvs(engine, make_env, lambda sentence: self.say(sentence))

    @property
    def finished(self) -> bool:
        """True once the last update on logged data and the last environment step are done."""
        return self.engine.finished

    @property
    def best(self) -> Finalist:
        """The best weights: of the highest evaluation so far or, at the end, as compared there."""
        if self._chosen is not None:
            return self._chosen
        return self.finalists.all[0] if self.finalists.all else self._first

    def do_what_is_due(self) -> None:
        """Evaluate if an evaluation is due at this step, then tell the observers.

        At the end of the run, the finalists are compared.

        Raises whatever `check` raises.
        """
        period = self.config.evaluation_period_env_steps
        if period and (self.finished or crossed(period, self.evaluated, self.engine.progress)):
            self.evaluate()
            if self.finished and self._chosen is None:
                self._choose_best()
        for observer in self.observers:
            observer.between_blocks(self)
        self._check()

    def before_block(self) -> None:
        """Tell the observers that a block begins."""
        for observer in self.observers:
            observer.before_block(self)

    def after_block(self, block: Block) -> None:
        """Keep the block's latest values and tell the observers."""
        self.latest = {}
        if block.episodes:
            self.latest["episode_return"] = block.episodes[-1].episode_return
        self.latest["epsilon"] = float(self.engine.epsilon(self.engine.env_step))
        if "loss" in block.metrics:
            self.latest["loss"] = block.metrics["loss"]
        for observer in self.observers:
            observer.after_block(self, block)

    def evaluate(self) -> None:
        """Score the policy on the selection seeds; keep its weights if few were better."""
        progress = self.engine.progress
        if self.evaluated == progress:
            return
        self.engine.sync_agent()
        evaluation = self._play(seeding.SELECTION, self.config.evaluation_episodes)
        episodes = len(evaluation.seeds)
        mean = float(evaluation.returns.mean())
        self.evaluated = progress
        self.behaviour_metrics = self.engine.behaviour_metrics()
        sentence = (
            f"step {progress:,}: greedy return {return_text(mean)}, mean of {episodes} episodes"
        )
        for name, value in self.behaviour_metrics.items():
            sentence += f", {held_out.METRICS[name]} {value:.2f}"
        self.say(sentence)
        self._chosen = None
        self.finalists.add(progress, mean, self.agent.online.get_weights())
        for observer in self.observers:
            observer.after_evaluation(self, mean)

    def score_last(self) -> ScoredWeights:
        """Test the last weights on seeds used nowhere else. The agent then holds them."""
        self.engine.sync_agent()
        return self._test(self.agent.online.get_weights())

    def score_both(self) -> tuple[ScoredWeights, ScoredWeights]:
        """Test the last and the best weights on seeds used nowhere else; return both.

        Without an evaluation the best weights are the last. The agent holds the weights that were
        tested last.
        """
        last = self.score_last()
        if not self.evaluated or weights_sha256(self.best.weights) == last.sha256:
            return last, last
        return last, self._test(self.best.weights)

    @property
    def moment(self) -> Moment:
        """Where the run is: what differs between two checkpoints of it."""
        return Moment(self.engine.progress, self.evaluated, self._chosen is not None)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what a checkpoint needs beside the engine and the best weights.

        It is for JSON, and the finalists' weights as arrays.
        """
        finalists, arrays = self.finalists.state()
        values = {
            "evaluated": self.evaluated,
            "best": {"env_step": self.best.env_step, "mean": self.best.mean},
            "finalists": finalists,
            "is_chosen": self._chosen is not None,
            "fresh_from": self._fresh_from,
        }
        return values, arrays

    def restore(
        self,
        state: dict[str, Any],
        best_weights: list[np.ndarray],
        finalists: Mapping[str, np.ndarray],
    ) -> None:
        """Take over what `state` returned, and the best weights of that moment."""
        best = Finalist(state["best"]["env_step"], state["best"]["mean"], best_weights)
        self.evaluated = state["evaluated"]
        self.finalists.restore(state.get("finalists", []), finalists)
        # earlier versions kept the best alone
        if self.evaluated and not self.finalists.all:
            self.finalists.add(best.env_step, best.mean, best.weights)
        # with fewer --evaluation_episodes than before, earlier evaluations played more
        self._fresh_from = max(self._fresh_from, state.get("fresh_from", 0))
        self._chosen = best if state.get("is_chosen") else None

    def close(self) -> None:
        """Close the environments."""
        self.engine.close()
        self._envs.close()
        self.make_env.close()

    def make_evaluation_envs(self) -> None:
        """Make an environment for evaluations now, so that what is wrong with it is known now.

        Raises UserError.
        """
        self._envs.reserve()

    def _choose_best(self) -> None:
        """Compare the finalists and the last weights on episodes that chose none of them."""
        last = self.agent.online.get_weights()
        entrants = [
            finalist for finalist in self.finalists.all if finalist.env_step < self.evaluated
        ]
        if self.config.finalists == 1 or not entrants:
            return
        entrants.append(Finalist(self.evaluated, -np.inf, last))
        try:
            self._chosen = choose(entrants, self._fresh_returns, self.config.test_episodes)
        finally:
            self.agent.online.set_weights(last)
        self.say(
            f"best of {len(entrants)} finalists: step {self._chosen.env_step:,}, greedy return"
            f" {return_text(self._chosen.mean)}, mean of {self._chosen.fresh_episodes} further"
            " episodes"
        )

    def _fresh_returns(self, weights: list[np.ndarray], episodes: range) -> np.ndarray:
        """Play episodes that no evaluation has played, by their numbers; return their returns."""
        self.agent.online.set_weights(weights)
        first = self._fresh_from + episodes.start
        return self._play(seeding.SELECTION, len(episodes), first).returns

    def _test(self, weights: list[np.ndarray]) -> ScoredWeights:
        self.agent.online.set_weights(weights)
        episodes, epsilon = self.config.test_episodes, self.config.test_epsilon
        evaluation = self._play(seeding.TEST, episodes, epsilon=epsilon)
        return ScoredWeights(weights, weights_sha256(weights), evaluation.summary())

    def _play(self, stream: int, episodes: int, first: int = 0, epsilon: float = 0.0) -> Evaluation:
        """Play episodes on the seeds of one stream of `seeding`, from number `first` on.

        They are greedy but for random actions with probability `epsilon`.
        """
        self.engine.q_function.refresh()
        seeds = seeding.episode_seeds(self.config.seed or 0, stream, episodes, first)
        limit = self.config.evaluation_episode_steps
        watch = ProgressWatch(episodes, self.say, "; --evaluation_episode_steps cuts them earlier")
        with self.timings.part("evaluate"), self._envs.ready(episodes) as envs:
            rules = Rules(limit, epsilon, gives_up=True)
            evaluation = play(self._act_greedily, envs, seeds, rules, self._check, watch)
        if evaluation.capped:
            played = len(evaluation.seeds)
            left_out = episodes - played
            more = f", so the other {left_out} were left out" if left_out else ""
            self.say(
                f"note: {evaluation.capped} of {played} episodes did not end within"
                f" {limit:,} steps and were cut there{more}."
            )
        return evaluation

    def _act_greedily(self, observation: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        # [N, *shape] and [N, A] -> [N] of the environment's own action numbers
        actions = self.engine.q_function.greedy_action(observation, mask)
        return actions + self.agent.spaces.action_start


def crossed(period: int, before: int, now: int) -> bool:
    """Tell whether a multiple of `period` lies in (before, now]; never for a period of 0."""
    return bool(period) and now // period > before // period
