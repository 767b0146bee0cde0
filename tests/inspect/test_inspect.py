"""The task of Inspect: evaluations by Inspect itself, with its mock model and with a scripted model's HTTP server.

Run in the virtual environment of the extra ``inspect``, which has ``openai`` too.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers_tasks import FIRST_HELD_OUT, INSTRUCTION, own_task
from inspect_ai import Epochs
from inspect_ai import eval as inspect_eval
from inspect_ai import score as inspect_score
from inspect_ai.log import EvalLog, EvalSample, EvalScore, read_eval_log
from inspect_ai.model import ChatMessage, ChatMessageTool, ModelOutput, ModelUsage, get_model
from inspect_ai.solver import generate
from inspect_ai.tool import ToolCall, ToolInfo
from llm_server import ScriptedServer
from llm_words import Answer

from agents.llm.summary import pass_hat
from agents.players.scripts.words import converse, investigate
from metric_tracker_env import Seal, Session, get_task
from metric_tracker_env.inspect_task import grade, investigation, solved
from metric_tracker_env.session import REMINDER
from metric_tracker_env.trials import any_solved

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "docs" / "recipes" / "inspect" / "analyst.py"
TASK = "easy_single_spike"
SEED = get_task(TASK).held_out_seeds[0]
BIN = Path(sys.executable).parent
Model = Callable[..., ModelOutput]
pytestmark = [
    # Of tenacity and anyio, as Inspect uses them.
    pytest.mark.filterwarnings("ignore:The 'initial' parameter is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*<function MemoryObject:pytest.PytestUnraisableExceptionWarning"),
]


def loaded() -> ModuleType:
    """The recipe as a module."""
    spec = importlib.util.spec_from_file_location("inspect_recipe", RECIPE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ScriptedModel = loaded().ScriptedModel


def analyst(task: str = TASK) -> Model:
    """A mock model that plays as the analyst."""
    return ScriptedModel(get_task(task).config.generator)


def says(text: str = "It was the orders, I believe.", calls: Sequence[ToolCall] = ()) -> ModelOutput:
    """A reply of a mock model."""
    output = ModelOutput.from_content("mockllm/model", text)
    output.message.tool_calls = list(calls) or None
    output.usage = ModelUsage()
    return output


def call(tool: str, arguments: Any, number: int = 0, parse_error: str | None = None) -> ToolCall:
    """A call."""
    return ToolCall(id=f"call{number}", function=tool, arguments=arguments, parse_error=parse_error)


def evaluated(model: Model, folder: Path, task: str = TASK, episodes: int = 1, **options: Any) -> EvalLog:
    """What Inspect makes of a mock model, read from its log again."""
    given = {name: options.pop(name) for name in ("first", "threshold", "reminders", "seal") if name in options}
    (log,) = inspect_eval(
        investigation(task, episodes, **given),
        model=get_model("mockllm/model", custom_outputs=model, memoize=False),
        log_dir=str(folder),
        display="none",
        **options,
    )
    found = read_eval_log(log.location)
    assert found.status == "success", found.error
    return found


def samples(log: EvalLog) -> list[EvalSample]:
    """The samples of a log, by episode."""
    assert log.samples is not None
    return sorted(log.samples, key=lambda sample: (sample.id, sample.epoch))


def told_in(sample: EvalSample) -> list[str]:
    """The answers of tools in a sample."""
    return [message.text for message in sample.messages if isinstance(message, ChatMessageTool)]


def parts(sample: EvalSample) -> dict[str, float]:
    """What the scorers found."""
    assert sample.scores is not None
    of_grade: Any = sample.scores["grade"].value
    return {**of_grade, "solved": sample.scores["solved"].as_float()}


def noted(sample: EvalSample) -> dict[str, Any]:
    """What the scorer noted of the episode."""
    assert sample.scores is not None
    found = sample.scores["grade"].metadata
    assert found is not None
    return found


def why(sample: EvalSample) -> str:
    """What the scorer says in words."""
    assert sample.scores is not None
    return sample.scores["grade"].explanation or ""


def metrics(log: EvalLog, name: str, reducer: str | None = None) -> dict[str, float]:
    """The metrics of a score over all samples."""
    assert log.results is not None
    found: list[EvalScore] = [item for item in log.results.scores if (item.name, item.reducer) == (name, reducer)]
    return {key: item.value for key, item in found[0].metrics.items()}


def played(calls: Sequence[tuple[str, Any]], task: str = TASK, seed: int = SEED) -> tuple[Session, list[str]]:
    """A session in which calls were made, and the answers."""
    session = Session(task)
    session.begin(seed)
    return session, [session.call(*made).text for made in calls]


def by_the_analyst(task: str, seed: int, seal: Seal | None = None) -> tuple[Session, list[str]]:
    """A session that the analyst has played, and the answers."""
    session, answers = Session(task, seal=seal), []
    session.begin(seed)

    def made(tool: str, arguments: dict[str, Any]) -> str:
        answers.append(session.call(tool, arguments).text)
        return answers[-1]

    converse(investigate(session.config.generator), made)
    return session, answers


# Episodes


@pytest.mark.parametrize("task", [TASK, "realistic_medium"])
def test_the_analyst_has_the_answers_and_the_grade_of_a_session(task: str, tmp_path: Path) -> None:
    """Each answer is word for word that of the session, and the score's parts are those of its grade."""
    log = evaluated(analyst(task), tmp_path, task, 2)
    first = get_task(task).held_out_seeds[0]
    for sample, seed in zip(samples(log), (first, first + 1), strict=True):
        session, answers = by_the_analyst(task, seed)
        told, standing = session.grade(), session.standing
        assert told_in(sample) == answers
        assert sample.messages[0].text == session.brief
        names = ("score", "f1", "precision", "recall")
        expected = {name: getattr(told, name) for name in names}
        expected |= {"exact": float(told.exact), "cost": standing.cost, "solved": float(told.score >= 0.9)}
        assert parts(sample) == expected
        found = noted(sample)
        assert found["grade"] == told.model_dump(mode="json")
        assert found["reward"] == pytest.approx(standing.reward)
        assert (found["finish"], found["episode"]["seed"], found["calls"]) == ("submitted", seed, standing.steps)
        assert why(sample).startswith(f"{told.matched} of {told.expected} rows found")
    assert metrics(log, "score")["mean"] == pytest.approx(sum(parts(item)["score"] for item in samples(log)) / 2)
    assert "stderr" in metrics(log, "cost")


