"""What the tools' answers cost a language model: whole investigations of the analyst, in tables and record by record.

The analyst in words plays held-out episodes by calling tools, once as a session answers and once with every record of a
result as an object of its own. The same calls, and the same score; only the length of the answers differs. Characters,
and with tiktoken installed (it fetches its encoding once) tokens as well.

    python benchmarks/answers.py [--tasks medium_mixed realistic_medium] [--episodes 40] [--encoding cl100k_base]
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections import defaultdict
from collections.abc import Callable
from unittest.mock import patch

from agents.players.scripts.words import investigate
from metric_tracker_env import Session
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.session import round as session_round
from metric_tracker_env.tasks import HELD_OUT_SEEDS

Count = Callable[[str], int]


def counter(encoding: str) -> tuple[str, Count]:
    """The unit that texts are counted in, and how."""
    try:
        encode = importlib.import_module("tiktoken").get_encoding(encoding).encode
    except ModuleNotFoundError:
        return "characters (tokens need `pip install tiktoken`)", len
    return f"tokens ({encoding})", lambda text: len(encode(text))


def record_by_record(result: StrictModel) -> dict[str, object]:
    """A result as its model is written in JSON."""
    return result.model_dump(mode="json")


def played(task: str, episodes: int, count: Count) -> tuple[dict[str, tuple[int, int]], int, float]:
    """Calls and length of the answers by tool, length of the brief, and the mean score."""
    session, lengths, score, brief = Session(task), defaultdict[str, list[int]](list), 0.0, 0
    for seed in HELD_OUT_SEEDS[:episodes]:
        brief = count(session.begin(seed))
        script = investigate(session.config.generator)
        asked = next(script, None)
        while asked is not None:
            answer = session.call(*asked)
            lengths[asked[0]].append(count(answer.text))
            try:
                asked = script.send(json.loads(answer.text))
            except StopIteration:
                asked = None
        score += session.grade().score
    return {tool: (len(items), sum(items)) for tool, items in lengths.items()}, brief, score / episodes


def main() -> None:
    """Print the table of each task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["easy_single_spike", "medium_mixed", "realistic_medium"])
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--encoding", default="cl100k_base", help="of tiktoken")
    options = parser.parse_args()
    unit, count = counter(options.encoding)
    for task in options.tasks:
        tables, brief, score = played(task, options.episodes, count)
        with patch.object(session_round, "in_tables", record_by_record):
            records, _, as_well = played(task, options.episodes, count)
        total, before = (sum(length for _, length in told.values()) for told in (tables, records))
        print(f"{task}: score {score:.3f} and {as_well:.3f}; {unit} of the answers of an episode, brief {brief}")
        print(f"| {'tool':<28} | calls | records | tables | share |\n|---|---|---|---|---|")
        for tool, (calls, length) in tables.items():
            each = records[tool][1] / records[tool][0], length / calls
            ratio = f"{each[1] / each[0]:.2f}"
            print(f"| {tool:<28} | {calls / options.episodes:.2f} | {each[0]:.0f} | {each[1]:.0f} | {ratio} |")
        whole = before / options.episodes, total / options.episodes
        print(f"| {'whole investigation':<28} | | {whole[0]:.0f} | {whole[1]:.0f} | {total / before:.3f} |\n")


if __name__ == "__main__":
    main()
