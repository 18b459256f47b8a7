"""Solves the 3×3 grid three times: by value iteration, by tabular Q-learning, and by DQN.

python examples/gridworld.py            # prints the three Q-tables
python examples/gridworld.py --write    # also writes them into docs/gridworld.md and .png
"""

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrow, Polygon, Rectangle

from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.envs.gridworld import (
    ARROWS,
    ENV_ID,
    GOAL,
    MOVE_NAMES,
    MOVES,
    SIZE,
    START,
    STATES,
    cell_of,
    state_of,
    transition,
)
from dqn_tf.support import tensorflow_loading

DOCS = Path(__file__).parent.parent / "docs"
SEED = 1
MOMENTS = (250, 500, 1_000, 2_000, 4_000, 12_000)  # environment steps
# Behaviour is uniformly random here. So the worst moves are learned as well as the best ones, and
# the whole table can be compared.
CONFIG = presets.configure(
    ENV_ID,
    {
        "seed": SEED,
        "epsilon_end": 1.0,
        "total_steps": MOMENTS[-1],
        "evaluation_period_env_steps": 0,
    },
)
GAMMA = CONFIG.gamma
GOAL_STATE = state_of(*GOAL)
OTHER_STATES = [state for state in range(STATES) if state != GOAL_STATE]
COLOURS = LinearSegmentedColormap.from_list("values", ["#fdf1dd", "#a9cbe3", "#2a6aa8", "#123a68"])
INK = "#1c2733"
WHITE = "#ffffff"
GREEN = "#2f8f5b"
ORANGE = "#e07b1a"


class Tables(NamedTuple):
    """Q* [9, 4], and the learned Q-tables by environment step."""

    optimal: np.ndarray
    tabular: dict[int, np.ndarray]
    network: dict[int, np.ndarray]

    def by_title(self) -> dict[str, np.ndarray]:
        """Return the three final tables with their titles."""
        return {
            "Value iteration (Q*)": self.optimal,
            "Tabular Q-learning": self.tabular[MOMENTS[-1]],
            "DQN": self.network[MOMENTS[-1]],
        }


def value_iteration() -> np.ndarray:
    """Compute Q* [9, 4]: repeat Bellman's optimality equation until no number changes.

    It is 0 at the goal, where the episode is over.
    """
    q = np.zeros((STATES, len(MOVES)))
    while True:
        before = q.copy()
        for state in OTHER_STATES:
            for action in range(len(MOVES)):
                next_state, reward, terminated = transition(state, action)
                q[state, action] = reward + (0.0 if terminated else GAMMA * q[next_state].max())
        if np.array_equal(q, before):
            return q


def q_learning(env_steps: int, step_size: float = 0.5) -> np.ndarray:
    """Learn Q [9, 4] from random steps: Q(s, a) += α (r + γ max Q(s', ·) - Q(s, a)).

    After a terminal step the maximum counts as 0 (Watkins 1989).
    """
    generator = np.random.default_rng(SEED)
    env = registry.make_env(CONFIG)
    q = np.zeros((STATES, len(MOVES)))
    state, _ = env.reset(seed=SEED)
    for _ in range(env_steps):
        action = int(generator.integers(len(MOVES)))
        next_state, reward, terminated, truncated, _ = env.step(action)
        # a truncation is no end: it bootstraps
        target = float(reward) + (0.0 if terminated else GAMMA * q[next_state].max())
        q[state, action] += step_size * (target - q[state, action])
        state = env.reset()[0] if terminated or truncated else next_state
    return q


