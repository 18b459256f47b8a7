"""Packages of environments that Gymnasium does not load by itself."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

from dqn_tf.support.errors import UserError, describe_error


class Package(NamedTuple):
    """A package that Gymnasium does not load by itself.

    `register` names the function of `module` that registers its environments; it is empty where
    importing the module does.
    """

    module: str
    register: str
    advice: str


MINIGRID = Package(
    "minigrid",
    "",
    "Type: pip install minigrid. Its observations are a Dict: add"
    " --env_wrappers=dqn_tf.envs.minigrid_cells:Cells",
)
PACKAGES = {  # by the beginning of the id, without a module
    "ALE/": Package("ale_py", "", "Type: pip install ale-py"),
    "MinAtar/": Package("minatar.gym", "register_envs", "Type: pip install minatar"),
    "MiniGrid-": MINIGRID,
    "BabyAI-": MINIGRID,
}


def register(env: str) -> None:
    """Ask another package to register its environments, where Gymnasium does not do it.

    Raises UserError if it is there and cannot be imported.
    """
    package = package_of(env)
    if package is None:
        return
    try:
        module = importlib.import_module(package.module)
    except ImportError as error:
        if not is_installed(package):
            return  # gymnasium.make then finds no such environment
        raise UserError(
            f"--env={env}: the package {package.module} is installed and cannot be imported:"
            f" {describe_error(error)}"
        ) from error
    if package.register:
        _call_once(getattr(module, package.register))


@functools.cache
def _call_once(function: Callable[[], None]) -> None:
    """Call it, but not again: Gymnasium warns of what is registered twice."""
    function()


def package_of(env: str) -> Package | None:
    """Return the package that an id's beginning names; None for all other ids."""
    name = env.rpartition(":")[2]
    return next((package for start, package in PACKAGES.items() if name.startswith(start)), None)


def is_installed(package: Package) -> bool:
    """Tell whether the package's module can be found."""
    return importlib.util.find_spec(package.module.partition(".")[0]) is not None
