"""Pictures: every mode through Gymnasium, nothing hidden before the end, the truth at the end."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import re
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import HumanRendering, RecordEpisodeStatistics, RecordVideo
from helpers_env import ENV_ID
from helpers_scene import nothing_done

from metric_tracker_env import (
    EnvConfig,
    EpisodeConfig,
    EpisodeData,
    FunnelStep,
    GeneratorConfig,
    MetricDataGenerator,
    MetricTrackerEnv,
    render,
)
from metric_tracker_env.base_env import RENDER_MODES
from metric_tracker_env.world.labels import CellClass

# SHA-256 of frames without a world, drawn by matplotlib 3.11.2 before there was one: in the middle and at the end of
# episodes of random play, by view and seed.
FRAMES = {
    ("focus", 3): ("9a519ea299abd154", "b3ffab475ac27124"),
    ("focus", 8): ("69ca297272523eaa", "754b0e726839bb31"),
    ("board", 3): ("0fdacd124921d7fb", "41295b2337a3828d"),
    ("board", 8): ("a04312b2cd45c92c", "7fc5bc8a0e080a79"),
}
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def make(**options: Any) -> MetricTrackerEnv:
    env = gym.make(ENV_ID, **options).unwrapped
    assert isinstance(env, MetricTrackerEnv)
    return env


def episode(config: EnvConfig, seed: int, **changes: Any) -> EpisodeData:
    return MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=seed, **changes))


def both(scene: render.Scene) -> tuple[bytes, str]:
    return render.frame(scene).tobytes(), render.text(scene)


def cell_of(data: EpisodeData, cell_class: CellClass, skip: int = 0) -> tuple[int, int]:
    """(day, entity) of a cell of that class."""
    day, entity = np.argwhere(data.classes == cell_class)[skip]
    return int(day), int(entity)


@pytest.mark.parametrize("view", ["focus", "board"])
@pytest.mark.parametrize("mode", RENDER_MODES)
def test_every_declared_mode_renders_through_make(mode: str, view: str) -> None:
    """Each declared mode gives its kind of picture after reset, after a step and at the end."""
    env = gym.make(ENV_ID, render_mode=mode, view=view)
    assert mode in env.metadata["render_modes"]
    _, info = env.reset(seed=1)
    submit = int(np.flatnonzero(info["action_mask"])[-1])
    pictures = [env.render()]
    for action in (0, submit):
        env.step(action)
        pictures.append(env.render())
    for picture in pictures:
        if mode == "ansi":
            assert isinstance(picture, str)
        else:
            assert isinstance(picture, np.ndarray)
            assert picture.dtype == np.uint8
            assert picture.shape[2] == 3
    assert len({np.asarray(picture).tobytes() for picture in pictures}) == 3
    env.close()


@pytest.mark.parametrize("view", ["focus", "board"])
def test_gymnasium_checker_renders_without_a_warning(view: str) -> None:
    """Gymnasium's environment checker, render checks included, has nothing to say."""
    env = gym.make(ENV_ID, view=view, disable_env_checker=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env.unwrapped)
    assert [str(item.message) for item in caught] == []


@pytest.mark.parametrize("scale", [0.1, 0.25, 1 / 3, 0.7, 1, np.float32(1.5), 4.0])
def test_a_frame_size_that_is_chosen(scale: float) -> None:
    """render_scale makes frames larger or smaller, of even size, with the same picture; lanes draw the same."""
    env, plain = make(render_mode="rgb_array", render_scale=scale), make(render_mode="rgb_array")
    for each in (env, plain):
        each.reset(seed=1)
        each.step(3)
    frame, full = np.asarray(env.render()), np.asarray(plain.render())
    assert frame.shape == (*(2 * round(length * float(scale) / 2) for length in full.shape[:2]), 3)
    assert frame.mean() == pytest.approx(full.mean(), abs=3 if scale >= 0.3 else 10)
    assert (frame.shape == full.shape) == np.array_equal(frame, full)
    envs = gym.make_vec(ENV_ID, num_envs=1, render_mode="rgb_array", render_scale=scale)
    envs.reset(seed=1)
    envs.step(np.array([3]))
    frames = envs.render()
    assert frames is not None
    assert np.array_equal(np.asarray(frames[0]), frame)


