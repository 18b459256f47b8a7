"""The protocol of Atari games."""

from __future__ import annotations  # field types are read as text by the command line

import dataclasses

from dqn_tf.config.notation import is_atari
from dqn_tf.config.ranges import Format, Range
from dqn_tf.config.settings.setting import ATARI, NATURE, setting

OF_GAMES = {"env": Format("an Atari game (ALE/...)", is_atari)}


@dataclasses.dataclass(frozen=True)
class AtariSettings:
    """The protocol of Atari games."""

    frame_skip: int = setting(
        4,
        ATARI,
        "frames that each action is held for",
        Range(low=1),
        unit="frames",
        source=NATURE,
        fixed_on_resume=True,
        when=OF_GAMES,
    )
    noop_max: int = setting(
        30,
        ATARI,
        "an episode begins with up to so many frames without action",
        Range(low=0),
        unit="frames",
        source=NATURE,
        fixed_on_resume=True,
        when=OF_GAMES,
    )
    sticky_actions: float = setting(
        0.25,
        ATARI,
        "probability that a frame repeats the action before; 0 is the classic protocol",
        Range(0.0, 1.0),
        source="Machado et al. 2018",
        fixed_on_resume=True,
        when=OF_GAMES,
    )
    full_action_space: bool = setting(
        False,
        ATARI,
        "all 18 actions of the console instead of those that the game uses",
        fixed_on_resume=True,
        when=OF_GAMES,
    )
    max_frames: int = setting(
        108_000,
        ATARI,
        "an episode is cut after so many frames, half an hour",
        Range(low=1),
        unit="frames",
        source=NATURE,
        fixed_on_resume=True,
        when=OF_GAMES,
    )
    screen_size: int = setting(
        84,
        ATARI,
        "side of the square picture that the screen is shrunk to; updates on smaller ones are"
        " cheaper, and small things are no longer seen",
        Range(low=20, high=210),
        unit="pixels",
        source=NATURE,
        fixed_on_resume=True,
        when=OF_GAMES,
    )
    clip_rewards: bool = setting(
        True,
        ATARI,
        "learning sees rewards from -1 to 1; scores are the game's own",
        source=NATURE,
        when=OF_GAMES,
    )
    episodic_life: bool = setting(
        False,
        ATARI,
        "learning sees the loss of a life as a termination, and the game goes on",
        source=NATURE,
        when=OF_GAMES,
    )