def dqn(moments: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Train DQN as `train.py` does; return its Q [9, 4] at each moment, an environment step.

    A moment's table is that of the end of its block.
    """
    tensorflow_loading.load_tensorflow()
    import tensorflow as tf

    from dqn_tf.training import trainer
    from dqn_tf.training.run import Run, RunObserver

    class TableObserver(RunObserver):
        """Reads the Q-table when a moment is reached."""

        def __init__(self) -> None:
            self.tables: dict[int, np.ndarray] = {}

        def after_block(self, run: Run, block: object) -> None:
            for moment in moments:
                if moment <= run.engine.env_step and moment not in self.tables:
                    table = run.agent(tf.range(STATES, dtype=tf.int64)).numpy()
                    table[GOAL_STATE] = 0.0  # never left, so never learned
                    self.tables[moment] = table

    observer = TableObserver()
    (run,) = trainer.make_runs([dataclasses.replace(CONFIG, total_steps=max(moments))], [observer])
    trainer.run_blocks([run])
    run.close()
    return observer.tables


def best_moves(q: np.ndarray) -> str:
    """Return the arrows of one state's best actions, those within a hundredth of the maximum."""
    return "".join(arrow for arrow, value in zip(ARROWS, q, strict=True) if value > q.max() - 0.01)


def markdown(title: str, q: np.ndarray) -> list[str]:
    """Write one Q-table in Markdown, one string a line."""
    moves = [f"{arrow} {name}" for arrow, name in zip(ARROWS, MOVE_NAMES, strict=True)]
    lines = [
        f"## {title}",
        "",
        f"| cell | {' | '.join(moves)} | best |",
        "|---|" + "---:|" * len(MOVES) + ":---:|",
    ]
    for state in OTHER_STATES:
        cell = cell_of(state)
        start = " start" if cell == START else ""
        values = " | ".join(f"{value:.2f}" for value in q[state] + 0.0)  # + 0.0: no minus zero
        lines.append(f"| {cell}{start} | {values} | {best_moves(q[state])} |")
    return [*lines, ""]


def report(tables: Tables) -> str:
    """Write the three tables, and how far the learned ones were from the first as they learned."""
    lines = [
        f"gamma = {GAMMA}, seed {SEED}. The goal (2, 2) has no row: the episode is over there.",
        "",
    ]
    for title, q in tables.by_title().items():
        lines += markdown(title, q)
    lines += [
        "## Largest difference from value iteration",
        "",
        "| environment steps | tabular Q-learning | DQN |",
        "|---:|---:|---:|",
    ]
    for moment in MOMENTS:
        tabular = np.abs(tables.tabular[moment] - tables.optimal).max()
        network = np.abs(tables.network[moment] - tables.optimal).max()
        lines.append(f"| {moment:,} | {tabular:.3f} | {network:.3f} |")
    return "\n".join(lines)


def quarters(row: int, column: int) -> list[list[tuple[float, float]]]:
    """Return the four triangles of a cell as points (column, row), in the order of the actions."""
    top_left = (column, row)
    top_right = (column + 1, row)
    bottom_left = (column, row + 1)
    bottom_right = (column + 1, row + 1)
    middle = (column + 0.5, row + 0.5)
    return [
        [top_left, top_right, middle],
        [bottom_left, bottom_right, middle],
        [top_left, bottom_left, middle],
        [top_right, bottom_right, middle],
    ]


def draw_cell(axes: Axes, state: int, q: np.ndarray, scale: Normalize) -> None:
    """Draw in each quarter the Q-value of the move in its direction; an arrow on the best moves."""
    row, column = cell_of(state)
    for action, corners in enumerate(quarters(row, column)):
        down, right = MOVES[action]
        is_best = q[action] > q.max() - 0.01
        colour = COLOURS(scale(q[action]))
        is_dark = np.dot(colour[:3], (0.3, 0.6, 0.1)) < 0.55
        axes.add_patch(Polygon(corners, facecolor=colour, edgecolor=WHITE, linewidth=1))
        axes.text(
            column + 0.5 + 0.32 * right,
            row + 0.5 + 0.37 * down,
            f"{q[action] + 0.0:.2f}".replace("-", "\N{MINUS SIGN}"),
            color=WHITE if is_dark else INK,
            ha="center",
            va="center",
            fontsize=9,
            weight="bold" if is_best else "normal",
        )
        if is_best:
            arrow = FancyArrow(
                column + 0.5,
                row + 0.5,
                0.15 * right,
                0.15 * down,
                width=0.03,
                head_width=0.1,
                head_length=0.08,
                length_includes_head=True,
                color=ORANGE,
                linewidth=0,
                zorder=4,
            )
            axes.add_patch(arrow)


def draw_grid(axes: Axes, title: str, q: np.ndarray, scale: Normalize) -> None:
    """Draw one Q-table as a grid."""
    for state in OTHER_STATES:
        draw_cell(axes, state, q[state], scale)
    draw_goal_and_start(axes)
    for edge in range(SIZE + 1):
        line: dict[str, Any] = {"color": INK, "linewidth": 1.3, "solid_capstyle": "projecting"}
        axes.plot([0, SIZE], [edge, edge], **line)
        axes.plot([edge, edge], [0, SIZE], **line)
    middles = np.arange(SIZE) + 0.5
    axes.set(
        xlim=(-0.02, SIZE + 0.02),
        ylim=(SIZE + 0.02, -0.02),
        aspect="equal",
        xlabel="column",
        xticks=middles,
        xticklabels=range(SIZE),
        yticks=middles,
        yticklabels=range(SIZE),
    )
    axes.set_title(title, fontsize=13, color=INK, pad=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def draw_goal_and_start(axes: Axes) -> None:
    """Fill the goal's cell, and frame the start's."""
    row, column = GOAL
    axes.add_patch(Rectangle((column, row), 1, 1, facecolor=GREEN))
    axes.text(
        column + 0.5,
        row + 0.5,
        "goal",
        ha="center",
        va="center",
        color=WHITE,
        fontsize=14,
        weight="bold",
    )
    row, column = START
    axes.add_patch(
        Rectangle((column, row), 1, 1, fill=False, edgecolor=ORANGE, linewidth=3, zorder=5)
    )


def draw(tables: dict[str, np.ndarray], path: Path) -> None:
    """Draw the tables side by side on one scale of colours."""
    figure = Figure(figsize=(16, 6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    scale = Normalize(np.floor(min(q.min() for q in tables.values()) * 2) / 2, 0.0)
    places = figure.subplots(1, len(tables))
    for axes, (title, q) in zip(places, tables.items(), strict=True):
        draw_grid(axes, title, q, scale)
    places[0].set_ylabel("row")
    bar = figure.colorbar(ScalarMappable(scale, COLOURS), ax=list(places), fraction=0.02, pad=0.01)
    bar.set_label(f"Q-value, gamma = {GAMMA}")
    bar.outline.set_visible(False)
    figure.suptitle(
        "Every move on the 3×3 grid: its Q-value; arrows: the best moves; orange cell: the start",
        x=0.01,
        ha="left",
        fontsize=12,
        color=INK,
    )
    figure.savefig(path, metadata={"Software": None})


def write(tables: Tables) -> None:
    """Write the generated section of docs/gridworld.md, and the picture."""
    page = DOCS / "gridworld.md"
    text = report(tables)
    page_text, replaced = re.subn(
        r"(<!-- generated -->\n).*(<!-- end of generated -->)",
        lambda match: f"{match[1]}{text}\n{match[2]}",
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    if not replaced:
        raise SystemExit(f"error: {page} has no generated section.")
    page.write_text(page_text, encoding="utf-8")
    draw(tables.by_title(), DOCS / "gridworld.png")


def main() -> None:
    """Print the tables; with --write, also write docs/."""
    tabular = {moment: q_learning(moment) for moment in MOMENTS}
    tables = Tables(value_iteration(), tabular, dqn(MOMENTS))
    print(report(tables))
    if "--write" in sys.argv[1:]:
        write(tables)


if __name__ == "__main__":
    main()
