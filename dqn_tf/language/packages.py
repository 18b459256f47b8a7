"""Packages of the extra `language`, imported when a model is read."""

from __future__ import annotations

import importlib
from typing import Any

from dqn_tf.support.errors import UserError


def import_extra(package: str, model: str) -> Any:
    """Import a package of the extra. Raises UserError if it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"--language_model={model} needs the package {package.partition('.')[0]}. Type: pip"
            " install 'dqn_tf[language]'"
        ) from error


def refuse(model: str, reason: str) -> UserError:
    """Return the error that says what is wrong with a model's files."""
    return UserError(f"--language_model={model}: {reason}")
