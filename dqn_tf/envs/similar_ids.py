"""What is said of an id that is not registered: which ids somebody may have meant by it."""

from __future__ import annotations

import contextlib
import re

import gymnasium as gym

from dqn_tf.config import presets
from dqn_tf.config.notation import is_atari, namespace_of
from dqn_tf.envs import packages
from dqn_tf.support.errors import UserError

UNREGISTERED = (gym.error.NamespaceNotFound, gym.error.NameNotFound)
VERSION = re.compile(r"-v(\d+)$")
# of the Atari games as Gym had them: what ALE/... is played with is told by flags
FORMER_ENDS = re.compile(r"(noframeskip|deterministic)$")
GAMES = ("Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders")
OF_MINATAR = tuple(f"MinAtar/{game}-v1" for game in GAMES)
FUNCTIONAL = ("phys2d/", "tabular/")  # Gymnasium's twins of its own environments, which need JAX


def explain(env: str, error: gym.error.Error) -> str:
    """Return a sentence on an error of Gymnasium about this id, with the ids that are like it."""
    others = similar_ids(env) if isinstance(error, UNREGISTERED) else []
    if others:
        return f"--env={env} is not registered. Did you mean {' or '.join(others)}?"
    if isinstance(error, gym.error.NamespaceNotFound):
        return (
            f"--env={env}: nothing has registered the namespace {namespace_of(env)}. Install the"
            f" package that does, and write --env=its_module:{env}"
        )
    return f"--env={env}: {' '.join(str(error).split())}"


def require_protocol(env: str) -> None:
    """Raise UserError on an Atari game as Gym had it, played in colour and with no frame left out.

    `ale_py:ALE/Pong-v5` is `ALE/Pong-v5` by now, so a module is left on former ids only.
    """
    games = similar_ids(env) if env.startswith("ale_py:") else []
    if games:
        raise UserError(
            f"--env={env} would be played in colour, with what is laid around Atari games left out."
            f" Did you mean {' or '.join(games)}?"
        )


def similar_ids(env: str) -> list[str]:
    """Return ids of the same name with another namespace, module, version or case.

    Of several versions it is the newest one. Ids without a namespace come first.
    """
    with contextlib.suppress(UserError):
        packages.register("ALE/")  # unlike MinAtar's package, it loads nothing that takes long
    newest: dict[str, str] = {}
    for known in sorted({*gym.registry, *presets.PRESETS, *OF_MINATAR}, key=_version):
        if _name(known) == _name(env) and not known.startswith(FUNCTIONAL):
            newest[VERSION.sub("", known)] = known
    if any(is_atari(known) for known in newest):
        newest = {name: known for name, known in newest.items() if "/" in known}
    return sorted(newest.values(), key=lambda known: ("/" in known, known))


def _name(env: str) -> str:
    """`ale_py:ALE/Pong-v5`, `pong` and `PongNoFrameskip-v4` → `pong`."""
    own = env.rpartition(":")[2].rpartition("/")[2]
    return FORMER_ENDS.sub("", VERSION.sub("", own).lower())


def _version(env: str) -> int:
    version = VERSION.search(env)
    return int(version[1]) if version else 0
