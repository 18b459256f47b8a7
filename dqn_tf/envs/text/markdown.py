"""Tables in Markdown, as the pages of docs/ have them."""

from collections.abc import Sequence


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column has a title, and whose others are numbers."""
    lines = [[title, *heads], ["---", *["---:"] * len(heads)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float) -> str:
    """Return a share of one in percent."""
    return f"{share:.1%}"
