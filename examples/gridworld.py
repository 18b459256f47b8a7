"""The 3×3 grid three times: its Q* by value iteration, learned by tabular Q-learning, and learned
by DQN.

    python examples/gridworld.py               # prints the three tables
    python examples/gridworld.py --write       # and writes them into docs/gridworld.md, with the picture docs/gridworld.png
"""

import re
import sys
from pathlib import Path

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
# Behaviour is uniformly random here, so that the worst moves are learned as well as the best ones
# and the whole table can be compared.
MOMENTS = (250, 500, 1_000, 2_000, 4_000, 12_000)  # environment steps
CONFIG = presets.configure(ENV_ID, {"seed": SEED, "epsilon_end": 1.0, "total_steps": MOMENTS[-1]})
GAMMA, GOAL_STATE = CONFIG.gamma, state_of(*GOAL)
COLOURS = LinearSegmentedColormap.from_list("values", ["#fdf1dd", "#a9cbe3", "#2a6aa8", "#123a68"])
INK, WHITE, GREEN, ORANGE = "#1c2733", "#ffffff", "#2f8f5b", "#e07b1a"
PLACES = [state for state in range(STATES) if state != GOAL_STATE]


def value_iteration() -> np.ndarray:
    """Q* [9, 4] by Bellman's optimality equation, repeated until nothing moves; 0 at the goal,
    where the episode is over.
    """
    q = np.zeros((STATES, len(MOVES)))
    while True:
        before = q.copy()
        for state in PLACES:
            for action in range(len(MOVES)):
                after, reward, terminated = transition(state, action)
                q[state, action] = reward + (0.0 if terminated else GAMMA * q[after].max())
        if np.array_equal(q, before):
            return q


def q_learning(env_steps: int, step_size: float = 0.5) -> np.ndarray:
    """Q [9, 4] after Q(s, a) += α (r + γ max Q(s', ·) - Q(s, a)) at each random step (Watkins
    1989); nothing after an end.
    """
    generator, env, q = (
        np.random.default_rng(SEED),
        registry.make_env(CONFIG),
        np.zeros((STATES, len(MOVES))),
    )
    state, _ = env.reset(seed=SEED)
    for _ in range(env_steps):
        action = int(generator.integers(len(MOVES)))
        after, reward, terminated, truncated, _ = env.step(action)
        # a truncation is no end: it bootstraps
        target = reward + (0.0 if terminated else GAMMA * q[after].max())
        q[state, action] += step_size * (target - q[state, action])
        state = env.reset()[0] if terminated or truncated else after
    return q


