"""Environments, acting, replay and updates as one compiled program."""