def test_nothing_is_told_before_the_end(tmp_path: Path) -> None:
    """What the model is sent is the brief, its own calls and their answers; no seed, number, grade or metadata."""
    sent: list[tuple[list[ChatMessage], list[ToolInfo]]] = []
    good = analyst("hard_mixed")

    def watched(conversation: list[ChatMessage], tools: list[ToolInfo], *_: Any) -> ModelOutput:
        sent.append((list(conversation), tools))
        return good(conversation)

    log = evaluated(watched, tmp_path, "hard_mixed", 1, first=7)
    seed = get_task("hard_mixed").held_out_seeds[0] + 6
    session, answers = by_the_analyst("hard_mixed", seed)
    assert len(sent) == len(answers)
    last, tools = sent[-1]
    assert [message.role for message in last] == ["user"] + ["assistant", "tool"] * (len(answers) - 1)
    assert [message.text for message in last if message.role in ("user", "tool")] == [session.brief, *answers[:-1]]
    assert all(message.metadata is None for message in last)
    everything = json.dumps([message.model_dump() for message in last]) + json.dumps([t.model_dump() for t in tools])
    for word in (str(seed), "held_out", '"grade"', '\\"grade\\"', '\\"expected\\"', '\\"seed\\"'):
        assert word not in everything
    assert str(seed) in answers[-1]  # and at the end, which the model is not asked after, it is told
    (sample,) = samples(log)
    assert (sample.id, sample.metadata, sample.target) == (7, {}, "")


