"""The command ``python -m agents audit``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from metric_tracker_env import Seal, Task
from metric_tracker_env.schema import StrictModel

from ..command_line import check_whole, how_to_install
from ..evaluation.leaderboard import check_writable
from ..evaluation.report import console
from ..progress import progress_bar
from ..tasks import held_out_seeds, task_of
from . import blind, cheats
from .door import BooksDoor, Door, NoneLeftError, ServerDoor
from .exploit import CLOSE, EXPLOITS, BoughtError, Exploit, Knowledge
from .owner import OWNERS, owner_score

__all__ = ["audit", "blind", "cheats"]  # the two are imported for the exploits that they register

Verdict = Literal["held", "bought", "its owner's"]
OWNER_EPISODES = 20
ONE_SIDED = 1.645  # standard errors: 95 % of a normal distribution lie below
AUDIT_SEAL = Seal("6d" * 32)  # of no use but this: no exploit looks for it


class Finding(StrictModel):
    """What came of an exploit."""

    exploit: str
    tries: str
    score: float
    most: float | None  # what it may get; None for what an owner may do
    verdict: Verdict
    told: str = ""


class Mean(NamedTuple):
    """The mean score of some episodes, and its standard error."""

    score: float
    error: float

    @classmethod
    def of(cls, scores: Sequence[float]) -> Mean:
        """That of scores."""
        values = np.array(scores)
        return cls(float(values.mean()), float(values.std(ddof=min(1, len(values) - 1))) / float(np.sqrt(len(values))))


class Audit(StrictModel):
    """What came of all."""

    task: str
    episodes: int
    where: str
    findings: tuple[Finding, ...]

    @property
    def held(self) -> bool:
        """Whether no exploit bought anything."""
        return all(finding.verdict != "bought" for finding in self.findings)


def audit(
    task: str = "realistic_medium",
    episodes: int = 100,
    server: str | None = None,
    public: bool = False,
    output: Path | None = None,
) -> None:
    """Let exploits try to buy a score; exit code 1 if one does.

    Args:
        task: Named task.
        episodes: Of each exploit.
        server: Address of an OpenEnv server to try instead of scored sessions in this process.
        public: Play public episodes instead of sealed ones, whose seeds anybody can try.
        output: JSON file to write the findings to.
    """
    found = task_of(task)
    held_out_seeds(found, episodes)
    check_whole("episodes", episodes, 1, 10_000)
    if output is not None:
        check_writable(output)
    made = audited(found, episodes, server, None if public else AUDIT_SEAL)
    show(made)
    if output is not None:
        output.write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")
        console().print(f"wrote {output}", markup=False)
    if not made.held:
        raise SystemExit(1)


def audited(task: Task, episodes: int, server: str | None, seal: Seal | None) -> Audit:
    """Try every exploit."""
    known, findings, floor = Knowledge(task), list[Finding](), Mean(0.0, 0.0)
    with progress_bar(len(EXPLOITS) + (0 if server else len(OWNERS))) as advance:
        for exploit in EXPLOITS.values():
            advance.describe(exploit.name)
            with opened(task, episodes, server, seal) as door:
                finding = tried(exploit, door, known, floor)
                if exploit.name == "nothing":
                    floor = Mean.of(door.scores())
            findings.append(finding)
            advance(1)
        for name, (tries, play, reward) in {} if server else OWNERS.items():
            advance.describe(name)
            score = owner_score(play, task.config, reward, held_out_seeds(task, min(episodes, OWNER_EPISODES)))
            findings.append(Finding(exploit=name, tries=tries, score=score, most=None, verdict="its owner's"))
            advance(1)
    where = server or f"scored sessions in this process, {'public' if seal is None else 'sealed'} episodes"
    return Audit(task=task.name, episodes=episodes, where=where, findings=tuple(findings))


def tried(exploit: Exploit, door: Door, known: Knowledge, floor: Mean) -> Finding:
    """Let an exploit play until the door gives nothing more; bought is what is more than chance.

    Chance is in the floor as well: what submitting nothing scored was measured on as few episodes.
    """
    most = min(floor.score + CLOSE, 1.0) if exploit.most is None else exploit.most
    told = ""
    try:
        for _ in range(door.episodes):
            exploit.play(door, known)
    except NoneLeftError:
        pass
    except BoughtError as error:
        told = str(error)
    score, error = Mean.of(door.scores())
    if exploit.most is None:
        error = math.hypot(error, floor.error)
    verdict = "bought" if told or score - ONE_SIDED * error > most else "held"
    return Finding(exploit=exploit.name, tries=exploit.tries, score=score, most=most, verdict=verdict, told=told)


@contextmanager
def opened(task: Task, episodes: int, server: str | None, seal: Seal | None) -> Iterator[Door]:
    """A door for one exploit.

    Raises:
        ValueError: if the server cannot be reached.
        ImportError: naming the extra, if its client is not installed.
    """
    if server is None:
        with BooksDoor.opened(task, episodes, seal) as door:
            yield door
        return
    try:
        from metric_tracker_env.serve.openenv_client import InvestigationClient
    except ImportError as error:
        raise ImportError(f"--server needs OpenEnv's client; {how_to_install('serve')}") from error
    client = InvestigationClient(base_url=server).sync()
    try:
        client.connect()
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"server {server!r} cannot be reached: {error}") from None
    try:
        yield ServerDoor(task, episodes, client)
    finally:
        client.close()


def show(made: Audit) -> None:
    """Print the table."""
    from rich.table import Table

    table = Table(title=f"{made.task}: exploits, {made.episodes:,} episodes each ({made.where})", title_justify="left")
    for name in ("exploit", "what it does", "score", "most", "verdict"):
        table.add_column(name, justify="right" if name in ("score", "most") else "left")
    for finding in made.findings:
        most = "" if finding.most is None else f"{finding.most:.3f}"
        verdict = f"{finding.verdict}{': ' if finding.told else ''}{finding.told}"
        table.add_row(finding.exploit, finding.tries, f"{finding.score:.3f}", most, verdict)
    console().print(table)
    bought = [finding.exploit for finding in made.findings if finding.verdict == "bought"]
    console().print(f"bought by: {', '.join(bought)}" if bought else "no exploit bought a score", markup=False)
