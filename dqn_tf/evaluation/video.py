"""Draws an environment into a GIF or MP4 file or into a window.

Whatever is missing for it is found before any episode is played.
"""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.checked_env import CheckedEnv, close_all
from dqn_tf.envs.spaces import known_spaces
from dqn_tf.evaluation.watch import Watch
from dqn_tf.support import files
from dqn_tf.support.errors import UserError

INSTALL = "pip install 'dqn_tf[video]'"
MAX_GIF_FRAMES = 1_500  # a GIF is held in memory until it is written
DISPLAYS = {"DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"}  # variables that name a display


def require_writer(path: Path) -> None:
    """Raise UserError if a package that writes this kind of file is not installed."""
    packages = () if _is_gif(path) else ("imageio", "imageio_ffmpeg")
    if not all(importlib.util.find_spec(package) for package in packages):
        raise UserError(f"--video={path}: mp4 needs imageio and imageio-ffmpeg. {INSTALL}")


def require_drawing(
    make: Callable[..., gym.Env], mode: str, flag: str, seed: int, instead: str = ""
) -> float:
    """Draw one frame in render mode `mode`; return the environment's frames per second.

    Raises UserError, which names `flag`, if the environment cannot draw so, or not on this machine.
    `instead` is a sentence on what to do if it has no such mode.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if mode == "rgb_array":
        # SDL needs no display and no sound to draw into memory, and complains on stderr where it
        # finds none.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    elif sys.platform == "linux" and not DISPLAYS & set(os.environ):
        raise UserError(
            f"{flag} needs a display, and there is none (neither DISPLAY nor WAYLAND_DISPLAY is"
            " set). --video=episode.gif records without one."
        )
    modes = _render_modes(make)
    if mode not in modes:
        raise UserError(
            f"{flag}: the environment has no render mode {mode}; it has"
            f" {', '.join(map(str, modes)) or 'none'}.{instead}"
        )
    return _draw_first_frame(make, mode, flag, seed)


class VideoFile:
    """A video file that takes frames one by one.

    It appears under its name when the `with` block ends well.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self.frames = 0
        self._fps = fps

    def __enter__(self) -> "VideoFile":
        with contextlib.ExitStack() as stack:
            aside = stack.enter_context(files.replaced(self.path))
            make_writer = _GifWriter if _is_gif(self.path) else _Mp4Writer
            self._writer = make_writer(aside, self._fps)
            stack.push(lambda kind, *_: self._writer.close(is_complete=kind is None))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        with self._os_errors_named():
            self._stack.__exit__(*error)

    def add(self, frame: np.ndarray) -> None:
        """Append one frame, [H, W, 3] uint8."""
        with self._os_errors_named():
            self.frames += self._writer.add(frame)

    @contextlib.contextmanager
    def _os_errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"--video={self.path} cannot be written: {error.strerror or error}."
            ) from error


class FilmWatch(Watch):
    """Draws each state that is played into a video file."""

    def __init__(self, file: VideoFile) -> None:
        self._file = file

    def after_step(
        self, env: CheckedEnv, observation: np.ndarray, action: int | None = None
    ) -> None:
        """Draw the state that the step led to."""
        self._file.add(env.render())


class _GifWriter:
    """Collects frames; Pillow writes them at the end."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._images: list[Any] = []
        # A GIF counts hundredths of a second; below 2 of them, viewers slow down.
        self._milliseconds = max(20, round(100 / fps) * 10)

    def add(self, frame: np.ndarray) -> bool:
        """Append a frame; return False, and do nothing, if the GIF is full."""
        from PIL import Image  # only where a GIF is written

        if len(self._images) == MAX_GIF_FRAMES:
            return False
        self._images.append(Image.fromarray(frame).quantize(method=Image.Quantize.FASTOCTREE))
        return True

    def close(self, is_complete: bool) -> None:
        if not is_complete:
            return
        first, *others = self._images
        first.save(
            self._path, save_all=True, append_images=others, duration=self._milliseconds, loop=0
        )


class _Mp4Writer:
    """Hands each frame to ffmpeg, by imageio."""

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
        height, width, _ = frame.shape
        # H.264 takes even sizes only.
        padding = [(0, height % 2), (0, width % 2), (0, 0)]
        self._writer.append_data(np.pad(frame, padding, mode="edge"))
        return True

    def close(self, is_complete: bool) -> None:
        self._writer.close()


def _draw_first_frame(make: Callable[..., gym.Env], mode: str, flag: str, seed: int) -> float:
    """Draw what the environment shows after a reset; return its frames per second."""
    spaces = known_spaces(make)
    try:
        env = CheckedEnv(make(render_mode=mode), "The environment", spaces)
        try:
            env.reset(seed)
            if mode == "rgb_array":
                env.render()
            return env.frames_per_second
        finally:
            close_all([env])
    except UserError as error:
        if _is_caused_by(error, gym.error.DependencyNotInstalled):
            raise UserError(
                f"{flag}: the environment draws with a package that is not installed. {INSTALL}"
            ) from error
        raise UserError(f"{flag}: drawing the environment failed: {error}") from error


def _is_caused_by(error: BaseException | None, kind: type[Exception]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__
    return False


def _is_gif(path: Path) -> bool:
    return path.suffix.lower() == ".gif"


def _render_modes(make: Callable[..., gym.Env]) -> list[str]:
    spaces = known_spaces(make)
    env = CheckedEnv(make(), "The environment", spaces)
    close_all([env])
    return env.render_modes
