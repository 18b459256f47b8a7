"""Agents that write tokens, scored over all starts beside what is known exactly."""
