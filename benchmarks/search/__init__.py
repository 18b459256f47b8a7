"""Searches with ranges that nobody narrowed: what they find, what it costs, how much was luck."""
