"""What the page's command reads: an index without playing, episodes played again, and one line for what is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers_models import saved
from helpers_watch import THOUGHT, many_calls, silence, spoken

from agents import Comparison, Evaluation, evaluate, leaderboard
from agents.evaluation.paired import ALL
from agents.llm.journal import JOURNALS
from agents.llm.run import TRANSCRIPTS_FILE, LlmRun
from agents.page import collection
from agents.page.collection import Asked, Collection
from agents.players.player import Assignment
from agents.tasks import held_out_seeds
from metric_tracker_env import EnvConfig, Seal, get_task
from metric_tracker_env.schema import ANOMALY_TYPES

TASK = get_task("medium_mixed")
SEEDS = held_out_seeds(TASK, 3)
ASKED = Asked((TASK,), 3)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a results file and the model that is in it."""
    folder = tmp_path_factory.mktemp("compared")
    model = saved(folder / "net", TASK.config)
    leaderboard((model,), TASK, 3, folder, ("analyst", "one_by_one"), 1, "compare")
    return folder


def test_the_index_is_that_of_the_file(compared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures and rows come from its columns: nothing is played until an episode is opened."""
    monkeypatch.setattr(collection, "played", None)
    monkeypatch.setattr(collection, "evaluate", None)
    held = Comparison.model_validate_json((compared / "compare.json").read_bytes())
    library = Collection([str(compared / "compare.json"), str(compared / "net")], ASKED)
    assert library.faults == []
    assert [run.agent for run in library.runs] == [item.agent for item in held.evaluations]
    for run, item in zip(library.runs, held.evaluations, strict=True):
        assert [entry.seed for entry in run.entries] == list(item.episodes.seed)
        assert [entry.score for entry in run.entries] == list(item.episodes.score)
        assert [entry.cost for entry in run.entries] == list(item.episodes.cost)
        assert [entry.failure for entry in run.entries] == list(item.episodes.failure)
        assert set(item.episodes.failure) <= set(library.failures)
        told = [(row.family, row.fate) for entry in run.entries for row in entry.rows]
        fates = ("missed", "matched", "extra")
        rows = zip(item.rows.family, item.rows.fate, strict=True)
        assert sorted(told) == sorted((ANOMALY_TYPES[family], fates[fate]) for family, fate in rows)


def test_an_episode_is_played_as_it_was(compared: Path) -> None:
    """Score, cost and calls of a script and of a model are those of the file, and no note says otherwise."""
    library = Collection([str(compared / "compare.json"), str(compared / "net")], ASKED)
    assert {run.kind for run in library.runs} == {"script", "model"}
    for run in library.runs:
        for entry in run.entries:
            opened = library.open(run.name, entry.seed, entry.trial)
            state = opened.state
            assert (state["agent"], state["seed"], opened.note) == (run.agent, entry.seed, "")
            assert state["grade"]["score"] == entry.score
            assert sum(step["cost"] for step in state["steps"]) == entry.cost
            assert len(state["steps"]) == entry.calls
            expected = {(row.fate, row.family) for row in entry.rows if row.fate == "missed"}
            reported = {(row["d"], row["e"]) for row in state["draft"]}
            missed = [row for row in state["truth"]["expected"] if (row["d"], row["e"]) not in reported]
            assert len(missed) == sum(row.fate == "missed" for row in entry.rows)
            assert {("missed", row["row"]["anomaly_type"]) for row in missed} == expected


def test_who_is_not_at_hand_is_asked_for(compared: Path) -> None:
    """Without its folder a model's episodes are in the index, and opening one says what to name."""
    library = Collection([str(compared / "compare.json")], ASKED)
    name = next(run.name for run in library.runs if run.agent == "net")
    with pytest.raises(ValueError, match="played again with its folder"):
        library.open(name, SEEDS[0], 0)
    with pytest.raises(ValueError, match="run 'nobody' is not one of"):
        library.open("nobody", SEEDS[0], 0)
    with pytest.raises(ValueError, match="has no seed 5"):
        library.open(name, 5, 0)


def test_another_score_is_noted(compared: Path, tmp_path: Path) -> None:
    """A file whose scores are not those of today, as of another version, is shown with a note."""
    held = Comparison.model_validate_json((compared / "compare.json").read_bytes()).evaluations[1]
    other = held.episodes.model_copy(update={"score": tuple(0.123 for _ in SEEDS)})
    held.model_copy(update={"episodes": other}).to_json(tmp_path / "evaluation.json")
    library = Collection([str(tmp_path / "evaluation.json")], ASKED)
    assert "The score was 0.123 then" in library.open(library.runs[0].name, SEEDS[0], 0).note


def test_a_broken_file_is_told_in_one_line(compared: Path, tmp_path: Path) -> None:
    """No JSON, other JSON, a cut comparison, a damaged card, a bad line: each is a fault, and the rest is served."""
    whole = (compared / "compare.json").read_text(encoding="utf-8")
    texts = {"no.json": "{", "other.json": "[1]", "cut.json": json.dumps({**json.loads(whole), "summary": 3})}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    spoken(tmp_path / "llm", TASK, SEEDS[:1])
    with (tmp_path / "llm" / TRANSCRIPTS_FILE).open("a", encoding="utf-8") as file:
        file.write('{"told": 3}\n{"told": "an end that is still writ')
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "llm.json").write_text("{", encoding="utf-8")
    sources = [*(str(tmp_path / name) for name in texts), str(tmp_path / "card"), str(tmp_path / "llm"), "analyst"]
    library = Collection(sources, ASKED)
    assert [run.agent for run in library.runs] == ["analyst", "speaker"]
    assert len(library.faults) == 5
    assert not any("\n" in fault for fault in library.faults)
    for part in ("no.json: ", "other.json: ", "cut.json: ", "is not JSON", "line 2, is no transcript: told"):
        assert sum(part in fault for fault in library.faults) == 1
    assert [entry.seed for entry in library.runs[1].entries] == [SEEDS[0]]
    with pytest.raises(ValueError, match=r"run 'nothing\.json' is not one of"):
        Collection(["nothing.json"], ASKED)


