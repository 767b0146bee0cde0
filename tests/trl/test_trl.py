"""TRL takes the text door as it is: its schemas, its tool loop and its reward, with a tiny model that is made here.

The model has random weights, so where it has to play well, its ``generate`` is replaced by one that reads the
conversation and writes the scripted analyst's next call; everything around it is TRL's own code. Run in the virtual
environment of the extra ``trl``.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import inspect
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from helpers_session import by_the_analyst
from helpers_tasks import FIRST_HELD_OUT, FIRST_TRAINING, INSTRUCTION, own_task
from transformers import AutoTokenizer, Qwen2ForCausalLM
from transformers.utils.chat_template_utils import get_json_schema
from trl.chat_template_utils import add_response_schema, parse_response, supports_tool_calling
from trl.data_utils import is_conversational

from agents import train_trl
from agents.players.scripts.words import investigate
from agents.train_trl import Options, build, rows
from metric_tracker_env import tasks
from metric_tracker_env.investigation import Investigation, session_of
from metric_tracker_env.session import CALLS, call_schemas
from metric_tracker_env.tasks import get_task

ROOT = Path(__file__).parents[2]
TASK = "easy_single_spike"
EPISODES = 2  # held-out ones
LONG = 8192  # tokens: room for a whole investigation
ANSWER = re.compile(r"<tool_response>\n(.*?)\n</tool_response>", re.DOTALL)
pytestmark = [
    # Of transformers, of which TRL uses names that are to be replaced, and of torch without a GPU.
    pytest.mark.filterwarnings("ignore:.*(gradient_checkpointing|is_gradient_checkpointing):FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*pin_memory:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*environment_factory.*experimental:UserWarning"),
]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny model."""
    return tiny.make(tmp_path_factory.mktemp("model") / "tiny", TASK)


@pytest.fixture
def small(model: Path, tmp_path: Path) -> Options:
    """Options of a short run."""
    return Options(
        str(model),
        TASK,
        steps=1,
        output=tmp_path / "run",
        episodes=EPISODES,
        num_generations=2,
        groups=1,
        max_completion_length=LONG,
        learning_rate=1e-3,
    )


def tools_of(investigation: Investigation) -> list[Any]:
    """The tools, collected as TRL does it."""
    names = [name for name, _ in inspect.getmembers(type(investigation), predicate=inspect.isfunction)]
    return [getattr(investigation, name) for name in names if name not in {"reset", "get_reward"} and name[0] != "_"]


def analyst(seed: int) -> tuple[float, float, int]:
    """Reward, score and number of calls of the scripted analyst, playing directly."""
    session, answers = by_the_analyst(TASK, seed)
    return session.standing.reward, session.grade().score, len(answers)


class Scripted:
    """In place of ``generate``: the even rollouts of a first turn are the analyst's, the others submit nothing."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.turns = 0

    def next_words(self, conversation: str, place: int) -> str:
        """What is said next: by the answers told so far."""
        answers = [json.loads(text) for text in ANSWER.findall(conversation)]
        if answers and answers[-1].get("done"):
            return "That is all."
        if not answers and place % 2:
            return call_text("submit", {"rows": []})
        script = investigate(get_task(TASK).config.generator)
        asked = next(script)
        for answer in answers:
            asked = script.send(answer)
        return call_text(*asked)

    def __call__(self, _model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> torch.Tensor:
        """(B, L) left-padded tokens -> (B, L + N), padded on the right."""
        self.turns += 1
        told = [self.tokenizer.decode(row[kept.bool()]) for row, kept in zip(input_ids, attention_mask, strict=True)]
        said = [self.tokenizer.encode(self.next_words(text, i) + tiny.END) for i, text in enumerate(told)]
        longest = max(map(len, said))
        padded = [words + [self.tokenizer.pad_token_id] * (longest - len(words)) for words in said]
        return torch.cat([input_ids, torch.tensor(padded)], dim=1)


def call_text(tool: str, arguments: dict[str, Any]) -> str:
    """A call as Qwen models write it."""
    return f"<tool_call>\n{json.dumps({'name': tool, 'arguments': arguments})}\n</tool_call>"


def log_of(folder: Path) -> list[dict[str, float]]:
    """The log of a run, one entry a line."""
    return json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]


# Loading and schemas


def test_the_tools_are_the_public_methods() -> None:
    """TRL's way to collect tools finds the analysis tools and submit, and nothing else."""
    assert {tool.__name__ for tool in tools_of(Investigation())} == set(CALLS) - {"list_known_events"}
    assert {tool.__name__ for tool in tools_of(Investigation("realistic_easy"))} == set(CALLS)
    assert all(inspect.ismethod(tool) for tool in tools_of(Investigation()))
    assert not [tool for tool in tools_of(Investigation()) if inspect.iscoroutinefunction(tool)]
    assert isinstance(Investigation().get_reward(), float)


