"""The machines and the job that waits, as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dqn_tf.envs.placement.jobs import Kind, Machine

# pixels
WIDTH = 192  # of a bar
HEIGHT = 24
GAP = 12
NARROWEST = 8  # cells that are narrower run into each other

PAPER = (250, 250, 247)
FREE = (225, 225, 219)
CORES_BLUE = (31, 78, 140)
MEMORY_GREEN = (63, 150, 98)
JOB_ORANGE = (200, 110, 45)


def draw(machines: Sequence[Machine], empty: Machine, job: Kind | None) -> np.ndarray:
    """Return an image [60 M + 72, 216, 3] uint8.

    Of each machine it has a bar of its cores, blue as far as they are taken, and a green one of its
    GB below. What the job asks for comes last, in orange; it is gone where there is no job.
    """
    taken = [(empty[0] - cores, empty[1] - memory) for cores, memory in machines]
    asked = (job.cores, job.memory) if job else (0, 0)
    of_machine, of_job = (CORES_BLUE, MEMORY_GREEN), (JOB_ORANGE, JOB_ORANGE)
    pairs = [*((amounts, of_machine) for amounts in taken), (asked, of_job)]
    image = np.full((GAP + (2 * HEIGHT + GAP) * len(pairs), WIDTH + 2 * GAP, 3), PAPER, np.uint8)
    top = GAP
    for amounts, colors in pairs:
        for amount, size, color in zip(amounts, empty, colors, strict=True):
            _draw_bar(image[top : top + HEIGHT, GAP : GAP + WIDTH], amount, size, color)
            top += HEIGHT
        top += GAP
    return image


def _draw_bar(bar: np.ndarray, amount: int, size: int, color: tuple[int, int, int]) -> None:
    """Fill a bar [24, 192, 3] up to its share, with a line between two of its cells."""
    bar[1:-1] = FREE
    bar[1:-1, : WIDTH * min(amount, size) // size] = color
    if WIDTH // size >= NARROWEST:
        bar[:, [WIDTH * cell // size for cell in range(size)]] = PAPER