def test_numbers_that_point_nowhere(tmp_path: Path) -> None:
    """Rows of no episode and of no family, and a score that is no number, are faults and no failure."""
    whole = json.loads(evaluate("one_by_one", SEEDS, TASK).model_dump_json())
    bad = {
        "episode.json": {**whole, "rows": {name: [99] for name in whole["rows"]} | {"fate": [0], "family": [0]}},
        "family.json": {**whole, "rows": {name: [0] for name in whole["rows"]} | {"family": [77]}},
        "score.json": {**whole, "episodes": {**whole["episodes"], "score": [float("nan")] * 3}},
    }
    for name, held in bad.items():
        (tmp_path / name).write_text(json.dumps(held), encoding="utf-8")
    library = Collection([str(tmp_path / name) for name in bad], ASKED)
    assert list(library.runs) == []
    for fault, words in zip(library.faults, ("none of its 3 episodes", "family 77", "no number"), strict=True):
        assert words in fault


def test_words_are_played_again(tmp_path: Path) -> None:
    """Every call of a transcript is answered as it was; what the model said stands beside the steps."""
    spoken(tmp_path, TASK, [*SEEDS, SEEDS[0]])
    library = Collection([str(tmp_path)], ASKED)
    (run,) = library.runs
    played = LlmRun(tmp_path).play(Assignment([*SEEDS, SEEDS[0]], TASK.config, TASK))
    assert [(entry.seed, entry.trial) for entry in run.entries] == [
        (SEEDS[0], 0),
        (SEEDS[0], 1),
        *((s, 0) for s in SEEDS[1:]),
    ]
    for line in played.lines:
        opened = library.open(run.name, line.seed, 0)
        state, said = opened.state, opened.transcript
        assert said is not None
        assert (state["grade"]["score"], len(state["steps"])) == (line.score, line.steps)
        assert state["reward"] == pytest.approx(line.episode_return, abs=1e-4)
        assert sum(step["cost"] for step in state["steps"]) == line.cost
        assert {row["k"] for row in state["draft"]} <= {len(state["steps"])}
        assert len(state["draft"]) == line.submitted
        assert [item.role for item in said] == ["user"] + ["assistant", "tool"] * len(state["steps"])
        assert [item.step for item in said[1:]] == [k for k in range(1, len(state["steps"]) + 1) for _ in range(2)]
        assert said[1].thought == THOUGHT
        assert said[1].calls[0][0] == "task_overview"
        shown = {cell["k"] for cell in state["cells"] if cell["k"]}
        opening = {k for k, step in enumerate(state["steps"], 1) if step["tool"] == "rows_for_date"}
        assert opening & shown
        assert shown <= set(range(1, len(state["steps"]) + 1))