def test_schemas_of_transformers_agree_with_ours() -> None:
    """The schemas that transformers makes of the methods have our names, arguments, obligations and descriptions."""
    investigation = Investigation(TASK)
    schemas = call_schemas(get_task(TASK).config.generator)
    ours = {schema["function"]["name"]: schema["function"] for schema in schemas}
    made = [get_json_schema(tool)["function"] for tool in tools_of(investigation)]
    assert {schema["name"] for schema in made} == set(ours)
    for schema in made:
        own = ours[schema["name"]]["parameters"]
        assert schema["description"]
        assert schema["parameters"]["properties"].keys() == own["properties"].keys()
        assert schema["parameters"].get("required", []) == own.get("required", [])
        assert all(argument["description"] for argument in schema["parameters"]["properties"].values())
        assert all("type" in argument for argument in schema["parameters"]["properties"].values())


def test_a_row_of_the_data_set_begins_an_episode() -> None:
    """``reset`` takes a whole row, also one with columns that are empty, and answers with the brief of its task."""
    held_out = get_task(TASK).held_out_seeds[0]
    data = rows(TASK, [7, held_out])
    assert data.column_names == ["prompt", "task", "seed"]
    assert is_conversational(data[0])
    investigation, other = Investigation(), Investigation(TASK)
    told = investigation.reset(**data[0])
    assert told == other.reset(seed=7)
    assert investigation.reset(**data[1]) == told
    assert investigation.rows_for_date("2026-03-10") != other.rows_for_date("2026-03-10")
    assert other.reset(**(data[0] | {"seed": None, "task": None})) == told
    assert not session_of(other).standing.done


def test_the_tiny_model_is_one_that_trl_takes(model: Path) -> None:
    """Its template has tools, and what it writes as a call is parsed as one, with the arguments' types kept."""
    tokenizer = add_response_schema(AutoTokenizer.from_pretrained(model))
    assert supports_tool_calling(tokenizer)
    rows = [{"date": "2026-03-10", "observed_value": 1.5, "baseline_value": 2}]
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "x"}],
        tools=tools_of(Investigation()),
        add_generation_prompt=True,
        return_dict=False,
    )
    ids = tokenizer.encode(call_text("submit", {"rows": rows}) + tiny.END)
    parsed = parse_response(tokenizer, ids, prefix=prompt, tools=tools_of(Investigation()))
    assert [call["function"] for call in parsed["tool_calls"]] == [{"name": "submit", "arguments": {"rows": rows}}]


# Training


def test_training_with_random_weights(small: Options, capsys: pytest.CaptureFixture[str]) -> None:
    """The command, with a real model that samples for itself: it runs to the end and leaves model and log."""
    given = ["--model", small.model, "--task", TASK, "--steps", "1", "--num-generations", "2", "--groups", "1"]
    train_trl.main([*given, "--max-completion-length", "16", "--episodes", "1", "--output", str(small.output)])
    assert "score on 1 held-out episodes: 0.000" in capsys.readouterr().out
    assert small.output is not None
    first = log_of(small.output)[0]
    assert first["tools/call_frequency"] == 0.0
    assert first["rewards/Investigation/mean"] == first["rewards/score/mean"] == 0.0
    assert first["entropy"] > 5.0  # nearly uniform
    assert (small.output / "model.safetensors").is_file()


