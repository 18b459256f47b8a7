"""What an environment draws:

frames into a GIF or MP4 file, or a window. Proved before any episode is played.
"""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.support import files
from dqn_tf.support.errors import UserError

INSTALL = "pip install 'dqn_tf[video]'"
MOST_GIF_FRAMES = 1_500  # a GIF is held in memory until it is written


def require_writer(path: Path) -> None:
    """Raises UserError if what writes this kind of file is not installed."""
    if not _is_gif(path) and not (
        importlib.util.find_spec("imageio") and importlib.util.find_spec("imageio_ffmpeg")
    ):
        raise UserError(f"--video={path}: mp4 needs imageio and imageio-ffmpeg. {INSTALL}")


def prove(make: Callable[..., gym.Env], mode: str, flag: str, seed: int) -> float:
    """Draws one frame in render mode `mode` and returns the frames per second that the environment
    means to have.

    Raises UserError, which names `flag`, if the environment cannot draw so, or not on this machine.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # SDL needs no display and no sound to draw into memory, and complains on stderr where it finds
    # none
    if mode == "rgb_array":
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    if (
        mode == "human"
        and sys.platform == "linux"
        and not {"DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"} & set(os.environ)
    ):
        raise UserError(
            f"{flag} needs a display, and there is none (neither DISPLAY nor WAYLAND_DISPLAY is"
            " set). --video=episode.gif records without one."
        )
    modes = _modes(make)
    if mode not in modes:
        raise UserError(
            f"{flag}: the environment has no render mode {mode}; it has"
            f" {', '.join(map(str, modes)) or 'none'}."
        )
    try:
        env = make(render_mode=mode)
        try:
            env.reset(seed=seed)
            frame = env.render()
        finally:
            env.close()
    except gym.error.DependencyNotInstalled as error:
        raise UserError(
            f"{flag}: the environment draws with a package that is not installed. {INSTALL}"
        ) from error
    except Exception as error:
        raise UserError(
            f"{flag}: drawing the environment failed: {type(error).__name__}: {error}"
        ) from error
    if mode == "rgb_array":
        _checked(frame)
    return float(env.metadata.get("render_fps") or 30)


class Film:
    """A video file to which frames are added one by one.

    It appears under its name when the `with` block ends well.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self.frames = 0
        self._fps = fps

    def __enter__(self) -> "Film":
        with contextlib.ExitStack() as stack:
            aside = stack.enter_context(files.replaced(self.path))
            self._writer = (_Gif if _is_gif(self.path) else _Mp4)(aside, self._fps)
            stack.push(lambda kind, *_: self._writer.close(kind is None))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._stack.__exit__(*error)
        except OSError as reason:
            raise UserError(
                f"--video={self.path} cannot be written: {reason.strerror or reason}."
            ) from reason

    def add(self, frame: Any) -> None:
        """Appends one frame, [H, W, 3] uint8."""
        try:
            self.frames += self._writer.add(_checked(frame))
        except OSError as error:
            raise UserError(
                f"--video={self.path} cannot be written: {error.strerror or error}."
            ) from error


class Filmed(gym.Wrapper):
    """An environment whose every state is drawn onto a film."""

    def __init__(self, env: gym.Env, film: Film) -> None:
        super().__init__(env)
        self._film = film

    def reset(self, **keywords) -> tuple[Any, dict]:
        """Resets and films the first state."""
        answer = self.env.reset(**keywords)
        self._film.add(self.env.render())
        return answer

    def step(self, action: int) -> tuple[Any, Any, bool, bool, dict]:
        """Takes one step and films what it leads to."""
        answer = self.env.step(action)
        self._film.add(self.env.render())
        return answer


class _Gif:
    """Pillow writes it at the end."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._images = path, []
        # in hundredths of a second; below 2, viewers slow down
        self._milliseconds = max(20, round(100 / fps) * 10)

    def add(self, frame: np.ndarray) -> bool:
        from PIL import Image  # only where a GIF is written

        if len(self._images) == MOST_GIF_FRAMES:
            return False
        self._images.append(Image.fromarray(frame).quantize(method=Image.Quantize.FASTOCTREE))
        return True

    def close(self, whole: bool) -> None:
        if whole:
            self._images[0].save(
                self._path,
                save_all=True,
                append_images=self._images[1:],
                duration=self._milliseconds,
                loop=0,
            )


class _Mp4:
    """imageio hands each frame to ffmpeg."""

    def __init__(self, path: Path, fps: float) -> None:
        import imageio  # of the extra [video]

        self._writer = imageio.get_writer(
            path,
            format="FFMPEG",
            mode="I",
            fps=fps,
            codec="libx264",
            macro_block_size=1,
            ffmpeg_log_level="error",
        )

    def add(self, frame: np.ndarray) -> bool:
        odd = [(0, size % 2) for size in frame.shape[:2]]  # H.264 takes even sizes only
        self._writer.append_data(np.pad(frame, (*odd, (0, 0)), mode="edge"))
        return True

    def close(self, whole: bool) -> None:
        self._writer.close()


def _is_gif(path: Path) -> bool:
    return path.suffix.lower() == ".gif"


def _modes(make: Callable[..., gym.Env]) -> list[str]:
    env = make()
    env.close()
    return env.metadata.get("render_modes") or []


def _checked(frame: Any) -> np.ndarray:
    array = np.asarray(frame)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise UserError(
            f"--video: the environment drew a frame of shape {list(array.shape)} and type"
            f" {array.dtype}; it must be [height, width, 3] uint8."
        )
    return array
