"""metrics.csv: the name and unit of each metric, and how the file is read. Needs no TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

# name: unit. The columns of metrics.csv after env_step, and TensorBoard's tags.
LOGGED_METRICS = {
    "episode": "number of the finished episode",
    "episode_return": "sum of rewards of one training episode, exploration included",
    "episode_length": "environment steps of one training episode",
    "epsilon": "probability of a random action",
    "updates": "gradient steps so far",
    "loss": "mean loss of the updates of one block, the newest",
    "q_selected": "mean Q-value of the replayed actions in that block",
    "gradient_norm": "largest global gradient norm in that block, before clipping",
    "env_steps_per_second": "environment steps per second of wall time, learning included",
    "evaluation_return": "mean greedy return on a separate environment",
}
# of the exported weights on seeds used nowhere else; at the run's end, and not in metrics.csv
TEST_RETURN = "test_return"


def read(csv_path: Path) -> list[dict[str, str]]:
    """Read the rows of a metrics.csv; what is no row is left out."""
    return read_table(csv_path)[0] if csv_path.exists() else []


def read_table(csv_path: Path) -> tuple[list[dict[str, str]], bool]:
    """Return the rows of a metrics.csv, and whether they are all that is in it.

    A last line torn by a crash does not count, nor does a byte-order mark. A header that is missing
    is taken to be the usual one.
    """
    text = csv_path.read_text(encoding="utf-8-sig", errors="replace")
    lines = text[: text.rfind("\n") + 1].splitlines()
    if not lines:
        return [], True
    names, has_header = column_names(lines[0])
    if has_header:
        del lines[0]
    rows = whole_rows(names, lines)
    return rows, len(rows) == len(lines)


def column_names(first_line: str) -> tuple[list[str], bool]:
    """Return the columns that a file's first line names, and whether it is a header.

    There are none if the header is not one of a metrics.csv.
    """
    names = first_line.split(",")
    if names[0].isdigit():
        return ["env_step", *LOGGED_METRICS], False
    is_known = "env_step" in names and "" not in names and len(set(names)) == len(names)
    return names if is_known else [], True


def whole_rows(names: Sequence[str], lines: Sequence[str]) -> list[dict[str, str]]:
    """Return the lines that are rows of these columns."""
    if not names:
        return []
    cells = [line.split(",") for line in lines]
    rows = [dict(zip(names, row, strict=True)) for row in cells if len(row) == len(names)]
    return [row for row in rows if _is_row(row)]


def _is_row(row: dict[str, str]) -> bool:
    """Tell whether a row has a step, and numbers or nothing."""
    if not (row["env_step"].isascii() and row["env_step"].isdigit()):
        return False
    try:
        for text in filter(None, row.values()):
            float(text)
    except ValueError:
        return False
    return True