def test_the_tools_are_those_of_the_session(tmp_path: Path) -> None:
    """Names, order, descriptions, arguments and obligations are those of the session's own schemas."""
    told: list[ToolInfo] = []

    def watched(_: list[ChatMessage], tools: list[ToolInfo], *__: Any) -> ModelOutput:
        told[:] = tools
        return says()

    evaluated(watched, tmp_path, "realistic_easy")
    functions = [schema["function"] for schema in Session("realistic_easy").schemas]
    assert [(tool.name, tool.description) for tool in told] == [(f["name"], f["description"]) for f in functions]
    for tool, function in zip(told, functions, strict=True):
        own, shown = function["parameters"], tool.parameters.model_dump(exclude_none=True)
        assert shown.get("required", []) == own.get("required", [])
        assert shown["properties"].keys() == own["properties"].keys()
        for name, argument in shown["properties"].items():
            kept = {key: value for key, value in argument.items() if key in ("description", "enum", "type", "minimum")}
            assert kept.items() <= own["properties"][name].items()
            assert argument["description"]


@pytest.mark.parametrize("task", [TASK, "quiet_weeks"])
def test_a_model_that_calls_no_tool_scores_0(task: str, tmp_path: Path) -> None:
    """It is reminded twice, then the conversation ends; even where there is nothing to find that is no submission."""
    log = evaluated(lambda *_: says(), tmp_path, task, 2)
    for sample in samples(log):
        assert set(parts(sample).values()) == {0.0}
        assert [message.text for message in sample.messages if message.role == "user"][1:] == [REMINDER, REMINDER]
        assert sum(message.role == "assistant" for message in sample.messages) == 3
        assert why(sample) == "no grade, as the conversation was ended by no_call"
    assert metrics(log, "score") == {"mean": 0.0, "stderr": 0.0}


def test_reminders_are_counted_anew_after_a_call(tmp_path: Path) -> None:
    """With one reminder a model may be silent once between two calls; silent twice, it is not asked again."""
    script = iter([says(), says(calls=[call("list_dates", {})]), says(), says()])
    (sample,) = samples(evaluated(lambda *_: next(script), tmp_path, reminders=1))
    assert [message.role for message in sample.messages] == [
        *("user", "assistant", "user", "assistant", "tool", "assistant", "user", "assistant"),
    ]
    assert next(script, None) is None


def test_bad_calls_are_judged_by_the_session(tmp_path: Path) -> None:
    """Unknown tools, bad arguments and text that is no JSON cost what they cost anywhere, and are answers to read."""
    broken = 'Error parsing the following tool call arguments: {"date": '
    bad: list[tuple[str, Any, str | None]] = [
        ("no_such_tool", {}, None),
        ("rows_for_date", {"date": 7}, None),
        ("rows_for_date", {}, None),
        ("rows_for_date", {"date": "2026-03-10", "colour": "red"}, None),
        ("rows_for_date", {}, broken),
        ("task_overview", {}, broken),
        ("submit", {"rows": "all of them"}, None),
        ("submit", {"rows": [{"date": "2026-03-10"}]}, None),
    ]
    script = iter([says(calls=[call(tool, given, parse_error=error)]) for tool, given, error in bad])
    (sample,) = samples(evaluated(lambda *_: next(script, says()), tmp_path))
    session, answers = played([(tool, error or given) for tool, given, error in bad])
    assert not any(json.loads(answer)["ok"] for answer in answers)
    assert told_in(sample) == answers
    assert parts(sample)["cost"] == session.standing.cost > 0
    assert all(message.error is None for message in sample.messages if isinstance(message, ChatMessageTool))
    assert "no_such_tool" in answers[0]
    assert "must be an object" in answers[5]


