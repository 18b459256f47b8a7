"""Atari games under the standard protocol, from ale-py's own preprocessing in C++.

A step is `frame_skip` frames with one action; an observation is the last four steps' pictures, each
the brighter of its last two frames, grey, shrunk to a square of `screen_size` pixels, black before
the episode's beginning (Mnih et al. 2015, methods; Machado et al. 2018, section 5). Every
environment is an `AtariVectorEnv` of one: the seed given to `reset` then decides the whole episode
(no-ops, sticky actions), which ale-py's own reset at an episode's end does not allow, so a run
resumes to the bit. Environments are stepped at the same time all the same: actions are sent to all
of them before the first answer is awaited.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import similar_ids
from dqn_tf.envs.vector import SeededVectorEnv, StepRow
from dqn_tf.support.errors import UserError

PACKAGE = "ale-py"
# what decides the game that an agent sees, and what a score can only be compared under
PROTOCOL = (
    *("frame_skip", "noop_max", "sticky_actions", "full_action_space", "max_frames"),
    "screen_size",
)
STACK = 4
FRAMES_PER_SECOND = 60
SCREEN = (210, 160)  # the console's, height and width; its pixels are twice as wide as high


class AtariGame(gym.Env):
    """One game: observations [size, size, 4] uint8, newest last; rewards are the game's own.

    `life_lost` says whether the last step cost a life. `render` shows the console's screen in
    colour. An episode ends where the game does or, truncated, after `max_frames` frames.
    """

    stack = STACK

    def __init__(self, config: DQNConfig, render_mode: str | None = None) -> None:
        self.spec = specification(config.env)
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": FRAMES_PER_SECOND // config.frame_skip,
        }
        self.render_mode = render_mode
        game, size = self.spec.kwargs["game"], config.screen_size
        self._console = _make_console(
            game, config, img_height=size, img_width=size, stack_num=STACK
        )
        # A second console plays along, as the same seed and actions make the same game: where
        # nobody looks, drawing costs nothing.
        self._screen: Any = None
        if render_mode:
            height, width = SCREEN
            self._screen = _make_console(
                game, config, img_height=height, img_width=width, stack_num=1, grayscale=False
            )
        self.observation_space = gym.spaces.Box(0, 255, (size, size, STACK), np.uint8)
        self.action_space = self._console.single_action_space
        self.life_lost = False
        self._lives = 0
        self._is_begun = False  # whether `begin_step` was called for the next step
        self._picture = np.zeros((*SCREEN, 3), np.uint8)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start the episode that this seed decides, whatever was played before."""
        super().reset(seed=seed)
        game_seed = self.np_random.integers(2**31) if seed is None else seed
        seeds = np.array([game_seed])
        observation, info = self._console.reset(seed=seeds)
        if self._screen:
            pictures, _ = self._screen.reset(seed=seeds)
            self._picture = pictures[0, 0]
        self.life_lost = False
        self._lives = int(info["lives"][0])
        self._is_begun = False
        return _channels_last(observation), {}

    def begin_step(self, action: int) -> None:
        """Begin a step in the game's own thread; `step` with the same action then finishes it."""
        self._console.send(np.array([action]))
        self._is_begun = True

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take a step, or finish one that was begun."""
        if not self._is_begun:
            self.begin_step(action)
        self._is_begun = False
        if self._screen:
            pictures, *_ = self._screen.step(np.array([action]))
            self._picture = pictures[0, 0]
        observation, reward, terminated, truncated, info = self._console.recv()
        lives = int(info["lives"][0])
        self.life_lost = lives < self._lives
        self._lives = lives
        return (
            _channels_last(observation),
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            {},
        )

    def render(self) -> np.ndarray:
        """Return the screen as it shows on a television, [420, 640, 3] uint8.

        Each of its wide pixels is four.
        """
        return self._picture.repeat(2, axis=0).repeat(4, axis=1)

    def get_action_meanings(self) -> list[str]:
        """Return the joystick's positions, such as NOOP and UPFIRE, in the order of the actions."""
        return [action.name for action in self._console.ale.get_action_set()]

    def close(self) -> None:
        """End the games' threads."""
        self._console.close()
        if self._screen:
            self._screen.close()


