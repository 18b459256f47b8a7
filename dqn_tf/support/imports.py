"""Imports a user's own parts, which a setting names as `my_module:Name`."""

import importlib
import os
import sys
from typing import Any

from dqn_tf.support.errors import UserError, describe_error


def import_named(setting: str, name: str) -> Any:
    """Import `my_module:Name`, the value of `--setting`, from the working directory too.

    Raises UserError if there is no such module, or nothing of that name in it.
    """
    module_name, _, attribute = name.partition(":")
    see_working_directory()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--{setting}={name}: no module named '{error.name}' can be imported from"
            f" {os.getcwd()} or the installed packages."
        ) from error
    except (Exception, SystemExit) as error:
        raise UserError(
            f"--{setting}={name}: importing {module_name} failed: {describe_error(error)}"
        ) from error
    if not hasattr(module, attribute):
        raise UserError(f"--{setting}={name}: {module_name} has nothing named '{attribute}'.")
    return getattr(module, attribute)


def see_working_directory() -> None:
    """Let modules be imported from the working directory, after all other places."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