@pytest.mark.parametrize("scale", [0, 0.05, 4.5, -1, True, "1", None, float("nan"), float("inf")], ids=repr)
def test_frame_sizes_that_are_refused(scale: Any) -> None:
    """A scale that is no number within the limits is refused with its value and the limits."""
    for maker in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=r"render_scale .* not a number from 0\.1 to 4") as caught:
            maker(ENV_ID, render_scale=scale)
        assert repr(scale) in str(caught.value)


def test_frames_of_an_episode_are_equally_large() -> None:
    """Random legal play never changes the size of a frame, and the size is even for video encoders."""
    env = make(render_mode="rgb_array", difficulty="hard", anomaly_count=(1, 5))
    rng = np.random.default_rng(5)
    env.reset(seed=5)
    shapes, over = set(), False
    for _ in range(12):
        if over:
            break
        _, _, over, _, _ = env.step(int(rng.choice(np.flatnonzero(env.action_masks()))))
        shapes.add(np.asarray(env.render()).shape)
    if not over:
        env.step(len(env.actions) - 1)
    shapes.add(np.asarray(env.render()).shape)
    assert len(shapes) == 1
    height, width, channels = shapes.pop()
    assert (height % 2, width % 2, channels) == (0, 0, 3)


@pytest.mark.parametrize(("view", "seed"), FRAMES)
def test_frames_without_a_world_are_what_they_were(view: str, seed: int) -> None:
    """Pixel for pixel, where the same matplotlib draws them."""
    if importlib.metadata.version("matplotlib") != "3.11.2":
        pytest.skip("another matplotlib draws letters and lines otherwise")
    env, rng, frames = make(render_mode="rgb_array", view=view, difficulty="hard"), np.random.default_rng(seed), []
    env.reset(seed=seed)
    for _ in range(9):
        env.step(int(rng.choice(np.flatnonzero(env.action_masks())[:-1])))
    frames.append(env.render())
    env.step(len(env.actions) - 1)
    frames.append(env.render())
    digests = [hashlib.sha256(np.asarray(frame).tobytes()).hexdigest()[:16] for frame in frames]
    assert tuple(digests) == FRAMES[view, seed]


def test_other_episodes_look_the_same_while_nothing_is_revealed() -> None:
    """Before anything is revealed no seed, family or number of incidents changes a pixel or a character."""
    config = EnvConfig(difficulty="hard")
    others = [
        episode(config, 3),
        episode(config, 4),
        episode(config, 4, anomaly_count=1),
        episode(config, 9, scenario_family="funnel_break", anomaly_count=5),
    ]
    pictures = {both(render.Scene(config, data, nothing_done(config), over=False)) for data in others}
    assert len(pictures) == 1


def test_only_revealed_cells_reach_the_picture() -> None:
    """Changing every unrevealed value, the truth and the twin of an episode changes nothing that is drawn."""
    config = EnvConfig(difficulty="hard", anomaly_count=5)
    data, other = episode(config, 3), episode(config, 4)
    progress = nothing_done(config)
    days = [5, 11, 17]
    progress.revealed[days, :11] = True
    progress.opened[days] = True
    progress.known[2, 11] = 2
    swapped = other.deviations.ratios[:, 0].T
    swapped[progress.revealed] = data.deviations.ratios[:, 0].T[progress.revealed]
    assert (swapped != data.deviations.ratios[:, 0].T).mean() > 0.5
    drawn = both(render.Scene(config, data, progress._replace(focus=17), over=False))
    assert both(render.Scene(config, other, progress._replace(focus=17), over=False)) == drawn
    swapped[5, 3] += 1.5
    assert both(render.Scene(config, other, progress._replace(focus=17), over=False)) != drawn


def test_a_scene_holds_no_truth_before_the_end() -> None:
    """What a drawer could reach of a running episode has no episode, seed, label or hidden value in it."""
    config = EnvConfig(difficulty="hard")
    progress = nothing_done(config)
    progress.revealed[4, 2] = True
    scene = render.Scene(config, episode(config, 3), progress, over=False)
    assert scene.truth is None
    assert not any(isinstance(value, EpisodeData) for value in vars(scene).values())
    assert np.array_equal(~np.isnan(scene.ratios), progress.revealed)


def test_running_text_names_no_seed_and_no_expectation() -> None:
    """The text of a running episode has neither the seed nor a word about the truth."""
    seed = 862_754_119
    env = make(render_mode="ansi", anomaly_count=5, difficulty="hard")
    env.reset(seed=seed)
    for action in range(12):
        env.step(action)
        shown = str(env.render())
        assert str(seed) not in shown
        assert not re.search("expected|missed|right|wrong|score|truth|natural", shown, re.IGNORECASE)
    env.step(len(env.actions) - 1)
    assert str(seed) not in str(env.render())


