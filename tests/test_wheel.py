"""What an installed wheel gives its user, in any folder: the environment, and the agents under a name of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from helpers_models import saved

from agents import Comparison, Evaluation, evaluate, presets
from agents.board.verify import verify
from agents.tasks import held_out_seeds

ROOT = Path(__file__).parents[1]
COMMAND = "metric_tracker_agents"
TASK = "easy_single_spike"
BUILD = (sys.executable, "-m", "build", "--no-isolation")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints that ends well, without this repository on its path."""
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    done = subprocess.run(command, cwd=cwd, env=given, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the source distribution and of the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(*BUILD, "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel."""
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a fresh virtual environment with the wheel and its extra ``agents``."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=True)
    found = folder / "bin" / "python"
    run(found, "-m", "pip", "install", "--quiet", f"{wheel}[agents]", cwd=folder)
    return found


def files_of(wheel: Path) -> dict[str, bytes]:
    """Names and contents of a wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_two_packages(wheel: Path) -> None:
    """The environment and, as ``metric_tracker_agents``, all of agents with the presets; no other top-level name."""
    names = set(files_of(wheel))
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"metric_tracker_env", COMMAND}
    for folder, place in (("metric_tracker_env", "metric_tracker_env"), ("agents", COMMAND)):
        sources = {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*.py")}
        assert {f"{place}/{source}" for source in sources} <= names
    held = {path.relative_to(presets()).as_posix() for path in presets().rglob("*.toml")}
    assert {name.removeprefix(f"{COMMAND}/configs/") for name in names if name.endswith(".toml")} == held
    assert {"metric_tracker_env/py.typed", f"{COMMAND}/py.typed"} <= names
    models = {path.relative_to(ROOT / "agents").as_posix() for path in (ROOT / "agents" / "pretrained").glob("*/*.*")}
    assert {f"{COMMAND}/{file}" for file in models if "__pycache__" not in file} <= names


def test_the_tree_and_the_source_distribution_give_one_wheel(built: Path, wheel: Path, tmp_path: Path) -> None:
    """The wheel of the unpacked source distribution has the same files, to the byte, as that of this tree."""
    run(*BUILD, "--wheel", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (other,) = tmp_path.glob("*.whl")
    assert files_of(wheel) == files_of(other)
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        assert {"agents", "configs", "tests"} <= {name.split("/")[1] for name in archive.getnames()}


def test_commands_work_from_another_folder(python: Path, tmp_path: Path) -> None:
    """``run`` and ``compare`` give what they give in a clone, presets of the package included."""
    output = tmp_path / "run.json"
    options = ["--agent", "analyst", "--episodes", "5", "--task", "medium_mixed", "--output", output]
    assert "analyst: mean of 5 episodes" in run(python, "-m", COMMAND, "run", *options, cwd=tmp_path)
    assert Evaluation.from_json(output) == evaluate("analyst", held_out_seeds("medium_mixed", 5), "medium_mixed")
    found = Path(run(python, "-c", f"import {COMMAND}; print({COMMAND}.presets(), end='')", cwd=tmp_path))
    assert ROOT not in found.parents
    shop = found / "ecommerce.toml"
    options = ["--agents", "nothing", "analyst", "--tasks", shop, TASK, "--episodes", "3", "--workers", "2"]
    assert "ecommerce: mean of 3" in run(python, "-m", COMMAND, "compare", *options, "--output", "out", cwd=tmp_path)
    compared = Comparison.model_validate_json((tmp_path / "out" / "compare.json").read_text(encoding="utf-8"))
    assert {(line.agent, line.task) for line in compared.summary} == {
        (agent, task) for agent in ("nothing", "analyst") for task in ("ecommerce", TASK)
    }
    assert compared.evaluations[2].config == evaluate("nothing", [0], presets() / "ecommerce.toml").config


def test_a_model_of_a_clone_plays(python: Path, tmp_path: Path) -> None:
    """What was saved by ``agents`` is loaded by the installed package."""
    folder, output = saved(tmp_path / "net"), tmp_path / "run.json"
    options = ["--agent", folder, "--task", TASK, "--episodes", "4", "--output", output]
    run(python, "-m", COMMAND, "run", *options, cwd=tmp_path)
    assert Evaluation.from_json(output) == evaluate(folder, held_out_seeds(TASK, 4), TASK)


def test_a_model_of_the_package_plays_at_once(python: Path, tmp_path: Path) -> None:
    """It needs nothing but the extra ``agents``, and what it played is submitted and verified there."""
    name, output, file = f"pretrained/{TASK}", tmp_path / "run.json", tmp_path / "a.zip"
    options = ["--task", TASK, "--episodes", "20"]
    run(python, "-m", COMMAND, "run", "--agent", name, *options, "--output", output, cwd=tmp_path)
    assert Evaluation.from_json(output).mean("score") > 0.9
    run(python, "-m", COMMAND, "submit", name, "--tasks", TASK, "--episodes", "20", "--output", file, cwd=tmp_path)
    assert "verified: " in run(python, "-m", COMMAND, "verify", file, cwd=tmp_path)
    assert verify(file).right


def test_nothing_is_called_agents(python: Path, tmp_path: Path) -> None:
    """The name ``agents`` stays free; the environment is registered, and nothing optional was needed for it."""
    program = "import importlib.util as found; print(found.find_spec('agents'), found.find_spec('configs'))"
    assert run(python, "-c", program, cwd=tmp_path).split() == ["None", "None"]
    program = "import gymnasium, metric_tracker_env as m; print(gymnasium.make(f'{m.__name__}:{m.ENV_ID}').spec.id)"
    assert run(python, "-c", program, cwd=tmp_path).strip() == "MetricTracker-v0"


def test_help_and_errors_call_commands_as_they_are_called(python: Path, tmp_path: Path) -> None:
    """Usage and hints name the installed package, and what to install by the distribution's name."""
    told = run(python, "-m", COMMAND, "run", "--help", cwd=tmp_path)
    assert f"usage: python -m {COMMAND} run" in told
    assert f"python -m {COMMAND}" in run(python, "-m", COMMAND, "--help", cwd=tmp_path)
    needed = {"train_sb3": ("stable_baselines3", "sb3"), "train_ppo": ("torch", "torch"), "llm": ("openai", "llm")}
    for module, (package, extra) in needed.items():
        command = [python, "-m", f"{COMMAND}.{module}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
        wanted = f"python -m {COMMAND}.{module} needs {package}; install what is missing with: pip install "
        assert done.returncode == 1
        assert f"{wanted}'metric_tracker_env[{extra}]'" in done.stderr


def test_models_of_stable_baselines3_know_no_name_of_the_agents(wheel: Path, tmp_path: Path) -> None:
    """A run of one name is played and gone on with under the other; the wheel's files stand for an installed one."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    installed = {"PYTHONPATH": str(tmp_path / "site")}
    settings = ["lanes = 4", "hidden = [16]", "ppo.n_steps = 32", "ppo.batch_size = 64", "evaluations = 0"]
    command = ["--task", TASK, "--total-steps", "256", "--episodes", "0", "--settings", *settings]
    run(sys.executable, "-m", f"{COMMAND}.train_sb3", *command, "--output", "run", cwd=tmp_path, **installed)
    folder, output = tmp_path / "run", tmp_path / "run.json"
    options = ["--agent", folder, "--task", TASK, "--episodes", "4", "--output", output]
    run(sys.executable, "-m", COMMAND, "run", *options, cwd=tmp_path, **installed)
    assert Evaluation.from_json(output) == evaluate(folder, held_out_seeds(TASK, 4), TASK)
    (folder / "model.zip").unlink()
    run(sys.executable, "-m", "agents.train_sb3", "--resume-from", folder, "--episodes", "0", cwd=ROOT)
    assert Evaluation.from_json(output) == evaluate(folder, held_out_seeds(TASK, 4), TASK)