def test_training_through_the_tool_loop(small: Options, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rollouts of an episode, one of the analyst and one that gives up: calls, rewards and the update are right."""
    scripted = Scripted(model)
    monkeypatch.setattr(Qwen2ForCausalLM, "generate", lambda self, **given: scripted(self, **given))
    trainer = build(small)
    assert trainer.model is not None
    before = [weight.clone() for weight in trainer.model.parameters()]
    trainer.train()
    reward, score, calls = analyst(get_task(TASK).training_seeds[0])
    assert scripted.turns == calls + 1  # and the last words
    log = trainer.state.log_history[0]
    assert log["tools/call_frequency"] == (calls + 1) / 2
    assert log["tools/failure_frequency"] == 0.0
    assert log["rewards/Investigation/mean"] == pytest.approx(reward / 2)
    assert log["rewards/score/mean"] == pytest.approx(score / 2)
    assert log["reward"] == pytest.approx(reward / 2)
    assert log["completions/clipped_ratio"] == 0.0
    after = list(trainer.model.parameters())
    assert any(not torch.equal(one, two) for one, two in zip(before, after, strict=True))


def test_evaluation_plays_held_out_episodes(small: Options, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluation plays each held-out episode once, with the reward and score that direct play has."""
    scripted = Scripted(model)
    monkeypatch.setattr(scripted, "next_words", lambda text, _: Scripted.next_words(scripted, text, 0))
    monkeypatch.setattr(Qwen2ForCausalLM, "generate", lambda self, **given: scripted(self, **given))
    trainer = build(small)
    played = trainer.evaluate()
    first = get_task(TASK).held_out_seeds[0]
    expected = [analyst(seed) for seed in range(first, first + EPISODES)]
    assert played["eval_rewards/Investigation/mean"] == pytest.approx(sum(one[0] for one in expected) / EPISODES)
    assert played["eval_rewards/score/mean"] == pytest.approx(sum(one[1] for one in expected) / EPISODES)
    assert played["eval_tools/call_frequency"] == sum(one[2] for one in expected) / EPISODES


def test_an_own_task_is_trained_on(small: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a task is one: its seeds are the rows of the data sets, and the brief begins with its instruction."""
    monkeypatch.setattr(tasks, "TASKS", dict(tasks.TASKS))
    monkeypatch.setattr(train_trl, "TASKS", tasks.TASKS)
    trainer = build(replace(small, task=str(own_task(tmp_path))))
    trained: Any = trainer.train_dataset
    held_out: Any = trainer.eval_dataset
    (row,) = trained
    assert (row["task"], row["seed"]) == ("broken_step", FIRST_TRAINING)
    assert [other["seed"] for other in held_out] == [FIRST_HELD_OUT, FIRST_HELD_OUT + 1]
    assert Investigation().reset(**row).startswith(INSTRUCTION)


# Wrong use


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--task", "no_such"], "no_such"),
        (["--steps", "0"], "steps 0"),
        (["--num-generations", "1"], "num_generations 1"),
        (["--groups", "0"], "groups 0"),
        (["--steps", "1048576", "--groups", "2"], "steps 1048576"),
        (["--seed", "-1"], "seed -1"),
        (["--learning-rate", "nan"], "learning_rate nan"),
        (["--episodes", "100001"], "episodes 100001"),
        (["--output", str(ROOT / "agents")], "is not empty"),
        (["--output", str(ROOT / "LICENSE")], "is a file"),
        (["--model", "no/such/model"], "no/such/model"),
        (["--model", str(ROOT / "agents")], "agents"),
    ],
)
def test_command_line_errors(
    arguments: list[str], told: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad value ends the command with exit code 2 and one line that names it."""
    given = ["--model", str(model), "--output", str(tmp_path / "run"), *arguments]
    with pytest.raises(SystemExit) as ended:
        train_trl.main(given)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
