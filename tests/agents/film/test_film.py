"""Films of episodes: a picture an action, what is known before the end and the truth at it, as GIF and as MP4."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers_models import saved
from PIL import Image

from agents import cli
from agents.evaluation.evaluate import evaluate
from agents.film.files import Pace, write_gif
from agents.film.frames import STRIP, Picture, captioned, pictures_of
from metric_tracker_env import MetricTrackerEnv, get_task

TASK = get_task("realistic_medium")
SEED = TASK.held_out_seeds[0]
SCALE = 0.2


def test_pictures_are_those_of_the_environment() -> None:
    """Before each action what was known, and the action in words; at last the truth, and the evaluation's score."""
    pictures = list(pictures_of("analyst", TASK.config, SEED, SCALE))
    held = evaluate("analyst", (SEED,), TASK).episodes
    assert len(pictures) == held.steps[0] + 1
    env = MetricTrackerEnv(config=TASK.config, render_mode="rgb_array", render_scale=SCALE)
    env.reset(seed=SEED)
    assert np.array_equal(pictures[0].frame, np.asarray(env.render()))
    assert pictures[0].words.startswith(" 1  ")
    assert pictures[-2].words.endswith("submit()")
    assert pictures[-1].words.startswith(f"score {held.score[0]:.2f}, ")
    assert f"{held.cost[0]} units spent" in pictures[-1].words
    assert not np.array_equal(pictures[-2].frame, pictures[-1].frame)


def test_words_stand_below_the_picture() -> None:
    """On a strip of their own, so that they hide nothing."""
    frame = np.full((40, 200, 3), 7, np.uint8)
    drawn = captioned(Picture(frame, "open 03-04"), 0.5)
    assert drawn.shape == (40 + STRIP // 2, 200, 3)
    assert (drawn[:40] == 7).all()
    assert len(np.unique(drawn[40:].reshape(-1, 3), axis=0)) > 2


def test_a_gif_has_its_frames_and_its_pace(tmp_path: Path) -> None:
    """Each picture stands as long as asked, the last one longer, and it plays again and again."""
    shades = ((0, 120), (120, 120), (250, 120))  # of the left and the right half; the ends have all colours
    frames = [np.repeat(np.array([[left, right]], np.uint8).repeat(20, 1), 30, 0) for left, right in shades]
    write_gif([np.stack([frame] * 3, axis=-1) for frame in frames], tmp_path / "a.gif", Pace(0.5, 2.0))
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.size, getattr(image, "n_frames", 1), image.info["loop"]) == ((40, 30), 3, 0)
        for number, (frame, shown) in enumerate(zip(frames, (500, 500, 2000), strict=True)):
            image.seek(number)
            assert image.info["duration"] == shown
            assert np.abs(np.asarray(image.convert("L")).astype(int) - frame).max() <= 2


def test_the_command_writes_a_gif(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a saved model, and it says what came of the episode."""
    saved(tmp_path / "net", get_task("easy_single_spike").config)
    output = tmp_path / "films" / "a.gif"
    asked = ["film", str(tmp_path / "net"), "--task", "easy_single_spike", "--seed", "7"]
    cli.main([*asked, "--scale", "0.15", "--output", str(output)])
    told = capsys.readouterr().out
    held = evaluate(str(tmp_path / "net"), (7,), "easy_single_spike").episodes
    assert f"easy_single_spike, seed 7: {held.steps[0]} actions, score {held.score[0]:.2f}" in told
    with Image.open(output) as image:
        assert getattr(image, "n_frames", 1) > 1
        assert image.format == "GIF"


def test_the_command_writes_an_mp4(tmp_path: Path) -> None:
    """Pictures of odd sizes too, for as long as they are to stand."""
    import imageio_ffmpeg  # which moviepy brings

    output = tmp_path / "a.mp4"
    asked = ["film", "nothing", "--task", "easy_single_spike", "--scale", "0.151", "--seconds", "0.5"]
    cli.main([*asked, "--last-seconds", "1.5", "--output", str(output)])
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(output))
    assert frames == 16
    assert seconds == pytest.approx(2.0, abs=0.05)


def test_without_moviepy_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An MP4 cannot be written then, and a GIF can."""
    monkeypatch.setitem(sys.modules, "moviepy", None)
    asked = ["film", "nothing", "--task", "easy_single_spike", "--scale", "0.15", "--output"]
    with pytest.raises(SystemExit) as end:
        cli.main([*asked, str(tmp_path / "a.mp4")])
    assert "metric_tracker_env[video]" in str(end.value)
    cli.main([*asked, str(tmp_path / "a.gif")])
    assert "wrote" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "run 'nobody' is not one of"),
        (["analyst", "--output", "a.avi"], "'a.avi' must end in one of ['.gif', '.mp4']"),
        (["analyst", "--seconds", "0"], "seconds 0.0 is not a number from 0.05"),
        (["analyst", "--scale", "9"], "render_scale 9.0 is not a number"),
        (["analyst", "--seed", "-1"], "-1 is not an integer from 0"),
        (["analyst", "--task", "odd"], "task 'odd' is not one of"),
    ],
)
def test_bad_values_are_told_in_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With exit code 2."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(["film", *arguments])
    assert end.value.code == 2
    assert words in capsys.readouterr().err