def test_text_tells_the_truth_at_the_end() -> None:
    """At the end each row is marked right, wrong or missed, and the score is the grade's."""
    config = EnvConfig(difficulty="hard", anomaly_count=3)
    data = episode(config, 3)
    found, missed = cell_of(data, CellClass.EXPECTED), cell_of(data, CellClass.EXPECTED, 1)
    wrong = cell_of(data, CellClass.CONSEQUENCE)
    progress = nothing_done(config)
    for cell in (found, wrong):
        progress.revealed[cell] = progress.reported[cell] = True
    scene = render.Scene(config, data, progress, over=True)
    lines = ANSI.sub("", render.text(scene)).splitlines()
    names, entities = data.dates, config.generator.catalogue.entities
    for mark, (day, entity) in (("✓", found), ("x", wrong), ("!", missed)):
        assert any(line.startswith(f"{mark} {names[day]}") and entities[entity].entity_name in line for line in lines)
    assert scene.truth is not None
    assert scene.truth.grade.score == pytest.approx(0.4)
    assert lines[-1] == "Score 0.400   precision 0.50   recall 0.33   right 1   wrong 1   missed 2"


def test_the_end_of_an_episode_shows_its_truth() -> None:
    """After submit the picture differs between two episodes of which the agent has seen nothing."""
    pictures: dict[str, set[Any]] = {"before": set(), "after": set()}
    for seed in (3, 4):
        env = make(render_mode="rgb_array")
        env.reset(seed=seed)
        pictures["before"].add(np.asarray(env.render()).tobytes())
        env.step(len(env.actions) - 1)
        pictures["after"].add(np.asarray(env.render()).tobytes())
    assert (len(pictures["before"]), len(pictures["after"])) == (1, 2)


def test_score_in_the_picture_is_the_score_of_the_step() -> None:
    """The rendered score is the one that info tells when the episode ends."""
    env = make(render_mode="ansi", scenario_family="rate_drop_from_median")
    env.reset(seed=2)
    info: dict[str, Any] = {}
    for call in ("list_suspicious_dates()", "rows_for_date(date='next_flagged')"):
        env.step(env.actions.parse(call))
    report = next(i for i in np.flatnonzero(env.action_masks()) if env.actions.decode(int(i)).tool == "report")
    for action in (int(report), len(env.actions) - 1):
        _, _, _, _, info = env.step(action)
    assert f"Score {info['score']:.3f}" in ANSI.sub("", str(env.render()))
    assert f"right {info['matched']}   wrong {info['extra']}   missed {info['missing']}" in str(env.render())


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize(
    "generator",
    [
        EnvConfig().generator,
        GeneratorConfig(steps=(FunnelStep(name="paid", rate=0.5),), conversion_definitions=(), num_weeks=1),
        GeneratorConfig(
            entry_step="a" * 40,
            steps=tuple(FunnelStep(name=f"step_with_a_rather_long_name_{i}", rate=0.8) for i in range(11)),
            conversion_definitions=(),
            num_weeks=12,
        ),
    ],
    ids=["default", "smallest", "largest"],
)
def test_any_funnel_can_be_drawn(generator: GeneratorConfig, over: bool) -> None:
    """Text stays within 120 columns and a frame is drawn, whatever the funnel and the calendar."""
    config = EnvConfig(generator=generator, anomaly_count=1, budget=100_000, step_limit=1_000_000)
    progress = nothing_done(config)
    progress.revealed[:] = progress.reported[:] = True
    scene = render.Scene(config, episode(config, 1), progress._replace(focus=2), over=over)
    assert max(len(line) for line in ANSI.sub("", render.text(scene)).splitlines()) <= 120
    assert render.frame(scene).std() > 10


def test_a_vector_environment_renders_a_tuple() -> None:
    """Each lane is drawn as the single environment of its seed."""
    for mode in RENDER_MODES:
        lanes = gym.make_vec(ENV_ID, num_envs=2, render_mode=mode)
        lanes.reset(seed=5)
        lanes.step(np.array([3, 4]))
        pictures = lanes.render()
        assert isinstance(pictures, tuple)
        assert len(pictures) == 2
        for lane, action in enumerate((3, 4)):
            env = make(render_mode=mode)
            env.reset(seed=5 + lane)
            env.step(action)
            assert np.array_equal(np.asarray(pictures[lane]), np.asarray(env.render()))
        lanes.close()