def test_a_transcript_of_another_version_is_refused(tmp_path: Path) -> None:
    """An answer that is not today's, and a configuration that is not the task's, are told in words."""
    spoken(tmp_path, TASK, SEEDS[:1])
    path = tmp_path / TRANSCRIPTS_FILE
    text = path.read_text(encoding="utf-8")
    held = json.loads(text)
    held["messages"][2]["content"] = "{}"
    path.write_text(json.dumps(held) + "\n", encoding="utf-8")
    library = Collection([str(tmp_path)], ASKED)
    with pytest.raises(ValueError, match="call 1, task_overview, is answered otherwise"):
        library.open(library.runs[0].name, SEEDS[0], 0)
    path.write_text(json.dumps({**json.loads(text), "told": "0" * 64}) + "\n", encoding="utf-8")
    library = Collection([str(tmp_path)], ASKED)
    assert library.runs[0].entries[0].rows
    with pytest.raises(ValueError, match="'medium_mixed' is not the task of that name in this version"):
        library.open(library.runs[0].name, SEEDS[0], 0)


def test_an_episode_that_ended_by_itself(tmp_path: Path) -> None:
    """A model that says no more: nothing counts as submitted, and the index and the transcript say why."""
    spoken(tmp_path, TASK, SEEDS[:1], script=silence)
    library = Collection([str(tmp_path)], ASKED)
    (entry,) = library.runs[0].entries
    assert entry.words[0] == "no call"
    assert entry.failure == "protocol_error"
    opened = library.open(library.runs[0].name, SEEDS[0], 0)
    assert opened.transcript is not None
    assert (opened.transcript[-1].role, opened.state["grade"]["submitted"]) == ("end", 0)
    assert opened.note == ""


def test_a_quiet_episode_without_a_submission_scores_nothing(tmp_path: Path) -> None:
    """Watch tells the 0 that the run counts where there was nothing to find, not the 1 of an empty submission."""
    task = get_task("quiet_weeks")
    seeds = held_out_seeds(task, 6)
    spoken(tmp_path, task, seeds, script=silence)
    library = Collection([str(tmp_path)], Asked((task,), 6))
    (run,) = library.runs
    quiet = [entry for entry in run.entries if not entry.rows]
    assert quiet
    for entry in quiet:
        opened = library.open(run.name, entry.seed, 0)
        grade = opened.state["grade"]
        assert (entry.score, opened.state["truth"]["expected"]) == (0.0, [])
        assert [grade[name] for name in ("score", "f1", "precision", "recall")] == [0.0] * 4
        assert opened.transcript is not None
        assert opened.transcript[-1].text.endswith("nothing was submitted, and it scores 0.")
        assert opened.note == ""


def test_what_is_still_played_tells_no_truth(tmp_path: Path) -> None:
    """An episode under way has a journal: its calls so far are shown, and neither its truth nor what it did not see."""
    spoken(tmp_path, TASK, SEEDS[:1], lives=4)
    assert list((tmp_path / JOURNALS).iterdir())
    library = Collection([str(tmp_path)], ASKED)
    (entry,) = library.runs[0].entries
    assert (entry.score, entry.words) == (None, ["still played"])
    state = library.open(library.runs[0].name, SEEDS[0], 0).state
    assert (state["over"], state["truth"], state["grade"], len(state["steps"])) == (False, None, None, 4)
    assert all(cell["k"] for cell in state["cells"])
    assert all(row["was"] is None for row in state["draft"])


def test_transcripts_of_a_results_file_open(tmp_path: Path) -> None:
    """The language model of a comparison is watched through its folder, and a long transcript stays whole."""
    spoken(tmp_path / "llm", TASK, SEEDS[:2])
    evaluation = evaluate(tmp_path / "llm", SEEDS[:2], TASK)
    Comparison.of([evaluation]).to_json(tmp_path / "compare.json")
    library = Collection([str(tmp_path / "compare.json"), str(tmp_path / "llm")], ASKED)
    first, second = library.runs
    assert first.source.endswith("compare.json")
    for run in (first, second):
        assert library.open(run.name, SEEDS[1], 0).transcript is not None
    long = TASK.model_copy(update={"name": "long", "config": TASK.config.model_copy(update={"step_limit": 600})})
    spoken(tmp_path / "long", long, SEEDS[:1], script=lambda: many_calls(500))
    library = Collection([str(tmp_path / "long")], Asked((long,), 1))
    opened = library.open(library.runs[0].name, SEEDS[0], 0)
    assert opened.transcript is not None
    assert (len(opened.state["steps"]), len(opened.transcript)) == (500, 1001)


