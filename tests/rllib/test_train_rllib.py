"""Training with RLlib: what env runners play, what a run leaves, that it goes on, and what it refuses.

Runs in the virtual environment of the extra ``rllib``: ``python -m pytest tests/rllib``.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from helpers_models import LAST_RUN
from helpers_tasks import FIRST_TRAINING, own_task

from agents import train_rllib
from agents.evaluation.evaluate import evaluate
from agents.players.models.card import read_card
from agents.players.models.saved import load_model
from agents.tasks import SEEDS_PER_RUN, held_out_seeds, task_of
from agents.train_rllib import MaskedVectorEnv, Options, Run, begin, first_seed, lanes, read_run, train
from metric_tracker_env import MetricTrackerEnv, MetricTrackerVectorEnv, get_task
from metric_tracker_env.tasks import TRAINING_SEEDS, build_config

ROOT = Path(__file__).parents[2]
TASK = "easy_single_spike"
SMALL = Options(
    task=TASK, total_steps=1000, seed=3, num_envs=4, train_batch_size=512, minibatch_size=128, num_epochs=1, hidden=16
)
FIRST_SEED = 3 * SEEDS_PER_RUN


class Session(NamedTuple):
    """What was seen of a session of a run between its beginning and its end."""

    run: Run  # at the beginning
    began: dict[str, np.ndarray]  # the learner's weights and what Adam knows of them, at the beginning
    ended: dict[str, np.ndarray]  # and at the end
    played: dict[tuple[int, int], list[Any]]  # episodes that env runners hand over, by (env runner, lane)
    logits: np.ndarray  # of RLlib's module at the end, on observations of ``random_play``


def random_play(steps: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """(n, L) observations and (n, A) masks of random legal play."""
    envs, draw = MetricTrackerVectorEnv(4, task=TASK), np.random.default_rng(0)
    observations, info = envs.reset(seed=5)
    seen, legal = [observations], [info["action_mask"].astype(bool)]
    for _ in range(steps):
        actions = np.where(legal[-1], draw.random(legal[-1].shape), -1.0).argmax(axis=1)
        observations, _, _, _, info = envs.step(actions)
        seen.append(observations)
        legal.append(info["action_mask"].astype(bool))
    observations, masks = np.concatenate(seen), np.concatenate(legal)
    playing = masks.any(axis=1)
    return observations[playing], masks[playing]


def learned(algorithm: Any) -> dict[str, np.ndarray]:
    """A copy of the learner's weights and of what its optimizer knows of each."""
    learner = algorithm.learner_group.get_state()["learner"]
    found = {name: np.array(value) for name, value in learner["rl_module"]["default_policy"].items()}
    for number, known in learner["optimizer"]["default_policy_default_optimizer"]["state"]["state"].items():
        found |= {f"{name} of {number}": np.array(value) for name, value in known.items()}
    return found


