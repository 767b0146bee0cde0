"""What guessing is worth: the strongest player that opens no date, if its guesses counted, and as they are graded.

The audit's ``scans_only`` has learned from 3,000 training episodes of the task how likely each root is
where a date has certain flags, spends the whole budget on the survey and scans, and reports the likeliest cells. The
last column is what submitting nothing gets: the share of episodes that are quiet.

    python benchmarks/guesses.py [--episodes 300]
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Any

import numpy as np

from agents.audit.guesser import Guesser
from metric_tracker_env import Session, score_submission
from metric_tracker_env.tasks import HELD_OUT_SEEDS, TASKS
from metric_tracker_env.tools.tables import from_tables


def told(session: Session, tool: str, **arguments: Any) -> dict[str, Any]:
    """The result of a call."""
    return from_tables(json.loads(session.call(tool, arguments).text)["result"])


def main() -> None:
    """Print a line a task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=300)
    episodes = parser.parse_args().episodes
    print(f"mean F1 of {episodes} held-out episodes")
    print(f"{'task':20} if guesses counted  as graded  quiet")
    for task in TASKS:
        guesser, session = Guesser(TASKS[task]), Session(task)
        counted, graded, quiet = np.zeros((3, episodes))
        for place, seed in enumerate(HELD_OUT_SEEDS[:episodes]):
            session.begin(seed)
            rows = guesser.play(partial(told, session))
            session.call("submit", {"rows": rows})
            graded[place] = session.grade().f1
            counted[place] = score_submission(rows, session.episode()).f1
            quiet[place] = not session.episode().expected_rows
        print(f"{task:20} {counted.mean():18.3f} {graded.mean():10.3f} {quiet.mean():6.3f}", flush=True)


if __name__ == "__main__":
    main()