def test_the_leaderboard_is_that_of_the_command(compared: Path, tmp_path: Path) -> None:
    """Order, figures and paired differences are those of the file; runs without a file have a board of their own."""
    held = Comparison.model_validate_json((compared / "compare.json").read_bytes())
    spoken(tmp_path, TASK, SEEDS)
    library = Collection([str(compared / "compare.json"), "oracle", str(tmp_path)], ASKED)
    board, here = library.boards()
    assert [line.agent for line in board.lines] == [line.agent for line in held.tasks[TASK.name]]
    for line, told in zip(board.lines, held.tasks[TASK.name], strict=True):
        assert line.figures["score"].model_dump() == told.figures["score"].model_dump()
        assert line.run is not None
    for rates, told in zip(board.rates, held.tasks[TASK.name], strict=True):
        assert (rates.agent, rates.failures) == (told.agent, told.rates.failures)
        assert rates.exact_set.model_dump() == told.rates.exact_set.model_dump()
        assert (rates.grounded is None) == (told.rates.grounded is None)
    assert board.quiet == ()  # something happens in every episode of this task
    pairs = {(pair.agent, pair.family): pair for pair in held.pairs}
    assert {(pair.agent, pair.family) for pair in board.differences} == set(pairs)
    assert any(pair.family == ALL and pair.apart for pair in board.differences)
    for pair in board.differences:
        told = pairs[pair.agent, pair.family]
        assert (pair.difference.low, pair.difference.high, pair.apart) == (
            told.difference.low,
            told.difference.high,
            told.apart,
        )
    assert {line.agent for line in here.lines} == {"oracle", "speaker"}
    assert list(Collection([], ASKED).runs) == []
    with pytest.raises(ValueError, match="no finished episode to compare"):
        Collection([], ASKED).boards()


def test_quiet_episodes_on_the_leaderboard(tmp_path: Path) -> None:
    """The same figures as the command prints, of agents that leave such episodes alone and of those that do not."""
    task = get_task("quiet_weeks")
    leaderboard((), task, 8, tmp_path, ("analyst", "one_by_one"), 1, "compare")
    held = Comparison.model_validate_json((tmp_path / "compare.json").read_bytes())
    (board,) = Collection([str(tmp_path / "compare.json")], ASKED).boards()
    assert {line.agent for line in board.quiet} == {"analyst", "one_by_one"}
    for line, told in zip(board.quiet, held.tasks[task.name], strict=True):
        assert told.quiet is not None
        assert line.agent == told.agent
        assert line.model_dump(exclude={"agent"}) == told.quiet.model_dump()


def test_sealed_episodes_open_with_their_seal(tmp_path: Path) -> None:
    """Without the secret they are in the index and stay shut; with it they are played again."""
    seal = Seal("ab" * 32)
    evaluate("analyst", SEEDS, TASK, seal=seal).to_json(tmp_path / "sealed.json")
    shut = Collection([str(tmp_path / "sealed.json")], ASKED)
    assert len(shut.runs[0].entries) == 3
    with pytest.raises(ValueError, match="are sealed"):
        shut.open(shut.runs[0].name, SEEDS[0], 0)
    opened = Collection([str(tmp_path / "sealed.json")], Asked((TASK,), 3, seal))
    for entry in opened.runs[0].entries:
        found = opened.open(opened.runs[0].name, entry.seed, 0)
        assert (found.state["grade"]["score"], found.note) == (entry.score, "")


def test_a_configuration_that_is_no_task(tmp_path: Path) -> None:
    """An evaluation of a configuration is called that, and is played again with it."""
    held: Evaluation = evaluate("analyst", SEEDS, config=EnvConfig(difficulty="hard"))
    held.to_json(tmp_path / "evaluation.json")
    library = Collection([str(tmp_path / "evaluation.json")], ASKED)
    assert (library.runs[0].task, library.runs[0].name) == ("configured", "analyst.configured")
    assert library.open("analyst.configured", SEEDS[0], 0).state["difficulty"] == "hard"