def watched(options: Options) -> Session:
    """Train, and tell what was seen of it."""
    import torch

    seen: dict[str, Any] = {}
    learn, build = train_rllib.learn, train_rllib.build_algorithm_config

    def watched_learn(algorithm: Any, folder: Path, run: Run) -> Run:
        seen["run"], seen["began"] = run, learned(algorithm)
        handed = algorithm.env_runner_group.foreach_env_runner(
            lambda runner: (runner.worker_index, runner.sample(num_timesteps=400)), local_env_runner=False
        )
        seen["played"] = defaultdict(list)
        for runner, episodes in handed:
            for episode in episodes:
                seen["played"][runner, episode.custom_data["lane"]].append(episode)
        ended = learn(algorithm, folder, run)
        seen["ended"] = learned(algorithm)
        observations, masks = (torch.from_numpy(array) for array in random_play())
        batch = {"obs": {"observations": observations, "action_mask": masks.float()}}
        with torch.no_grad():
            seen["logits"] = algorithm.get_module().forward_inference(batch)["action_dist_inputs"].numpy()
        return ended

    def marked_build(*arguments: Any) -> Any:
        def mark(episode: Any, env_index: int, **_: Any) -> None:
            episode.custom_data["lane"] = env_index

        return build(*arguments).callbacks(on_episode_created=mark)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_rllib, "learn", watched_learn)
        patch.setattr(train_rllib, "build_algorithm_config", marked_build)
        train(options)
    return Session(**seen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run of the tests is kept."""
    return tmp_path_factory.mktemp("runs") / "run"


@pytest.fixture(scope="module")
def first(folder: Path) -> Session:
    """A run with two env runners."""
    return watched(replace(SMALL, output=folder))


@pytest.fixture(scope="module")
def second(folder: Path, first: Session) -> Session:
    """The same run, gone on with by a single env runner."""
    taken = read_run(folder).steps
    del first
    return watched(replace(SMALL, resume_from=folder, total_steps=taken + 600, num_env_runners=1))


def test_a_curriculum() -> None:
    """The options of the episodes to come are changed on every env runner, and episodes are played with them."""
    options = replace(SMALL, num_env_runners=1, train_batch_size=256)
    with train_rllib.ray_started(options):
        algorithm = train_rllib.build_algorithm_config(options, get_task(options.task), FIRST_SEED).build_algo()
        try:
            algorithm.env_runner_group.foreach_env_runner(
                lambda runner: runner.env and runner.env.unwrapped.lanes.set_episode_options(difficulty="hard")
            )
            algorithm.train()
            told = algorithm.env_runner_group.foreach_env_runner(
                lambda runner: runner.env.unwrapped.lanes.config.difficulty, local_env_runner=False
            )
            assert told == ["hard"]
        finally:
            algorithm.stop()


# What is played


@pytest.mark.parametrize("runner", [0, 1, 5])
def test_lanes_are_those_of_the_vector_environment(runner: int) -> None:
    """Lanes play what the plain vector environment seeded for that runner plays, with the mask in the observation."""
    config = {"options": {"task": TASK, "reward": "dense"}, "num_envs": 3, "first_seed": 40}
    ours = MaskedVectorEnv(config)
    plain = MetricTrackerVectorEnv(3, AutoresetMode.NEXT_STEP, task=TASK, reward="dense")
    assert ours.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    observed, told = ours.reset(seed=40 + runner)
    expected, info = plain.reset(seed=40 + runner * 3)
    draw, ends = np.random.default_rng(runner), 0
    for _ in range(120):
        assert told == {}
        assert observed in ours.observation_space
        assert np.array_equal(observed["observations"], expected)
        assert np.array_equal(observed["action_mask"], info["action_mask"])
        actions = np.where(info["action_mask"], draw.random(info["action_mask"].shape), -1.0).argmax(axis=1)
        observed, *results, told = ours.step(actions)
        expected, *wanted, info = plain.step(actions)
        assert all(np.array_equal(one, two) for one, two in zip(results, wanted, strict=True))
        ends += int(wanted[1].sum())
    assert ends > 3


@pytest.mark.parametrize("seed", [39, 40 + SEEDS_PER_RUN, [40, 41], True])
def test_seeds_of_no_runner_are_refused(seed: Any) -> None:
    """A seed that RLlib cannot have made of the run's own is not quietly taken for another one."""
    ours = MaskedVectorEnv({"options": {"task": TASK}, "num_envs": 2, "first_seed": 40})
    with pytest.raises(ValueError, match=re.escape(repr(seed))):
        ours.reset(seed=seed)


@pytest.mark.parametrize("session", ["first", "second"])
def test_env_runners_hand_over_what_single_environments_play(session: str, request: pytest.FixtureRequest) -> None:
    """Each step to learn from is one of a single environment with a seed of the run's own, none is that of a reset."""
    seen: Session = request.getfixturevalue(session)
    # The lanes of the driver, which does not play, come first; a second session begins behind the seeds of the first.
    start, runners = (FIRST_SEED, (1, 2)) if session == "first" else (FIRST_SEED + 3 * SMALL.num_envs, (1,))
    assert set(seen.played) == {(runner, lane) for runner in runners for lane in range(SMALL.num_envs)}
    ends = 0
    for (runner, lane), episodes in seen.played.items():
        env = MetricTrackerEnv(task=TASK, reward="dense")
        seed: int | None = start + runner * SMALL.num_envs + lane
        assert seed in TRAINING_SEEDS
        for episode in episodes:
            observation, info = env.reset(seed=seed)
            terminated, seed = False, None
            observed = episode.get_observations()
            for step, action in enumerate(episode.get_actions()):
                assert info["action_mask"][action] == 1
                assert np.array_equal(observed["observations"][step], observation)
                assert np.array_equal(observed["action_mask"][step], info["action_mask"])
                observation, reward, terminated, _, info = env.step(action)
                assert episode.get_rewards()[step] == pytest.approx(reward, abs=1e-6)
            assert np.array_equal(observed["observations"][-1], observation)
            assert episode.is_terminated == terminated
            ends += terminated
    assert ends > len(seen.played)


# What a run leaves


def test_a_run_leaves_a_model_that_plays(second: Session, folder: Path) -> None:
    """The saved model chooses what RLlib's module chooses, and the evaluation plays it with legal actions only."""
    card = read_card(folder)
    assert (card.library, card.policy, card.masked, card.seed) == ("rllib", "mlp", True, SMALL.seed)
    assert (card.name, card.config) == (folder.name, build_config(TASK, options={"reward": "dense"}))
    assert card.steps == read_run(folder).steps >= SMALL.total_steps
    chosen = load_model(folder).policy.actions(*random_play())
    best = second.logits.max(axis=1)  # NumPy and torch add in another order, which decides between equals
    np.testing.assert_allclose(second.logits[np.arange(len(chosen)), chosen], best, rtol=0, atol=1e-5)
    played = evaluate(folder, held_out_seeds(TASK, 20), TASK)
    assert len(played.episodes.score) == 20
    assert played.mean("illegal") == 0


def test_a_run_goes_on(first: Session, second: Session, folder: Path) -> None:
    """A resumed run has the steps, the weights and the optimizer of its checkpoint, and goes on to the new total."""
    assert first.run.steps == 0
    assert SMALL.total_steps <= second.run.steps < read_run(folder).steps
    assert read_run(folder).steps >= second.run.options.total_steps
    assert second.began.keys() == first.ended.keys()
    assert "exp_avg of 0" in first.ended
    for name, value in first.ended.items():
        assert np.array_equal(second.began[name], value), name
    for before, after in ((first.began, first.ended), (second.began, second.ended)):
        name = "pi.net.mlp.0.weight"
        assert not np.array_equal(before[name], after[name])


def test_command_line(tmp_path: Path) -> None:
    """The README's command, made short: one line of progress, the score, nothing else, and no process left behind."""
    options = f"--task {TASK} --total-steps 1000 --episodes 20 --num-env-runners 0 --num-envs 4 --train-batch-size 512"
    command = [sys.executable, "-m", "agents.train_rllib", *options.split(), "--minibatch-size", "128"]
    command += ["--output", str(tmp_path)]
    mark = f"METRIC_TRACKER_TEST={uuid4()}"
    marked = {**os.environ, **dict([mark.split("=")])}
    done = subprocess.run(command, cwd=ROOT, env=marked, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r" +[\d,]+ steps +\d+ s +return .*\nscore on 20 held-out episodes: .*\n", done.stdout)
    left = [path for path in Path("/proc").glob("[0-9]*/environ") if mark.encode() in environment(path)]
    assert left == []


def environment(path: Path) -> bytes:
    """The environment variables of a process, empty when it has just ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


# Wrong use


BAD = [
    ({"task": "no_such"}, "task 'no_such' is not one of"),
    ({"total_steps": 0}, "total_steps 0 is not an integer from 1 to"),
    ({"total_steps": 1.5}, "total_steps 1.5 is not an integer"),
    ({"seed": -1}, f"seed -1 is not an integer from 0 to {LAST_RUN}"),
    ({"seed": LAST_RUN + 1}, f"seed {LAST_RUN + 1} is not an integer from 0 to {LAST_RUN}"),
    ({"reward": "sparse"}, "reward"),
    ({"episodes": 0}, "episodes 0 is not an integer from 1 to 100000"),
    ({"checkpoints": 0}, "checkpoints 0 is not an integer from 1 to 1000"),
    ({"num_env_runners": -1}, "num_env_runners -1 is not an integer from 0 to"),
    ({"num_envs": 0}, "num_envs 0 is not an integer from 1 to"),
    ({"num_env_runners": 1000, "num_envs": 2000}, "num_env_runners 1000 with num_envs 2000 takes 2002000 training"),
    ({"num_learners": -1}, "num_learners -1 is not an integer from 0 to"),
    ({"minibatch_size": 513}, "minibatch_size 513 is not an integer from 1 to 512"),
    ({"minibatch_size": 257, "num_learners": 2}, "minibatch_size 257 is not an integer from 1 to 256"),
    ({"lr": float("nan")}, "lr nan is not a number from 0 to 1"),
    ({"entropy_coeff": -0.1}, "entropy_coeff -0.1 is not a number from 0 to 1"),
    ({"hidden": True}, "hidden True is not an integer from 1 to"),
    ({"address": "ray://there:1"}, "address 'ray://there:1' is neither 'auto' nor HOST:PORT"),
    ({"resume_from": Path("no/such")}, "resume_from 'no/such' holds no run"),
]


@pytest.mark.parametrize(("changes", "told"), BAD, ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_bad_options_are_refused(changes: dict[str, Any], told: str) -> None:
    """A bad option is told with its value and what is allowed, before Ray is started."""
    with pytest.raises(ValueError, match=re.escape(told)):
        begin(replace(SMALL, **changes))


def test_runs_and_their_folders(tmp_path: Path, second: Session, folder: Path) -> None:
    """A run is not written over another; one that goes on keeps what it learns, has steps left, and its checkpoint."""
    del second
    with pytest.raises(ValueError, match="holds a run already"):
        begin(replace(SMALL, output=folder))
    kept = read_run(folder)
    longer = replace(SMALL, resume_from=folder, total_steps=kept.steps + 1)
    assert begin(replace(longer, num_env_runners=5, num_envs=2, num_learners=1, threads=2)) == kept
    with pytest.raises(ValueError, match=f"total_steps {kept.steps} is not above the {kept.steps}"):
        begin(replace(longer, total_steps=kept.steps))
    for changes in ({"task": "easy_mixed"}, {"seed": 0}, {"lr": 0.5}, {"hidden": 8}, {"reward": "terminal"}):
        ((name, value),) = changes.items()
        told = f"{name} {value!r} is not the {getattr(SMALL, name)!r} of the run"
        with pytest.raises(ValueError, match=re.escape(told)):
            begin(replace(longer, **changes))
    written = json.loads((folder / "rllib.json").read_text(encoding="utf-8"))
    (tmp_path / "checkpoint").mkdir()
    for changes, told in (
        ({"version": "0.0.1"}, "0.0.1"),
        ({"fingerprint": "other"}, "start the run again"),
        ({"seeds": SEEDS_PER_RUN - 11}, "the run has 11 left"),
        ({"steps": "many"}, "steps"),
    ):
        (tmp_path / "rllib.json").write_text(json.dumps(written | changes), encoding="utf-8")
        with pytest.raises(ValueError, match=told):
            begin(replace(longer, resume_from=tmp_path))
    (tmp_path / "checkpoint").rmdir()
    with pytest.raises(ValueError, match="has no 'checkpoint'"):
        begin(replace(longer, resume_from=tmp_path))


def test_an_option_that_is_not_given_is_the_runs_own(
    folder: Path, second: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the command line a resumed run has its own options but for those given; a bad one is told in one line."""
    kept = second.run.options
    asked: list[Options] = []

    def ask(options: Options) -> Path:
        asked.append(options)
        begin(options)
        raise ValueError("enough")

    monkeypatch.setattr(train_rllib, "train", ask)
    for arguments, told in (
        (["--total-steps", "5000", "--episodes", "7"], "error: enough\n"),
        (["--total-steps", "5000", "--lr", "0.001", "--hidden", "32"], "error: hidden 32 is not the 16 of the run"),
    ):
        with pytest.raises(SystemExit) as ended:
            train_rllib.main(["--resume-from", str(folder), *arguments])
        assert ended.value.code == 2
        assert told in capsys.readouterr().err
    assert asked[0] == replace(kept, total_steps=5000, episodes=7)


def test_an_own_task_is_the_runs_own(tmp_path: Path) -> None:
    """A run of a task's file begins at its seeds, and goes on with it whatever has become of the file."""
    own = own_task(tmp_path)
    options = replace(SMALL, task=str(own), seed=0, episodes=10, output=tmp_path / "run")
    run = begin(options)
    assert (run.task, run.options) == (task_of(own), options)
    assert first_seed(options, run) == FIRST_TRAINING
    assert train_rllib.training_config(options, run.task).scenario_family == "funnel_break"
    (tmp_path / "run" / "checkpoint").mkdir(parents=True)
    train_rllib.write_run(tmp_path / "run", run)
    own.unlink()
    assert begin(replace(options, resume_from=tmp_path / "run")) == run
    with pytest.raises(ValueError, match="too few for 6000 lanes"):
        first_seed(replace(options, num_envs=2000), run)


def test_seeds_of_runs_and_sessions_are_apart() -> None:
    """No session of any run has a seed of another one, and all have seeds for training."""
    spans: list[range] = []
    for seed in (0, 1, LAST_RUN):
        options = replace(SMALL, seed=seed, num_env_runners=3, num_envs=5)
        for spent in (0, 20, SEEDS_PER_RUN - 20):  # 20 lanes with those of the driver
            first = first_seed(options, Run("", "", options, get_task(TASK), seeds=spent))
            spans.append(range(first, first + lanes(options)))
    assert all(len(span) == 20 and span[0] in TRAINING_SEEDS and span[-1] in TRAINING_SEEDS for span in spans)
    assert len({seed for span in spans for seed in span}) == 20 * len(spans)
