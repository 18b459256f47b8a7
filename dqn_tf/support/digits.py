"""How many decimals of a return are shown.

FrozenLake's best return is 0.744, Blackjack's -0.043 and CartPole's 500: no number of decimals
suits all.
"""


def return_text(value: float) -> str:
    """Write a return with one decimal, with two below 10, and with three below 1."""
    return return_texts(value)[0]


def return_texts(value: float, *others: float) -> list[str]:
    """Write a return and what stands beside it, each with as many decimals as it has."""
    size = abs(value)
    decimals = 1 if size >= 10.0 else 2 if size >= 1.0 else 3
    return [f"{each:.{decimals}f}" for each in (value, *others)]
