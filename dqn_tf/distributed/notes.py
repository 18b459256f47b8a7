"""Sentences for whoever watches a run, from wherever in the process they come."""

import sys


def say(sentence: str) -> None:
    """Write a sentence to stderr."""
    print(sentence, file=sys.stderr, flush=True)