def test_record_video_and_statistics(tmp_path: Path) -> None:
    """RecordVideo writes a film of an episode, RecordEpisodeStatistics its return."""
    env = gym.make(ENV_ID, render_mode="rgb_array")
    env = RecordEpisodeStatistics(
        RecordVideo(env, str(tmp_path / "films"), episode_trigger=lambda _: True, name_prefix="play")
    )
    env.reset(seed=4)
    info: dict[str, Any] = {}
    for action in (0, 1, int(env.action_space.n) - 1):  # pyright: ignore[reportAttributeAccessIssue]
        _, _, _, _, info = env.step(action)
    env.close()
    assert info["episode"]["l"] == 3
    films = list(tmp_path.glob("films/play*.mp4"))
    assert len(films) == 1
    assert films[0].stat().st_size > 1000


def test_human_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gymnasium's HumanRendering shows an episode from reset to the end in one window."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pygame itself imports deprecated modules
        importlib.import_module("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = HumanRendering(gym.make(ENV_ID, render_mode="rgb_array"))
    assert env.render_mode == "human"
    env.reset(seed=4)
    for action in (0, int(env.action_space.n) - 1):  # pyright: ignore[reportAttributeAccessIssue]
        env.step(action)
    assert env.screen_size is not None
    env.close()


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without matplotlib text still works, and frames and files say what to install."""
    frame = make(render_mode="rgb_array")
    frame.reset(seed=1)
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    attempts: list[Callable[[], object]] = [
        frame.render,
        lambda: render.save_png(np.zeros((2, 2, 3), np.uint8), tmp_path / "a.png"),
    ]
    for attempt in attempts:
        with pytest.raises(ImportError, match=r'pip install "metric_tracker_env\[render\]"'):
            attempt()
    text = make(render_mode="ansi")
    text.reset(seed=1)
    assert "budget" in str(text.render())


def test_importing_the_package_and_drawing_text_loads_no_matplotlib() -> None:
    """Only a frame loads matplotlib, and pyplot is never loaded."""
    program = (
        "import sys, gymnasium\n"
        f"env = gymnasium.make({ENV_ID!r}, render_mode='ansi'); env.reset(seed=1); env.render()\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"env = gymnasium.make({ENV_ID!r}, render_mode='rgb_array'); env.reset(seed=1); env.render()\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_threads_draw_what_one_thread_draws() -> None:
    """Frames drawn at the same time by several threads are those of one thread."""
    config = EnvConfig()
    scenes = [render.Scene(config, episode(config, seed), nothing_done(config), over=True) for seed in range(4)]
    alone = [render.frame(scene).tobytes() for scene in scenes]
    together: dict[int, bytes] = {}

    def draw(place: int) -> None:
        together[place] = render.frame(scenes[place]).tobytes()

    threads = [threading.Thread(target=draw, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[place] for place in range(4)] == alone


def test_a_frame_is_drawn_fast_enough() -> None:
    """A frame takes well under half a second of CPU (about 0.08 s on an idle core)."""
    config = EnvConfig(difficulty="hard", anomaly_count=5)
    scene = render.Scene(config, episode(config, 3), nothing_done(config), over=True)
    render.frame(scene)
    spent = []
    for _ in range(3):
        start = time.thread_time()
        render.frame(scene)
        spent.append(time.thread_time() - start)
    assert min(spent) < 0.4


def test_a_saved_frame_reads_back(tmp_path: Path) -> None:
    """The PNG holds the frame's pixels."""
    from matplotlib.image import imread

    config = EnvConfig()
    frame = render.frame(render.Scene(config, episode(config, 3), nothing_done(config), over=False))
    render.save_png(frame, tmp_path / "frame.png")
    assert np.array_equal(np.rint(imread(tmp_path / "frame.png")[:, :, :3] * 255).astype(np.uint8), frame)


def test_episode_options_are_drawn() -> None:
    """The header tells the difficulty of this episode, not that of the environment."""
    env = make(render_mode="ansi", difficulty="easy")
    env.reset(seed=1, options={"difficulty": "hard"})
    assert "hard" in str(env.render()).splitlines()[0]
    assert EpisodeConfig().difficulty not in str(env.render()).splitlines()[0]
