"""video.py: films that hold what was played, and a sentence where nothing can be drawn."""

import json
import sys
from importlib import util

import pytest
from PIL import Image

from dqn_tf.support.errors import UserError

needs_pygame = pytest.mark.skipif(
    not util.find_spec("pygame"), reason="CartPole is drawn by pygame"
)


@needs_pygame
def test_a_gif_holds_every_state_of_the_first_episodes(models, tmp_path, evaluate_py):
    film, file = tmp_path / "play.gif", tmp_path / "scores.json"
    model = f"--model={models / 'CartPole-v1'}"
    printed = evaluate_py(
        model, "--episodes=4", f"--video={film}", "--video_episodes=2", f"--json={file}"
    )
    filmed = json.loads(file.read_text())
    frames = sum(filmed["lengths"][:2]) + 2  # each episode's first state too
    assert f"{frames} frames of 2 episodes in {film}" in printed
    with Image.open(film) as image:
        # equal ones are shown for longer
        assert image.format == "GIF" and image.size == (600, 400) and 1 < image.n_frames <= frames
        durations = [
            image.seek(number) or image.info["duration"] for number in range(image.n_frames)
        ]
        assert sum(durations) == frames * 20  # CartPole's 50 frames a second
    evaluate_py(model, "--episodes=4", f"--json={file}")
    assert json.loads(file.read_text())["returns"] == filmed["returns"]
    assert {path.name for path in tmp_path.iterdir()} == {"play.gif", "scores.json"}


def test_an_interrupted_film_leaves_nothing(models, tmp_path, evaluate_py):
    evaluate_py(
        f"--model={models / 'Noise-v0'}",
        "--env=Noise-interrupt-v0",
        "--episodes=1",
        f"--video={tmp_path / 'a.gif'}",
        status=130,
    )
    assert not list(tmp_path.iterdir())


def test_an_mp4_is_written_or_said_to_need_two_packages(models, tmp_path, evaluate_py):
    film = tmp_path / "play.mp4"
    words = (
        f"--model={models / 'Noise-v0'}",
        "--episodes=2",
        f"--video={film}",
        "--video_episodes=2",
    )
    if util.find_spec("imageio") and util.find_spec("imageio_ffmpeg"):
        assert "8 frames of 2 episodes" in evaluate_py(*words)
        import imageio.v3

        assert (
            sum(frame.shape == (8, 10, 3) for frame in imageio.v3.imiter(film, plugin="FFMPEG"))
            == 8
        )
    else:
        with pytest.raises(
            UserError,
            match=r"mp4 needs imageio and imageio-ffmpeg\. pip install 'dqn_tf\[video\]'$",
        ):
            evaluate_py(*words)
        assert not list(tmp_path.iterdir())


def test_frames_that_are_no_pictures_are_refused(models, tmp_path, evaluate_py):
    with pytest.raises(UserError, match=r"drew a frame of shape \[7, 9\] and type uint8"):
        evaluate_py(
            f"--model={models / 'Noise-v0'}", "--env=Noise-grey-v0", f"--video={tmp_path / 'a.gif'}"
        )


def test_drawing_without_its_package_is_refused(models, tmp_path, evaluate_py, monkeypatch):
    # what Python has where pygame cannot be imported
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(
        UserError, match=r"^--video: .* is not installed\. pip install 'dqn_tf\[video\]'$"
    ):
        evaluate_py(f"--model={models / 'CartPole-v1'}", f"--video={tmp_path / 'a.gif'}")


def test_a_window_needs_a_display(models, evaluate_py, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="^--render needs a display, and there is none"):
        evaluate_py(f"--model={models / 'CartPole-v1'}", "--render")


@needs_pygame
def test_a_window_shows_the_same_episodes(models, evaluate_py, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    words = f"--model={models / 'CartPole-v1'}", "--episodes=2"
    shown, unseen = (
        [line for line in evaluate_py(*words, *more).splitlines() if "seconds" not in line]
        for more in (["--render"], [])
    )
    assert shown == unseen