def test_several_calls_in_one_reply_are_made_one_after_another(tmp_path: Path) -> None:
    """Those after the submission are answered that the episode is over, and change nothing."""
    calls: list[tuple[str, Any]] = [
        ("list_dates", {}),
        ("submit", {"rows": []}),
        ("submit", {"rows": []}),
        ("no_such", {}),
    ]
    reply = says(calls=[call(tool, given, number) for number, (tool, given) in enumerate(calls)])
    script = iter([reply])
    (sample,) = samples(evaluated(lambda *_: next(script), tmp_path))
    session, answers = played(calls)
    assert told_in(sample) == answers
    assert [m.tool_call_id for m in sample.messages if isinstance(m, ChatMessageTool)] == [f"call{i}" for i in range(4)]
    assert noted(sample)["grade"] == session.grade().model_dump(mode="json")
    assert noted(sample)["finish"] == "submitted"


def test_the_step_limit_ends_an_episode(tmp_path: Path) -> None:
    """When no call is left the session grades nothing, as it does anywhere, and the model is not asked again."""
    asked: list[int] = []

    def looping(*_: Any) -> ModelOutput:
        asked.append(1)
        return says(calls=[call("list_dates", {}, len(asked))])

    (sample,) = samples(evaluated(looping, tmp_path))
    limit = get_task(TASK).config.step_limit
    session, answers = played([("list_dates", {})] * limit)
    assert session.standing.done
    assert told_in(sample) == answers
    assert len(asked) == limit
    assert noted(sample)["grade"] == session.grade().model_dump(mode="json")
    assert noted(sample)["finish"] == "calls_spent"


@pytest.mark.parametrize("limit", [{"message_limit": 6}, {"token_limit": 250}])
def test_a_limit_of_inspect_ends_an_episode_with_0(limit: dict[str, Any], tmp_path: Path) -> None:
    """Messages and tokens are Inspect's to limit; what was not submitted by then has no grade."""
    good = analyst()

    def metered(conversation: list[ChatMessage], *_: Any) -> ModelOutput:
        output = good(conversation)
        output.usage = ModelUsage(input_tokens=90, output_tokens=10, total_tokens=100)
        return output

    (sample,) = samples(evaluated(metered, tmp_path, **limit))
    assert sample.limit is not None
    assert sample.limit.type == next(iter(limit)).split("_")[0]
    assert {name: value for name, value in parts(sample).items() if name != "cost"} == dict.fromkeys(
        ("score", "f1", "precision", "recall", "exact", "solved"), 0.0
    )
    assert "a limit of Inspect" in why(sample)


def test_a_full_context_ends_the_conversation(tmp_path: Path) -> None:
    """A reply that was cut because the context is full is not reminded of anything."""
    cut = says()
    cut.choices[0].stop_reason = "model_length"
    script = iter([cut])
    (sample,) = samples(evaluated(lambda *_: next(script), tmp_path))
    assert noted(sample)["finish"] == "context"


def test_another_solver_has_the_same_tools(tmp_path: Path) -> None:
    """Inspect's own ``generate`` plays the episode to the same grade, and stops where it is over."""
    (sample,) = samples(evaluated(analyst(), tmp_path, solver=generate()))
    session, answers = by_the_analyst(TASK, SEED)
    assert told_in(sample) == answers
    assert parts(sample)["score"] == session.grade().score
    assert sum(message.role == "assistant" for message in sample.messages) == len(answers)


# Epochs


def test_epochs_give_pass_at_k_and_pass_hat_k(tmp_path: Path) -> None:
    """Of four trials of two episodes some are solved: ours, Inspect's reducers and agents.llm tell the same of them."""
    pattern = {1: [True, True, False, True], 2: [False, True, False, False]}
    good, begun, lucky = analyst(), dict.fromkeys(pattern, 0), [False]
    first = by_the_analyst(TASK, SEED)[1][1]  # the second answer tells which episode it is

    def wavering(conversation: list[ChatMessage], *_: Any) -> ModelOutput:
        answers = [message.text for message in conversation if message.role == "tool"]
        if len(answers) == 2:
            number = 1 if answers[1] == first else 2
            lucky[0] = pattern[number][begun[number]]
            begun[number] += 1
        if len(answers) >= 2 and not lucky[0]:
            return says(calls=[call("submit", {"rows": []})])
        return good(conversation)

    reducers = ["mean", *(f"{name}_{k}" for k in range(1, 5) for name in ("pass_at", "pass_k"))]
    log = evaluated(wavering, tmp_path, episodes=2, epochs=Epochs(4, reducers), max_samples=1)
    assert [parts(sample)["solved"] for sample in samples(log)] == [float(it) for row in pattern.values() for it in row]
    trials = list(pattern.values())
    ours = metrics(log, "solved")
    for k in range(1, 5):
        expected = sum(any_solved(tried, k) for tried in trials) / 2
        assert ours[f"pass@{k}"] == pytest.approx(expected)
        assert metrics(log, "solved", f"pass_at_{k}")["mean"] == pytest.approx(expected)
        together = pass_hat(trials, k).mean
        assert ours["pass@1" if k == 1 else f"pass^{k}"] == pytest.approx(together)
        assert metrics(log, "solved", f"pass_k_{k}")["mean"] == pytest.approx(together)
    assert len(ours) == 7
    assert metrics(log, "solved", "mean")["mean"] == pytest.approx(0.5)


