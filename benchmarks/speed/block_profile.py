"""Where the time of a block goes, and the floor under it: python -m benchmarks.speed.block_profile.

Runs the host engine at the anchor setting with its parts timed, and measures how fast this machine
multiplies matrices of the update's sizes. Prints microseconds per environment step. Run it on a
machine that does nothing else.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from benchmarks.common.tables import aligned
from benchmarks.speed import ours
from benchmarks.speed.settings import ANCHOR
from dqn_tf.support import command_line, tensorflow_loading

PARTS = (  # name, what it is a part of, in words
    ("block", None, "a block"),
    ("collect", "block", "taking its steps"),
    ("gymnasium", "collect", "Gymnasium's environment"),
    ("vector", "collect", "our checks and the vector environment around it"),
    ("act", "collect", "Q-values of an observation, in NumPy"),
    ("store", "block", "transitions and replay"),
    ("sample", "block", "drawing batches"),
    ("learn", "block", "updates, one compiled call"),
    ("refresh", "block", "the new weights for acting"),
)


class Clock:
    """Seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, part: str, function: Callable) -> Callable:
        """Return the function with its time added to the part's."""

        def called(*arguments: Any, **keywords: Any) -> Any:
            clock = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                seconds = time.perf_counter() - clock
                self.seconds[part] = self.seconds.get(part, 0.0) + seconds

        return called


def parse(argv: Sequence[str]) -> int:
    """Read the one flag. Raises UserError; exits after `--help`."""
    flags.DEFINE_integer(
        "rounds", 9, "how often everything is measured; medians are given", lower_bound=1
    )
    flags.DEFINE_bool("verbose", False, "tracebacks")
    values = command_line.parse(
        ["python -m benchmarks.speed.block_profile", *argv[1:]],
        lambda _: (
            f"{__doc__}\n  --rounds={flags.FLAGS['rounds'].default}\n     "
            f" {flags.FLAGS['rounds'].help}"
        ),
    )
    return values["rounds"]


def main(rounds: int) -> None:
    """Measure and print."""
    tensorflow_loading.load_tensorflow()
    (engine,) = ours.build(ours.configure(ANCHOR, 0, total_steps=10**9))
    while engine.env_step < ANCHOR.start:
        engine.run_block()
    clock, rate = Clock(), matmul_rate()
    put_in(clock, engine)
    found: dict[str, list[float]] = {name: [] for name, _, _ in PARTS} | {"rate": []}
    for _ in range(rounds):
        clock.seconds.clear()
        began, steps = time.perf_counter(), engine.env_step
        for _ in range(10):
            engine.run_block()
        seconds = clock.seconds | {"block": time.perf_counter() - began}
        seconds["vector"] = seconds["step"] - seconds["gymnasium"]
        for name, _, _ in PARTS:
            found[name].append(seconds[name] / (engine.env_step - steps) * 1e6)
        found["rate"].append(rate())
    engine.close()
    medians = {name: statistics.median(values) for name, values in found.items()}
    print(
        aligned(
            [
                ("part", "µs per environment step: median [lowest, highest]", "share"),
                *lines(found, medians),
            ]
        )
    )
    floor = flops() / medians["rate"] / ANCHOR.collect * 1e6
    print(
        f"\nMatrices of {ANCHOR.batch_size} by {ANCHOR.hidden_units[0]} and"
        f" {ANCHOR.hidden_units[0]} by {ANCHOR.hidden_units[1]} are multiplied at"
        f" {medians['rate'] / 1e9:.0f} [{min(found['rate']) / 1e9:.0f},"
        f" {max(found['rate']) / 1e9:.0f}] GFLOP/s.\nOne update is {flops() / 1e6:.1f} MFLOP, at"
        f" that rate {floor * ANCHOR.collect:.0f} µs: {floor:.1f} µs per environment step, of"
        f" {medians['learn']:.1f}."
    )


def put_in(clock: Clock, engine: Any) -> None:
    """Time the engine's parts."""
    inner = engine.env.envs[0].env
    for part, owner, name in (
        ("collect", engine, "_collect"),
        ("step", engine.env, "step"),
        ("gymnasium", inner, "step"),
        ("act", engine.actor, "q_values"),
        ("store", engine.transitions, "add"),
        ("store", engine.replay, "add"),
        ("sample", engine.replay, "sample"),
        ("learn", engine.agent, "learn"),
        ("refresh", engine.actor, "refresh"),
    ):
        object.__setattr__(owner, name, clock.timed(part, getattr(owner, name)))


def lines(found: dict[str, list[float]], medians: dict[str, float]) -> list[tuple[str, str, str]]:
    """A row of the table for each part, and for what is left over of each whole."""
    result = []
    for name, whole, words in PARTS:
        depth = 0 if whole is None else 1 if whole == "block" else 2
        result.append(
            (
                "  " * depth + words,
                f"{medians[name]:.1f} [{min(found[name]):.1f}, {max(found[name]):.1f}]",
                f"{medians[name] / medians['block']:.0%}",
            )
        )
    for whole, words in (("collect", "the rest of taking steps"), ("block", "the rest of a block")):
        rest = medians[whole] - sum(medians[name] for name, part_of, _ in PARTS if part_of == whole)
        result.append((f"  {words}", f"{rest:.1f}", f"{rest / medians['block']:.0%}"))
    return result


def flops() -> int:
    """Multiplication and additions of one update's matrix products:

    online and target forward, and backward twice but for the first layer.
    """
    widths = (4, *ANCHOR.hidden_units, 2)
    layers = [
        2 * ANCHOR.batch_size * before * after
        for before, after in zip(widths, widths[1:], strict=False)
    ]
    return 4 * sum(layers) - layers[0]


def matmul_rate() -> Callable[[], float]:
    """What measures floating-point operations a second of the update's largest product, within one
    compiled call as the update is.
    """
    import tensorflow as tf

    rows, (inner, columns), times = ANCHOR.batch_size, ANCHOR.hidden_units, 500
    left, right = tf.ones((rows, inner)), tf.ones((inner, columns))

    @tf.function(jit_compile=True)
    def there_and_back(left: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        row = tf.constant(0)
        while row < count:
            left = tf.matmul(tf.matmul(left, right), right, transpose_b=True) * 1e-4
            row += 1
        return left

    def measure() -> float:
        began = time.perf_counter()
        there_and_back(left, tf.constant(times)).numpy()
        return 2 * rows * inner * columns * 2 * times / (time.perf_counter() - began)

    measure()
    return measure


if __name__ == "__main__":
    command_line.run(main, parse)
