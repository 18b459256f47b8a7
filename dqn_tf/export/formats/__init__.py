"""The network for other runtimes."""