def test_the_threshold_says_what_is_solved(tmp_path: Path) -> None:
    """An episode that is worth nothing is solved where 0 is enough, and only there."""
    for threshold in (0.0, 0.01):
        script = iter([says(calls=[call("submit", {"rows": []})])])
        (sample,) = samples(evaluated(lambda *_, script=script: next(script), tmp_path, threshold=threshold))
        assert (parts(sample)["score"], parts(sample)["solved"]) == (0.0, float(threshold == 0.0))


# Logs


def test_a_log_is_scored_again_from_itself(tmp_path: Path) -> None:
    """Inspect scores a log without playing: the same parts, and another threshold if one wants."""
    log = evaluated(analyst(), tmp_path, episodes=2)
    again = inspect_score(log, [grade(), solved(1.0)], action="overwrite", display="none")
    for before, after in zip(samples(log), samples(again), strict=True):
        assert parts(after) == parts(before) | {"solved": float(parts(before)["score"] == 1.0)}


def test_a_sample_of_another_task_has_no_grade(tmp_path: Path) -> None:
    """The scorer names what is missing in a log that is none of this task's."""
    log = evaluated(lambda *_: says(), tmp_path)
    for sample in samples(log):
        sample.store.clear()
    with pytest.raises(ValueError, match="no 'investigation'"):
        inspect_score(log, [grade()], action="overwrite", display="none")