def _make_console(game: str, config: DQNConfig, **pictures: Any) -> Any:
    """Make an `AtariVectorEnv` of one game under the configured protocol."""
    from ale_py.vector_env import AtariVectorEnv  # of the extra [atari]

    return AtariVectorEnv(
        game,
        1,
        num_threads=1,
        frameskip=config.frame_skip,
        noop_max=config.noop_max,
        repeat_action_probability=config.sticky_actions,
        full_action_space=config.full_action_space,
        max_num_frames_per_episode=config.max_frames,
        reward_clipping=False,
        episodic_life=False,
        use_fire_reset=False,
        autoreset_mode=gym.vector.AutoresetMode.NEXT_STEP,
        **pictures,
    )


class AtariVector(SeededVectorEnv):
    """`SeededVectorEnv` of Atari games, which step at the same time.

    As configured, learning sees clipped rewards, and the loss of a life as a termination.
    """

    def __init__(self, make_env: Callable[[], gym.Env], config: DQNConfig, envs: range) -> None:
        """Make the games with these numbers among all of a run."""
        super().__init__(make_env, len(envs), config.seed or 0, envs.start)
        self._clip_rewards = config.clip_rewards
        self._episodic_life = config.episodic_life
        self._lives_lost: list[list[bool]] = []  # [T][N], of the steps since `learning_signal`

    def step_into(self, row: StepRow, actions: np.ndarray) -> np.ndarray:
        """Step all games at once; else as `SeededVectorEnv.step_into`."""
        for checked, action in zip(self.envs, actions.tolist(), strict=True):
            checked.begin_step(action)
        observation = super().step_into(row, actions)
        games: list[Any] = [checked.env for checked in self.envs]  # of AtariGame
        self._lives_lost.append([game.life_lost for game in games])
        return observation

    def learning_signal(
        self, rewards: np.ndarray, terminations: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Clip rewards to [-1, 1] and add lost lives to the terminations, as configured."""
        # [T, N]; at a game's end it says nothing, which is a termination anyway
        lost = np.array(self._lives_lost, bool).reshape(-1, self.num_envs)
        self._lives_lost = []
        if self._clip_rewards:
            rewards = rewards.clip(-1.0, 1.0)
        if self._episodic_life:
            terminations = terminations | lost
        return rewards, terminations


def _channels_last(observation: np.ndarray) -> np.ndarray:
    """Turn [1, S, H, W] into [H, W, S], a view: whoever keeps it copies it."""
    return observation[0].transpose(1, 2, 0)


def specification(env: str) -> gym.envs.registration.EnvSpec:
    """Return the game's registration.

    Raises UserError for an unknown game, a missing package or ROM, or a kind that has no pictures.
    """
    try:
        import ale_py
        from ale_py import roms
    except ImportError as error:
        raise UserError(
            f"--env={env} needs a package that is not installed. Type: pip install {PACKAGE}"
        ) from error
    # else the emulator greets on every reset
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    try:
        spec = gym.spec(env)
    except gym.error.Error as error:
        raise UserError(similar_ids.explain(env, error)) from error
    if spec.kwargs.get("obs_type", "rgb") != "rgb":
        raise UserError(
            f"--env={env}: dqn_tf plays Atari games from pixels, and this one gives"
            f" {spec.kwargs['obs_type']}."
        )
    _require_rom(env, roms, spec.kwargs["game"])
    return spec


def _require_rom(env: str, roms: ModuleType, game: str) -> None:
    try:
        if roms.get_rom_path(game) is not None:
            return
        reason = f"{PACKAGE} has none for {game}"
    except OSError as error:  # not there, or not the one that ale-py knows
        reason = " ".join(str(error).split())
    mend = f"pip install --force-reinstall {PACKAGE}"
    if os.environ.get("ALE_ROMS_DIR"):
        mend = "unset ALE_ROMS_DIR"
    raise UserError(f"--env={env}: the game's ROM cannot be used: {reason}. Type: {mend}")


def maker(config: DQNConfig) -> Callable[..., AtariGame]:
    """Return a function that makes one game under the configuration's protocol.

    It is tried once here. Raises UserError.
    """
    specification(config.env)

    def make(**keywords: Any) -> AtariGame:
        return AtariGame(config, **keywords)

    try:
        make().close()
    except Exception as error:  # what the emulator's C++ may throw
        raise UserError(
            f"--env={config.env}: making the game failed: {type(error).__name__}: {error}"
        ) from error
    return make
