"""The command that serves the page with runs to watch: ``python -m agents page``."""

from __future__ import annotations

from pathlib import Path

from metric_tracker_env import Seal

from ..command_line import check_whole, how_to_install
from ..evaluation.report import console
from ..progress import progress_bar
from ..tasks import held_out_seeds, task_of
from .collection import Asked, Collection, kind_of

PORT = 8050
MB, MOST_MB = 1_000_000, 1_000


def page(
    runs: tuple[str, ...] = (),
    port: int = PORT,
    host: str = "127.0.0.1",
    allow_host: tuple[str, ...] = (),
    token_file: Path | None = None,
    tasks: tuple[str, ...] = ("realistic_medium",),
    episodes: int = 20,
    max_sessions: int = 64,
    seal: Path | None = None,
    data: Path | None = None,
    max_upload_mb: int = 64,
) -> None:
    """Serve the page: play, watch runs, compare them, their leaderboard, and a history of one's own.

    Args:
        runs: Names of scripts; results files, as compare.json; folders of saved models, of language models, and of
            the books that servers keep.
        port: To listen on; 0 takes a free one.
        host: Address to listen on; 0.0.0.0 lets other machines in.
        allow_host: Further names by which browsers reach the server.
        token_file: File with the token that clients must show.
        tasks: Named tasks, or presets' paths, that scripts and models play which are named without results; the first
            is also what a visitor plays.
        episodes: Held-out episodes that these play.
        max_sessions: Visitors at once.
        seal: Of sealed episodes: file of the secret, or "env" for the variable METRIC_TRACKER_SEAL.
        data: Folder whose files visitors may read in My data, beside those that they upload.
        max_upload_mb: Megabytes of a file that a visitor uploads there.
    """
    try:
        from metric_tracker_env.serve import command_line, gate
        from metric_tracker_env.serve.limits import ServeLimits
        from metric_tracker_env.ui.app import page_app

        from .my_data import Workshop
    except ImportError as error:
        raise SystemExit(f"the page: {error}; {how_to_install('ui')}") from None
    check_whole("port", port, 0, command_line.MAX_PORT)
    check_whole("max_upload_mb", max_upload_mb, 1, MOST_MB)
    if not tasks:
        raise ValueError("tasks is empty; name at least one task")
    chosen = [task_of(task) for task in tasks]
    for task in chosen:
        held_out_seeds(task, episodes)
    limits, token = ServeLimits(max_sessions=max_sessions), gate.token_of(token_file)
    hosts = command_line.names_of(host, allow_host)
    models = [run for run in runs if kind_of(run) == "model"]  # what is nothing is refused before anything is played
    own = Workshop(max_upload_mb * MB, data, models)
    with progress_bar(0) as advance:
        advance.describe("reading and playing")
        library = Collection(runs, Asked(chosen, episodes, Seal.of(seal)), advance)
    screen = console()
    for fault in library.faults:
        screen.print(f"not read: {fault}", markup=False, soft_wrap=True)
    for run in library.runs:
        for note in run.notes:
            screen.print(f"{run.agent}, {run.task}: {note}", markup=False, soft_wrap=True)
    held = sum(len(run.entries) for run in library.runs)
    screen.print(f"{len(library.runs):,} runs with {held:,} episodes", markup=False)
    app = page_app(tasks[0], limits, hosts, token, library, own)
    screen.print(f"the page is at http://{host}:{port}/", markup=False, soft_wrap=True)
    command_line.run(app, limits, host, port)