def run(*command: str | Path, **environment: str) -> str:
    """What a command of Inspect prints that ends well."""
    done = subprocess.run(
        [BIN / "inspect", *command],
        cwd=ROOT,
        env=os.environ | {"INSPECT_DISPLAY": "plain", "NO_COLOR": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_recipe_and_the_viewer(tmp_path: Path) -> None:
    """The command of docs/inspect.md plays; ``inspect log`` and ``inspect view`` open what it leaves."""
    logs, site = tmp_path / "logs", tmp_path / "site"
    told = run("eval", RECIPE.relative_to(ROOT), "--epochs", "2", "--log-dir", logs)
    assert "analyst (3 x 2 samples): mockllm/model" in told
    assert "pass^2" in told
    (file,) = logs.glob("*.eval")
    dumped = json.loads(run("log", "dump", file))
    headline = dumped["results"]["headline"]
    assert (headline["scorer"], headline["score"], headline["metric"]) == ("grade", "score", "mean")
    run("view", "bundle", "--log-dir", logs, "--output-dir", site)
    assert file.name in {path.name for path in site.rglob("*.eval")}
    assert file.name in json.dumps([json.loads(path.read_text()) for path in site.rglob("listing.json")])


class Endpoint(ScriptedServer):
    """The scripted server with replies as well-behaved endpoints send them, which Inspect's client counts on."""

    def answer(self, body: dict[str, Any], key: str) -> Answer | None:
        """See ``ScriptedServer``."""
        found = super().answer(body, key)
        if found is not None and isinstance(found.body, dict) and "choices" in found.body:
            found.body.update(model=body["model"], created=0)
            message = found.body["choices"][0]["message"]
            message["content"] = "I look further."  # Inspect sends a message without text as one with empty text
            for made in message["tool_calls"]:
                made["id"] = f"call_{len(body['messages'])}"
        return found


def test_the_name_of_the_task_over_http(tmp_path: Path) -> None:
    """The task is found by its name, and played with a model behind an endpoint that finds no fault with it."""
    with Endpoint() as server:
        options = ["-T", f"task={TASK}", "-T", "episodes=2", "--log-dir", tmp_path]
        environment = {"SCRIPTED_BASE_URL": server.url, "SCRIPTED_API_KEY": "none"}
        model = ["--model", "openai-api/scripted/good"]
        run("eval", "metric_tracker_env/investigation", *model, *options, **environment)
        assert server.faults == []
        assert not any(str(SEED) in json.dumps(request) for request in server.requests)
    (file,) = tmp_path.glob("*.eval")
    log = read_eval_log(str(file))
    assert log.status == "success"
    for sample, seed in zip(samples(log), (SEED, SEED + 1), strict=True):
        session, answers = by_the_analyst(TASK, seed)
        assert told_in(sample) == answers
        assert parts(sample)["score"] == session.grade().score > 0.9
    again = tmp_path / "again.eval"
    scorer = ["--scorer", "metric_tracker_env/solved", "-S", "threshold=1"]
    run("score", file, *scorer, "--action", "overwrite", "--output-file", again, **environment)
    assert log.samples is not None
    perfect = [parts(sample)["score"] == 1.0 for sample in log.samples]
    assert metrics(read_eval_log(str(again)), "solved", "mean")["mean"] == sum(perfect) / 2


def test_the_page_names_every_option_and_score(tmp_path: Path) -> None:
    """docs/inspect.md has a line for each argument of the task and each score, and the default of each argument."""
    page = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
    for name, argument in inspect.signature(investigation).parameters.items():
        default = "FILE" if argument.default is None else argument.default
        assert f"`-T {name}={default}`" in page
    (sample,) = samples(evaluated(lambda *_: says(), tmp_path))
    for name in parts(sample):
        assert f"`{name}`" in page


# Which episodes


def test_sealed_episodes(tmp_path: Path) -> None:
    """With a seal the episodes are those of the sealed session, and the log has its hash but not its secret."""
    seal, file = Seal.new(), tmp_path / "seal"
    file.write_text(seal.secret)
    log = evaluated(analyst(), tmp_path / "logs", seal=str(file))
    _, answers = by_the_analyst(TASK, SEED, seal)
    assert told_in(samples(log)[0]) == answers
    assert answers[:-1] != by_the_analyst(TASK, SEED)[1][:-1]
    assert (log.eval.metadata or {})["seal"] == seal.hash
    assert seal.secret not in log.model_dump_json()


def test_a_task_of_ones_own(tmp_path: Path) -> None:
    """The path of a task is one: its instruction begins the brief, and its held-out seeds are played."""
    log = evaluated(lambda *_: says(calls=[call("submit", {"rows": []})]), tmp_path, str(own_task(tmp_path)), first=3)
    (sample,) = samples(log)
    assert str(sample.input).startswith(INSTRUCTION)
    assert noted(sample)["episode"]["seed"] == FIRST_HELD_OUT + 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"task": "no_such"}, "no_such"),
        ({"episodes": 0}, "episodes 0 is not an integer from 1 to 100000"),
        ({"episodes": 2.5}, "episodes 2.5"),
        ({"first": 0}, "first 0"),
        ({"first": 99_999, "episodes": 3}, "episodes 3 is not an integer from 1 to 2"),
        ({"reminders": -1}, "reminders -1"),
        ({"threshold": 1.5}, "threshold 1.5 is not a number from 0 to 1"),
        ({"threshold": True}, "threshold True"),
        ({"seal": "no/such/file"}, "no/such/file"),
    ],
)
def test_arguments_are_checked(given: dict[str, Any], told: str) -> None:
    """A bad argument is refused before anything is played, with an error that names it."""
    with pytest.raises(ValueError, match=told):
        investigation(**given)