def dqn(moments: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Q [9, 4] of a network trained by the loop of `train.py`, as it is at the end of the block
    with each of these environment steps.
    """
    tensorflow_loading.load_tensorflow()
    import tensorflow as tf

    from dqn_tf.agent.dqn import DQN
    from dqn_tf.engines.factory import make_host_engine

    agent = DQN(CONFIG, registry.spaces(CONFIG))
    agent.compile()
    engine = make_host_engine(CONFIG, agent, registry.maker(CONFIG))
    learned = {}
    for moment in moments:
        while engine.env_step < moment:
            engine.run_block()
        learned[moment] = agent(tf.range(STATES, dtype=tf.int64)).numpy()
        learned[moment][GOAL_STATE] = 0.0  # never left, so never learned
    return learned


def best_moves(q: np.ndarray) -> str:
    """Arrows of all actions of one state that are as good as its best one, to a hundredth."""
    return "".join(arrow for arrow, value in zip(ARROWS, q, strict=True) if value > q.max() - 0.01)


def table(name: str, q: np.ndarray) -> list[str]:
    """One Q-table as Markdown."""
    lines = [
        f"## {name}",
        "",
        "| cell | "
        + " | ".join(f"{arrow} {move}" for arrow, move in zip(ARROWS, MOVE_NAMES, strict=True))
        + " | best |",
        "|---|" + "---:|" * len(MOVES) + ":---:|",
    ]
    for state in PLACES:
        start = " start" if cell_of(state) == START else ""
        lines.append(
            f"| {cell_of(state)}{start} | "
            + " | ".join(f"{value:.2f}" for value in q[state] + 0.0)
            + f" | {best_moves(q[state])} |"
        )
    return [*lines, ""]


def report(
    optimal: np.ndarray, tabular: dict[int, np.ndarray], network: dict[int, np.ndarray]
) -> str:
    """The three tables, and how far the learned ones were from the first as they learned."""
    lines = [
        f"gamma = {GAMMA}, seed {SEED}. The goal (2, 2) has no row: the episode is over there.",
        "",
    ]
    for name, q in named(optimal, tabular, network).items():
        lines += table(name, q)
    lines += [
        "## Largest difference from value iteration",
        "",
        "| environment steps | tabular Q-learning | DQN |",
        "|---:|---:|---:|",
    ]
    lines += [
        f"| {moment:,} | {np.abs(tabular[moment] - optimal).max():.3f} |"
        f" {np.abs(network[moment] - optimal).max():.3f} |"
        for moment in MOMENTS
    ]
    return "\n".join(lines)


def named(
    optimal: np.ndarray, tabular: dict[int, np.ndarray], network: dict[int, np.ndarray]
) -> dict[str, np.ndarray]:
    """The three final Q-tables with their titles."""
    return {
        "Value iteration (Q*)": optimal,
        "Tabular Q-learning": tabular[MOMENTS[-1]],
        "DQN": network[MOMENTS[-1]],
    }


def quarters(row: int, column: int) -> list[list[tuple[float, float]]]:
    """The four triangles of a cell as points (column, row), in the order of the actions."""
    (left, top), (right, bottom), middle = (
        (column, row),
        (column + 1, row + 1),
        (column + 0.5, row + 0.5),
    )
    return [
        [(left, top), (right, top), middle],
        [(left, bottom), (right, bottom), middle],
        [(left, top), (left, bottom), middle],
        [(right, top), (right, bottom), middle],
    ]


def draw_cell(axes: Axes, state: int, q: np.ndarray, scale: Normalize) -> None:
    """Each quarter: the Q-value of the move in its direction; an arrow where no move is better."""
    row, column = cell_of(state)
    for action, corners in enumerate(quarters(row, column)):
        down, right = MOVES[action]
        best, colour = q[action] > q.max() - 0.01, COLOURS(scale(q[action]))
        ink = WHITE if np.dot(colour[:3], (0.3, 0.6, 0.1)) < 0.55 else INK
        axes.add_patch(Polygon(corners, facecolor=colour, edgecolor=WHITE, linewidth=1))
        axes.text(
            column + 0.5 + 0.32 * right,
            row + 0.5 + 0.37 * down,
            f"{q[action] + 0.0:.2f}".replace("-", "\N{MINUS SIGN}"),
            color=ink,
            ha="center",
            va="center",
            fontsize=9,
            weight="bold" if best else "normal",
        )
        if best:
            axes.add_patch(
                FancyArrow(
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
            )


def draw_grid(axes: Axes, name: str, q: np.ndarray, scale: Normalize) -> None:
    """One Q-table as a grid."""
    for state in PLACES:
        draw_cell(axes, state, q[state], scale)
    (goal_row, goal_column), (start_row, start_column) = GOAL, START
    axes.add_patch(Rectangle((goal_column, goal_row), 1, 1, facecolor=GREEN))
    axes.text(
        goal_column + 0.5,
        goal_row + 0.5,
        "goal",
        ha="center",
        va="center",
        color=WHITE,
        fontsize=14,
        weight="bold",
    )
    for edge in range(SIZE + 1):
        axes.plot(
            [0, SIZE],
            [edge, edge],
            [edge, edge],
            [0, SIZE],
            color=INK,
            linewidth=1.3,
            solid_capstyle="projecting",
        )
    axes.add_patch(
        Rectangle(
            (start_column, start_row), 1, 1, fill=False, edgecolor=ORANGE, linewidth=3, zorder=5
        )
    )
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
    axes.set_title(name, fontsize=13, color=INK, pad=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def draw(tables: dict[str, np.ndarray], path: Path) -> None:
    """The tables side by side on one scale of colours."""
    figure = Figure(figsize=(16, 6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    scale = Normalize(np.floor(min(q.min() for q in tables.values()) * 2) / 2, 0.0)
    places = figure.subplots(1, len(tables))
    for axes, (name, q) in zip(places, tables.items(), strict=True):
        draw_grid(axes, name, q, scale)
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


def write(text: str, tables: dict[str, np.ndarray]) -> None:
    """The generated section of docs/gridworld.md, and the picture."""
    page = DOCS / "gridworld.md"
    whole, found = re.subn(
        r"(<!-- generated -->\n).*(<!-- end of generated -->)",
        lambda match: match[1] + text + "\n" + match[2],
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    if not found:
        raise SystemExit(f"error: {page} has no generated section.")
    page.write_text(whole, encoding="utf-8")
    draw(tables, DOCS / "gridworld.png")


def main() -> None:
    """Prints the tables; with --write, also writes docs/."""
    learned = value_iteration(), {moment: q_learning(moment) for moment in MOMENTS}, dqn(MOMENTS)
    print(report(*learned))
    if "--write" in sys.argv[1:]:
        write(report(*learned), named(*learned))


if __name__ == "__main__":
    main()
