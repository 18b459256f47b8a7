"""Where the time of a block goes, and the floor under it: python -m benchmarks.speed.block_profile.

Runs the host engine at the anchor setting with its parts timed. Measures how fast this machine
multiplies matrices of the update's sizes. Prints microseconds per environment step. Run it on a
machine that does nothing else.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from absl import flags

from benchmarks.common.tables import aligned
from benchmarks.speed import ours
from benchmarks.speed.settings import ANCHOR
from dqn_tf.support import command_line, tensorflow_loading

BLOCKS = 10  # timed together, so that a clock's own cost does not show
RATE = "matmul rate"


class Part(NamedTuple):
    """One part of a block, or of another part."""

    name: str
    whole: str | None  # the part that it is a part of
    words: str


PARTS = (
    Part("block", None, "a block"),
    Part("collect", "block", "taking its steps"),
    Part("gymnasium", "collect", "Gymnasium's environment"),
    Part("vector", "collect", "our checks and the vector environment around it"),
    Part("act", "collect", "the best action for an observation, in NumPy"),
    Part("store", "block", "transitions and replay"),
    Part("sample", "block", "drawing batches"),
    Part("learn", "block", "updates, one compiled call"),
    Part("refresh", "block", "the new weights for acting"),
)
PART_NAMES = [part.name for part in PARTS]
RESTS = {"collect": "the rest of taking steps", "block": "the rest of a block"}
HEADER = ("part", "µs per environment step: median [lowest, highest]", "share")


class Clock:
    """Seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, part: str, function: Callable) -> Callable:
        """Return the function with its time added to the part's."""

        def timed_function(*arguments: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                seconds = time.perf_counter() - start
                self.seconds[part] = self.seconds.get(part, 0.0) + seconds

        return timed_function


def parse(argv: Sequence[str]) -> int:
    """Return the number of rounds. Raises UserError; exits after `--help`."""
    rounds: int = command_line.parse(argv, define, _help_page).rounds
    return rounds


def define(values: flags.FlagValues) -> None:
    """Define the one flag."""
    flags.DEFINE_integer(
        "rounds",
        9,
        "how often everything is measured; medians are given",
        lower_bound=1,
        flag_values=values,
    )


def _help_page(command: str, values: flags.FlagValues) -> str:
    _, _, text = (__doc__ or "").partition("\n\n")
    return command_line.help_page([command], text, {"": command_line.entries(values)})


def main(rounds: int) -> None:
    """Measure and print."""
    tensorflow_loading.load_tensorflow()
    (run,) = ours.build(ours.configure(ANCHOR, 0, total_steps=10**9))
    measured = measure(run.engine, rounds)
    run.close()
    print(aligned([HEADER, *lines(measured)]))
    rate = statistics.median(measured[RATE])
    learn = statistics.median(measured["learn"])
    update = flops() / rate * 1e6  # microseconds of one update at that rate
    rows = ANCHOR.batch_size
    inner, columns = ANCHOR.hidden_units
    print(
        f"\nMatrices of {rows} by {inner} and {inner} by {columns} are multiplied at"
        f" {rate / 1e9:.0f} [{min(measured[RATE]) / 1e9:.0f}, {max(measured[RATE]) / 1e9:.0f}]"
        f" GFLOP/s.\nOne update is {flops() / 1e6:.1f} MFLOP, at that rate {update:.0f} µs:"
        f" {update / ANCHOR.collect:.1f} µs per environment step, of {learn:.1f}."
    )


def measure(engine: Any, rounds: int) -> dict[str, list[float]]:
    """Time BLOCKS blocks in each round.

    Returns microseconds per environment step of each of PARTS by round, and RATE in floating-point
    operations a second.
    """
    while engine.env_step < ANCHOR.start:
        engine.run_block()
    clock = Clock()
    time_parts(clock, engine)
    measure_rate = matmul_rate()
    measured: dict[str, list[float]] = {name: [] for name in (*PART_NAMES, RATE)}
    for _ in range(rounds):
        clock.seconds.clear()
        first_step = engine.env_step
        start = time.perf_counter()
        for _ in range(BLOCKS):
            engine.run_block()
        seconds = clock.seconds | {"block": time.perf_counter() - start}
        seconds["vector"] = seconds["step"] - seconds["gymnasium"]
        for part in PARTS:
            measured[part.name].append(seconds[part.name] / (engine.env_step - first_step) * 1e6)
        measured[RATE].append(measure_rate())
    return measured


def time_parts(clock: Clock, engine: Any) -> None:
    """Put the clock into the methods of the engine's parts."""
    gymnasium_env = engine.collector.shards[0].env.envs[0].env
    for part, owner, method in (
        ("collect", engine.collector, "collect"),
        ("step", engine.collector.shards[0].env, "step_into"),
        ("gymnasium", gymnasium_env, "step"),
        ("act", engine.q_function, "greedy_action"),
        ("store", engine.row_maker, "add"),
        ("store", engine.replay, "add"),
        ("sample", engine.replay, "sample"),
        ("learn", engine.agent, "learn"),
        ("refresh", engine.q_function, "refresh"),
    ):
        # not setattr: Keras would take the function of an agent for a layer
        object.__setattr__(owner, method, clock.timed(part, getattr(owner, method)))


def lines(measured: dict[str, list[float]]) -> list[tuple[str, str, str]]:
    """Format a line for each part, and for what is left over of each whole."""
    medians = {name: statistics.median(values) for name, values in measured.items()}
    depths: dict[str | None, int] = {None: -1}
    table = []
    for part in PARTS:
        depths[part.name] = depths[part.whole] + 1
        costs = measured[part.name]
        table.append(
            (
                "  " * depths[part.name] + part.words,
                f"{medians[part.name]:.1f} [{min(costs):.1f}, {max(costs):.1f}]",
                f"{medians[part.name] / medians['block']:.0%}",
            )
        )
    for whole, words in RESTS.items():
        parts = sum(medians[part.name] for part in PARTS if part.whole == whole)
        rest = medians[whole] - parts
        table.append((f"  {words}", f"{rest:.1f}", f"{rest / medians['block']:.0%}"))
    return table


def flops() -> int:
    """Count multiplications and additions of one update's matrix products.

    Online and target network go forward. Backward takes twice as much, but for the first layer.
    """
    widths = (4, *ANCHOR.hidden_units, 2)
    layers = [
        2 * ANCHOR.batch_size * inputs * outputs for inputs, outputs in itertools.pairwise(widths)
    ]
    return 4 * sum(layers) - layers[0]


def matmul_rate() -> Callable[[], float]:
    """Return a function that measures floating-point operations a second.

    They are those of the update's largest product, within one compiled call as the update is.
    """
    import tensorflow as tf

    rows = ANCHOR.batch_size
    inner, columns = ANCHOR.hidden_units
    times = 500
    left = tf.ones((rows, inner))
    right = tf.ones((inner, columns))

    @tf.function(jit_compile=True)
    def there_and_back(left: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        done = tf.constant(0)
        while done < count:
            left = tf.matmul(tf.matmul(left, right), right, transpose_b=True) * 1e-4
            done += 1
        return left

    def measure_rate() -> float:
        start = time.perf_counter()
        there_and_back(left, tf.constant(times)).numpy()
        return 2 * rows * inner * columns * 2 * times / (time.perf_counter() - start)

    measure_rate()
    return measure_rate


if __name__ == "__main__":
    command_line.run(main, parse)
